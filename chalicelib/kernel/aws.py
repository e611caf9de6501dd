"""AWS clients from one botocore session with one tuned configuration.

The session is shared with pynamodb (`store.py`), so that credentials, loaded service models and
hooks exist once. botocore alone is used: boto3 adds 15 % to a cold start and nothing we need.
Requests are written and signed by a shorter way to the same bytes (`Writer`, `Signer`): botocore's
own take a quarter of the CPU of an accepted request.
SES and SNS have no idempotency token, so their clients never retry by themselves: an SDK retry
after a lost answer would be a second message.
"""

import hashlib
import hmac
import threading
import time
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import msgspec
from botocore import auth, serialize
from botocore.config import Config
from botocore.credentials import CredentialResolver, EnvProvider

from chalicelib.kernel import telemetry
from chalicelib.kernel.settings import settings

USER_AGENT = "backburner"
SIGNATURE = "backburner"  #: by which name botocore knows our Signer
_LOCK = threading.Lock()

#: tries, connect and read timeouts in seconds, by service
LIMITS: dict[str, tuple[int, float, float]] = {
    "dynamodb": (3, 1.0, 3.0),
    "sqs": (2, 1.0, 5.0),
    "sesv2": (1, 2.0, 10.0),
    "sns": (1, 2.0, 10.0),
    "apigatewaymanagementapi": (1, 1.0, 2.0),
}
_USUAL = (3, 2.0, 10.0)


def config(service: str) -> Config:
    """The tuned configuration for one service.

    A fixed user agent and no parameter validation save two fifths of a call's CPU; validation
    stays on locally, where tests would miss a malformed call otherwise.
    """
    tries, connect_seconds, read_seconds = LIMITS.get(service, _USUAL)
    return Config(
        user_agent=USER_AGENT,
        signature_version=SIGNATURE,
        parameter_validation=settings.stage == "local",
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"total_max_attempts": tries, "mode": "standard"},
        max_pool_connections=max(10, settings.worker_threads),
        tcp_keepalive=True,
    )


@cache
def session() -> Any:
    """The one session. Hooks are registered before any client exists, or they would never fire."""
    made = botocore.session.Session()
    telemetry.count_calls(made)
    environment = EnvProvider()
    if environment.load() is not None:
        # Nowhere else is looked then; but the places are prepared, with a TLS context for each.
        made.register_component("credential_provider", CredentialResolver([environment]))
    return made


@cache
def _client(service: str) -> Any:
    # A socket's connections live at its own address; all other services are found by their names.
    own = settings.socket_endpoint if service == "apigatewaymanagementapi" else ""
    return session().create_client(service, endpoint_url=own or None, config=config(service))


def client(service: str) -> Any:
    """The client of `service`, made once; creation is not thread-safe in botocore, use is."""
    with _LOCK:
        return _client(service)


@cache
def _asked_queue_url(name: str) -> str:
    with telemetry.configuration():
        return str(client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def queue_url(name: str) -> str:
    """The address of the queue with this full name, from settings or asked once per instance."""
    if settings.queue_url_base:
        return f"{settings.queue_url_base}/{name}"
    return _asked_queue_url(name)


class Writer(serialize.JSONSerializer):  # type: ignore[misc, unused-ignore]
    """Writes calls of DynamoDB and SQS as they are: their members are named in JSON as in Python,
    and bytes become base64. botocore's own walks through every value's shape to find that out.
    """

    def serialize_to_request(self, parameters: Any, operation_model: Any) -> Any:
        if operation_model.service_model.service_name not in ("dynamodb", "sqs"):
            return super().serialize_to_request(parameters, operation_model)
        request = super().serialize_to_request({}, operation_model)
        request["body"] = msgspec.json.encode(parameters)
        return request


class Signer(auth.SigV4Auth):  # type: ignore[misc, unused-ignore]
    """Signs what JSON services take, a POST of bytes to `/`; leaves the rest to botocore's own.

    The same signature as botocore's, but the headers are walked through once, the key is kept for
    its day, and the request is not prepared a second time for the sake of its body.
    """

    def add_auth(self, request: Any) -> None:
        host = _host_of(request.url)
        if not (host and self.credentials and _is_plain(request)):
            super().add_auth(request)
            return
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        request.context["timestamp"] = now
        headers = request.headers
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
            del headers[name]  # of an earlier try
        headers["X-Amz-Date"] = now
        if self.credentials.token:
            headers["X-Amz-Security-Token"] = self.credentials.token
        headers["Authorization"] = self._authorization(headers, host, request.data, now)

    def _authorization(self, headers: Any, host: str, body: bytes, now: str) -> str:
        signed = {name.lower(): " ".join(str(value).split()) for name, value in headers.items()}
        signed.setdefault("host", host)
        names = sorted(signed.keys() - auth.SIGNED_HEADERS_BLACKLIST)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        digest = hashlib.sha256(body).hexdigest()
        request = f"POST\n/\n\n{lines}\n{';'.join(names)}\n{digest}"
        scope = f"{now[:8]}/{self._region_name}/{self._service_name}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = _signing_key(self.credentials.secret_key, *scope.split("/"))
        signature = _hmac(key, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}").hex()
        return (
            f"AWS4-HMAC-SHA256 Credential={self.credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )


def _is_plain(request: Any) -> bool:
    return (
        request.method == "POST"
        and isinstance(request.data, bytes)
        and not request.params
        and "Date" not in request.headers
        and "X-Amz-Content-SHA256" not in request.headers
        and request.context.get("payload_signing_enabled", True)
        and "checksum" not in request.context
    )


@lru_cache(maxsize=64)
def _host_of(url: str) -> str:
    """The host as it is signed; empty when the request is not simply to `/`."""
    parts = urlsplit(url)
    return "" if parts.path not in ("", "/") or parts.query else str(auth._host_from_url(url))


@lru_cache(maxsize=16)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


auth.AUTH_TYPE_MAPS[SIGNATURE] = Signer
serialize.SERIALIZERS["json"] = Writer

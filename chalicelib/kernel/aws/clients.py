"""AWS clients from one botocore session with one tuned configuration.

pynamodb shares the session (`store/connection.py`), so that credentials, loaded service models and
hooks exist once. Our code uses botocore alone: boto3 adds 15 % to a cold start and nothing that
is needed here. SES and SNS have no idempotency token, so their clients never retry by themselves:
an SDK's retry after a lost answer would be a second message.
"""

import threading
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialResolver, EnvProvider
from botocore.httpsession import DEFAULT_CA_BUNDLE

from chalicelib.kernel import telemetry
from chalicelib.kernel.aws import fast_path
from chalicelib.kernel.settings import settings

USER_AGENT = "backburner"
_LOCK = threading.RLock()

#: tries, connect and read timeouts in seconds, by service
LIMITS: dict[str, tuple[int, float, float]] = {
    "dynamodb": (3, 1.0, 3.0),
    "sqs": (2, 1.0, 5.0),
    "sesv2": (1, 2.0, 10.0),
    "sns": (1, 2.0, 10.0),
    "apigatewaymanagementapi": (1, 1.0, 2.0),
    "ssm": (2, 1.0, 2.0),
}
DEFAULT_LIMITS = (3, 2.0, 10.0)


def config(service: str) -> Config:
    """The tuned configuration for one service.

    A fixed user agent and no parameter validation save two fifths of a call's CPU. Validation stays
    on in the local stage, so that tests notice a malformed call.
    """
    tries, connect_seconds, read_seconds = LIMITS.get(service, DEFAULT_LIMITS)
    return Config(
        user_agent=USER_AGENT,
        signature_version=fast_path.SIGNATURE if settings.fast_path else None,
        parameter_validation=settings.stage == "local",
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"total_max_attempts": tries, "mode": "standard"},
        max_pool_connections=max(10, settings.worker_threads, settings.sweep_threads),
        tcp_keepalive=True,
    )


def session() -> Any:
    """The one session, whichever thread is the first to ask for it."""
    with _LOCK:
        return _session()


@cache
def _session() -> Any:
    """The session. Hooks are registered before any client exists, or they would never fire."""
    new = botocore.session.Session()
    if settings.fast_path:
        fast_path.install()
    telemetry.count_calls(new)
    _use_certificates_of_botocore(new)
    environment = EnvProvider()
    if environment.load() is not None:
        # botocore reads the environment first, but prepares the other sources of credentials too,
        # each with a TLS context.
        new.register_component("credential_provider", CredentialResolver([environment]))
    return new


def _use_certificates_of_botocore(new: Any) -> None:
    """Takes botocore's certificates, which the package step has cut down to those of AWS.

    botocore would prefer certifi's, which come along with requests: 140 certificates, read anew for
    each connection. AWS_CA_BUNDLE still overrides both.
    """
    if new.get_config_variable("ca_bundle") is None:
        new.set_config_variable("ca_bundle", DEFAULT_CA_BUNDLE)


@cache
def _client(service: str) -> Any:
    # The API of WebSocket connections has an address per stage; botocore knows all the others.
    endpoint = settings.socket_endpoint if service == "apigatewaymanagementapi" else ""
    return session().create_client(service, endpoint_url=endpoint or None, config=config(service))


def client(service: str) -> Any:
    """The client of `service`, made once; creation is not thread-safe in botocore, use is."""
    with _LOCK:
        return _client(service)


@cache
def _fetch_queue_url(name: str) -> str:
    with telemetry.configuration():
        return str(client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def queue_url(name: str) -> str:
    """The address of the queue with this full name, from settings or asked once per instance."""
    if settings.queue_url_base:
        return f"{settings.queue_url_base}/{name}"
    return _fetch_queue_url(name)

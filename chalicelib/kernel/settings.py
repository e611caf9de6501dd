"""Settings, read once from the environment when this module is imported.

Only this module sees `os.environ`. Every setting has a default and a bad value falls back to it,
because a Lambda function that fails at import answers nothing at all; what was wrong is kept in
`settings.problems`, which the doctor and the start-up log show.
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """One deployment's settings. Each field is the environment variable of the same name."""

    stage: str = "local"  #: part of every resource's name
    public_url: str = ""  #: address that links start with; empty: taken from the request
    cors_origins: str = ""  #: origins allowed to call from a browser, comma-separated

    issuer: str = ""  #: OpenID Connect issuer whose tokens are accepted
    audience: str = ""  #: value that the audience claim must hold
    jwks_url: str = ""  #: where the issuer publishes its keys
    token_algorithms: str = "RS256,ES256"  # noqa: S105 #: signature algorithms accepted, comma-separated
    audience_claim: str = "aud"  #: a Cognito access token has `client_id` instead
    tenant_claim: str = "tenant_id"
    role_claim: str = "role"
    token_leeway_seconds: int = 30  #: how far the issuer's clock may be off

    signing_keys: str = ""  #: comma-separated secrets; the first signs, all verify

    queue_url_base: str = ""  #: queue addresses without their names; empty: asked from SQS once
    partial_batch: bool = False  #: True only when the mapping reports batch item failures
    lease_seconds: int = 90  #: a claimed job is another worker's after this; >= function timeout
    push_grace_seconds: int = 60  #: a waiting job is due for the sweep this long after its time
    sweep_max_step_seconds: int = 3600  #: longest pause between two pushes of one waiting job
    due_shards: int = 8  #: partitions of the index that the sweep reads
    worker_threads: int = 10  #: jobs of one batch worked at a time

    sender_email: str = "no-reply@example.com"  #: verified SES identity that mails come from
    configuration_set: str = ""  #: SES configuration set, for events; empty: none
    sms_enabled: bool = False  #: SMS notices are skipped with a reason unless True
    sms_sender_id: str = ""  #: alphanumeric sender shown on SMS where countries allow it
    sms_max_segments: int = 4  #: a longer SMS is refused rather than paid for

    confirm_seconds: int = 120  #: an unconfirmed mail waits this long for SES's own event
    tenant_email_per_second: int = 14  #: rate of one tenant's mails; 0: no limit
    tenant_sms_per_second: int = 10  #: rate of one tenant's SMS; 0: no limit
    rate_burst: int = 50  #: messages a tenant may send at once before its rate holds
    breaker_failures: int = 5  #: outages in a row after which a provider is left alone
    breaker_pause_seconds: int = 15  #: first pause of an open breaker; doubles up to 300
    recipient_daily_messages: int = 5  #: unasked messages a day to one recipient; 0: no limit
    sms_prefixes: str = ""  #: countries that SMS go to, such as +49,+43; empty: all
    sms_daily_per_tenant: int = 1000  #: SMS a day of one tenant; 0: no limit

    # providers: what projects are made at
    private_addresses: bool = False  #: True: providers may be on our own network, without TLS
    provider_connect_seconds: int = 3
    provider_read_seconds: int = 10  #: a provider may be silent this long
    provider_tries: int = 2  #: of one call, where it may be repeated
    provider_ca_file: str = ""  #: certificates that providers' own are checked by; empty: usual
    simulated_regions: str = ""  #: names of regions that are only simulated, comma-separated
    simulated_latency_ms: int = 0  #: what a call of a simulated provider takes
    simulated_calls_per_second: int = 0  #: its limit in one process; 0: none
    simulated_failures: int = 0  #: calls in a hundred that it is too busy for

    # projects
    default_provider: str = ""  #: of projects, where neither they nor their tenant name one
    default_region: str = ""  #: of that provider
    provisioning_seconds: int = 300  #: a run of the workflow is ended after this long
    provision_machine_arn: str = ""  #: the workflow's state machine; empty: asked for once
    platform_admins: str = ""  #: e-mail addresses of admins who take part in every project

    # sockets
    socket_endpoint: str = ""  #: where connections are sent to; empty: nothing is pushed
    socket_url: str = ""  #: where clients connect; empty: as the endpoint, by wss

    retention_days: int = 30  #: finished jobs and notifications are kept this long
    config_cache_seconds: int = 60  #: tenants and keys are read at most this often
    fast_path: bool = True  #: False: calls to AWS go botocore's own, slower way
    log_level: str = "INFO"
    problems: tuple[str, ...] = ()  #: what could not be read

    def resource(self, thing: str) -> str:
        """The stage's name for a table, queue or topic."""
        return f"backburner-{self.stage}-{thing}"

    def listed(self, name: str) -> tuple[str, ...]:
        """The comma-separated setting `name` as its parts."""
        return tuple(part.strip() for part in str(getattr(self, name)).split(",") if part.strip())


_WORDS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def _parse(kind: Any, text: str) -> Any:
    if kind is bool:
        return _WORDS[text.strip().lower()]
    if kind is int:
        number = int(text)
        if number < 0:
            raise ValueError(text)
        return number
    return text


def read(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; a value that cannot be read keeps its default and is reported."""
    values: dict[str, Any] = {}
    problems = []
    for item in msgspec.structs.fields(Settings):
        text = environ.get(item.name.upper())
        if text is None or item.name == "problems":
            continue
        try:
            values[item.name] = _parse(item.type, text)
        except (KeyError, ValueError):
            problems.append(f"{item.name.upper()}={text!r} is not a {item.type.__name__}")
    return Settings(**values, problems=tuple(problems))


settings = read(os.environ)

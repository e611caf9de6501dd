"""The kernel's settings, and how all settings are read from the environment.

A domain with settings of its own declares them in its `settings.py`:

    class Settings(Section, frozen=True):
        most_copies: int = 3  #: copies of one book that somebody may borrow

    settings = load(Settings)

Only this module reads `os.environ`, once for each section, when its module is imported. Every
setting has a default, and a value that cannot be read falls back to it, because a Lambda function
that fails at import answers nothing at all. Such values are kept in `problems`, which the doctor
and the log show.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

SERVICE = "backburner"  #: the name of the log


class Section(msgspec.Struct, frozen=True):
    """Settings that belong together. A field `public_url` is read from the variable `PUBLIC_URL`.

    Fields are texts, whole numbers that are not negative, and booleans.
    """

    problems: tuple[str, ...] = ()  #: one sentence for each value that could not be read

    def listed(self, name: str) -> tuple[str, ...]:
        """The parts of the comma-separated setting `name`."""
        return tuple(part.strip() for part in str(getattr(self, name)).split(",") if part.strip())


S = TypeVar("S", bound=Section)


class Settings(Section, frozen=True):
    """The settings of one deployment that belong to no domain."""

    stage: str = "local"  #: part of every resource's name
    public_url: str = ""  #: start of links; empty: taken from the request
    cors_origins: str = ""  #: origins whose pages may call the API, comma-separated

    issuer: str = ""  #: OpenID Connect issuer of the tokens we accept
    audience: str = ""  #: required value of the audience claim
    jwks_url: str = ""  #: address of the issuer's public keys
    token_algorithms: str = "RS256,ES256"  # noqa: S105 #: accepted signature algorithms, comma-separated
    audience_claim: str = "aud"  #: the audience's claim; `client_id` in Cognito's access tokens
    tenant_claim: str = "tenant_id"  #: name of the claim that holds the tenant's id
    role_claim: str = "role"  #: name of the claim that holds the caller's role
    user_claim: str = ""  #: name of a claim that holds the user's id here; empty: there is none
    token_leeway_seconds: int = 30  #: tolerance for the issuer's clock
    platform_admins: str = ""  #: subjects or verified e-mail addresses of the platform's admins
    unknown_subjects: str = "refuse"  #: `refuse`, `report` or `allow` logins that are no user's

    queue_url_base: str = ""  #: queues' addresses without names; empty: SQS is asked once
    partial_batch: bool = False  #: True only if the event source mappings report item failures
    lease_seconds: int = 90  #: how long a claim holds; at least a function's timeout
    push_grace_seconds: int = 60  #: the sweep pushes a job this long after its time
    sweep_max_step_seconds: int = 3600  #: longest pause between two pushes of one job
    due_shards: int = 8  #: partitions of the index that the sweep reads
    sweep_threads: int = 8  #: calls of one kind that a sweep makes side by side
    worker_threads: int = 10  #: jobs that one worker runs side by side

    # invocations at a time; the deployment reads these
    notify_concurrency: int = 20  #: limit of `notify`, up to 10 messages in each; 0: no limit
    work_concurrency: int = 20  #: limit of `work`
    bulk_concurrency: int = 5  #: limit of `bulk`
    feedback_concurrency: int = 5  #: limit of `feedback`
    reserved_api: int = 100  #: kept free for the API, and its limit; 0: none
    reserved_authorize: int = 50  #: kept free for the authorizer, and its limit; 0: none

    sender_email: str = "no-reply@example.com"  #: verified SES identity; the sender of all mails
    configuration_set: str = ""  #: SES configuration set that sends us events; empty: none
    sms_enabled: bool = False  #: False: SMS notices are skipped, with a reason
    sms_sender_id: str = ""  #: alphanumeric sender of SMS, where the country allows one
    sms_max_segments: int = 4  #: a longer SMS is not sent, because each segment is paid for

    confirm_seconds: int = 120  #: how long an unconfirmed mail waits for an event of SES
    tenant_email_per_second: int = 14  #: mails of one tenant a second; 0: no limit
    tenant_sms_per_second: int = 10  #: SMS of one tenant a second; 0: no limit
    rate_burst: int = 50  #: messages that a tenant may send at once before the rate applies
    breaker_failures: int = 5  #: outages in a row that open a provider's breaker
    breaker_pause_seconds: int = 15  #: first pause of an open breaker; it doubles up to 300
    recipient_daily_messages: int = 5  #: unrequested messages to one recipient; 0: no limit
    sms_prefixes: str = ""  #: prefixes of the numbers we send SMS to, such as +49,+43; empty: all
    sms_daily_per_tenant: int = 1000  #: SMS a day of one tenant; 0: no limit

    # outside services
    private_addresses: bool = False  #: True: services may be in our own network, without TLS

    # sockets
    socket_endpoint: str = ""  #: API address for pushing to connections; empty: nothing is pushed
    socket_url: str = ""  #: address for clients; empty: the endpoint's, by wss

    seal_form: int = 2  #: of sealed secrets; 1 while a release may return that opens no other

    retention_days: int = 30  #: how long finished jobs and notifications are kept
    config_cache_seconds: int = 60  #: how long a tenant's settings and keys are cached
    fast_path: bool = True  #: False: calls to AWS go through plain botocore, which is slower
    log_level: str = "INFO"  #: DEBUG, INFO, WARNING or ERROR

    def concurrency(self, queue: str) -> int | None:
        """The most invocations of the queue's function at a time; None: no limit.

        Lambda takes no limit below 2.
        """
        most = int(getattr(self, f"{queue}_concurrency"))
        return max(2, most) if most else None

    def resource(self, thing: str) -> str:
        """The full name, in this stage, of a table, queue or topic."""
        return f"backburner-{self.stage}-{thing}"


_BOOLEANS = {
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
        return _BOOLEANS[text.strip().lower()]
    if kind is int:
        number = int(text)
        if number < 0:
            raise ValueError(text)
        return number
    return text


def read(section: type[S], environ: Mapping[str, str]) -> S:
    """A section from `environ`; a value that cannot be read keeps its default and is reported."""
    values: dict[str, Any] = {}
    problems = []
    for item in msgspec.structs.fields(section):
        text = environ.get(item.name.upper())
        if text is None or item.name == "problems":
            continue
        try:
            values[item.name] = _parse(item.type, text)
        except (KeyError, ValueError):
            problems.append(f"{item.name.upper()}={text!r} cannot be read as {item.type.__name__}")
    return section(**values, problems=tuple(problems))


def load(section: type[S]) -> S:
    """A domain's section from this process's environment; what cannot be read is logged."""
    found = read(section, os.environ)
    log_problems(found)
    return found


def log_problems(section: Section) -> None:
    """Logs what could not be read. For the kernel's own the app does so, once there is a log."""
    for problem in section.problems:
        logging.getLogger(SERVICE).warning("setting not read", extra={"problem": problem})


settings = read(Settings, os.environ)

"""The environment variables from which the app reads its settings when it is imported.

The local cloud sets those that connect its parts. All others, such as LEASE_SECONDS or SMS_ENABLED,
are taken from the shell.
"""

import os

from infra.local import origins
from infra.local.issuer import AUDIENCE, ISSUER

REGION = "eu-central-1"
STAGE = "local"
RATES = ("TENANT_EMAIL_PER_SECOND", "TENANT_SMS_PER_SECOND")
WORKERS = 5  #: of a queue; more threads of one process would only take turns
CONCURRENCIES = tuple(f"{queue}_CONCURRENCY" for queue in ("NOTIFY", "WORK", "BULK", "FEEDBACK"))
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
DEFAULT_SENDER = "no-reply@example.com"


def shut_out_aws() -> None:
    """Removes the shell's AWS variables, such as an account, an endpoint or a profile.

    With them a call could leave this machine and reach an account that costs money.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    use_no_proxy_for_this_machine()
    os.environ.update(
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",  # noqa: S106  # not a secret: nobody checks it
        AWS_DEFAULT_REGION=REGION,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
    )


def use_no_proxy_for_this_machine() -> None:
    """Keeps calls to this machine off the proxy that the shell may name, as in an office."""
    spellings = ("NO_PROXY", "no_proxy")  # some programs read the one, some the other
    named = ",".join(filter(None, (os.environ.get(each) for each in spellings)))
    hosts = dict.fromkeys([*filter(None, named.split(",")), *THIS_MACHINE])
    os.environ.update(dict.fromkeys(spellings, ",".join(hosts)))


def describe(url: str, **settings: str) -> None:
    """Sets the variables of the local cloud whose API is at `url`."""
    own = {
        "STAGE": STAGE,
        "PUBLIC_URL": url,
        "ISSUER": ISSUER,
        "AUDIENCE": AUDIENCE,
        "JWKS_URL": f"{url}/_local/jwks.json",
        "QUEUE_URL_BASE": "",
        "SOCKET_ENDPOINT": f"{url}/_local/sockets",
        "CONFIGURATION_SET": f"backburner-{STAGE}-mail",
    }
    os.environ.update({**own, **settings})
    os.environ["CORS_ORIGINS"] = origins.with_this_machine(os.environ.get("CORS_ORIGINS", ""))
    os.environ.setdefault("SMS_ENABLED", "true")
    # Whoever signs in at the local issuer may try everything without being invited first.
    os.environ.setdefault("UNKNOWN_SUBJECTS", "allow")
    os.environ.setdefault("SIMULATED_REGIONS", "local-1,local-2")
    # Nothing is really sent, so the rates that protect an account would only slow things down.
    for name in RATES:
        os.environ.setdefault(name, "0")
    limit_workers(WORKERS)


def limit_workers(most: int) -> None:
    """Sets how many workers a queue has, where the shell does not say it; the first call counts."""
    for name in CONCURRENCIES:
        os.environ.setdefault(name, str(most))


def sender() -> str:
    return os.environ.get("SENDER_EMAIL", DEFAULT_SENDER)

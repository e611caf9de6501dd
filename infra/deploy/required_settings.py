"""The settings without which a stage answers nobody; the deployment and the doctor ask for them."""

from collections.abc import Mapping

from infra.deploy.account import Account
from infra.deploy.functions import configuration

#: The setting's name, and what it says.
REQUIRED_SETTINGS = {
    "ISSUER": "the OpenID Connect issuer whose tokens are accepted",
    "AUDIENCE": "the audience that its tokens name",
    "JWKS_URL": "where it publishes its keys",
    "SENDER_EMAIL": "the address that mails come from",
}

#: What becomes of logins that are bound to no user: `refuse`, `report` or `allow`.
UNKNOWN_SUBJECTS = "UNKNOWN_SUBJECTS"


def unknown_subjects(account: Account, settings: Mapping[str, str]) -> dict[str, str]:
    """The value for a stage whose settings say nothing.

    A new stage refuses. One that is there keeps what it has, and `report` if it has nothing: its
    users' logins may not be bound yet, and refusing them is its operator's decision.
    """
    if UNKNOWN_SUBJECTS in settings:
        return {}
    found = configuration(account, "authorize")
    if not found:
        return {UNKNOWN_SUBJECTS: "refuse"}
    deployed = found.get("Environment", {}).get("Variables", {})
    return {UNKNOWN_SUBJECTS: deployed.get(UNKNOWN_SUBJECTS, "report")}

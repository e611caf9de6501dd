"""The form in which a stage seals secrets: one that the release before can open too.

A release that opens form 2 may follow one that does not, and the stage may have to go back to that.
So the first deployment of such a release lets the functions seal in form 1, for which the API needs
the right to open the data key of regions' passwords; the next deployment takes both away.

Which release runs is told by the fingerprint of what was deployed last: each release writes it, and
those that open form 2 mark it.
"""

from collections.abc import Mapping
from dataclasses import replace

from infra.deploy import record
from infra.deploy.account import Account
from infra.policies import Place

SETTING = "SEAL_FORM"
_NEWEST = 2
_MARK = " opens-seals-2"
WAITS = (
    "secrets are sealed so that the release which ran until now can open them, if the stage has to "
    "go back to it; the next deployment ends that"
)


def marked(fingerprint: str) -> str:
    """The fingerprint of a release that opens form 2, as this one does."""
    return fingerprint + _MARK


def must_wait(account: Account, settings: Mapping[str, str]) -> bool:
    """Whether the running release does not open form 2, and no setting names a form."""
    running = record.parameter(account, "fingerprint")
    return SETTING not in settings and running is not None and not running.endswith(_MARK)


def place(account: Account, settings: Mapping[str, str]) -> Place:
    """The stage as its policies need it: with the form that its settings name."""
    form = settings.get(SETTING, "")
    return replace(account.place, seal_form=int(form) if form.isdecimal() else _NEWEST)

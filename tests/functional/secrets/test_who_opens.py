"""Which function may seal and open which secrets: as its policy says, by tenant and use."""

from collections.abc import Callable, Iterator

import pytest
from pynamodb.exceptions import PynamoDBException

from chalicelib.kernel import aws, cache
from chalicelib.kernel.auth import vault
from chalicelib.kernel.auth.vault import Label
from infra import policies
from infra.local import invocation, roles
from infra.local.cloud import LocalCloud
from infra.local.environment import STAGE
from tests import settings
from tests.functional.secrets.labels import credential, first_stage, password

SECRETS: dict[str, tuple[int, Label]] = {
    "password": (2, password()),
    "credential": (2, credential()),
    "password of form 1": (1, password()),
    "credential of form 1": (1, credential()),
    "hook": (2, Label(tenant_id="t1", use=vault.Use("hook"), name="hook#1")),
}
FORMER = {"password of form 1", "credential of form 1"}
OPENS = {
    "provision": {"password", "credential", *FORMER},
    "work": {"password", "password of form 1"},
}
SEALS = {
    "api_handler": {"password"},
    "provision": {"password", "credential"},
    "work": {"password"},
}
KERNELS = ["api_handler", "provision", "work", "notify", "bulk"]  #: who read the kernel's table


@pytest.fixture(autouse=True)
def _denied_on_purpose(cloud: LocalCloud) -> Iterator[None]:
    cache.forget_all()
    yield
    cache.forget_all()
    roles.take_denials()


def opened_by(function: str) -> set[str]:
    """The secrets that a function which has just started can open."""
    able = set()
    for name, (form, label) in SECRETS.items():
        with settings.changed(seal_form=form):
            sealed = vault.seal(label, "secret")
        cache.forget_all()
        with invocation.of(policies.lambda_name(function, STAGE)):
            if allowed(lambda label=label, sealed=sealed: vault.unseal(label, sealed)):
                able.add(name)
        cache.forget_all()
    return able


def allowed(use: Callable[[], object]) -> bool:
    try:
        use()
    except (aws.ServiceError, PynamoDBException) as error:
        cause = error.cause if isinstance(error, PynamoDBException) else error
        assert isinstance(cause, aws.ServiceError)
        assert aws.code_of(cause) == "AccessDeniedException", cause
        return False
    return True


@pytest.mark.parametrize("function", KERNELS)
def test_a_function_opens_the_secrets_of_its_uses_alone(function: str) -> None:
    assert opened_by(function) == OPENS.get(function, set())


@pytest.mark.parametrize("function", KERNELS)
def test_a_function_seals_for_its_uses_alone(function: str) -> None:
    able = set()
    for name in SECRETS.keys() - FORMER:
        _, label = SECRETS[name]
        with invocation.of(policies.lambda_name(function, STAGE)):
            if allowed(lambda label=label: vault.seal(label, "secret")):
                able.add(name)
    assert able == SEALS.get(function, set())


def test_the_api_opens_the_data_key_of_passwords_only_while_it_seals_in_form_1() -> None:
    assert opened_by("api_handler") == set()
    with first_stage():
        assert opened_by("api_handler") == {"password of form 1"}
    assert opened_by("api_handler") == set()

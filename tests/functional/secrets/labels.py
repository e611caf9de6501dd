"""Labels of secrets, as tests seal and open them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from chalicelib.kernel.auth.vault import CREDENTIAL, GATEWAY, PLATFORM, Label
from infra.local import roles
from tests import settings

HOST = "https://cloud.example.com:5000"


def credential(name: str = "credential#1", tenant: str = "t1") -> Label:
    return Label(tenant_id=tenant, use=CREDENTIAL, name=name)


def password(host: str = HOST, name: str = "region#openstack#r", tenant: str = PLATFORM) -> Label:
    return Label(tenant_id=tenant, use=GATEWAY, name=name, host=host)


def first_form() -> AbstractContextManager[None]:
    """Inside, secrets are sealed as by the release before."""
    return settings.changed(seal_form=1)


@contextmanager
def first_stage() -> Iterator[None]:
    """Inside, the stage seals in form 1, and its functions have the rights that this takes."""
    roles.enforce(seal_form=1)
    try:
        with first_form():
            yield
    finally:
        roles.enforce()

"""What an earlier release sealed opens in its form, and is sealed anew at its first use."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.kernel import cache
from chalicelib.kernel.auth import vault
from chalicelib.projects import gateway
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.regions import service as regions
from chalicelib.projects.workflow import credentials
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests import settings
from tests.functional import aws
from tests.functional.client import Caller, Client, at_once, let_transactions_meet
from tests.functional.http.store_calls import just_before
from tests.functional.projects.workflow import Workflow, created, path, people, status
from tests.functional.secrets.labels import credential, first_form, first_stage, password

REGION = {
    "provider": "openstack",
    "name": "frankfurt",
    "address": "https://cloud.example.com:5000/v3",
    "account": "Default/admin",
    "username": "backburner",
    "password": "of the platform",
}
NAME = "region#openstack#frankfurt"
PATH = "/admin/v1/regions/openstack/frankfurt"
FIRST, SECOND = b"\x01", b"\x02"


@pytest.fixture
def platform(client: Client) -> Caller:
    """An admin of the platform, who names no tenant."""
    return client.as_("admin", None)


@pytest.fixture
def first_release() -> Iterator[None]:
    """The stage runs the first release that opens form 2, and still seals in form 1."""
    with first_stage():
        yield


@pytest.fixture
def frankfurt(cloud: LocalCloud, platform: Caller) -> Iterator[None]:
    """A region whose password is stored in form 1."""
    cache.forget_all()
    with first_stage():
        assert platform.post("/admin/v1/regions", REGION).status_code == 201
    assert sealed().startswith(FIRST)
    cache.forget_all()
    faults.clear()
    yield
    cache.forget_all()


def sealed() -> bytes:
    """The region's password as it is stored."""
    found: bytes = aws.rows("projects", vault.PLATFORM)[NAME]["sealed_password"]["B"]
    return found


def opened() -> str:
    """The region's password, by an instance that remembers nothing."""
    cache.forget_all()
    region = regions.find("openstack", "frankfurt")
    assert region
    return region.password


def is_sealed_anew() -> bool:
    return (
        sealed().startswith(SECOND)
        and vault.unseal(password(name=NAME), sealed()) == REGION["password"]
    )


@pytest.mark.usefixtures("frankfurt")
def test_the_workflow_opens_a_password_of_form_1_and_seals_it_for_its_host(
    cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager, provider="openstack", region="frankfurt")
    cloud.run_until_idle()

    assert "cannot be reached" in status(manager, project_id)["error"]
    assert is_sealed_anew()


@pytest.mark.usefixtures("frankfurt")
def test_a_job_opens_a_password_of_form_1_and_seals_it_for_its_host(
    cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager, provider="openstack", region="frankfurt")
    aws.take_messages("work")
    Project.get("t1", f"project#{project_id}").update([Project.status.set("active")])
    assert manager.post(path(project_id, "suspend")).status_code == 202
    cloud.run_until_idle()

    (job,) = manager.jobs(type="projects.suspend")
    assert "cannot be reached" in job["last_error"]
    assert is_sealed_anew()


def test_a_credential_that_the_release_before_saved_is_created_and_sealed_anew(
    cloud: LocalCloud, manager: Caller
) -> None:
    workflow = Workflow(cloud)
    (person,) = people(1)
    project_id = created(manager, user_ids=[person])
    made = gateway.Credential("id-1", "access-1", "secret-1")
    name = f"credential#{project_id}#{person}"

    def interrupted() -> None:
        (part,) = Participant.query("t1", Participant.sk == f"participant#{project_id}#{person}")
        with first_form():
            assert credentials.save(part, "u-1", made) == made
        assert row()["sealed"]["B"].startswith(FIRST)

    def row() -> dict[str, Any]:
        return aws.rows("projects")[name]

    workflow.before("sync_users", interrupted)
    try:
        cloud.run_until_idle()
    finally:
        workflow.behave()

    assert status(manager, project_id)["status"] == "active"
    assert row()["credential_id"]["S"] == "id-1"
    assert row()["sealed"]["B"].startswith(SECOND)
    assert "secret-1" in vault.unseal(credential(name), row()["sealed"]["B"])


@pytest.mark.usefixtures("frankfurt")
def test_a_password_that_was_replaced_meanwhile_is_not_overwritten(platform: Caller) -> None:
    newer = vault.seal(password(name=NAME), "n3w")

    def replace() -> None:
        row = aws.rows("projects", vault.PLATFORM)[NAME]
        aws.put_rows("projects", [{**row, "sealed_password": {"B": newer}}])

    with just_before("UpdateItem", replace):
        assert opened() == REGION["password"]
    assert sealed() == newer
    assert opened() == "n3w"


@pytest.mark.usefixtures("frankfurt")
def test_of_many_who_open_and_one_who_changes_the_change_stays(platform: Caller) -> None:
    let_transactions_meet()
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: opened(), range(20))
        (changed,) = at_once(lambda: platform.patch(PATH, {"password": "n3w"}))
        assert set(found) <= {REGION["password"], "n3w"}

    assert changed.status_code == 200, changed.text
    assert opened() == "n3w"


TROUBLES: dict[str, Fault] = {
    "the store refuses": Fault("dynamodb", "UpdateItem", "refuse", times=None),
    "the store's answer is lost": Fault("dynamodb", "UpdateItem", "lose_answer", times=None),
    "KMS makes no data key": Fault("kms", "GenerateDataKey", "refuse", times=None),
}


@pytest.mark.usefixtures("frankfurt")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_that_it_could_not_be_sealed_anew_is_logged_and_tried_again(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    faults.add(TROUBLES[trouble])
    assert opened() == REGION["password"]
    (told,) = [each for each in caplog.records if each.message == "secret not sealed anew"]
    assert REGION["password"] not in str(vars(told))

    faults.clear()
    assert opened() == REGION["password"]
    assert is_sealed_anew()


@pytest.mark.usefixtures("frankfurt")
def test_a_remembered_row_is_sealed_anew_once() -> None:
    for _ in range(5):
        assert regions.find("openstack", "frankfurt")

    through = {name: tries["through"] for name, tries in faults.counts().items()}
    assert through["dynamodb.UpdateItem"] == through["kms.GenerateDataKey"] == 1


@pytest.mark.usefixtures("first_release", "cloud")
def test_the_first_release_that_opens_form_2_writes_form_1_and_leaves_it_as_it_is(
    platform: Caller,
) -> None:
    cache.forget_all()
    assert platform.post("/admin/v1/regions", REGION).status_code == 201
    cache.forget_all()
    assert platform.patch(PATH, {"password": "n3w"}).status_code == 200

    before = sealed()
    assert before.startswith(FIRST)
    assert opened() == "n3w"
    assert sealed() == before
    with pytest.raises(vault.Unsealable):
        vault.unseal(password(name="region#openstack#other"), before)


@pytest.mark.usefixtures("first_release", "cloud")
def test_it_opens_what_the_release_after_it_sealed() -> None:
    labels = (credential(), password())
    with settings.changed(seal_form=2):
        kept = [vault.seal(label, "secret") for label in labels]
    cache.forget_all()

    opens: Callable[..., str] = vault.unseal
    assert [opens(*each) for each in zip(labels, kept, strict=True)] == ["secret"] * 2

"""ETag, If-None-Match and If-Match: nothing is sent twice for nothing, no change is lost."""

from functools import partial

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client, at_once, aws_calls

MISSING = "01m81vfpqa4g492km3ew3kvx3r"
CSV = {"Content-Type": "text/csv"}
ROWS = "name,email,role\nAnn,ann@example.com,staff\n"


@pytest.fixture
def path(manager: Caller) -> str:
    """A user's."""
    return f"/admin/v1/users/{manager.create_user().json()['data']['user']['id']}"


@pytest.fixture
def records(cloud: LocalCloud, manager: Caller, path: str) -> list[str]:
    """One record of each kind that a tenant reads by its id."""
    sent = manager.send("POST", "/admin/v1/users/import", headers=CSV, data=ROWS)
    job = manager.jobs()[0]["id"]
    notice = manager.notifications()[0]["id"]
    return [
        path,
        f"/admin/v1/jobs/{job}",
        f"/admin/v1/notifications/{notice}",
        f"/v1/batches/{sent.json()['data']['batch_id']}",
    ]


def if_none_match(caller: Caller, path: str, tag: str) -> Answer:
    return caller.get(path, headers={"If-None-Match": tag})


def test_a_matching_tag_is_a_304_without_a_body_in_at_most_one_call(
    manager: Caller, records: list[str]
) -> None:
    for path in records[:3]:
        first = manager.get(path)
        again = if_none_match(manager, path, first.headers["ETag"])
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["ETag"] == first.headers["ETag"]
        assert aws_calls(again) <= 1


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*", '"other" , W/{} , "third"'])
def test_if_none_match_takes_weak_tags_lists_and_a_star(
    manager: Caller, path: str, form: str
) -> None:
    tag = manager.get(path).headers["ETag"]

    assert if_none_match(manager, path, form.format(tag)).status_code == 304


@pytest.mark.parametrize(
    "tag", ['"v2"', "v1", "garbage", '""', '"v1', '"v2", W/"v3"', '"v2", *', "W/*", "", ","]
)
def test_another_tag_gets_the_record(manager: Caller, path: str, tag: str) -> None:
    assert if_none_match(manager, path, tag).status_code == 200


def test_a_304_is_no_answer_for_a_record_that_is_not_there(manager: Caller) -> None:
    assert if_none_match(manager, f"/admin/v1/users/{MISSING}", "*").status_code == 404


def test_lists_have_no_tag(manager: Caller, records: list[str]) -> None:
    for path in ("users", "jobs", "notifications"):
        answer = manager.get(f"/admin/v1/{path}")
        assert "ETag" not in answer.headers
        assert if_none_match(manager, f"/admin/v1/{path}", "*").status_code == 200


def test_a_users_tag_changes_with_each_change(manager: Caller, path: str) -> None:
    tags = [manager.get(path).headers["ETag"]]
    for change in ({"name": "Bob"}, {"phone": "+4915112345678"}, {"phone": None}):
        tags.append(manager.patch(path, change).headers["ETag"])
        assert manager.get(path).headers["ETag"] == tags[-1]
    tags.append(manager.delete(path).headers["ETag"])

    assert len(set(tags)) == 5


def test_the_tags_of_batch_job_and_notification_change_with_their_content(
    cloud: LocalCloud, manager: Caller, records: list[str]
) -> None:
    before = [manager.get(path).headers["ETag"] for path in records[1:]]
    assert [manager.get(path).headers["ETag"] for path in records[1:]] == before
    cloud.run_until_idle()

    after = [manager.get(path) for path in records[1:]]
    assert not set(before) & {answer.headers["ETag"] for answer in after}
    for path, old, new in zip(records[1:], before, after, strict=True):
        assert if_none_match(manager, path, old).status_code == 200
        assert if_none_match(manager, path, new.headers["ETag"]).status_code == 304


def test_a_change_names_the_version_it_means(manager: Caller, path: str) -> None:
    tag = manager.get(path).headers["ETag"]
    assert manager.patch(path, {"name": "Bob"}, headers={"If-Match": tag}).status_code == 200

    stale = manager.patch(path, {"name": "Cid"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert stale.headers["Content-Type"] == "application/problem+json"
    assert manager.delete(path, headers={"If-Match": tag}).status_code == 412
    assert manager.get(path).json()["data"]["name"] == "Bob"


@pytest.mark.parametrize(
    "tags", ['"v1", "v3"', '"v3","v1"', '"another, one" , "v1"', 'W/"v2", "v1"', ', "v1",']
)
def test_of_several_tags_one_must_match(manager: Caller, path: str, tags: str) -> None:
    changed = manager.patch(path, {"name": "Bob"}, headers={"If-Match": tags})

    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"v2"'
    assert manager.patch(path, {"name": "Cid"}, headers={"If-Match": tags}).status_code == 412
    assert manager.delete(path, headers={"If-Match": f'{tags}, "v2"'}).status_code == 200


@pytest.mark.parametrize(
    "tags", ['"v2", "v3"', 'W/"v1", "v2"', 'W/"v1", W/"v2"', '"v2", *', '"v2", v1', '"v01", "v2"']
)
def test_of_several_tags_none_matches(manager: Caller, path: str, tags: str) -> None:
    answer = manager.patch(path, {"name": "Bob"}, headers={"If-Match": tags})

    assert answer.status_code == 412
    assert manager.get(path).json()["data"]["name"] == "Ann Example"


def test_any_number_of_tags_may_be_named(manager: Caller, path: str) -> None:
    """The store compares with a hundred values at most."""
    tags = ", ".join(f'"v{number}"' for number in range(500, 0, -1))

    assert manager.patch(path, {"name": "Bob"}, headers={"If-Match": tags}).status_code == 200


@pytest.mark.parametrize(
    "tag", ["garbage", "v1", 'W/"v1"', '"v"', '"v-1"', '"v01"', '"v1x"', "", "%"]
)
def test_a_tag_that_no_version_has_is_a_412(manager: Caller, path: str, tag: str) -> None:
    answer = manager.patch(path, {"name": "Bob"}, headers={"If-Match": tag})

    assert answer.status_code == 412
    assert manager.get(path).json()["data"]["name"] == "Ann Example"


@pytest.mark.parametrize("tag", ["*", '"v1"'])
def test_a_star_or_the_version_itself_matches(manager: Caller, path: str, tag: str) -> None:
    assert manager.patch(path, {"name": "Bob"}, headers={"If-Match": tag}).status_code == 200


def test_a_change_without_if_match_is_taken(manager: Caller, path: str) -> None:
    assert manager.patch(path, {"name": "Bob"}).status_code == 200
    assert manager.patch(path, {"name": "Cid"}).status_code == 200


@pytest.mark.parametrize("tag", ['"v1"', '"v1", "v9"', '"v8", "v1", "v9"'])
def test_of_two_changes_of_one_version_at_once_one_wins_and_one_is_stale(
    manager: Caller, path: str, tag: str
) -> None:
    callers = [manager.in_a_session_of_its_own() for _ in range(4)]
    answers = at_once(
        *(
            partial(caller.patch, path, {"name": f"Name {number}"}, headers={"If-Match": tag})
            for number, caller in enumerate(callers)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert manager.get(path).json()["data"] == won.json()["data"]


@pytest.mark.local  # the path names the local tenant
def test_a_tenant_is_changed_by_version_too(client: Client) -> None:
    admin = client.as_("admin", None)
    path = "/admin/v1/tenants/t1"
    tag = admin.get(path).headers["ETag"]

    assert if_none_match(admin, path, tag).status_code == 304
    assert admin.patch(path, {"name": "Cedar"}, headers={"If-Match": tag}).status_code == 200
    assert admin.patch(path, {"name": "Fir"}, headers={"If-Match": tag}).status_code == 412
    assert if_none_match(admin, path, tag).status_code == 200

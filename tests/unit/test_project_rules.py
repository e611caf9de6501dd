"""The pure rules of projects."""

from typing import get_args

import pytest

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.projects import rules
from chalicelib.projects.rules import Action, Candidate, Kind, State, Status, Users, Wanted


def test_the_table_of_transitions_names_every_status_and_no_other() -> None:
    statuses = set(get_args(Status))

    assert set(rules.NEXT) == statuses
    assert set().union(*rules.NEXT.values()) <= statuses
    assert set(rules.ALLOWED) == set(get_args(Action))


@pytest.mark.parametrize(
    ("status", "following"),
    [
        ("pending", {"provisioning", "deprovisioning"}),
        ("provisioning", {"active", "failed"}),
        ("active", {"provisioning", "suspended", "deprovisioning"}),
        ("failed", {"provisioning", "deprovisioning"}),
        ("suspended", {"active", "provisioning", "deprovisioning"}),
        ("deprovisioning", {"deleted", "failed"}),
        ("deleted", set()),
    ],
)
def test_a_status_leads_to_these_and_to_nothing_else(status: Status, following: set[str]) -> None:
    assert {each for each in get_args(Status) if rules.may(status, each)} == following


@pytest.mark.parametrize(
    ("action", "becomes"),
    [("retry", "provisioning"), ("suspend", "suspended"), ("resume", "active")],
)
def test_an_action_is_offered_only_where_its_transition_exists(
    action: Action, becomes: Status
) -> None:
    assert all(rules.may(status, becomes) for status in rules.ALLOWED[action])
    assert all(rules.may(status, "deprovisioning") for status in rules.ALLOWED["deprovision"])


def test_a_refusal_says_what_would_be_possible() -> None:
    assert rules.why_not("deprovision", "deleted") == (
        "The project is deleted. It can be deleted only while it is active, failed or suspended."
    )


@pytest.mark.parametrize(
    ("role", "given"),
    [("admin", "admin"), ("manager", "admin"), ("staff", "member"), ("customer", "reader")],
)
def test_who_leads_the_tenant_leads_its_projects(role: Role, given: str) -> None:
    assert rules.role_in_project(role) == given


def who(id_: str, email: str = "", role: rules.ProjectRole = "member") -> Candidate:
    return Candidate(id_, id_, email or f"{id_}@example.com", role)


@pytest.mark.parametrize(
    ("groups", "ids"),
    [
        ([[who("a"), who("b")], [who("b"), who("c")]], ["a", "b", "c"]),
        ([[who("a", "x@example.com")], [who("admin-1", "X@Example.com")]], ["a"]),
        ([[], [who("a")], []], ["a"]),
        ([[who("a"), who("a")], [who("a")]], ["a"]),
    ],
)
def test_each_person_takes_part_once_by_id_and_by_address(
    groups: list[list[Candidate]], ids: list[str]
) -> None:
    assert [each.id for each in rules.unique(*groups)] == ids


def test_of_two_who_are_the_same_the_first_counts() -> None:
    (only,) = rules.unique([who("a", role="reader")], [who("a", role="admin")])

    assert only.role == "reader"


def test_an_admin_of_the_platform_has_one_id_for_each_tenant_whatever_the_case() -> None:
    one = rules.platform_admin("t1", "Root@Example.com")

    assert rules.platform_admin("t1", "root@example.com").id == one.id
    assert rules.platform_admin("t2", "root@example.com").id != one.id
    assert one.role == "admin"


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("Alder Website", "alder-website-"),
        ("  Öl & Gas!! ", "l-gas-"),
        ("日本", "project-"),
        ("x" * 200, "x" * 40 + "-"),
        ("../../etc/passwd", "etc-passwd-"),
    ],
)
def test_an_identifier_is_made_of_letters_digits_and_hyphens(name: str, begins: str) -> None:
    found = rules.identifier(name, "01m81vfpqa4g492km3ew3kvx3r")

    assert found == f"{begins}ew3kvx3r"


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (" Alder ", "ALDER"),
        ("Café", "Cafe\u0301"),
        ("Å", "\u212b"),
        ("STRASSE", "Straße"),
        ("\u1fb7" * 200, "\u03b1\u0342\u03b9" * 200),
    ],
)
def test_names_that_differ_in_case_outer_blanks_and_the_writing_of_accents_are_one(
    one: str, same: str
) -> None:
    assert rules.name_key(one) == rules.name_key(same)


@pytest.mark.parametrize("letter", ["a", "ẞ", "😀", "\u1fb7", "\U0001d160"])
def test_names_that_differ_have_keys_that_differ_and_fit(letter: str) -> None:
    names = [letter * 200, letter * 199, f"{letter * 199}x", f"{letter * 199}y"]
    keys = [rules.name_key(name) for name in names]

    assert len(set(keys)) == 4
    assert max(len(key.encode()) for key in keys) <= 1000


def test_nobody_can_choose_a_name_whose_key_is_that_of_a_longer_one() -> None:
    key = rules.name_key("\U0001d160" * 200)

    assert rules.name_key(key) != key


NOT_BEGUN: dict[str, rules.StepStatus] = {}
ENSURED: dict[str, rules.StepStatus] = {"ensure_project": "done"}
SYNCING: dict[str, rules.StepStatus] = {
    "ensure_project": "done",
    "attach_participants": "done",
    "sync_users": "running",
}


@pytest.mark.parametrize(
    ("steps", "users", "floor", "percent"),
    [
        (NOT_BEGUN, Users(50, 0, 0), 0, 0),
        (ENSURED, Users(50, 0, 0), 0, 8),
        (SYNCING, Users(50, 0, 0), 0, 15),
        (SYNCING, Users(50, 25, 0), 0, 52),  # 15 + 37.5
        (SYNCING, Users(50, 20, 5), 0, 52),  # failures are settled too
        (SYNCING, Users(100, 25, 0), 60, 60),  # more to do, and not back
        ({**SYNCING, "sync_users": "done"}, Users(50, 50, 0), 0, 90),
        (SYNCING, Users(0, 0, 0), 0, 90),
        (SYNCING, Users(5, 9, 9), 0, 90),  # never beyond
    ],
)
def test_the_percentage_grows_with_steps_and_users(
    steps: dict[str, rules.StepStatus], users: Users, floor: int, percent: int
) -> None:
    assert rules.percent("provision", steps, users, floor) == percent


def test_undoing_counts_those_removed() -> None:
    steps: dict[str, rules.StepStatus] = {"attach_participants": "done", "sync_users": "running"}

    shares = [rules.percent("deprovision", steps, Users(10, 0, 0, gone), 0) for gone in range(11)]
    assert shares == sorted(shares)
    assert shares[0] < shares[10] < 100


@pytest.mark.parametrize(
    ("past", "p50", "p90"),
    [
        ([7], 7, 7),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 5, 9),
        ([30, 10, 20], 20, 30),
        ([0, 0], 1, 1),  # never "at once"
        (list(range(1, 101)), 50, 90),
    ],
)
def test_an_estimate_is_learned_by_nearest_rank(past: list[int], p50: int, p90: int) -> None:
    learned = rules.estimate(past)

    assert (learned.p50_seconds, learned.p90_seconds, learned.runs) == (p50, p90, len(past))


def test_without_past_runs_an_estimate_is_assumed_and_says_so() -> None:
    assert rules.estimate([]).runs == 0
    assert rules.estimate([]).p90_seconds == rules.ASSUMED_SECONDS


def test_only_the_last_hundred_runs_are_kept() -> None:
    past: list[int] = []
    for seconds in range(150):
        past = rules.with_run(past, seconds)

    assert past == list(range(50, 150))


MISSING: list[tuple[Kind, Wanted, State, int]] = [
    ("provision", "member", "waiting", 0),
    ("provision", "member", "failed", 1),  # in an earlier run: tried again
    ("provision", "gone", "waiting", 2),
    ("users", "gone", "synced", 2),
    ("deprovision", "member", "synced", 2),
]
SETTLED: list[tuple[Kind, Wanted, State, int]] = [
    ("provision", "member", "synced", 1),
    ("provision", "member", "failed", 2),  # in this one: has had its tries
    ("provision", "gone", "removed", 2),
    ("deprovision", "member", "removed", 2),
    ("deprovision", "gone", "removed", 1),
    ("deprovision", "member", "failed", 2),
]


@pytest.mark.parametrize("part", MISSING)
def test_a_run_does_what_is_missing(part: tuple[Kind, Wanted, State, int]) -> None:
    kind, wanted, state, tried_in = part
    assert not rules.is_settled(kind, 2, wanted, state, tried_in)


@pytest.mark.parametrize("part", SETTLED)
def test_a_run_leaves_what_is_settled(part: tuple[Kind, Wanted, State, int]) -> None:
    kind, wanted, state, tried_in = part
    assert rules.is_settled(kind, 2, wanted, state, tried_in)

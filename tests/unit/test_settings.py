"""Settings: every one has a default, and a bad value does not stop the app."""

import logging

import pytest

from chalicelib.kernel.settings import Section, Settings, load, read


def test_without_any_variable_the_defaults_hold() -> None:
    assert read(Settings, {}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("STAGE", "prod", "stage", "prod"),
        ("PARTIAL_BATCH", "true", "partial_batch", True),
        ("PARTIAL_BATCH", " TRUE ", "partial_batch", True),
        ("PARTIAL_BATCH", "1", "partial_batch", True),
        ("SMS_ENABLED", "no", "sms_enabled", False),
        ("LEASE_SECONDS", "120", "lease_seconds", 120),
        ("LEASE_SECONDS", " 120 ", "lease_seconds", 120),
        ("ISSUER", "https://issuer.example", "issuer", "https://issuer.example"),
    ],
)
def test_a_variable_sets_its_field(name: str, text: str, field: str, value: object) -> None:
    given = read(Settings, {name: text})

    assert getattr(given, field) == value
    assert given.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("PARTIAL_BATCH", "maybe", "partial_batch"),
        ("PARTIAL_BATCH", "", "partial_batch"),
        ("LEASE_SECONDS", "soon", "lease_seconds"),
        ("LEASE_SECONDS", "-1", "lease_seconds"),
        ("RETENTION_DAYS", "1.5", "retention_days"),
    ],
)
def test_a_bad_value_keeps_the_default_and_is_reported(name: str, text: str, field: str) -> None:
    given = read(Settings, {name: text})

    assert getattr(given, field) == getattr(Settings(), field)
    assert len(given.problems) == 1
    assert name in given.problems[0]


def test_one_bad_value_does_not_spoil_the_others() -> None:
    given = read(Settings, {"LEASE_SECONDS": "soon", "STAGE": "dev"})

    assert (given.stage, given.lease_seconds) == ("dev", Settings().lease_seconds)


def test_variables_that_are_no_settings_are_left_alone() -> None:
    assert read(Settings, {"PATH": "/bin", "PROBLEMS": "x", "stage": "lower"}) == Settings()


def test_a_setting_cannot_change_after_it_was_read() -> None:
    with pytest.raises(AttributeError):
        read(Settings, {}).stage = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "parts"), [("", ()), ("a", ("a",)), (" a, b ,,c", ("a", "b", "c")), (" , ", ())]
)
def test_a_list_is_told_by_commas(text: str, parts: tuple[str, ...]) -> None:
    assert read(Settings, {"CORS_ORIGINS": text}).listed("cors_origins") == parts


def test_resources_carry_the_stage_in_their_names() -> None:
    assert read(Settings, {"STAGE": "dev"}).resource("kernel") == "backburner-dev-kernel"


def test_the_lease_outlives_the_longest_function() -> None:
    assert Settings().lease_seconds > 60


class Library(Section, frozen=True):
    """The settings of a domain."""

    most_copies: int = 3  #: copies of one book that somebody may borrow


def test_a_domain_reads_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOST_COPIES", "5")

    assert load(Library) == Library(most_copies=5)


def test_a_domains_value_that_cannot_be_read_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOST_COPIES", "many")
    monkeypatch.setattr(logging.getLogger("backburner"), "propagate", True)

    assert load(Library).most_copies == 3
    told = {vars(line)["problem"] for line in caplog.records}
    assert told == {"MOST_COPIES='many' cannot be read as int"}

"""Settings: every one has a default, and a bad value does not stop the app."""

import pytest

from chalicelib.kernel.settings import Settings, read


def test_without_any_variable_the_defaults_hold() -> None:
    assert read({}) == Settings()


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
    given = read({name: text})

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
    given = read({name: text})

    assert getattr(given, field) == getattr(Settings(), field)
    assert len(given.problems) == 1
    assert name in given.problems[0]


def test_one_bad_value_does_not_spoil_the_others() -> None:
    given = read({"LEASE_SECONDS": "soon", "STAGE": "dev"})

    assert (given.stage, given.lease_seconds) == ("dev", Settings().lease_seconds)


def test_variables_that_are_no_settings_are_left_alone() -> None:
    assert read({"PATH": "/bin", "PROBLEMS": "x", "stage": "lower"}) == Settings()


def test_a_setting_cannot_change_after_it_was_read() -> None:
    with pytest.raises(AttributeError):
        read({}).stage = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "parts"), [("", ()), ("a", ("a",)), (" a, b ,,c", ("a", "b", "c")), (" , ", ())]
)
def test_a_list_is_told_by_commas(text: str, parts: tuple[str, ...]) -> None:
    assert read({"CORS_ORIGINS": text}).listed("cors_origins") == parts


def test_resources_carry_the_stage_in_their_names() -> None:
    assert read({"STAGE": "dev"}).resource("kernel") == "backburner-dev-kernel"


def test_the_lease_outlives_the_longest_function() -> None:
    assert Settings().lease_seconds > 60

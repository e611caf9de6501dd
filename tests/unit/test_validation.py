"""What is taken as a name, an e-mail address, a phone number, a text; and how faults are told."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.errors import BadRequest, Invalid
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.fields import Email, Name, Phone, Text

CONTROLS = st.characters(max_codepoint=0x9F, categories=["Cc"])
LETTERS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60)


class Form(msgspec.Struct, kw_only=True):
    name: Name
    email: Email
    phone: Phone | None = None
    note: Text = ""


def taken(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "a" * 200,
        "李小龍",
        "محمد بن سلمان",
        "Łukasz Żółć",
        "O'Neil-Smith",
        "  Ann ",
        "😀",
        "{{7*7}}",
        "<b>",
    ],
)
def test_a_name_may_be(name: str) -> None:
    assert taken(name, Name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\u00a0",
        "a" * 201,
        "a\nb",
        "a\n",
        "\tb",
        "a\x00",
        "\x7f",
        "a\x85b",
        "\r\n",
        7,
        None,
    ],
)
def test_a_name_may_not_be(name: Any) -> None:
    assert not taken(name, Name)


@given(LETTERS, CONTROLS, LETTERS)
def test_no_text_holds_a_control_character(before: str, control: str, after: str) -> None:
    for hint in (Name, Text, Email, Phone):
        assert not taken(before + control + after, hint)


#: Of the categories that are seen, those that are not.
UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
UNSEEN_ALONE = "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
SEEN = st.characters(
    exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"],
    exclude_characters=UNSEEN + UNSEEN_ALONE + "/.",  # these two could make an address
)


@given(st.text(SEEN, min_size=1, max_size=200))
def test_every_text_of_which_something_is_seen_is_a_name(text: str) -> None:
    assert taken(text, Name) is bool(text.strip())


@given(
    LETTERS, st.sampled_from("\u00ad\u200b\u202e\u2066\ue000\U000e0041\U0010ffff" + UNSEEN), LETTERS
)
def test_no_name_holds_a_letter_that_nobody_sees(before: str, unseen: str, after: str) -> None:
    assert not taken(before + unseen + after, Name)


@given(st.text(st.sampled_from("\u200c\u200d" + UNSEEN_ALONE), min_size=1, max_size=9))
def test_what_joins_letters_makes_no_name_by_itself_but_beside_others(joining: str) -> None:
    assert not taken(joining, Name)
    assert taken(f"\u845b{joining}", Name)


@pytest.mark.parametrize(("length", "fits"), [(0, True), (2000, True), (2001, False)])
def test_a_text_has_at_most_2000_characters(length: int, fits: bool) -> None:  # noqa: FBT001
    assert taken("é" * length, Text) is fits


@pytest.mark.parametrize(
    "email",
    [
        "ann@example.com",
        "Ann.O'Neil+tag@sub.example.co.uk",
        "a@b.co",
        "1@2.example",
        "x_y-z%w@ex-ample.com",
        "a" * 64 + "@example.com",
        "a@" + ".".join(["b" * 60] * 4) + ".com",
        "a@xn--bcher-kva.example",
    ],
)
def test_an_email_may_be(email: str) -> None:
    assert taken(email, Email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "ann@@example.com",
        "ann@exa mple.com",
        "ann @example.com",
        "ann@example.com ",
        " ann@example.com",
        "ann@example.com\n",
        "ann@example..com",
        "ann@.example.com",
        "ann@example.com.",
        "ann@-example.com",
        "ann@example-.com",
        ".ann@example.com",
        "ann.@example.com",
        "an..n@example.com",
        "ann@127.0.0.1",
        "ann@[127.0.0.1]",
        '"ann smith"@example.com',
        "ann@example.com,bob@example.com",
        "ann@example.com;bob@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\r\nBcc: bob@example.com",
        "änn@example.com",
        "a" * 65 + "@example.com",
        "a@" + ".".join(["b" * 63] * 4) + ".com",
        "a@" + "b" * 64 + ".com",
    ],
)
def test_an_email_may_not_be(email: str) -> None:
    assert not taken(email, Email)


@given(st.emails(domains=st.sampled_from(["example.com", "mail.example.org"])))
def test_ordinary_addresses_are_taken(email: str) -> None:
    assert taken(email, Email)


@pytest.mark.parametrize(
    "phone", ["+4915112345678", "+12025550123", "+1234567", "+123456789012345"]
)
def test_a_phone_number_may_be(phone: str) -> None:
    assert taken(phone, Phone)


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "+",
        "4915112345678",
        "004915112345678",
        "+0123456789",
        "+123456",
        "+1234567890123456",
        "+49 151 12345678",
        "+49-151-12345678",
        "+49(0)15112345678",
        "+4915112345678 ",
        "+4915112345678\n",
        "+٤٩١٥١١٢٣٤٥٦",
        "+\uff14\uff19151123456",  # full-width digits
        "+49151x2345678",
        4915112345678,
    ],
)
def test_a_phone_number_may_not_be(phone: Any) -> None:
    assert not taken(phone, Phone)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nothing",
        b"{'name': 1}",
        b'{"name": "\xff"}',
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[1",  # no object, and then it breaks off
        b'{"name": 7, "email"',  # a wrong type, and then it breaks off
        b'{"name": 7, "email": "\xff"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        validation.decode_body(body, Form)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1", b"true"])
def test_json_that_is_no_object_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        validation.decode_body(body, Form)


def test_all_faults_are_told_at_once_each_with_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        validation.decode_body(b'{"name": "", "phone": "1", "note": 7}', Form)

    faults = dict(refused.value.field_errors)
    assert list(faults) == ["name", "email", "phone", "note"]
    assert faults["email"] == "is required"
    assert "E.164" in faults["phone"]


def test_a_fault_never_repeats_what_was_sent() -> None:
    with pytest.raises(Invalid) as refused:
        validation.decode_body(b'{"name": "ok", "email": "secret-word"}', Form)

    assert "secret-word" not in str(refused.value.field_errors) + refused.value.detail

"""Secrets that a service echoes, in whatever form, are hidden; hostile texts take no time."""

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from chalicelib.kernel.outbound import redaction

SECRET = 'Tr0ub"ä & 4dor\\3'
FORMS = {
    "as it is": SECRET,
    "json": json.dumps(SECRET),
    "json with letters": json.dumps(SECRET, ensure_ascii=False),
    "json in json": json.dumps(json.dumps(SECRET)),
    "repr": repr(SECRET),
    "url": quote(SECRET),
    "url all quoted": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "html": html.escape(SECRET),
    "html without quotes": html.escape(SECRET, quote=False),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of a log-in": base64.b64encode(f"backburner:{SECRET}".encode()).decode(),
    "hex": SECRET.encode().hex(),
    "upper case": SECRET.upper(),
    "blanks between": " ".join(SECRET),
}
SPECIAL = "Tr0ub<\"/'dor-3!x"
#: As encoders of other languages write it.
SPELLINGS = {
    "Go's JSON": "Tr0ub\\u003c\\\"/'dor-3!x",
    "PHP's JSON": "Tr0ub<\\\"\\/'dor-3!x",
    "Jinja": "Tr0ub&lt;&#34;/&#39;dor-3!x",
    "Django's escapejs": "Tr0ub\\u003C\\u0022/\\u0027dor\\u002D3!x",
    "encodeURIComponent": "Tr0ub%3C%22%2F'dor-3!x",
    "a string in a string": "Tr0ub<\\\\\\\"/'dor-3!x",
}
WORDS = ("token", "password", "passphrase", "secret", "authorization", "signature", "api_key")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_echoed_secret_is_hidden_in_every_form(form: str) -> None:
    shown = redaction.cleaned(f"Invalid input: {form} does not match", {SECRET})

    assert "***" in shown
    for part in ("Tr0ub", "4dor", "tr0ub", "VHIwdWI", "5472307562", "T r 0"):
        assert part.lower() not in shown.lower()
    assert shown.startswith("Invalid input: ")


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_an_echo_is_hidden_however_another_language_escapes_it(spelling: str) -> None:
    assert redaction.cleaned(f"no: {spelling} here", {SPECIAL}) == "no: *** here"


@pytest.mark.parametrize("secret", ["\\" * 30 + "x", '\\"' * 15, "%" * 30, "&" * 30, "  a" * 10])
def test_no_secret_makes_a_pattern_that_takes_long(secret: str) -> None:
    texts = [letter * 2000 for letter in ("\\", "%25", "&amp;", " ", '\\"', "%", "&")]
    began = time.perf_counter()
    for text in texts:
        redaction.cleaned(text, {secret})
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "pwd: hunter2",
        '{"passphrase": "hunter2"}',
        "api_key=hunter2&x=1",
        "API-Key: hunter2",
        "x_token = 'hunter2'",
        "Authorization: Bearer hunter2",
        'secret: "hunter2',
    ],
)
def test_what_is_labeled_as_a_secret_is_hidden(text: str) -> None:
    assert "hunter2" not in redaction.cleaned(text, set())


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("glue", ["", " ", ":", '="', "-", "_x"])
def test_a_megabyte_of_a_word_takes_milliseconds(word: str, glue: str) -> None:
    text = (word + glue) * (1_000_000 // len(word + glue))
    started = time.perf_counter()
    shown = redaction.cleaned(text, {SECRET, "x" * 300})

    assert time.perf_counter() - started < 0.25
    assert len(shown) <= redaction.LONGEST_SHOWN


@pytest.mark.parametrize("before", range(redaction.LONGEST_READ - 30, redaction.LONGEST_READ + 1))
def test_a_secret_at_the_cut_does_not_show_its_beginning(before: int) -> None:
    """What stands before it is hidden too, so that the end of what is read would be shown."""
    filler = (SECRET * 200)[: before - before % len(SECRET)].ljust(before, " ")
    shown = redaction.cleaned(f"{filler}{SECRET} and more{'.' * 500}", {SECRET})

    assert SECRET[:4] not in shown


def test_a_text_without_secrets_is_shown_in_one_line() -> None:
    assert redaction.cleaned("No such\nproject\x00", {SECRET}) == "No such project "
    assert redaction.cleaned("x" * 5000, set()) == "x" * 300


@pytest.mark.parametrize("blanks", [1, 24, 150])
def test_a_secret_full_of_blanks_takes_milliseconds(blanks: int) -> None:
    """A provider chooses the token that we hide, and the text in which we look for it."""
    secret, text = f"a{' ' * blanks}b", f"a{' ' * (blanks + blanks // 2)}c"
    started = time.perf_counter()
    redaction.cleaned(text, {secret})

    assert time.perf_counter() - started < 0.25
    assert redaction.cleaned(f"x {secret} y", {secret}) == "x *** y"

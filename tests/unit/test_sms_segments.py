"""How many segments an SMS costs (3GPP TS 23.038)."""

import pytest

from chalicelib.kernel.notify.sms import Segments, segments


@pytest.mark.parametrize(
    ("text", "encoding", "count"),
    [
        ("", "GSM-7", 1),
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("a" * 306, "GSM-7", 2),  # 2 * 153
        ("a" * 307, "GSM-7", 3),
        ("a" * 459, "GSM-7", 3),
        ("a" * 460, "GSM-7", 4),
        ("äöüÄÖÜß§ñàéèùìò" * 10, "GSM-7", 1),  # 150 letters, all in the alphabet
        ("@£$¥_\n\r", "GSM-7", 1),
        ("ΔΦΓΛΩΠΨΣΘΞ", "GSM-7", 1),  # the Greek capitals that Latin lacks
        ("€" * 80, "GSM-7", 1),  # two septets each
        ("€" * 81, "GSM-7", 2),
        ("[" * 152, "GSM-7", 2),  # 76 in a segment of 153, since none is split between two
        ("[" * 153, "GSM-7", 3),
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 3),
        ("{}[]~\\^|" * 10, "GSM-7", 1),
        ("{}[]~\\^|" * 10 + "a", "GSM-7", 2),
        ("a" * 159 + "€", "GSM-7", 2),  # 161 septets
        ("ç" * 70, "UCS-2", 1),  # only the capital stands in the alphabet
        ("Ç" * 160, "GSM-7", 1),
        ("я" * 70, "UCS-2", 1),
        ("я" * 71, "UCS-2", 2),
        ("я" * 134, "UCS-2", 2),  # 2 * 67
        ("я" * 135, "UCS-2", 3),
        ("a" * 70 + "я", "UCS-2", 2),  # one letter makes the whole text wide
        ("李小龍" * 23, "UCS-2", 1),
        ("😀" * 35, "UCS-2", 1),  # a surrogate pair each
        ("😀" * 36, "UCS-2", 2),
        ("😀" * 66, "UCS-2", 2),  # 33 in a segment of 67
        ("😀" * 67, "UCS-2", 3),
        ("`", "UCS-2", 1),  # ASCII, and not in the alphabet
        ("\t", "UCS-2", 1),
        ("\u2019" * 71, "UCS-2", 2),  # a typographic apostrophe
    ],
)
def test_a_text_costs(text: str, encoding: str, count: int) -> None:
    assert segments(text) == Segments(encoding, count)


def test_a_letter_more_never_costs_less() -> None:
    for letter in ("a", "€", "я", "😀"):
        costs = [segments(letter * length).count for length in range(400)]
        assert costs == sorted(costs)

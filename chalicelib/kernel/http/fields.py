"""Values that many bodies have: names, texts, e-mail addresses, phone numbers."""

from typing import Annotated

import msgspec

_CONTROLS = r"\x00-\x1f\x7f-\x9f"
#: Letters that nobody sees, or that turn the direction of others: format characters, fillers, line
#: and paragraph separators, private use (Unicode's Cf, Zl, Zp, Co and a few letters). Not those of
#: Arabic numbers, which are seen, and not `_UNSEEN_ALONE`.
_UNSEEN = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ue000-\uf8ff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\U000f0000-\U0010ffff"
)
#: Joiners and variation selectors: Persian, emoji and Japanese need them beside other letters.
_UNSEEN_ALONE = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
#: Names are mailed to people who did not ask for them: no addresses of web sites.
_NO_LINK = r"(?!.*(?:://|[wW][wW][wW]\.|[A-Za-z0-9-]\.[A-Za-z]{2,24}/))"

Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=200,
        pattern=(
            rf"^{_NO_LINK}[^\S{_CONTROLS}{_UNSEEN}]*[^\s{_CONTROLS}{_UNSEEN}{_UNSEEN_ALONE}]"
            rf"[^{_CONTROLS}{_UNSEEN}]*\Z"
        ),
        description=(
            "1 to 200 characters, not all blank, without control characters, invisible ones and "
            "addresses of web sites"
        ),
    ),
]
Text = Annotated[
    str,
    msgspec.Meta(
        max_length=2000,
        pattern=rf"^[^{_CONTROLS}]*\Z",
        description="at most 2,000 characters, without control characters",
    ),
]
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Email = Annotated[
    str,
    msgspec.Meta(
        max_length=254,
        pattern=rf"^(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}\Z",
        description="an e-mail address such as ann@example.com, in ASCII, at most 254 characters",
        extra_json_schema={"format": "email"},
    ),
]
Phone = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\+[1-9][0-9]{6,14}\Z",
        description="a phone number in E.164 form such as +4915112345678",
    ),
]

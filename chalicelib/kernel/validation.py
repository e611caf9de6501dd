"""Bodies and query strings turned into msgspec structs, with every fault named at once.

msgspec stops at the first fault; so the fast path converts whole, and only a refused body is gone
through field by field.
"""

from functools import cache
from types import NoneType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from chalicelib.kernel.errors import BadRequest, Fault, Invalid

T = TypeVar("T", bound=msgspec.Struct)
_CONTROLS = r"\x00-\x1f\x7f-\x9f"

Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=200,
        pattern=rf"^[^\S{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*\Z",
        description="1 to 200 characters, not all blank, without control characters",
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


def decode_body(raw: bytes, shape: type[T]) -> T:
    """The body as `shape`; BadRequest when it is not JSON, Invalid with all faults otherwise."""
    try:
        return _decode(raw, shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("The body is not readable JSON") from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply") from error


def _decode(raw: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as refused:
        # Read again without a shape, which may be the first to meet a number too large.
        raise _invalid(msgspec.json.decode(raw), shape, strict=True) from refused


def convert_query(values: dict[str, str], shape: type[T]) -> T:
    """Query parameters as `shape`; Invalid with all faults at once."""
    given: type[T] = _never_null(shape)
    try:
        return msgspec.convert(values, given, strict=False)
    except msgspec.ValidationError as refused:
        raise _invalid(values, given, strict=False) from refused


@cache
def _never_null(shape: type[T]) -> type[T]:
    """`shape` without None: in a query `null` is a word like any other; left out is left out."""
    hints = get_type_hints(shape, include_extras=True)
    optional: list[tuple[str, Any, Any]] = [
        (field.name, Union[tuple(choices - {NoneType})], field.default)  # noqa: UP007  at run time
        for field in msgspec.structs.fields(shape)
        if NoneType in (choices := set(get_args(hints[field.name])))
    ]
    narrowed = msgspec.defstruct(
        shape.__name__, optional, bases=(shape,), frozen=True, kw_only=True
    )
    return cast("type[T]", narrowed)


def _invalid(value: Any, shape: type[msgspec.Struct], *, strict: bool) -> Invalid:
    faults = faults_of(value, shape, strict=strict)
    return Invalid("Some values cannot be taken; see errors", faults=tuple(faults))


def faults_of(value: Any, shape: type[msgspec.Struct], *, strict: bool = True) -> list[Fault]:
    """Everything that keeps `value` from being a `shape`."""
    if not isinstance(value, dict):
        return [Fault("", "must be an object")]
    hints = get_type_hints(shape, include_extras=True)
    return [
        fault
        for field in msgspec.structs.fields(shape)
        if (fault := _fault(field, hints[field.name], value, strict=strict))
    ]


def _fault(
    field: msgspec.structs.FieldInfo, hint: Any, value: dict[str, Any], *, strict: bool
) -> Fault | None:
    name = field.encode_name
    if name not in value:
        return Fault(name, "is required") if field.required else None
    try:
        msgspec.convert(value[name], hint, strict=strict)
    except msgspec.ValidationError as error:
        return Fault(name, _wording(hint, str(error)))
    return None


def _choices(hint: Any) -> list[str]:
    return [str(choice) for choice in get_args(hint)] if get_origin(hint) is Literal else []


def _wording(hint: Any, said: str) -> str:
    """A sentence of the field's own where it has one; msgspec's, made readable, where not."""
    for part in (hint, *get_args(hint)):
        if get_origin(part) is Annotated:
            for meta in part.__metadata__:
                if isinstance(meta, msgspec.Meta) and meta.description:
                    return f"must be {meta.description}"
    choices = [choice for part in (hint, *get_args(hint)) for choice in _choices(part)]
    if choices:
        return f"must be one of {', '.join(choices)}"
    return said.partition(" - at ")[0].replace("`", "").replace("Expected", "must be", 1)

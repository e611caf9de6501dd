"""Bodies and query strings turned into msgspec structs, with every fault named at once.

msgspec stops at the first fault; so the fast path converts whole, and only a refused body is gone
through field by field.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from types import NoneType, UnionType
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

from chalicelib.kernel.errors import BadRequest, FieldError, Invalid

T = TypeVar("T", bound=msgspec.Struct)
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_MOST_OF_A_LIST = 100  #: its members that are told of: a body holds thousands
_KINDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}

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
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadRequest("The body is not readable JSON") from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply") from error


def _decode(raw: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as refused:
        raise _invalid(_read_whole(raw), shape, strict=True) from refused


def _read_whole(raw: bytes) -> Any:
    """The body without a shape, as one fault hides what comes after it, broken JSON too."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:  # a number beyond its range: JSON all the same
        return json.loads(
            raw.decode(), parse_int=_number, parse_float=_number, parse_constant=_no_json
        )


def _number(text: str) -> Any:
    """The number, or what no field takes for one too large."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return object()


def _no_json(word: str) -> Any:
    raise json.JSONDecodeError("No word of JSON", word, 0)


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


def provided(struct: msgspec.Struct | None) -> dict[str, Any]:
    """The members that the client sent, by name: those that are not UNSET. None has none."""
    if struct is None:
        return {}
    members = msgspec.structs.asdict(struct)
    return {name: value for name, value in members.items() if value is not msgspec.UNSET}


def _invalid(value: Any, shape: type[msgspec.Struct], *, strict: bool) -> Invalid:
    field_errors = faults_of(value, shape, strict=strict)
    return Invalid("Some values cannot be taken; see errors", field_errors=tuple(field_errors))


Given = Mapping[str, Any]
Judge = Callable[[Given], Iterable[FieldError]]
_judges: dict[type, Judge] = {}


def register_check(shape: type[msgspec.Struct], extra_check: Judge) -> None:
    """Declares what else may be wrong with a `shape` than the form of its values.

    Asked only when something is refused, so that all is told at once, with those values that have
    their form. Whoever takes a `shape` asks the same of a well-formed one.
    """
    _judges[shape] = extra_check


def faults_of(
    value: Any, shape: type[msgspec.Struct], *, strict: bool = True, within: str = ""
) -> list[FieldError]:
    """Everything that keeps `value` from being a `shape`, what it holds included.

    Fields are named from outside in, such as `defaults.sender`, beginning with `within`.
    """
    if not isinstance(value, dict):
        return [FieldError(within, "must be an object")]
    hints = get_type_hints(shape, include_extras=True)
    found: list[FieldError] = []
    well_formed: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        field_errors = _faults_of_field(field, hints[field.name], value, within, strict=strict)
        if not field_errors and field.encode_name in value:
            well_formed[field.name] = value[field.encode_name]
        found += field_errors
    extra_check = _judges.get(shape)
    also = extra_check(well_formed) if extra_check else ()
    return found + [FieldError(within + fault.field, fault.detail) for fault in also]


def _faults_of_field(
    field: msgspec.structs.FieldInfo, hint: Any, value: Given, within: str, *, strict: bool
) -> list[FieldError]:
    name = field.encode_name
    if name in value:
        return _faults(within + name, hint, value[name], strict=strict)
    return [FieldError(within + name, "is required")] if field.required else []


def _faults(name: str, hint: Any, value: Any, *, strict: bool) -> list[FieldError]:
    fits = _fits(value, hint, strict=strict)
    if fits and not isinstance(value, dict):  # an object that fits is judged
        return []
    inside = _faults_inside(name, hint, value, strict=strict)
    return inside if inside or fits else [FieldError(name, _wording(hint, value))]


def _fits(value: Any, hint: Any, *, strict: bool) -> bool:
    try:
        msgspec.convert(value, hint, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


def _faults_inside(name: str, hint: Any, value: Any, *, strict: bool) -> list[FieldError]:
    """Those of the members of an object or a list."""
    for kind in _kinds(hint):
        if isinstance(value, dict) and _is_struct(kind):
            return faults_of(value, kind, strict=strict, within=f"{name}.")
        if isinstance(value, list) and get_origin(kind) is list:
            each = get_args(kind)[0]
            found = (
                fault
                for number, member in enumerate(value)
                for fault in _faults(f"{name}[{number}]", each, member, strict=strict)
            )
            return list(islice(found, _MOST_OF_A_LIST))
    return []


def _kinds(hint: Any) -> Iterator[Any]:
    """What a hint leaves to choose from, without the rules that are added to it."""
    if get_origin(hint) is Annotated:
        yield from _kinds(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        for each in get_args(hint):
            yield from _kinds(each)
    else:
        yield hint


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _rules(hint: Any) -> Iterator[msgspec.Meta]:
    for part in (hint, *get_args(hint)):
        if get_origin(part) is Annotated:
            yield from (each for each in part.__metadata__ if isinstance(each, msgspec.Meta))


def _wording(hint: Any, value: Any) -> str:
    """A sentence of the field's own where it has one; else what its kind and length say."""
    for rule in _rules(hint):
        if rule.description:
            return f"must be {rule.description}"
    if not isinstance(value, str) or str not in _kinds(hint):
        return f"must be {' or '.join(word for kind in _kinds(hint) for word in _words(kind))}"
    most = max((rule.max_length or 0 for rule in _rules(hint)), default=0)
    if 0 < most < len(value):
        return f"must have at most {most:,} characters"
    return "cannot be taken" if value else "must not be empty"


def _words(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [f"one of {', '.join(str(choice) for choice in get_args(kind))}"]
    if _is_struct(kind):
        return ["an object"]
    word = _KINDS.get(get_origin(kind) or kind)
    return [word] if word else []

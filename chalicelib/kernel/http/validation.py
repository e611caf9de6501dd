"""Bodies and query strings as msgspec structs, with all their errors named at once.

msgspec stops at the first error. So a good body is converted as a whole, and only one that msgspec
refuses is examined field by field.
"""

import json
from collections import Counter
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
_MAX_ERRORS_OF_A_LIST = 100  #: errors named of one list, which may have thousands of members
_KINDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def decode_body(raw: bytes, shape: type[T]) -> T:
    """The body as `shape`. Raises BadRequest when it is not JSON, Invalid with all its errors."""
    try:
        body = _decode(raw, shape)
        repeated = repeated_member(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadRequest("The body is not readable JSON") from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply") from error
    if repeated is not None:
        twice = FieldError(repeated, "stands twice in one object; nobody knows which one counts")
        raise Invalid("Some values cannot be used; see errors", field_errors=(twice,))
    return body


def repeated_member(text: bytes | str) -> str | None:
    """A name that an object of this JSON has twice (RFC 8259 leaves open which one counts).

    msgspec takes the last one and says nothing. Raises RecursionError, and ValueError for what is
    no JSON.
    """
    repeated: list[str] = []

    def look(members: list[tuple[str, Any]]) -> None:
        names = Counter(name for name, _ in members)
        repeated.extend(name for name, count in names.items() if count > 1)

    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str, parse_constant=str)
    return repeated[0] if repeated else None


def _decode(raw: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as refused:
        raise _invalid(_read_whole(raw), shape, strict=True) from refused


def _read_whole(raw: bytes) -> Any:
    """The body as plain values. Broken JSON is found here when it comes after a wrong value."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:  # a number beyond msgspec's range, which is still JSON
        return json.loads(
            raw.decode(), parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
        )


def _number(text: str) -> Any:
    """The number; for one that is too large, an object that no field accepts."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return object()


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError("NaN and Infinity are not JSON", name, 0)


def convert_query(values: dict[str, str], shape: type[T]) -> T:
    """Query parameters as `shape`; raises Invalid with all their errors."""
    without_null: type[T] = _without_null(shape)
    try:
        return msgspec.convert(values, without_null, strict=False)
    except msgspec.ValidationError as refused:
        raise _invalid(values, without_null, strict=False) from refused


@cache
def _without_null(shape: type[T]) -> type[T]:
    """`shape` whose fields do not take None: in a query string `null` is a text like any other."""
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
    field_errors = errors_of(value, shape, strict=strict)
    return Invalid("Some values cannot be used; see errors", field_errors=tuple(field_errors))


Values = Mapping[str, Any]
ExtraCheck = Callable[[Values], Iterable[FieldError]]
_extra_checks: dict[type, ExtraCheck] = {}


def register_check(shape: type[msgspec.Struct], extra_check: ExtraCheck) -> None:
    """Registers a check of a `shape` that its types cannot express.

    It is called only for a body that is refused, with the values that are well-formed, so that the
    answer names all errors at once. A view must make the same check on a well-formed `shape`.
    """
    _extra_checks[shape] = extra_check


def errors_of(
    value: Any, shape: type[msgspec.Struct], *, strict: bool = True, within: str = ""
) -> list[FieldError]:
    """Everything that keeps `value` from being a `shape`, the members of its members included.

    Names of fields are paths such as `defaults.sender`, and begin with `within`.
    """
    if not isinstance(value, dict):
        return [FieldError(within, "must be an object")]
    hints = get_type_hints(shape, include_extras=True)
    errors: list[FieldError] = []
    well_formed: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        field_errors = _errors_of_field(field, hints[field.name], value, within, strict=strict)
        if not field_errors and field.encode_name in value:
            well_formed[field.name] = value[field.encode_name]
        errors += field_errors
    extra_check = _extra_checks.get(shape)
    extra_errors = extra_check(well_formed) if extra_check else ()
    return errors + [FieldError(within + error.field, error.detail) for error in extra_errors]


def _errors_of_field(
    field: msgspec.structs.FieldInfo, hint: Any, values: Values, within: str, *, strict: bool
) -> list[FieldError]:
    name = field.encode_name
    if name in values:
        return _errors_of_value(within + name, hint, values[name], strict=strict)
    return [FieldError(within + name, "is required")] if field.required else []


def _errors_of_value(name: str, hint: Any, value: Any, *, strict: bool) -> list[FieldError]:
    fits = _fits(value, hint, strict=strict)
    if fits and not isinstance(value, dict):  # an object that fits may fail an extra check
        return []
    inside = _errors_inside(name, hint, value, strict=strict)
    return inside if inside or fits else [FieldError(name, _requirement(hint, value))]


def _fits(value: Any, hint: Any, *, strict: bool) -> bool:
    try:
        msgspec.convert(value, hint, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


def _errors_inside(name: str, hint: Any, value: Any, *, strict: bool) -> list[FieldError]:
    """The errors of the members of an object or a list."""
    for kind in _kinds(hint):
        if isinstance(value, dict) and _is_struct(kind):
            return errors_of(value, kind, strict=strict, within=f"{name}.")
        if isinstance(value, list) and get_origin(kind) is list:
            member_hint = get_args(kind)[0]
            errors = (
                error
                for number, member in enumerate(value)
                for error in _errors_of_value(
                    f"{name}[{number}]", member_hint, member, strict=strict
                )
            )
            return list(islice(errors, _MAX_ERRORS_OF_A_LIST))
    return []


def _kinds(hint: Any) -> Iterator[Any]:
    """The types of a union, or the one type of a hint, without their metadata."""
    if get_origin(hint) is Annotated:
        yield from _kinds(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        for choice in get_args(hint):
            yield from _kinds(choice)
    else:
        yield hint


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _rules(hint: Any) -> Iterator[msgspec.Meta]:
    for part in (hint, *get_args(hint)):
        if get_origin(part) is Annotated:
            yield from (rule for rule in part.__metadata__ if isinstance(rule, msgspec.Meta))


def _requirement(hint: Any, value: Any) -> str:
    """What the value must be, by the description of its type, else by its kind and length."""
    for rule in _rules(hint):
        if rule.description:
            return f"must be {rule.description}"
    if not isinstance(value, str) or str not in _kinds(hint):
        return f"must be {' or '.join(name for kind in _kinds(hint) for name in _kind_names(kind))}"
    max_length = max((rule.max_length or 0 for rule in _rules(hint)), default=0)
    if 0 < max_length < len(value):
        return f"must have at most {max_length:,} characters"
    return "is not accepted" if value else "must not be empty"


def _kind_names(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [f"one of {', '.join(str(choice) for choice in get_args(kind))}"]
    if _is_struct(kind):
        return ["an object"]
    name = _KINDS.get(get_origin(kind) or kind)
    return [name] if name else []

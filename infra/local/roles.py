"""Each function's role, locally: a call of AWS that its policy does not allow fails as on AWS.

While a function runs (`invocation.py`), every call is judged by infra/policies/<function>.json
before it is carried out. Calls of the local cloud itself and of tests are not judged.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import boto3

from infra import policies
from infra.local import fault_answers, invocation, policy, rights
from infra.local.environment import REGION, STAGE
from infra.local.policy import Statement
from infra.local.rights import Right

ACCOUNT = "123456789012"
#: Codes and statuses of a refusal. SNS has a name of its own, and SQS has kept an old one.
_CODES = {"sqs": ("AccessDenied", 403), "sns": ("AuthorizationError", 403)}
_IN_REST = ("AccessDeniedException", 403)
_IN_JSON = ("AccessDeniedException", 400)
_MOST_DENIALS = 1000  # that are remembered


class Denial(NamedTuple):
    """A call that was refused, or one that cannot be judged."""

    function: str  #: as infra/policies names it
    text: str


class _State:
    """The roles of this process; without policies nothing is judged."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.policies: dict[str, tuple[Statement, ...]] = {}
        self.names: dict[str, str] = {}  # the functions' names here, by those on Lambda
        self.keys: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.denials: deque[Denial] = deque(maxlen=_MOST_DENIALS)
        self.on_call: Callable[[str, Right], object] | None = None


_state = _State()


def enforce(*, seal_form: int = 2) -> None:
    """Judges all functions' calls from here on, by the policies of a stage with this SEAL_FORM.

    Raises PolicyError for what is not understood.
    """
    place = policies.Place(STAGE, REGION, ACCOUNT, seal_form=seal_form)
    functions = policies.functions()
    read = {each: policy.read(policies.policy(each, place), each) for each in functions}
    invocation.install()
    _state.names = {policies.lambda_name(each, STAGE): each for each in functions}
    _state.keys.clear()
    _replace(read)


def lift() -> None:
    """Judges nothing any more."""
    _state.names = {}
    _replace({})


@contextmanager
def without(function: str, sid: str, action: str) -> Iterator[None]:
    """For tests: takes an action out of a statement. Raises KeyError if it is not there."""
    whole = _state.policies
    changed = tuple(lacking(whole[function], sid, action))
    if changed == whole[function]:
        raise KeyError(f"{function}: {sid} {action}")
    _replace({**whole, function: changed})
    try:
        yield
    finally:
        _replace(whole)


def lacking(statements: tuple[Statement, ...], sid: str, action: str) -> Iterator[Statement]:
    for each in statements:
        left = tuple(a for a in each.actions if (each.sid, a) != (sid, action))
        yield Statement(each.sid, left, each.resources, each.conditions)


def _replace(read: dict[str, tuple[Statement, ...]]) -> None:
    _state.policies = read
    _is_allowed.cache_clear()


def record(on_call: Callable[[str, Right], object] | None) -> None:
    """Calls `on_call(function, right)` for every right that is used; None ends that."""
    _state.on_call = on_call


def take_denials() -> list[Denial]:
    """What has been refused since the last time."""
    with _state.lock:
        taken = list(_state.denials)
        _state.denials.clear()
    return taken


def refusal(endpoint: Any, request: Any, operation_model: Any) -> Any:
    """The error that AWS answers, as `Endpoint._do_get_response` returns it; None if allowed.

    Raises UnknownCallError for a call whose rights are not known.
    """
    lambda_name = invocation.current()
    if not lambda_name or not _state.policies:
        return None
    function = _state.names.get(lambda_name, "")
    service = operation_model.service_model.service_name
    call = rights.Call(
        service, operation_model.name, request.method, request.url, request.body or b""
    )
    try:
        needed = rights.needed(call, rights.Place(REGION, ACCOUNT, _key_of))
    except rights.UnknownCallError as error:
        _remember(function, str(error))  # the function may well handle it, a test must not
        raise
    for right in needed:
        if _state.on_call:
            _state.on_call(function, right)
        if not _is_allowed(function, right):
            return _refuse(lambda_name, function, right, endpoint, operation_model)
    return None


@lru_cache(maxsize=4096)
def _is_allowed(function: str, right: Right) -> bool:
    return allowed(_state.policies.get(function, ()), right)


def allowed(statements: tuple[Statement, ...], right: Right) -> bool:
    return any(statement.allows(right) for statement in statements)


def _refuse(
    lambda_name: str, function: str, right: Right, endpoint: Any, operation_model: Any
) -> Any:
    user = f"arn:aws:sts::{ACCOUNT}:assumed-role/{lambda_name}/{lambda_name}"
    text = (
        f"User: {user} is not authorized to perform: {right.action} on resource: "
        f"{right.resource} because no identity-based policy allows the {right.action} action"
    )
    _remember(function, text)
    service_model = operation_model.service_model
    usual = _IN_REST if service_model.resolved_protocol == "rest-json" else _IN_JSON
    code, status = _CODES.get(service_model.service_name, usual)
    return fault_answers.respond(fault_answers.Error(code, status, text), endpoint, operation_model)


def _remember(function: str, text: str) -> None:
    with _state.lock:
        _state.denials.append(Denial(function, text))


def _key_of(key_id: str) -> tuple[str, tuple[str, ...]]:
    """The ARN of a KMS key and its aliases, asked for by the local cloud itself."""
    if key_id not in _state.keys:
        with invocation.of(""):
            kms = boto3.Session().client("kms", region_name=REGION)
            kms._endpoint.without_faults = True
            arn = kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
            aliases = kms.list_aliases(KeyId=arn)["Aliases"]
        _state.keys[key_id] = arn, tuple(each["AliasName"] for each in aliases)
    return _state.keys[key_id]

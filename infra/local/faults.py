"""Faults on demand: AWS calls that are refused, throttled or slow, or whose answer is lost.

They are injected by interception.py. Without faults a call takes two dictionary look-ups more.

The kind `conflicts` is one of DynamoDB as a whole and stays until it is cleared: transactions take
time, and what meets one is refused (conflicts.py). Other faults apply beside it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

import botocore.session  # type: ignore[import-untyped, unused-ignore]
from botocore.exceptions import ReadTimeoutError  # type: ignore[import-untyped, unused-ignore]

from infra.local import conflicts, fault_answers

Service = Literal["dynamodb", "sqs", "ses", "sns", "states", "kms", "ssm"]
Send = Callable[[Any, Any, Any, Any], Any]  #: as `Endpoint._do_get_response`
Kind = Literal["refuse", "throttle", "lose_answer", "delay", "conflicts"]

_BOTO_NAMES: dict[Service, tuple[str, ...]] = {
    "dynamodb": ("dynamodb",),
    "sqs": ("sqs",),
    "ses": ("sesv2", "ses"),
    "sns": ("sns",),
    "states": ("stepfunctions",),
    "kms": ("kms",),
    "ssm": ("ssm",),
}
_OUR_NAMES = {boto: ours for ours, names in _BOTO_NAMES.items() for boto in names}


@dataclass(frozen=True)
class Fault:
    service: Service
    operation: str = "*"  #: such as SendMessageBatch, or "*" for all
    kind: Kind = "refuse"
    times: int | None = 1  #: tries that it still affects; None or 0 means until cleared
    seconds: float | None = None  #: of a delay (1), or that a transaction takes, in real time
    code: str | None = None  #: of a refusal, instead of ServiceUnavailable
    status: int | None = None  #: of a refusal with a code, 400 by default

    def matches(self, service: str, operation: str) -> bool:
        if self.service != service or self.kind == "conflicts":
            return False
        return self.operation in ("*", operation)


MAX_DELAY_SECONDS = 60
ERROR_STATUSES = range(400, 600)
_SECONDS: dict[Kind, float] = {"delay": 1.0, "conflicts": conflicts.HOLD_SECONDS}

_lock = threading.Lock()
_faults: list[Fault] = []
_through: Counter[str] = Counter()
_faulted: Counter[str] = Counter()


def add(fault: Fault) -> None:
    """Adds a fault for the next tries. Raises ValueError for a fault that makes no sense."""
    _check(fault)
    if fault.seconds is None:
        fault = replace(fault, seconds=_SECONDS.get(fault.kind))
    with _lock:
        if fault.kind == "conflicts":
            fault = replace(fault, times=None)
            _faults[:] = [each for each in _faults if each.kind != "conflicts"]
            conflicts.begin(fault.seconds or 0)
        _faults.append(fault)


def clear() -> None:
    """Removes all faults and counts."""
    with _lock:
        _faults.clear()
        conflicts.end()
        _through.clear()
        _faulted.clear()


def active() -> list[Fault]:
    """The faults that still apply, with the tries they have left."""
    with _lock:
        return list(_faults)


def counts() -> dict[str, dict[str, int]]:
    """By `service.operation`, the tries since the last clear with and without a fault."""
    with _lock:
        names = sorted(_through.keys() | _faulted.keys())
        return {n: {"through": _through[n], "faulted": _faulted[n]} for n in names}


def affect(send: Send, endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
    """Sends the request, or answers as the next fault for it says."""
    service = _OUR_NAMES.get(operation_model.service_model.service_name)
    if service is None or getattr(endpoint, "without_faults", False):
        return send(endpoint, request, operation_model, context)
    fault = _next_fault(service, operation_model.name)
    if fault is None:
        return send(endpoint, request, operation_model, context)
    if fault.kind in ("refuse", "throttle"):
        return _answer(fault, endpoint, operation_model)
    if fault.kind == "delay":
        time.sleep(fault.seconds or 0)
        return send(endpoint, request, operation_model, context)
    send(endpoint, request, operation_model, context)
    return None, ReadTimeoutError(endpoint_url=request.url)


def _next_fault(service: str, operation: str) -> Fault | None:
    name = f"{service}.{operation}"
    with _lock:
        fault = next((f for f in _faults if f.matches(service, operation)), None)
        if fault is None:
            _through[name] += 1
            return None
        _faulted[name] += 1
        if fault.times:
            place = _faults.index(fault)
            if fault.times == 1:
                del _faults[place]
            else:
                _faults[place] = replace(fault, times=fault.times - 1)
        return fault


def _answer(fault: Fault, endpoint: Any, operation_model: Any) -> Any:
    if fault.kind == "throttle":
        error = fault_answers.throttling(operation_model.service_model.service_name)
    elif fault.code:
        error = fault_answers.Error(fault.code, fault.status or 400, "Refused on demand")
    else:
        error = fault_answers.UNAVAILABLE
    return fault_answers.respond(error, endpoint, operation_model)


def _check(fault: Fault) -> None:
    if fault.service not in _BOTO_NAMES:
        raise ValueError(f"service must be one of {', '.join(_BOTO_NAMES)}, not {fault.service!r}")
    if fault.kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, not {fault.kind!r}")
    if fault.operation != "*" and fault.operation not in _operations(fault.service):
        raise ValueError(f"{fault.service} has no operation {fault.operation!r}")
    if not _is_whole(fault.times) or (fault.times or 0) < 0:
        raise ValueError(f"times must be a whole number from 0, or null, not {fault.times!r}")
    _check_seconds(fault.seconds)
    _check_error(fault)
    if fault.kind == "conflicts":
        _check_conflicts(fault)


def _check_seconds(seconds: object) -> None:
    if seconds is None:
        return
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= MAX_DELAY_SECONDS:  # type: ignore[operator]
        limit = MAX_DELAY_SECONDS
        raise ValueError(f"seconds must be a number from 0 to {limit}, not {seconds!r}")


def _check_conflicts(fault: Fault) -> None:
    if fault.service != "dynamodb" or fault.operation != "*":
        raise ValueError("conflicts is a kind of dynamodb as a whole, whatever the operation")
    if (fault.times or 1) != 1:
        raise ValueError("conflicts last until they are cleared, so they take no times")


def _check_error(fault: Fault) -> None:
    if fault.kind != "refuse" and (fault.code or fault.status):
        raise ValueError("code and status go with the kind refuse only")
    if fault.code is not None and (not isinstance(fault.code, str) or not fault.code):
        raise ValueError(f"code must be the name of an error, not {fault.code!r}")
    if fault.status is not None and not fault.code:
        raise ValueError("status needs a code")
    if not _is_whole(fault.status) or (fault.status or 400) not in ERROR_STATUSES:
        raise ValueError(f"status must be from 400 to 599, not {fault.status!r}")


def _is_whole(number: object) -> bool:
    return number is None or (isinstance(number, int) and not isinstance(number, bool))


@cache
def _operations(service: Service) -> frozenset[str]:
    session = botocore.session.get_session()
    models = [session.get_service_model(name) for name in _BOTO_NAMES[service]]
    return frozenset(name for model in models for name in model.operation_names)

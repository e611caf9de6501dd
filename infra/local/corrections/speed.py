"""What moto works out anew for each request and could remember."""

import re
import secrets
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import moto.core.responses
import moto.core.utils
from moto import backend_index, backends
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.common_models import BaseModel
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import normalize_request
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.utilities import bytesize
from werkzeug.exceptions import HTTPException

Handler = Callable[[Any, str, Any], tuple[int, Any, Any]]

_moto_size: Callable[[DynamoType], int] = DynamoType.size
_moto_process: Callable[..., Any] = BotocoreStubber.process_request
_moto_loader: Callable[[], Any] = vars(moto.core.utils)["create_loader"]


def install() -> None:
    replacements: list[tuple[Any, str, Any]] = [
        (BotocoreStubber, "process_request", _process_request),
        (BaseModel, "__new__", _untracked),
        (DynamoType, "__deepcopy__", _copied),
        (DynamoType, "size", _size),
        (moto.core.utils, "create_loader", cache(_moto_loader)),
        (moto.core.responses, "method_names_from_class", lru_cache(method_names_from_class)),
        (moto.core.responses, "gen_amzn_requestid_long", _request_id),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


def _process_request(stubber: BotocoreStubber, request: Any) -> Any:
    handler = _handler(request.url.partition("?")[0])
    if handler is None:
        return _moto_process(stubber, request)
    normalized = normalize_request(request)
    try:
        return handler(normalized, normalized.raw_url, normalized.headers)
    except HTTPException as error:
        return error.code, error.get_headers(), error.get_body()


@lru_cache(maxsize=4096)
def _handler(url: str) -> Handler | None:
    """Who answers at this address; moto tries some 300 patterns for each request."""
    for service, pattern in backend_index.backend_url_patterns:
        if pattern.match(url):
            known: Any = backends.get_backend(service)  # type: ignore[call-overload]  # any name
            if not isinstance(known, BackendDict):
                return None
            regions: Any = known[DEFAULT_ACCOUNT_ID]
            backend = regions["us-east-1" if "us-east-1" in regions else "aws"]
            for path, handler in backend.urls.items():
                if re.match(path, url):
                    found: Handler = handler
                    return found
    return None


def _copied(value: DynamoType, memo: dict[int, Any]) -> DynamoType:
    """A value is a tree; moto looks at each branch whether it has been there before."""
    twin = object.__new__(type(value))
    twin.type, held = value.type, value.value
    if value.type == "M":
        held = {name: _copied(part, memo) for name, part in held.items()}
    elif isinstance(held, list):
        held = [_copied(part, memo) if isinstance(part, DynamoType) else part for part in held]
    twin.value = held
    return twin


def _size(value: DynamoType) -> int:
    """Without moto's copy of a map and of all that is in it."""
    if value.type != "M":
        return _moto_size(value)
    return sum(bytesize(name) + part.size() for name, part in value.value.items())


def _untracked(cls: type, *_: Any, **__: Any) -> Any:
    """A model that nobody keeps: moto keeps for its dashboard, copies of items too."""
    return object.__new__(cls)


def _request_id(headers: dict[str, Any] | None = None) -> str:
    request_id = secrets.token_hex(26).upper()
    if isinstance(headers, dict):
        headers["x-amzn-requestid"] = request_id
    return request_id

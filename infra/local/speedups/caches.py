"""What moto works out again for every request although the result is always the same."""

import re
import secrets
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, cast

import moto.core.responses
import moto.core.utils
from moto import backend_index, backends
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.common_models import BaseModel
from moto.core.errors import ErrorLookupFactory
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import normalize_request
from moto.core.utils import method_names_from_class
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from werkzeug.exceptions import HTTPException

from infra.local.patching import replace_all

Handler = Callable[[Any, str, Any], tuple[int, Any, Any]]

_moto_process: Callable[..., Any] = BotocoreStubber.process_request
_moto_loader: Callable[[], Any] = vars(moto.core.utils)["create_loader"]
_moto_error_lookup: Callable[..., Any] = ErrorLookupFactory.for_service
_moto_parse: Callable[[str], Any] = AmazonStateLanguageParser.parse
_error_lookups = ErrorLookupFactory()


def install() -> None:
    replace_all(
        [
            (BotocoreStubber, "process_request", _process_request),
            (BaseModel, "__new__", _new_model),
            (moto.core.utils, "create_loader", cache(_moto_loader)),
            (moto.core.responses, "method_names_from_class", lru_cache(method_names_from_class)),
            (moto.core.responses, "gen_amzn_requestid_long", _request_id),
            (ErrorLookupFactory, "for_service", _error_lookup),
            (AmazonStateLanguageParser, "parse", staticmethod(lru_cache(_moto_parse))),
        ]
    )


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
    """What answers at this address; moto tries some 300 patterns for every request."""
    for service, pattern in backend_index.backend_url_patterns:
        if pattern.match(url):
            known: Any = backends.get_backend(service)  # type: ignore[call-overload]  # any name
            if not isinstance(known, BackendDict):
                return None
            regions: Any = known[DEFAULT_ACCOUNT_ID]
            backend = regions["us-east-1" if "us-east-1" in regions else "aws"]
            for path, handler in backend.urls.items():
                if re.match(path, url):
                    return cast("Handler", handler)
    return None


def _new_model(cls: type, *_: Any, **__: Any) -> Any:
    """Without moto's list of all models ever made, which is for its dashboard."""
    return object.__new__(cls)


def _error_lookup(_: ErrorLookupFactory, service_model: Any) -> Any:
    """One factory for all: it remembers a service's errors, and moto makes a new one every time."""
    return _moto_error_lookup(_error_lookups, service_model)


def _request_id(headers: dict[str, Any] | None = None) -> str:
    request_id = secrets.token_hex(26).upper()
    if isinstance(headers, dict):
        headers["x-amzn-requestid"] = request_id
    return request_id

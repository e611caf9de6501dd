"""Cuts botocore's data and certificates, 31 MB, down to what is used.

The services are found in the code that creates clients, so a new one needs no change here. Every
operation and shape of a service is kept, but for those in `model_cut.CUT`: leaving out the unused
ones of the others would save 0.7 ms, and a call that was left out would fail only at run time.
"""

import ast
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

from infra.package import model_cut
from infra.package.content import Files, PackingError
from infra.package.trimming import OURS

DATA = "botocore/data/"
#: Files that botocore reads for every service.
COMMON = ("_retry.json", "partitions.json", "sdk-default-configuration.json")
_MODEL = re.compile(
    rf"{DATA}(?P<service>[^/]+)/(?P<version>[^/]+)/(?P<kind>[a-z-]+)-\d\.json(\.gz)?$"
)
_KINDS = frozenset({"service", "endpoint-rule-set"})  # no paginators, waiters, examples
#: Services whose name in endpoints.json differs from their client's.
_PREFIXES = {"sesv2": "email", "stepfunctions": "states"}
#: AWS's own certificates: Amazon Trust Services, which every endpoint of the partition `aws` uses.
#: https://www.amazontrust.com/repository/
_AUTHORITIES = re.compile(
    rb'# Label: "(?:Amazon Root CA [1-4]|Starfield Services Root Certificate Authority - G2)"'
)
AUTHORITIES_FILE = "botocore/cacert.pem"


def used_services(files: Files) -> frozenset[str]:
    """The services that our code creates clients for.

    Raises PackingError where the service is not a literal, since it could not be found.
    """
    return frozenset(
        service
        for name, content in files.items()
        if OURS.match(name) and name.endswith(".py") and name != "chalicelib/kernel/aws/clients.py"
        for service in _clients(name, content)
    )


def _clients(name: str, source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in ("client", "create_client"):
            continue
        first = node.args[0] if node.args else None
        if not isinstance(first, ast.Constant):
            raise PackingError(f"{name}:{node.lineno}: name the service by a literal string")
        yield str(first.value)


def prune(files: Files) -> Files:
    """The files with botocore's data and certificates cut down."""
    services = used_services(files) | {"sqs"}  # which kernel/aws/clients.py creates itself
    if unknown := {service for service in services if not _versions(files, service)}:
        raise PackingError(f"botocore knows no service {', '.join(sorted(unknown))}")
    kept = {name: content for name, content in files.items() if not name.startswith(DATA)}
    kept[AUTHORITIES_FILE] = authorities(files[AUTHORITIES_FILE])
    kept |= {DATA + name: files[DATA + name] for name in COMMON}
    kept[f"{DATA}endpoints.json"] = _endpoints(files[f"{DATA}endpoints.json"], services)
    for service in services:
        latest = max(_versions(files, service))
        for name, content in files.items():
            model = _MODEL.match(name)
            if model and model["kind"] in _KINDS:
                if (model["service"], model["version"]) != (service, latest):
                    continue
                kept[name.removesuffix(".gz")] = _plain(content, _operations(model))
    return kept


def _operations(model: re.Match[str]) -> frozenset[str]:
    """The operations to which a file is to be cut; empty for one that stays whole."""
    is_cut = model["kind"] == "service" and model["service"] in model_cut.CUT
    return model_cut.allowed_operations(model["service"]) if is_cut else frozenset()


def _versions(files: Files, service: str) -> set[str]:
    models = (_MODEL.match(name) for name in files)
    return {model["version"] for model in models if model and model["service"] == service}


def _plain(content: bytes, operations: frozenset[str]) -> bytes:
    """A model without its documentation, uncompressed: the package is compressed as a whole."""
    text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    model = _without_documentation(json.loads(text))
    return _json(model_cut.cut(model, operations) if operations else model)


def _without_documentation(value: Any) -> Any:
    """Without documentation and operationContextParams.

    From the latter botocore finds the account in an ARN, by a jmespath search per call; we name
    tables and queues without ARNs.
    """
    if isinstance(value, dict):
        return {
            key: _without_documentation(inner)
            for key, inner in value.items()
            if not (key == "documentation" and isinstance(inner, str))
            and key != "operationContextParams"
        }
    if isinstance(value, list):
        return [_without_documentation(inner) for inner in value]
    return value


def _endpoints(content: bytes, services: frozenset[str]) -> bytes:
    document = json.loads(content)
    names = {_PREFIXES.get(service, service) for service in services}
    for partition in document["partitions"]:
        partition["services"] = {
            name: data for name, data in partition["services"].items() if name in names
        }
    return _json(document)


def authorities(bundle: bytes) -> bytes:
    """AWS's own certificates: reading all 140 takes 16 ms of CPU for every new connection.

    Where a proxy or another partition needs other ones, AWS_CA_BUNDLE names their file.
    """
    entries = bundle.split(b"\n# Issuer: ")
    kept = [entry for entry in entries[1:] if _AUTHORITIES.search(entry)]
    if len(kept) != 5:  # noqa: PLR2004  four of Amazon, one of Starfield
        raise PackingError("botocore's certificates do not hold AWS's own")
    return b"".join(b"\n# Issuer: " + entry.rstrip() + b"\n" for entry in kept)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=False).encode()

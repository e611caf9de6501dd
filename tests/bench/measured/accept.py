# ruff: noqa: INP001  not of a package: it runs where nothing of ours is on the path
"""CPU of accepted POSTs, in a process of its own:

    python -I -S -B accept.py <variant> <tree> <requests> [least | profile]

Prints the CPU of one request in milliseconds and the AWS calls it made. `least` takes the best
twenty, for a comparison while others use the cores; `profile` prints where the time goes.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_UP = 40
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
_numbers = itertools.count(1)


class Context:
    """What Lambda hands over beside the event."""

    function_name = "bench"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:bench"
    aws_request_id = "3f1e9ad2-0f6c-4d38-9b0c-0b7f0b6f4a57"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def event() -> dict[str, Any]:
    """What API Gateway sends for one new user: a key and an address of its own."""
    number = next(_numbers)
    body = {
        "name": "Ann Example",
        "email": f"ann.{number}@example.com",
        "phone": f"+4366412{number:05}",
        "role": "staff",
    }
    headers = {
        "Accept": "application/json",
        "Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9." + "x" * 600,
        "Content-Type": "application/json",
        "Host": "abc123.execute-api.eu-central-1.amazonaws.com",
        "Idempotency-Key": f"0b5c9a1e-57c5-4a1c-{number:012}",
        "User-Agent": "Mozilla/5.0",
        "X-Amzn-Trace-Id": "Root=1-5f84c7a9-0b5c9a1e57c54a1c",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    path = "/admin/v1/users"
    return {
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "authorizer": {
                "principalId": "manager-of-t1",
                "sub": "manager-of-t1",
                "role": "manager",
                "tenant_id": "t1",
                "email": "manager@example.com",
                "exp": "4102444800",
            },
            "httpMethod": "POST",
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "Mozilla/5.0"},
            "path": f"/api{path}",
            "protocol": "HTTP/1.1",
            "requestId": f"c6af9ac6-7b61-11e6-9a41-{number:012}",
            "resourcePath": path,
            "stage": "api",
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def handler(variant: str) -> Handler:
    """The whole handler of a variant, as Lambda would call it."""
    if variant == "raw":
        import handler as module

        return module.handler
    import app as module

    return module.app


def spend(handle: Handler, events: list[dict[str, Any]]) -> float:
    """CPU seconds of the process for all of them."""
    context, began = Context(), time.process_time()
    for each in events:
        answer = handle(each, context)
    spent = time.process_time() - began
    if answer["statusCode"] != 201:
        raise SystemExit(f"not accepted: {answer}")
    return spent


def quietly(run: Callable[[], Any]) -> Any:
    """With the log lines written, but to nobody."""
    kept, nobody = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, 1)
    try:
        return run()
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)


def tell(seconds: float, calls: dict[str, int], requests: int) -> None:
    sys.stdout.write(f"{seconds * 1000} {sum(calls.values()) / requests}\n")


def main() -> None:
    variant, tree, requests = sys.argv[1:4]
    sys.path.insert(0, tree)
    sys.path.append(str(Path(__file__).parent))
    import answers

    answers.install()
    handle = handler(variant)
    quietly(lambda: spend(handle, [event() for _ in range(WARM_UP)]))
    answers.calls.clear()
    events = [event() for _ in range(int(requests))]
    if sys.argv[4:] == ["least"]:
        twenties = [events[at : at + 20] for at in range(0, len(events), 20)]
        spent = quietly(lambda: min(spend(handle, few) for few in twenties))
        tell(spent / 20, answers.calls, len(events))
    elif len(sys.argv) > 4:
        import cProfile
        import pstats

        profile = cProfile.Profile()
        quietly(lambda: profile.runcall(spend, handle, events))
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(110)
    else:
        spent = quietly(lambda: spend(handle, events))
        tell(spent / len(events), answers.calls, len(events))


if __name__ == "__main__":
    main()

"""Keystone over HTTP, run by the interpreter that it is installed for.

    python serve.py [port]      0 or none: a free one, which is printed on the first line

Each request is told on a line of standard output of its own: `GET /v3/users 200`.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
sys.argv = sys.argv[:1]  # Keystone reads the rest as its own options

from keystone.wsgi.api import application  # noqa: E402
from waitress import create_server  # noqa: E402


def told(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    def start(status: str, *rest: Any) -> Any:
        path = environ["PATH_INFO"]
        print(f"{environ['REQUEST_METHOD']} {path} {status[:3]}", flush=True)  # noqa: T201
        return start_response(status, *rest)

    return application(environ, start)


server = create_server(told, host="127.0.0.1", port=port, threads=4)
print(server.effective_port, flush=True)  # noqa: T201
server.run()

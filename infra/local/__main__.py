"""`make run`: starts a local cloud and says where everything is."""

import argparse
import errno
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.shutdown import Shutdown

if TYPE_CHECKING:  # all the rest takes a second to import, in which Ctrl-C is already heard
    from infra.local.cloud import LocalCloud, Options

LAST_PORT = 65_535
LEAST_VISIBILITY_SECONDS = 3  # a worker takes no job with less than two seconds left
_CANNOT_BIND = {
    errno.EADDRINUSE: "is taken",
    errno.EACCES: "needs rights that you do not have",
}


def main() -> int:
    shutdown = Shutdown()
    given = parse(sys.argv[1:])
    from infra.local.cloud import LocalCloud, UnknownSourceError
    from infra.local.resources import TemplateError
    from infra.local.schedules import ScheduleError

    cloud = LocalCloud(options(given))
    try:
        cloud.start()
    except OSError as error:
        if error.errno not in _CANNOT_BIND:
            raise
        return _failed(
            f"Port {given.port} {_CANNOT_BIND[error.errno]}. Choose another, such as "
            f"make run PORT={max(8000, given.port) + 1}, or 0 for any free one."
        )
    except (TemplateError, ScheduleError, UnknownSourceError) as error:
        return _failed(f"Cannot start. {error}")
    print(greeting(cloud, given), flush=True)
    shutdown.wait()
    print("\nstopping", flush=True)
    cloud.stop()
    gc.freeze()  # or the interpreter looks through all for garbage once more, for half a second
    return 0


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local",
        description="Run all of Backburner in this process: no account, no Docker, no token.",
    )
    add = parser.add_argument
    add("--port", type=_number(0, LAST_PORT), default=8000, help="of the API (8000); 0: a free one")
    add("--no-worker", action="store_true", help="leave the queues to workers apart")
    add("--no-schedules", action="store_true", help="no sweep unless the clock is moved")
    add("--sweep-seconds", type=_number(1), default=60, help="period of the sweep (60)")
    add(
        "--lease-seconds", type=_number(1), help="a claimed job is another worker's after this (90)"
    )
    add(
        "--visibility-seconds",
        type=_number(LEAST_VISIBILITY_SECONDS),
        default=360,
        help="a message not deleted is delivered again after this (360)",
    )
    return parser.parse_args(arguments)


def _number(least: int, most: int = 86_400) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def options(given: argparse.Namespace) -> "Options":
    from infra.local.cloud import Options

    return Options(
        port=given.port,
        work=not given.no_worker,
        schedules=not given.no_schedules,
        sweep_seconds=given.sweep_seconds,
        visibility_seconds=given.visibility_seconds,
        lease_seconds=given.lease_seconds,
    )


def greeting(cloud: "LocalCloud", given: argparse.Namespace) -> str:
    token = cloud.issuer.token({"sub": "local-manager", "role": "manager", "tenant_id": "t1"})
    return f"""
Backburner is running. Everything is empty and ends with Ctrl-C.

  API          {cloud.url}
  Sent mails   {cloud.url}/_local/
  AWS endpoint {cloud.endpoint_url}   (aws --endpoint-url {cloud.endpoint_url} sqs list-queues)
  Tenants      t1, t2
{_worker_hint(cloud, given)}
Create a user; the invitation's e-mail and SMS arrive a moment later under "Sent mails":

curl -i -w '\\n' {cloud.url}/admin/v1/users \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"name": "Ann Example", "email": "ann@example.com", "phone": "+447700900123", "role": "staff"}}'
"""  # noqa: E501  # a command is pasted as it stands


def _worker_hint(cloud: "LocalCloud", given: argparse.Namespace) -> str:
    """How to start what `--no-worker` has left out."""
    if not given.no_worker:
        return ""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = f"{python} -m infra.local.worker {cloud.endpoint_url} {cloud.url}"
    lease = f" --lease-seconds {given.lease_seconds}" if given.lease_seconds else ""
    return f"""
Nothing is sent before a worker runs. In another terminal, in this folder, as often as you like:

{command}{lease}
"""


if __name__ == "__main__":
    sys.exit(main())

"""`make run`: starts a local cloud and prints its addresses."""

import argparse
import errno
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.shutdown import Shutdown
from infra.manifest import renewal
from infra.manifest.renewal import ManifestError

if TYPE_CHECKING:  # imported later, since it takes a second, in which Ctrl-C should work
    from infra.local.cloud import LocalCloud, Options

LAST_PORT = 65_535
MIN_VISIBILITY_SECONDS = 3  # a worker starts no job with less than two seconds left
_CANNOT_BIND = {
    errno.EADDRINUSE: "is taken",
    errno.EACCES: "needs rights that you do not have",
}


def main() -> int:
    shutdown = Shutdown()
    arguments = parse(sys.argv[1:])
    try:
        renewal.renew_if_stale()
    except ManifestError as error:
        return _failed(f"Cannot start. {error}")
    from infra.local.cloud import CANNOT_START, LocalCloud

    cloud = LocalCloud(options(arguments))
    try:
        cloud.start()
    except OSError as error:
        if error.errno not in _CANNOT_BIND:
            raise
        return _failed(
            f"Port {arguments.port} {_CANNOT_BIND[error.errno]}. Choose another, such as "
            f"make run PORT={max(8000, arguments.port) + 1}, or 0 for any free one."
        )
    except CANNOT_START as error:
        return _failed(f"Cannot start. {error}")
    shutdown.started()
    print(greeting(cloud, arguments), flush=True)
    shutdown.wait()
    print("\nstopping", flush=True)
    cloud.stop()
    gc.freeze()  # saves half a second of garbage collection at exit
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
    add(
        "--port",
        type=_number(0, LAST_PORT),
        default=8000,
        help="of the API (8000); 0 means a free one",
    )
    add("--no-worker", action="store_true", help="leave the queues to separate workers")
    add("--no-schedules", action="store_true", help="run no schedule unless the clock is moved")
    add("--sweep-seconds", type=_number(1), default=60, help="period of the sweep (60)")
    add("--lease-seconds", type=_number(1), help="after this another worker may claim the job (90)")
    add(
        "--visibility-seconds",
        type=_number(MIN_VISIBILITY_SECONDS),
        default=360,
        help="after this a message is delivered again unless it was deleted (360)",
    )
    return parser.parse_args(arguments)


def _number(lowest: int, highest: int = 86_400) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {lowest} to {highest}"
            )
        return int(text)

    return read


def options(arguments: argparse.Namespace) -> "Options":
    from infra.local.cloud import Options

    return Options(
        port=arguments.port,
        work=not arguments.no_worker,
        schedules=not arguments.no_schedules,
        sweep_seconds=arguments.sweep_seconds,
        visibility_seconds=arguments.visibility_seconds,
        lease_seconds=arguments.lease_seconds,
    )


def greeting(cloud: "LocalCloud", arguments: argparse.Namespace) -> str:
    past_proxy = "--noproxy 127.0.0.1 " if os.environ.get("http_proxy") else ""
    token = cloud.issuer.token({"sub": "local-manager", "role": "manager", "tenant_id": "t1"})
    return f"""
Backburner is running. It starts empty; Ctrl-C stops it and deletes all data.

  API          {cloud.url}
  Sent mails   {cloud.url}/_local/
  AWS endpoint {cloud.endpoint_url}   (region eu-central-1, any credentials)
  Tenants      t1, t2
  Logins       {_logins()}
{_worker_hint(cloud, arguments)}
Create a user; the invitation's e-mail and SMS arrive a moment later under "Sent mails":

curl {past_proxy}-i -w '\\n' {cloud.url}/admin/v1/users \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"name": "Ann Example", "email": "ann@example.com", "phone": "+447700900123", "role": "staff"}}'
"""  # noqa: E501  # the command is pasted as one line


def _logins() -> str:
    from chalicelib.kernel.settings import settings

    ways = {
        "allow": "whoever has a token may enter; a stage refuses those who are no users",
        "report": "whoever has a token may enter; those who are no users are noted",
    }
    return ways.get(settings.unknown_subjects, "those who are no users are refused, as on a stage")


def _worker_hint(cloud: "LocalCloud", arguments: argparse.Namespace) -> str:
    """With --no-worker, how to start a worker."""
    if not arguments.no_worker:
        return ""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = f"{python} -m infra.local.worker {cloud.endpoint_url} {cloud.url}"
    lease = f" --lease-seconds {arguments.lease_seconds}" if arguments.lease_seconds else ""
    return f"""
Nothing is sent until a worker runs. Start one or more in other terminals, in this folder:

{command}{lease}
"""


if __name__ == "__main__":
    sys.exit(main())

"""A worker in a process of its own, against a local cloud that was started without one.

    python -m infra.local --no-worker           prints the command that starts a worker
    python -m infra.local.worker ENDPOINT API   works the queues until it is ended

It can be killed at any moment: the local cloud continues, and the next worker takes over its
claimed jobs when their lease has ended and their messages are visible again. The worker uses the
real clock and is not affected by faults but for conflicts of transactions, since both belong to the
local cloud's process.
"""

import argparse
import gc
import importlib
import logging
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from chalice.app import Chalice

from infra.local import environment, interception, log, roles
from infra.local.mapping import mappings_of
from infra.local.poller import Poller
from infra.local.shutdown import Shutdown

MACHINE_ARN = (
    f"arn:aws:states:{environment.REGION}:{roles.ACCOUNT}:stateMachine:"
    f"backburner-{environment.STAGE}-provision-project"
)
_WORKERS = 2  # of a queue; over HTTP more are no faster


def main() -> int:
    shutdown = Shutdown()
    arguments = parse(sys.argv[1:])
    settings = {"PROVISION_MACHINE_ARN": MACHINE_ARN}
    if arguments.lease_seconds:
        settings["LEASE_SECONDS"] = str(arguments.lease_seconds)
    environment.shut_out_aws()
    os.environ["AWS_ENDPOINT_URL"] = arguments.endpoint
    environment.limit_workers(_WORKERS)
    environment.describe(arguments.api, **settings)
    interception.install()
    roles.enforce()
    app = importlib.import_module("app").app
    log.install()
    # On Lambda every invocation has its own connections; here several share a pool.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    code = work(app, shutdown)
    gc.freeze()  # saves a last garbage collection at exit
    return code


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.worker",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("endpoint", help="AWS endpoint of the local cloud")
    parser.add_argument("api", help="address of its API, for links and keys")
    parser.add_argument("--lease-seconds", type=int, help="of a claimed job (90)")
    return parser.parse_args(arguments)


def work(app: Chalice, shutdown: Shutdown) -> int:
    """Works all queues until the shutdown, then finishes what it has begun."""
    # Imported here, since the settings are read at import.
    from chalicelib.kernel.settings import settings

    def on_error(function_name: str, error: BaseException) -> None:
        if isinstance(error, EndpointConnectionError):
            shutdown.request("The local cloud does not answer any more.")
        elif not isinstance(error, ConnectionClosedError):  # the next poll shows whether it is gone
            log.failure(function_name, error)

    config = Config(max_pool_connections=10, retries={"total_max_attempts": 1})
    sqs = boto3.Session().client("sqs", config=config)
    try:
        mappings = mappings_of(
            app,
            sqs,
            report_batch_item_failures=settings.partial_batch,
            on_error=on_error,
        )
    except EndpointConnectionError as error:
        print(f"There is no local cloud: {error}", file=sys.stderr)
        return 1
    shutdown.started()
    poller = Poller(mappings, sqs)
    poller.start()
    print("Working. Ctrl-C ends.", flush=True)
    reason = shutdown.wait()
    poller.stop()
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())

"""AWS in this process: moto with the patches of patches.py."""

import os
import threading
from collections.abc import Callable
from typing import Any

import moto
from botocore.endpoint import Endpoint  # type: ignore[import-untyped, unused-ignore]
from botocore.exceptions import (  # type: ignore[import-untyped, unused-ignore]
    EndpointConnectionError,
)
from moto.core.models import botocore_stubber

from infra.local import clock, faults, patches

ACCOUNT_ID = "123456789012"
REGION = "eu-central-1"

_lock = threading.Lock()
_mock: Any = None


def start() -> None:
    """Starts moto; from here on no AWS call leaves the process. A second call does nothing."""
    global _mock  # noqa: PLW0603  # a process has one
    with _lock:
        if _mock is not None:
            return
        os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
        os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
        os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
        patches.install()
        _keep_inside()
        faults.install()
        _mock = moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        _mock.start()
    clock.on_jump(patches.wake_all)


def _keep_inside() -> None:
    """Catches the calls of all sessions; moto catches those of sessions made after its import.

    A call that comes after the emulator has stopped, for example from a task that outlived its
    cloud, fails here and does not leave the machine either.
    """
    to_network: Callable[..., Any] = Endpoint._send
    if getattr(to_network, "kept_inside", False):
        return

    def send(endpoint: Any, request: Any) -> Any:
        if ".amazonaws.com" not in request.url.split("/", 3)[2]:
            return to_network(endpoint, request)
        answer = botocore_stubber("before-send", request)
        if answer is None:
            raise EndpointConnectionError(endpoint_url=request.url, error="no emulator runs")
        return answer

    send.kept_inside = True  # type: ignore[attr-defined]  # marks the replacement
    Endpoint._send = send


def stop() -> None:
    """Stops moto and deletes all resources."""
    global _mock  # noqa: PLW0603  # a process has one
    with _lock:
        if _mock is None:
            return
        clock.off_jump(patches.wake_all)
        _mock.stop()
        _mock = None
    patches.wake_all()


def reset_data() -> None:
    """Deletes items, messages, sent mail and faults; tables, queues and identities stay."""
    patches.empty_all()
    faults.clear()

"""Which function of the app runs: whoever invokes one says so, and its threads inherit it.

The app's functions share this process, where on Lambda each would have its own. A context variable
holds the name of the function that runs here; `roles.py` judges its calls of AWS by it.

Threads do not inherit context variables. So, in the local cloud only, a thread that a function
starts, and a task that it submits to a pool, run in a copy of the context they were started from.
A pool that outlives an invocation therefore works each task for the function that submitted it.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

_function: ContextVar[str] = ContextVar("function", default="")


def current() -> str:
    """The name on Lambda of the function that runs here; empty outside all functions."""
    return _function.get()


@contextmanager
def of(function_name: str) -> Iterator[None]:
    """What the body does, that function does; the empty name means the local cloud itself."""
    before = _function.set(function_name)
    try:
        yield
    finally:
        _function.reset(before)


def install() -> None:
    """Lets threads inherit the function; a second call does nothing."""
    if getattr(threading.Thread.start, "inherits", False):
        return
    _patch_threads()
    _patch_pools()


def _patch_threads() -> None:
    start = threading.Thread.start

    def start_inheriting(thread: threading.Thread) -> None:
        if current():
            context, run = copy_context(), thread.run
            thread.run = lambda: context.run(run)  # type: ignore[method-assign]
        start(thread)

    start_inheriting.inherits = True  # type: ignore[attr-defined]  # marks the replacement
    threading.Thread.start = start_inheriting  # type: ignore[method-assign, assignment]


def _patch_pools() -> None:
    submit = ThreadPoolExecutor.submit

    def submit_inheriting(
        pool: ThreadPoolExecutor, task: Callable[..., Any], /, *arguments: Any, **options: Any
    ) -> Future[Any]:
        if current():
            return submit(pool, copy_context().run, task, *arguments, **options)
        return submit(pool, task, *arguments, **options)

    ThreadPoolExecutor.submit = submit_inheriting  # type: ignore[method-assign, assignment]

"""Readable lines for requests, jobs and executions, instead of the JSON for CloudWatch."""

import logging
import sys
from http import HTTPStatus
from typing import Any, TextIO

from botocore.exceptions import BotoCoreError, ClientError

_DIM, _RED, _YELLOW, _GREEN, _PLAIN = "\033[2m", "\033[31m", "\033[33m", "\033[32m", "\033[0m"
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_log = logging.getLogger(__name__)


class Readable(logging.Formatter):
    """`12:04:05  201 POST /admin/v1/users  9.4 ms  2 AWS calls`, other records as key=value."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in _OWN}
        kind = record.getMessage()
        if kind == "request" and "status" in extra:
            mark, line = _request(extra)
        elif kind == "job" and "outcome" in extra:
            mark, line = _job(extra)
        elif kind == "execution" and "outcome" in extra:
            mark, line = _execution(extra)
        else:
            mark = {"WARNING": _YELLOW, "ERROR": _RED}.get(record.levelname, "")
            line = "  ".join([kind, *(f"{name}={value}" for name, value in extra.items())])
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        time = self._paint(_DIM, self.formatTime(record, self.datefmt))
        return f"{time}  {self._paint(mark, line)}"

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour and colour else text


def _request(extra: dict[str, Any]) -> tuple[str, str]:
    status = int(extra["status"])
    line = f"{status} {extra.get('method') or '?':<6} {extra.get('route')}  {extra.get('ms')} ms"
    if "aws_calls" in extra:
        line += f"  {_count(extra['aws_calls'], 'AWS call')}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _RED, line
    return _YELLOW if status >= HTTPStatus.BAD_REQUEST else _GREEN, line


def _job(extra: dict[str, Any]) -> tuple[str, str]:
    mark = {"done": _GREEN, "failed": _RED}.get(extra["outcome"], _YELLOW)
    name = (
        f"{extra.get('type')} ({extra['channel']})" if extra.get("channel") else extra.get("type")
    )
    line = f"job {name}  {extra['outcome']}  attempt {extra.get('attempt')}  {extra.get('ms')} ms"
    return mark, line


def _execution(extra: dict[str, Any]) -> tuple[str, str]:
    mark = _GREEN if extra["outcome"] == "succeeded" else _RED
    name = f"{extra.get('machine')} {extra.get('execution')}"
    return mark, f"execution {name}  {extra['outcome']}  {extra.get('ms')} ms"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def failure(function_name: str, error: BaseException) -> None:
    """Logs that a function failed.

    An error of AWS, and one that the worker raises on purpose, is one line; any other one has its
    traceback.
    """
    # Imported here, since chalicelib reads the settings at import.
    from chalicelib.kernel.jobs.worker import BatchIncomplete

    if isinstance(error, BatchIncomplete):
        _log.info("%s: %s", function_name, error)
    elif isinstance(error, BotoCoreError | ClientError):
        _log.warning("%s: %s", function_name, error)
    else:
        _log.error("%s failed: %r", function_name, error, exc_info=error)


def install(stream: TextIO | None = None) -> None:
    """Makes all log records of this process readable."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Readable(colour=stream.isatty()))
    logging.getLogger().handlers = [handler]
    for name in ("backburner", "infra"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.INFO)


def silence() -> None:
    """Stops all logging, for a program with its own output."""
    for name in (None, "backburner", "infra"):
        logging.getLogger(name).handlers = [logging.NullHandler()]
        logging.getLogger(name).setLevel(logging.CRITICAL)

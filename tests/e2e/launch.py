"""Run by ministack's own interpreter: ministack, for as long as the tests live, and corrected.

Corrected are alarms and tables, each in a file of corrections/, and whom PartiQL is allowed to:
AWS knows no action for ExecuteStatement or
BatchExecuteStatement: each statement needs dynamodb:PartiQLUpdate (Select, Insert, Delete) on its
table. ministack asks for dynamodb:BatchExecuteStatement on "*".
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
"""

import functools
import importlib
import json
import os
import re
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OF_STATEMENTS = ("dynamodb:ExecuteStatement", "dynamodb:BatchExecuteStatement")
#: The first word, and the name after the word that a table's name follows.
_STATEMENT = re.compile(
    r'\s*(?=(\w+)).*?\b(?:UPDATE|INTO|FROM)\s+"?([\w.-]+)', re.IGNORECASE | re.DOTALL
)

Checks = list[tuple[str, str]]  #: (action, ARN), of which the role needs all


def _end_with_the_tests() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)  # the whole group, however the tests went


def _checks(
    others: Callable[..., Checks], action: str, body: bytes, region: str, account: str
) -> Checks:
    """What ministack shall ask of the role, and by `others` what it asks by itself.

    One denied statement denies the call. AWS may deny the statement alone (BatchStatementError
    has the code AccessDenied), which to the application is the same: it makes the changes alone.
    """
    if action not in _OF_STATEMENTS:
        return others(action, body, region, account)
    asked = json.loads(body)
    tables = f"arn:aws:dynamodb:{region}:{account}:table/"
    return [_check(each["Statement"], tables) for each in asked.get("Statements", [asked])]


def _check(statement: str, tables: str) -> tuple[str, str]:
    found = _STATEMENT.match(statement)
    word, table = found.groups() if found else ("", "*")
    return f"dynamodb:PartiQL{word.capitalize()}", tables + table


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    iam: Any = importlib.import_module("ministack.core.iam_actions")
    # Of a transaction, too, each part is asked for by itself: it does the same.
    iam.dynamodb_transaction_checks = functools.partial(_checks, iam.dynamodb_transaction_checks)
    sys.path.append(str(Path(__file__).with_name("corrections")))
    for name in ("alarms", "tables"):
        importlib.import_module(name).install()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")

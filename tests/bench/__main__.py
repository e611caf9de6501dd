"""Measures what the shipped code costs, prints it and writes build/bench.json.

    python -m tests.bench                       all but the peers' queues; quiet cores, please
    python -m tests.bench --rounds 5 --shared   few rounds, by the best of each, on a busy machine
    python -m tests.bench --only cpu
    python -m tests.bench --profile             where the CPU of an accepted request goes
    python -m tests.bench --queues              Celery and dramatiq too

Ends with 1 when a figure falls short of its bound; with --report it says so and ends with 0, for
machines on which nobody can tell what else runs.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from tests.bench import accepting, costing, delivering, queueing, starting
from tests.bench.figures import Figure, table
from tests.bench.trees import PROJECT

OUT = PROJECT / "build" / "bench.json"
START_ROUNDS, CPU_ROUNDS = 21, 11
T = TypeVar("T")
PARTS = ("start", "cpu", "calls", "cost")


def main(arguments: list[str] | None = None) -> int:
    given = _parse(arguments)
    if given.profile:
        _say(accepting.profiled())
        return 0
    wanted = given.only or PARTS
    kinds: dict[str, tuple[str, Callable[[], list[Figure]]]] = {
        "start": (
            "Cold start, above a bare interpreter",
            lambda: starting.measured(given.rounds or START_ROUNDS, least=given.shared),
        ),
        "cpu": (
            "An accepted POST /admin/v1/users",
            lambda: accepting.measured(given.rounds or CPU_ROUNDS, least=given.shared),
        ),
        "calls": ("Delivering", lambda: _apart(delivering.measured)),
        "queues": ("Against other queues", queueing.measured),
    }
    figures: list[Figure] = []
    for part, (title, measure) in kinds.items():
        if part in wanted or (part == "queues" and given.queues):
            found = measure()
            figures += found
            _say(table(title, found))
    costs = _apart(costing.measured) if "cost" in wanted else []
    if costs:
        _say(costing.table(costs))
    _write(figures, costs)
    short = [figure.name for figure in figures if not figure.holds]
    _say(f"\n{len(short)} of {len(figures)} figures fall short; all in {OUT.relative_to(PROJECT)}")
    for name in short:
        _say(f"  {name}")
    return 1 if short and not given.report else 0


def _apart(measure: Callable[[], T]) -> T:
    """In a process of its own: there is one local cloud in a process, and never a second."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure).result()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, help="of cold starts and of CPU")
    parser.add_argument("--shared", action="store_true", help="others use the cores: take the best")
    parser.add_argument("--report", action="store_true", help="end with 0 whatever the figures")
    parser.add_argument("--only", action="append", choices=(*PARTS, "queues"))
    parser.add_argument("--profile", action="store_true", help="of an accepted request; no figures")
    parser.add_argument("--queues", action="store_true", help="Celery and dramatiq too")
    return parser.parse_args(arguments)


def _write(figures: list[Figure], costs: list[costing.Use]) -> None:
    told: dict[str, Any] = {"figures": [figure.as_json() for figure in figures]}
    if costs:
        told["costs"] = [use.as_json() for use in costs]
        told["idle_month_dollars"] = costing.idle_month()
        told["tenant_month_dollars"] = costing.per_tenant(costs)
        told["prices"] = {"dated": costing.prices.DATED, "region": costing.prices.REGION}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

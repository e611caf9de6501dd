"""CPU of an accepted POST /admin/v1/users: the whole handler, with AWS answering at once.

Each round runs every variant in a process of its own, one after another in another order, and
pairs their figures; the median of the pairs' ratios is what counts. The stub that answers for AWS
is the same file for all of them (measured/answers.py).
"""

import random
import statistics

from tests.bench import trees
from tests.bench.figures import Figure
from tests.bench.processes import measure, run

REQUESTS = 300


def measured(rounds: int, *, least: bool = False) -> list[Figure]:
    """The figures; with `least` by the best twenty requests, for cores that others use too."""
    variants = trees.all_trees()
    options = ("least",) if least else ()
    spent: dict[str, list[float]] = {tree.name: [] for tree in variants}
    calls: dict[str, float] = {}
    for _ in range(rounds):
        for tree in random.sample(variants, len(variants)):
            milliseconds, made = measure("accept.py", tree, str(REQUESTS), *options)
            spent[tree.name].append(milliseconds)
            calls[tree.name] = made
    return [
        Figure("CPU of an accepted POST ÷ raw boto3", _paired(spent, "raw"), "x", 1.0, 0.85),
        Figure(
            "CPU of an accepted POST ÷ typical stack", _paired(spent, "typical"), "x", 0.45, 0.38
        ),
        *(
            Figure(
                f"  {name}: CPU", statistics.median(each), "ms", note=f"{calls[name]:g} AWS calls"
            )
            for name, each in spent.items()
        ),
    ]


def profiled() -> str:
    """Where the CPU of ours goes, by function."""
    return run("accept.py", trees.Tree("ours", trees.ours()), str(REQUESTS), "profile")


def _paired(spent: dict[str, list[float]], reference: str) -> float:
    pairs = zip(spent["ours"], spent[reference], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)

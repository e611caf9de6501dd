"""Cold starts: what a package costs above a bare interpreter, counted in two ways.

Import alone: the app, or the handler, and its two clients. To the first answer: that, and the first
accepted POST /admin/v1/users, for which ours imports the domain of people.

Each round starts every variant once, in a fresh process and in another order; compared are the
medians. Nothing is compiled and written at run time, as on Lambda's read-only file system; time
is wall-clock, CPU stands beside it for machines that do something else meanwhile.
"""

import random
import statistics
from collections.abc import Callable
from pathlib import Path

from tests.bench import trees
from tests.bench.figures import Figure
from tests.bench.processes import measure
from tests.bench.trees import Tree

Samples = dict[str, list[tuple[float, ...]]]
Spent = dict[str, float]


def measured(rounds: int, *, least: bool = False) -> list[Figure]:
    """The figures; with `least` by each variant's best start, for cores that others use too."""
    variants = [*trees.all_trees(), Tree("bare", Path("/nonexistent"))]
    before = {tree.name: trees.bytecode(tree.path) for tree in variants}
    alone, answered = _samples(variants, rounds), _samples(variants, rounds, "request")
    if before != {tree.name: trees.bytecode(tree.path) for tree in variants}:
        raise RuntimeError("a start wrote bytecode: the next one was no cold start")
    typical = min if least else statistics.median
    return [*_of_import(alone, typical), *_of_first_answer(answered, typical)]


def _samples(variants: list[Tree], rounds: int, *options: str) -> Samples:
    samples: Samples = {tree.name: [] for tree in variants}
    for tree in variants:
        measure("start.py", tree, *options)  # files come from the disk once for all
    for _ in range(rounds):
        for tree in random.sample(variants, len(variants)):
            samples[tree.name].append(measure("start.py", tree, *options))
    return samples


def _of_import(samples: Samples, typical: Callable[[list[float]], float]) -> list[Figure]:
    wall, cpu, memory = _spent(samples, typical)
    return [
        Figure("import ÷ boto3 with two clients", wall["ours"] / wall["raw"], "x", 0.90, 0.75),
        Figure("  the same in CPU", cpu["ours"] / cpu["raw"]),
        Figure("import ÷ typical stack", wall["ours"] / wall["typical"], "x", 0.25),
        Figure("  the same in CPU", cpu["ours"] / cpu["typical"]),
        Figure("resident memory after it", memory["ours"], "MB", 45),
        *(
            Figure(f"  {name}: import", wall[name], "ms", note=f"{memory[name]:.1f} MB")
            for name in ("ours", "raw", "typical")
        ),
    ]


def _of_first_answer(samples: Samples, typical: Callable[[list[float]], float]) -> list[Figure]:
    wall, cpu, _ = _spent(samples, typical)
    return [
        Figure("to the first accepted POST ÷ raw boto3's", wall["ours"] / wall["raw"], "x", 1.1),
        Figure("  the same in CPU", cpu["ours"] / cpu["raw"]),
        Figure("to the first accepted POST ÷ typical stack's", wall["ours"] / wall["typical"]),
        *(
            Figure(f"  {name}: to the first accepted POST", wall[name], "ms")
            for name in ("ours", "raw", "typical")
        ),
    ]


def _spent(samples: Samples, typical: Callable[[list[float]], float]) -> tuple[Spent, Spent, Spent]:
    """Milliseconds by the clock and of the CPU above the bare interpreter, and megabytes."""
    wall, cpu, memory = (
        {name: typical([each[at] for each in found]) for name, found in samples.items()}
        for at in range(3)
    )
    wall, cpu = ({name: spent[name] - spent["bare"] for name in spent} for spent in (wall, cpu))
    return wall, cpu, memory

"""Cold starts: what importing the package and making its clients costs above a bare interpreter.

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


def measured(rounds: int, *, least: bool = False) -> list[Figure]:
    """The figures; with `least` by each variant's best start, for cores that others use too."""
    variants = [*trees.all_trees(), Tree("bare", Path("/nonexistent"))]
    before = {tree.name: trees.bytecode(tree.path) for tree in variants}
    samples = _samples(variants, rounds)
    if before != {tree.name: trees.bytecode(tree.path) for tree in variants}:
        raise RuntimeError("a start wrote bytecode: the next one was no cold start")
    return _figures(samples, min if least else statistics.median)


def _samples(variants: list[Tree], rounds: int) -> Samples:
    samples: Samples = {tree.name: [] for tree in variants}
    for tree in variants:
        measure("start.py", tree)  # files come from the disk once for all
    for _ in range(rounds):
        for tree in random.sample(variants, len(variants)):
            samples[tree.name].append(measure("start.py", tree))
    return samples


def _figures(samples: Samples, typical: Callable[[list[float]], float]) -> list[Figure]:
    wall, cpu, memory = (
        {name: typical([each[at] for each in found]) for name, found in samples.items()}
        for at in range(3)
    )
    wall, cpu = ({name: spent[name] - spent["bare"] for name in spent} for spent in (wall, cpu))
    return [
        Figure("cold start ÷ boto3 with two clients", wall["ours"] / wall["raw"], "x", 0.85, 0.75),
        Figure("  the same in CPU", cpu["ours"] / cpu["raw"]),
        Figure("cold start ÷ typical stack", wall["ours"] / wall["typical"], "x", 0.25),
        Figure("  the same in CPU", cpu["ours"] / cpu["typical"]),
        Figure("resident memory after it", memory["ours"], "MB", 45),
        *(
            Figure(f"  {name}: cold start", wall[name], "ms", note=f"{memory[name]:.1f} MB")
            for name in ("ours", "raw", "typical")
        ),
    ]

"""`python -m tests.simulation`: many seeds, what happened in them, and which broke a promise.

python -m tests.simulation --seeds 500 --rate 0.2 --processes 2
python -m tests.simulation --seed 7 --trace
python -m tests.simulation --mutant no-sweep --seeds 60
python -m tests.simulation --flow projects --seed 7 --trace
python -m tests.simulation --conflicts --seeds 60
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tests.simulation.calls import Counts
from tests.simulation.simulate import FLOWS, RATE, Verdict, simulate

_PROGRESS_SECONDS = 10
_SHOWN = 10  #: broken invariants of a seed that are printed


@dataclass(frozen=True)
class Chosen:
    """What is played, whatever the seed."""

    rate: float = RATE
    mutant: str | None = None
    flow: str = "messages"
    conflicts: bool = False

    def simulate(self, seed: int) -> Verdict:
        return simulate(seed, self.rate, self.mutant, self.flow, conflicts=self.conflicts)


def main(arguments: list[str]) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.mutant is not None and given.mutant not in FLOWS[given.flow].mutants:
        parser.error(f"mutants of {given.flow}: {', '.join(sorted(FLOWS[given.flow].mutants))}")
    chosen = Chosen(given.rate, given.mutant, given.flow, given.conflicts)
    if given.seed is not None:
        return _one(given.seed, chosen, trace=given.trace)
    return _many(given, chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--rate", type=float, default=RATE, help="share of calls that go wrong")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--flow", choices=sorted(FLOWS), default="messages", help="what is played")
    parser.add_argument("--mutant", help="take out one safeguard of the flow's")
    parser.add_argument(
        "--conflicts", action="store_true", help="transactions take time; what meets one is refused"
    )
    parser.add_argument("--trace", action="store_true", help="print every event of the seed")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _one(seed: int, chosen: Chosen, *, trace: bool) -> int:
    verdict = chosen.simulate(seed)
    if trace:
        print("\n".join(verdict.trace))
    print(f"seed {seed}: course {verdict.digest}, {verdict.counts.calls} calls")
    _print_broken(verdict, chosen)
    return 1 if verdict.broken else 0


def _many(given: argparse.Namespace, chosen: Chosen) -> int:
    began, total, broken = time.monotonic(), Counts(), []
    told = began
    for number, verdict in enumerate(verdicts(given, chosen), start=1):
        total.add(verdict.counts)
        if verdict.broken:
            broken.append(verdict.seed)
            _print_broken(verdict, chosen)
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"{number} of {given.seeds} seeds, {len(broken)} broken", flush=True)
    print(table(total, given.seeds, len(broken), time.monotonic() - began))
    return 1 if broken else 0


def verdicts(given: argparse.Namespace, chosen: Chosen) -> Iterator[Verdict]:
    """One for each seed, as they are done."""
    seeds = range(given.first, given.first + given.seeds)
    play = partial(_play, chosen=chosen)
    if given.processes < 2:
        yield from map(play, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(given.processes) as pool:
        yield from pool.imap_unordered(play, seeds)


def _play(seed: int, chosen: Chosen) -> Verdict:
    verdict = chosen.simulate(seed)
    verdict.trace = []
    return verdict


def _print_broken(verdict: Verdict, chosen: Chosen) -> None:
    if not verdict.broken:
        return
    print(f"seed {verdict.seed} is broken:")
    for wrong in verdict.broken[:_SHOWN]:
        print(f"  {wrong}")
    print(f"  replay: {replay_command(verdict.seed, chosen)}", flush=True)


def replay_command(seed: int, chosen: Chosen | None = None) -> str:
    """What shows this very course of events again."""
    chosen = chosen or Chosen()
    given = "" if chosen.flow == "messages" else f" --flow {chosen.flow}"
    given += "" if chosen.rate == RATE else f" --rate {chosen.rate}"
    given += f" --mutant {chosen.mutant}" if chosen.mutant else ""
    given += " --conflicts" if chosen.conflicts else ""
    return f".venv/bin/python -m tests.simulation --seed {seed}{given} --trace"


def table(total: Counts, seeds: int, broken: int, seconds: float) -> str:
    """The figures of a run."""
    faults = total.faults.most_common()
    rows = [
        ("seeds", seeds),
        ("seeds with a broken invariant", broken),
        ("AWS calls", total.calls),
        ("things that went wrong", sum(count for _, count in faults)),
        *((f"  {kind}", count) for kind, count in faults),
    ]
    for title, counts in (
        ("messages sent", total.sends),
        ("ambiguous windows", total.windows),
        ("repeated messages", total.repeats),
    ):
        rows.append((title, sum(counts.values())))
        rows += [(f"  {channel}", counts[channel]) for channel in ("email", "sms")]
    for events in ("prompt", "muted", "loose"):
        rows.append((f"  e-mail, events {events}", total.repeats_by_events[f"email, {events}"]))
    lines = [f"{title:<36}{figure:>10,}" for title, figure in rows]
    return "\n".join([*lines, f"{'seconds':<36}{seconds:>10,.0f}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

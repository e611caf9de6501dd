# ruff: noqa: INP001  not of a package: it runs where nothing of ours is on the path
"""One cold start, in a process of its own: python -I -S -B start.py <variant> <tree>

Prints what came on top of the bare interpreter, and the memory that is resident at the end.
"""

import sys
import time

WALL, CPU = time.perf_counter(), time.process_time()


def ours() -> None:
    """The app, and the two clients that the references make while they are imported."""
    import app  # noqa: F401
    from chalicelib.kernel import aws

    aws.client("dynamodb")
    aws.client("sqs")


def raw() -> None:
    import handler  # noqa: F401


def typical() -> None:
    import app  # noqa: F401


def bare() -> None:
    """Nothing."""


if __name__ == "__main__":
    variant, tree = sys.argv[1:]
    sys.path.insert(0, tree)
    {"ours": ours, "raw": raw, "typical": typical, "bare": bare}[variant]()
    spent = (time.perf_counter() - WALL) * 1000, (time.process_time() - CPU) * 1000
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  pathlib costs
        (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
    sys.stdout.write(f"{spent[0]} {spent[1]} {int(peak) / 1000}\n")

# ruff: noqa: INP001  not of a package: it runs where nothing of ours is on the path
"""One cold start, in a process of its own: python -I -S -B start.py <variant> <tree> [request]

Prints what came on top of the bare interpreter, and the memory that is resident at the end. With
`request` the start ends with the first accepted POST /admin/v1/users, which AWS answers at once;
what the measurement itself needs for it is imported while no clock runs.
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


def seconds() -> tuple[float, float]:
    return time.perf_counter() - WALL, time.process_time() - CPU


def first_request(variant: str) -> tuple[float, float]:
    """Seconds until the variant has accepted a user."""
    sys.path.append(__file__.rpartition("/")[0])
    import accept
    import answers

    answers.install()
    handle, event, context = accept.handler(variant), accept.event(), accept.Context()
    before = seconds()
    answer = handle(event, context)
    wall, cpu = (now - then for now, then in zip(seconds(), before, strict=True))
    if answer["statusCode"] != 201:
        raise SystemExit(f"not accepted: {answer}")
    return wall, cpu


if __name__ == "__main__":
    variant, tree, *asked = sys.argv[1:]
    sys.path.insert(0, tree)
    {"ours": ours, "raw": raw, "typical": typical, "bare": bare}[variant]()
    spent = seconds()
    if asked and variant != "bare":
        spent = tuple(map(sum, zip(spent, first_request(variant), strict=True)))
    spent = tuple(1000 * each for each in spent)
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  pathlib costs
        (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
    sys.stdout.write(f"{spent[0]} {spent[1]} {int(peak) / 1000}\n")

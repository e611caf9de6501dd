"""Figures with the bounds they must keep, and how they are shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure; with a bound it holds or falls short, without one it only informs."""

    name: str
    value: float
    unit: str = "x"
    most: float | None = None  #: the bound
    aim: float | None = None  #: what we would like
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.most is None or self.value <= self.most

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "holds": self.holds}

    def line(self) -> str:
        bound = "" if self.most is None else f"≤ {self.most:g}"
        aim = "" if self.aim is None else f"aim {self.aim:g}"
        verdict = "" if self.most is None else "holds" if self.holds else "FALLS SHORT"
        value = f"{self.value:.2f} {self.unit}"
        return (
            f"  {self.name:<58} {value:>12}  {bound:<7} {aim:<9} {verdict:<11} {self.note}".rstrip()
        )


def table(title: str, figures: Iterable[Figure]) -> str:
    return "\n".join([f"\n{title}", *(figure.line() for figure in figures)])

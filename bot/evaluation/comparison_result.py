"""The shapes of a comparison of two runs: settings, metrics, questions left over, and what could be seen at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.evaluation.statistics import ALPHA


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the headers that differs; None where a run does not have it."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Row:
    """One metric in both runs, over the paired questions; the difference is B minus A.

    `p` is None where there is no test, `wins` (B better), `ties` and `losses` where a single question has no
    better or worse. `n` questions have the metric in either run, `in_one` of them in one only.
    """

    metric: str
    better: Literal["higher", "lower"] | None
    a: float
    b: float
    difference: float
    ci: tuple[float, float]
    p: float | None
    n: int
    in_one: int
    wins: int | None
    ties: int | None
    losses: int | None

    @property
    def drop(self) -> float:
        """By how much B is worse; for a metric without a direction, by how much it is lower."""
        return self.b - self.a if self.better == "lower" else self.a - self.b

    @property
    def change(self) -> Literal["worse", "better"] | None:
        """Whether B is significantly worse or better at 5 %."""
        if self.p is None or self.better is None or self.p >= ALPHA:
            return None
        return "worse" if self.drop > 0 else "better"


@dataclass(frozen=True, slots=True)
class MinimumDetectableDrop:
    """The smallest drop of a metric that these questions show; None where they are too few for any.

    `identical`: the runs do not differ, so that the spread is a single run's, as if two were independent.
    """

    metric: str
    n: int
    drop: float | None
    identical: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run B against run A; `failed` counts both runs'.

    `metrics` holds what is significantly worse, then what is better, then the rest, each by p.
    """

    settings: tuple[Setting, ...]
    paired: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changed: tuple[str, ...]
    failed: tuple[int, int]
    metrics: tuple[Row, ...]
    metrics_in_one: tuple[str, ...]
    detectable: MinimumDetectableDrop | None

    @property
    def regressions(self) -> tuple[Row, ...]:
        """The metrics that are significantly worse in B."""
        return tuple(row for row in self.metrics if row.change == "worse")

    def fields(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        metrics = [{**asdict(row), "change": row.change} for row in self.metrics]
        return {**asdict(self), "metrics": metrics, "regressions": [row.metric for row in self.regressions]}

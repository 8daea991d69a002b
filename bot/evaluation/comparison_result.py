"""Result types of a comparison: settings, metrics, unpaired questions and the minimum detectable drop."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.evaluation.statistics import ALPHA


@dataclass(frozen=True, slots=True)
class Setting:
    """A header key with different values in the runs; a value is None if a run does not have the key."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Row:
    """One metric in both runs, over the paired questions.

    Args:
        metric: name of the metric.
        better: direction of the metric, or None if it has none.
        a: value in run A.
        b: value in run B.
        difference: B minus A.
        ci: 95 % confidence interval of the difference.
        p: p-value, or None if the metric is not tested.
        n: questions with the metric in at least one run.
        in_one: questions with the metric in only one run.
        wins: questions for which B is better, or None if the metric cannot be compared for a single question.
        ties: questions for which both runs are equal, or None.
        losses: questions for which B is worse, or None.
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
        """The amount by which B is worse, or lower if the metric has no direction."""
        return self.b - self.a if self.better == "lower" else self.a - self.b

    @property
    def change(self) -> Literal["worse", "better"] | None:
        """The significant change of B at the 5 % level, or None."""
        if self.p is None or self.better is None or self.p >= ALPHA:
            return None
        return "worse" if self.drop > 0 else "better"


@dataclass(frozen=True, slots=True)
class MinimumDetectableDrop:
    """The smallest drop of a metric that these questions can show.

    Args:
        metric: name of the metric.
        n: number of paired questions.
        drop: the drop, or None if there are too few questions.
        identical: the runs are equal, so the drop is computed for two independent runs from the spread of one.
    """

    metric: str
    n: int
    drop: float | None
    identical: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of run B with run A.

    Args:
        settings: settings that differ.
        paired: number of questions in both runs.
        only_a: ids of the questions only in run A.
        only_b: ids of the questions only in run B.
        changed: ids in both runs, but with different content.
        failed: number of failed questions in A and in B.
        metrics: significantly worse metrics, then better ones, then the rest, each group ordered by p-value.
        metrics_in_one: names of the metrics that only one run has.
        detectable: minimum detectable drop, or None if no main metric is in both runs.
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
        """Metrics that are significantly worse in B."""
        return tuple(row for row in self.metrics if row.change == "worse")

    def fields(self) -> dict[str, Any]:
        """Return all fields as JSON-serializable values."""
        metrics = [{**asdict(row), "change": row.change} for row in self.metrics]
        return {**asdict(self), "metrics": metrics, "regressions": [row.metric for row in self.regressions]}

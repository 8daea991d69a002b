"""Figures shown in every report format: metrics, error categories, tags, settings and the risk of answering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.evaluation.error_analysis import EXPLANATIONS, classify, is_answered, is_gradable
from bot.evaluation.metrics import METRICS, Observations, run_observations
from bot.evaluation.models import Outcome, Run, Summary
from bot.evaluation.statistics import wilson

RIGHT: Final = "right"
NOT_JUDGED: Final = "not judged"
RESULTS: Final[Mapping[str, str]] = {
    **{str(diagnosis): meaning for diagnosis, meaning in EXPLANATIONS.items()},
    RIGHT: "nothing wrong was found",
    NOT_JUDGED: "the test set does not say enough to judge it",
}
_UNBOUNDED = {"words": "{:.1f}", "p50_ms": "{:,.0f}", "p95_ms": "{:,.0f}"}  # the rest is in 0..1


@dataclass(frozen=True, slots=True)
class Figure:
    """A formatted metric.

    Args:
        name: name of the metric.
        meaning: explanation for users.
        over: the kind of observations.
        value: the value.
        interval: the 95 % interval.
        n: number of observations.
        drawn: lower bound, value and upper bound, or None if the metric has no interval or can be outside 0..1.
    """

    name: str
    meaning: str
    over: str
    value: str
    interval: str
    n: int
    drawn: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class TagRow:
    """Results of one tag: number of questions, number of wrong ones, and the `answer` metric with its interval."""

    tag: str
    questions: int
    wrong: int
    answer: str
    interval: str
    drawn: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Share of the questions answered with at least `confidence` (`coverage`), and share of these wrong (`risk`)."""

    confidence: float
    coverage: float
    risk: float


def figures(summary: Summary) -> list[Figure]:
    """Return the formatted metrics of a summary, in the order of `METRICS`."""
    names = [name for name in METRICS if name in summary.metrics]
    names += [name for name in summary.metrics if name not in METRICS]
    return [_build_figure(name, summary) for name in names]


def result_of(outcome: Outcome) -> str:
    """Return the result of a question: an error category, `RIGHT` or `NOT_JUDGED`."""
    return classify(outcome) or (RIGHT if is_gradable(outcome) else NOT_JUDGED)


def result_class(result: str) -> str:
    """Return the class of a result: "good", "bad" or neutral ("soft")."""
    return {RIGHT: "good", NOT_JUDGED: "soft"}.get(result, "bad")


def result_counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the questions by result: the most common error category first, right and not judged last.

    Results without questions are included.
    """
    counted = Counter(map(result_of, outcomes))
    faults = sorted(EXPLANATIONS, key=lambda fault: -counted[fault])
    return {result: counted[result] for result in (*faults, RIGHT, NOT_JUDGED)}


def result_summary(outcomes: Sequence[Outcome]) -> str:
    """Return one line with the numbers of right and wrong questions and the most common error category."""
    counts = result_counts(outcomes)
    commonest = next(iter(counts))
    right, unknown = counts[RIGHT], counts[NOT_JUDGED]
    wrong = len(outcomes) - right - unknown
    parts = [f"{right:,} of {len(outcomes):,} questions right", f"{wrong:,} wrong"]
    if wrong:
        parts[-1] += f", most often “{commonest}” ({counts[commonest]:,})"
    if unknown:
        parts.append(f"{unknown:,} not judged")
    return "; ".join(parts) + "."


def tags_of(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the tags, most frequent first."""
    counted = Counter(tag for outcome in outcomes for tag in dict.fromkeys(outcome.case.tags))
    return sorted(counted, key=lambda tag: (-counted[tag], tag))


def by_tag(outcomes: Sequence[Outcome]) -> list[TagRow]:
    """Return the results of each tag, most frequent first."""
    having: dict[str, list[tuple[Outcome, Observations]]] = {tag: [] for tag in tags_of(outcomes)}
    for outcome, seen in zip(outcomes, run_observations(outcomes), strict=True):
        for tag in dict.fromkeys(outcome.case.tags):
            having[tag].append((outcome, seen))
    return [_build_tag_row(tag, members) for tag, members in having.items()]


def settings_of(header: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a header with dotted keys on one level and values as text."""
    result: dict[str, str] = {}
    for key, value in header.items():
        if isinstance(value, Mapping):
            result |= settings_of(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = "–" if value is None else str(value)
    return result


def missing_questions(run: Run) -> int:
    """Return the number of questions of the run that have no outcome yet."""
    expected = run.header.get("questions")
    return max(0, expected - len(run.outcomes)) if isinstance(expected, int) else 0


def risk_coverage(outcomes: Sequence[Outcome]) -> list[RiskPoint]:
    """Return the risk-coverage curve for a decreasing confidence threshold.

    The curve covers the questions that can be judged; refused and failed questions are never answered. An answer is
    wrong if the question is unanswerable, if the answer lacks the gold answer or, without a gold answer, if it cites
    no gold article. Equal confidences form one point.
    """
    judged = [outcome for outcome in outcomes if is_gradable(outcome)]
    given = sorted(
        ((o.answer.confidence, _is_wrong(o)) for o in judged if o.answer and is_answered(o)), reverse=True
    )
    points: list[RiskPoint] = []
    wrong = 0
    for count, (confidence, bad) in enumerate(given, start=1):
        wrong += bad
        point = RiskPoint(confidence, count / len(judged), wrong / count)
        if points and points[-1].confidence == confidence:
            points.pop()
        points.append(point)
    return points


def risk_steps(points: Sequence[RiskPoint], steps: int = 5) -> list[RiskPoint]:
    """Return the first points at which each fifth (for 5 steps) of the answers is given, to summarize the curve."""
    if not points:
        return []
    wanted = [points[-1].coverage * step / steps for step in range(1, steps + 1)]
    chosen = [next(point for point in points if point.coverage >= share - 1e-9) for share in wanted]
    return list(dict.fromkeys(chosen))


def _build_figure(name: str, summary: Summary) -> Figure:
    value, interval = summary.metrics[name], summary.ci.get(name)
    pattern = _UNBOUNDED.get(name, "{:.3f}")
    drawn = (interval[0], value, interval[1]) if interval and name not in _UNBOUNDED else None
    metric = METRICS.get(name)
    return Figure(
        name,
        metric.description if metric else "",
        metric.over if metric else "",
        pattern.format(value),
        _format_interval(interval, pattern),
        summary.n.get(name, 0),
        drawn,
    )


def _format_interval(interval: tuple[float, float] | None, pattern: str = "{:.3f}") -> str:
    return "–".join(map(pattern.format, interval)) if interval else "n/a"


def _build_tag_row(tag: str, members: Sequence[tuple[Outcome, Observations]]) -> TagRow:
    scores = [score for _, seen in members for score in seen.get("answer", ())]
    wrong = sum(classify(member) is not None for member, _ in members)
    if not scores:
        return TagRow(tag, len(members), wrong, "n/a", "n/a", None)
    value = sum(scores) / len(scores)
    low, high = wilson(round(sum(scores)), len(scores))
    return TagRow(tag, len(members), wrong, f"{value:.3f}", _format_interval((low, high)), (low, value, high))


def _is_wrong(outcome: Outcome) -> bool:
    diagnosis = classify(outcome)
    return diagnosis is not None and not (diagnosis == "badly cited" and outcome.case.answers)

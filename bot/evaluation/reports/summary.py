"""What every report of a run shows, whatever its format: figures, faults, tags, settings, the risk of answering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.evaluation.error_analysis import EXPLANATIONS, answered, classify, is_gradable
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
_UNBOUNDED = {"words": "{:.1f}", "p50_ms": "{:,.0f}", "p95_ms": "{:,.0f}"}  # the rest lies in 0..1


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric as it is shown; `drawn` is low end, value and high end, None where they leave 0..1."""

    name: str
    meaning: str
    over: str
    value: str
    interval: str
    n: int
    drawn: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class TagRow:
    """The questions of one tag: how many, how many went wrong, and the `answer` metric with its interval."""

    tag: str
    questions: int
    wrong: int
    answer: str
    interval: str
    drawn: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Answering from `confidence` up: the share of the questions answered, and the share of those wrong."""

    confidence: float
    coverage: float
    risk: float


def figures(summary: Summary) -> list[Figure]:
    """Return the metrics of a summary as they are shown, in the design's order."""
    names = [name for name in METRICS if name in summary.metrics]
    names += [name for name in summary.metrics if name not in METRICS]
    return [_figure(name, summary) for name in names]


def result_of(outcome: Outcome) -> str:
    """Say in a word how a question went: a diagnosis, `RIGHT` or `NOT_JUDGED`."""
    return classify(outcome) or (RIGHT if is_gradable(outcome) else NOT_JUDGED)


def result_class(result: str) -> str:
    """Say whether a result is "good", "bad" or neither ("soft")."""
    return {RIGHT: "good", NOT_JUDGED: "soft"}.get(result, "bad")


def result_counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the questions by how they went: the commonest fault first, what is right and not judged last.

    Every result is there, also those with none.
    """
    counted = Counter(map(result_of, outcomes))
    faults = sorted(EXPLANATIONS, key=lambda fault: -counted[fault])
    return {result: counted[result] for result in (*faults, RIGHT, NOT_JUDGED)}


def result_summary(outcomes: Sequence[Outcome]) -> str:
    """Say in a line how many questions went right and wrong, and what went wrong most often."""
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
    """Return the tags, those of most questions first."""
    counted = Counter(tag for outcome in outcomes for tag in dict.fromkeys(outcome.case.tags))
    return sorted(counted, key=lambda tag: (-counted[tag], tag))


def by_tag(outcomes: Sequence[Outcome]) -> list[TagRow]:
    """Return the results of each tag, those of most questions first."""
    having: dict[str, list[tuple[Outcome, Observations]]] = {tag: [] for tag in tags_of(outcomes)}
    for outcome, seen in zip(outcomes, run_observations(outcomes), strict=True):
        for tag in dict.fromkeys(outcome.case.tags):
            having[tag].append((outcome, seen))
    return [_tagged(tag, members) for tag, members in having.items()]


def settings_of(header: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a header as one level of keys, with dots, and texts."""
    result: dict[str, str] = {}
    for key, value in header.items():
        if isinstance(value, Mapping):
            result |= settings_of(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = "–" if value is None else str(value)
    return result


def missing_questions(run: Run) -> int:
    """Return how many questions of the run have no outcome yet."""
    expected = run.header.get("questions")
    return max(0, expected - len(run.outcomes)) if isinstance(expected, int) else 0


def risk_coverage(outcomes: Sequence[Outcome]) -> list[RiskPoint]:
    """Return what a falling confidence threshold would answer, and how much of that is wrong.

    Over the questions that can be judged; those that were refused or failed are never answered. An answer is
    wrong when the question is unanswerable, when it lacks the gold answer or, where none is known, when it
    cites no gold article. Equal confidences fall together.
    """
    judged = [outcome for outcome in outcomes if is_gradable(outcome)]
    given = sorted(
        ((o.answer.confidence, _wrong(o)) for o in judged if o.answer and answered(o)), reverse=True
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
    """Return the first points at which each fifth (or so) of the answers is given: a curve to be read."""
    if not points:
        return []
    wanted = [points[-1].coverage * step / steps for step in range(1, steps + 1)]
    chosen = [next(point for point in points if point.coverage >= share - 1e-9) for share in wanted]
    return list(dict.fromkeys(chosen))


def _figure(name: str, summary: Summary) -> Figure:
    value, interval = summary.metrics[name], summary.ci.get(name)
    pattern = _UNBOUNDED.get(name, "{:.3f}")
    drawn = (interval[0], value, interval[1]) if interval and name not in _UNBOUNDED else None
    metric = METRICS.get(name)
    return Figure(
        name,
        metric.description if metric else "",
        metric.over if metric else "",
        pattern.format(value),
        _interval(interval, pattern),
        summary.n.get(name, 0),
        drawn,
    )


def _interval(interval: tuple[float, float] | None, pattern: str = "{:.3f}") -> str:
    return "–".join(map(pattern.format, interval)) if interval else "n/a"


def _tagged(tag: str, members: Sequence[tuple[Outcome, Observations]]) -> TagRow:
    scores = [score for _, seen in members for score in seen.get("answer", ())]
    wrong = sum(classify(member) is not None for member, _ in members)
    if not scores:
        return TagRow(tag, len(members), wrong, "n/a", "n/a", None)
    value = sum(scores) / len(scores)
    low, high = wilson(round(sum(scores)), len(scores))
    return TagRow(tag, len(members), wrong, f"{value:.3f}", _interval((low, high)), (low, value, high))


def _wrong(outcome: Outcome) -> bool:
    diagnosis = classify(outcome)
    return diagnosis is not None and not (diagnosis == "badly cited" and outcome.case.answers)

"""Compares two runs of the same questions: what was set differently, and what became better or worse by it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.errors import EvaluationError
from bot.evaluation.comparison_result import Comparison, MinimumDetectableDrop, Row, Setting
from bot.evaluation.metrics import (
    METRICS,
    PERCENTILES,
    Observations,
    confidence,
    retrieval_only,
    run_observations,
)
from bot.evaluation.models import Case, Outcome, Run
from bot.evaluation.paired_tests import (
    Difference,
    difference_of_auroc,
    difference_of_means,
    difference_of_percentiles,
)
from bot.evaluation.reports.text import format_comparison
from bot.evaluation.run_log import flatten
from bot.evaluation.statistics import minimum_detectable_drop

__all__ = ["Comparison", "compare", "format_comparison"]

MAIN_METRICS = ("answer", "hit@1")
_EQUAL = 1e-12
"""Means that differ by less are equal: their last digits depend on the order of the sum."""

Observed = Sequence[Observations]


def compare(a: Run, b: Run) -> Comparison:
    """Compare run B with run A, question by question. Raises EvaluationError where no question is in both."""
    pairing = pair(a, b)
    if not pairing.pairs:
        raise EvaluationError(_explain_no_pairs(a, b, pairing))
    before, after = [one for one, _ in pairing.pairs], [two for _, two in pairing.pairs]
    seen = _observed(a, before), _observed(b, after)
    unanswered = retrieval_only(a.outcomes), retrieval_only(b.outcomes)
    rows = [*_means(*seen), *_times(before, after)]
    if not any(unanswered):
        rows += _auroc(before, after)
    return Comparison(
        settings=_settings(a, b),
        paired=len(pairing.pairs),
        only_a=pairing.only_a,
        only_b=pairing.only_b,
        changed=pairing.changed,
        failed=(sum(map(_failed, before)), sum(map(_failed, after))),
        metrics=tuple(sorted(rows, key=_regressions_then_p)),
        metrics_in_one=_unpaired(before, unanswered, *seen),
        detectable=_detectable(*seen),
    )


def _observed(run: Run, paired: Sequence[Outcome]) -> Observed:
    """Return the observations of the paired questions; what applies is said by the run as a whole."""
    by_id = {
        outcome.case.id: found
        for outcome, found in zip(run.outcomes, run_observations(run.outcomes), strict=True)
    }
    return [by_id[outcome.case.id] for outcome in paired]


def _means(a: Observed, b: Observed) -> Iterator[Row]:
    for name, metric in METRICS.items():
        one, two = [x.get(name, ()) for x in a], [y.get(name, ()) for y in b]
        if not any(one) or not any(two):
            continue
        groups = [(x, y) for x, y in zip(one, two, strict=True) if x or y]
        both = [_mean(y) - _mean(x) for x, y in groups if x and y]
        found = difference_of_means([x for x, _ in groups], [y for _, y in groups], share=metric.share)
        yield _row(name, found, n=len(groups), in_one=len(groups) - len(both), differences=both)


def _auroc(before: Sequence[Outcome], after: Sequence[Outcome]) -> Iterator[Row]:
    known = [(x, y) for x, y in zip(before, after, strict=True) if x.case.answerable is not None]
    labels = [bool(x.case.answerable) for x, _ in known]
    if any(labels) and not all(labels):
        one, two = [confidence(x) for x, _ in known], [confidence(y) for _, y in known]
        yield _row("auroc", difference_of_auroc(labels, one, two), n=len(known))


def _times(before: Sequence[Outcome], after: Sequence[Outcome]) -> Iterator[Row]:
    one, two = [x.milliseconds for x in before], [y.milliseconds for y in after]
    for name, share in PERCENTILES.items():
        yield _row(name, difference_of_percentiles(share, one, two), n=len(one))


def _row(name: str, found: Difference, *, n: int, in_one: int = 0, differences: Sequence[float] = ()) -> Row:
    better = METRICS[name].better
    up, down = sum(d > _EQUAL for d in differences), sum(d < -_EQUAL for d in differences)
    counts: tuple[int, int, int] | tuple[None, None, None] = (None, None, None)
    if better and differences:
        ties = len(differences) - up - down
        counts = (up, ties, down) if better == "higher" else (down, ties, up)
    return Row(name, better, found.a, found.b, found.value, found.ci, found.p, n, in_one, *counts)


def _unpaired(
    before: Sequence[Outcome], unanswered: tuple[bool, bool], seen_a: Observed, seen_b: Observed
) -> tuple[str, ...]:
    names = [{name for one in seen for name in one} for seen in (seen_a, seen_b)]
    kinds = {outcome.case.answerable for outcome in before}
    for found, only_retrieved in zip(names, unanswered, strict=True):
        if {True, False} <= kinds and not only_retrieved:
            found.add("auroc")
    return tuple(name for name in METRICS if (name in names[0]) != (name in names[1]))


def _detectable(a: Observed, b: Observed) -> MinimumDetectableDrop | None:
    for name in MAIN_METRICS:
        pairs = [
            (_mean(x[name]), _mean(y[name])) for x, y in zip(a, b, strict=True) if name in x and name in y
        ]
        if pairs:
            return _smallest_drop(name, pairs)
    return None


def _smallest_drop(name: str, pairs: Sequence[tuple[float, float]]) -> MinimumDetectableDrop:
    identical = all(abs(y - x) <= _EQUAL for x, y in pairs)
    # Of two independent runs, the differences spread by the square root of two more than one of them.
    spread = [math.sqrt(2) * x if identical else y - x for x, y in pairs]
    drop = minimum_detectable_drop(spread, binary=METRICS[name].share) if len(pairs) > 1 else math.inf
    return MinimumDetectableDrop(name, len(pairs), drop if drop <= 1 else None, identical)


def _settings(a: Run, b: Run) -> tuple[Setting, ...]:
    before, after = flatten(a.header), flatten(b.header)
    keys = [*before, *(key for key in after if key not in before)]
    return tuple(
        Setting(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)
    )


def _regressions_then_p(row: Row) -> tuple[int, float, int]:
    group = ("worse", "better", None).index(row.change)
    return group, 2.0 if row.p is None else row.p, list(METRICS).index(row.metric)


def _explain_no_pairs(a: Run, b: Run, pairing: Pairing) -> str:
    if not a.outcomes or not b.outcomes:
        return f"run {'B' if a.outcomes else 'A'} holds no answered question: run it first, then compare"
    if pairing.changed:
        count = len(pairing.changed)
        return (
            f"the two runs have no question in common: {count} ids are in both, but with another content; "
            "compare runs of the same test set"
        )
    return "the two runs have no question in common: compare runs of the same test set"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _failed(outcome: Outcome) -> bool:
    return bool(outcome.error) or (outcome.answer is not None and outcome.answer.status == "error")


@dataclass(frozen=True, slots=True)
class Pairing:
    """The questions of two runs: in both, in one only, and with one id but another content (ids)."""

    pairs: tuple[tuple[Outcome, Outcome], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changed: tuple[str, ...]


def pair(a: Run, b: Run) -> Pairing:
    """Pair two runs' outcomes by id and content. Raises EvaluationError for an id that stands twice in a run.

    The pairs are in the order of their ids: which answer came first changes no draw and so no p-value.
    """
    before, after = _by_id(a, "A"), _by_id(b, "B")
    shared = [name for name in before if name in after]
    same = {name: None for name in shared if content(before[name].case) == content(after[name].case)}
    return Pairing(
        pairs=tuple((before[name], after[name]) for name in sorted(same)),
        only_a=tuple(name for name in before if name not in after),
        only_b=tuple(name for name in after if name not in before),
        changed=tuple(name for name in shared if name not in same),
    )


def content(case: Case) -> tuple[object, ...]:
    """Return what makes a question the same one: all but its tags and the keys that Citewire does not know."""
    return (
        case.question,
        case.answers,
        case.long_answers,
        case.articles,
        case.answerable,
        case.asked,
        case.history,
    )


def _by_id(run: Run, name: str) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in run.outcomes:
        if outcome.case.id in found:
            raise EvaluationError(
                f"run {name} holds question {outcome.case.id!r} twice, so it cannot be compared: run it again"
            )
        found[outcome.case.id] = outcome
    return found

"""Paired comparison of two runs of the same questions: settings that differ, and metrics that changed."""

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
from bot.evaluation.run_log import flatten
from bot.evaluation.statistics import minimum_detectable_drop

__all__ = ["Comparison", "compare"]

MAIN_METRICS = ("answer", "hit@1")
_EQUALITY_TOLERANCE = 1e-12
"""Means that differ by less are equal, because their last digits depend on the summation order."""

Observed = Sequence[Observations]


def compare(a: Run, b: Run) -> Comparison:
    """Compare run B with run A, question by question.

    Raises:
        EvaluationError: if the runs have no question in common, or a run contains a question twice.
    """
    pairing = pair_outcomes(a, b)
    if not pairing.pairs:
        raise EvaluationError(_explain_no_pairs(a, b, pairing))
    before, after = [one for one, _ in pairing.pairs], [two for _, two in pairing.pairs]
    seen = _select_observations(a, before), _select_observations(b, after)
    unanswered = retrieval_only(a.outcomes), retrieval_only(b.outcomes)
    rows = [*_compare_means(*seen), *_compare_times(before, after)]
    if not any(unanswered):
        rows += _compare_auroc(before, after)
    return Comparison(
        settings=_changed_settings(a, b),
        paired=len(pairing.pairs),
        only_a=pairing.only_a,
        only_b=pairing.only_b,
        changed=pairing.changed,
        failed=(sum(map(_has_failed, before)), sum(map(_has_failed, after))),
        metrics=tuple(sorted(rows, key=_regressions_then_p)),
        metrics_in_one=_metrics_in_one_run(before, unanswered, *seen),
        detectable=_detectable_drop(*seen),
    )


def _select_observations(run: Run, paired: Sequence[Outcome]) -> Observed:
    """Return the observations of the paired questions; the whole run determines which metrics apply."""
    by_id = {
        outcome.case.id: found
        for outcome, found in zip(run.outcomes, run_observations(run.outcomes), strict=True)
    }
    return [by_id[outcome.case.id] for outcome in paired]


def _compare_means(a: Observed, b: Observed) -> Iterator[Row]:
    for name, metric in METRICS.items():
        one, two = [x.get(name, ()) for x in a], [y.get(name, ()) for y in b]
        if not any(one) or not any(two):
            continue
        groups = [(x, y) for x, y in zip(one, two, strict=True) if x or y]
        both = [_mean(y) - _mean(x) for x, y in groups if x and y]
        found = difference_of_means([x for x, _ in groups], [y for _, y in groups], share=metric.share)
        yield _build_row(name, found, n=len(groups), in_one=len(groups) - len(both), differences=both)


def _compare_auroc(before: Sequence[Outcome], after: Sequence[Outcome]) -> Iterator[Row]:
    known = [(x, y) for x, y in zip(before, after, strict=True) if x.case.answerable is not None]
    labels = [bool(x.case.answerable) for x, _ in known]
    if any(labels) and not all(labels):
        one, two = [confidence(x) for x, _ in known], [confidence(y) for _, y in known]
        yield _build_row("auroc", difference_of_auroc(labels, one, two), n=len(known))


def _compare_times(before: Sequence[Outcome], after: Sequence[Outcome]) -> Iterator[Row]:
    one, two = [x.milliseconds for x in before], [y.milliseconds for y in after]
    for name, share in PERCENTILES.items():
        yield _build_row(name, difference_of_percentiles(share, one, two), n=len(one))


def _build_row(
    name: str, found: Difference, *, n: int, in_one: int = 0, differences: Sequence[float] = ()
) -> Row:
    better = METRICS[name].better
    up, down = (
        sum(d > _EQUALITY_TOLERANCE for d in differences),
        sum(d < -_EQUALITY_TOLERANCE for d in differences),
    )
    counts: tuple[int, int, int] | tuple[None, None, None] = (None, None, None)
    if better and differences:
        ties = len(differences) - up - down
        counts = (up, ties, down) if better == "higher" else (down, ties, up)
    return Row(name, better, found.a, found.b, found.value, found.ci, found.p, n, in_one, *counts)


def _metrics_in_one_run(
    before: Sequence[Outcome], unanswered: tuple[bool, bool], seen_a: Observed, seen_b: Observed
) -> tuple[str, ...]:
    names = [{name for one in seen for name in one} for seen in (seen_a, seen_b)]
    kinds = {outcome.case.answerable for outcome in before}
    for found, only_retrieved in zip(names, unanswered, strict=True):
        if {True, False} <= kinds and not only_retrieved:
            found.add("auroc")
    return tuple(name for name in METRICS if (name in names[0]) != (name in names[1]))


def _detectable_drop(a: Observed, b: Observed) -> MinimumDetectableDrop | None:
    for name in MAIN_METRICS:
        pairs = [
            (_mean(x[name]), _mean(y[name])) for x, y in zip(a, b, strict=True) if name in x and name in y
        ]
        if pairs:
            return _smallest_drop(name, pairs)
    return None


def _smallest_drop(name: str, pairs: Sequence[tuple[float, float]]) -> MinimumDetectableDrop:
    identical = all(abs(y - x) <= _EQUALITY_TOLERANCE for x, y in pairs)
    # The differences between two independent runs have a standard deviation sqrt(2) times that of one run.
    spread = [math.sqrt(2) * x if identical else y - x for x, y in pairs]
    drop = minimum_detectable_drop(spread, binary=METRICS[name].share) if len(pairs) > 1 else math.inf
    return MinimumDetectableDrop(name, len(pairs), drop if drop <= 1 else None, identical)


def _changed_settings(a: Run, b: Run) -> tuple[Setting, ...]:
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


def _has_failed(outcome: Outcome) -> bool:
    return bool(outcome.error) or (outcome.answer is not None and outcome.answer.status == "error")


@dataclass(frozen=True, slots=True)
class Pairing:
    """The questions of two runs.

    Args:
        pairs: outcomes of the questions in both runs.
        only_a: ids of the questions only in run A.
        only_b: ids of the questions only in run B.
        changed: ids in both runs, but with different content.
    """

    pairs: tuple[tuple[Outcome, Outcome], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changed: tuple[str, ...]


def pair_outcomes(a: Run, b: Run) -> Pairing:
    """Pair the outcomes of two runs by id and content.

    The pairs are ordered by id, so that the order of the answers affects neither a random draw nor a p-value.

    Raises:
        EvaluationError: if a run contains an id twice.
    """
    before, after = _by_id(a, "A"), _by_id(b, "B")
    shared = [name for name in before if name in after]
    same = {name: None for name in shared if content_key(before[name].case) == content_key(after[name].case)}
    return Pairing(
        pairs=tuple((before[name], after[name]) for name in sorted(same)),
        only_a=tuple(name for name in before if name not in after),
        only_b=tuple(name for name in after if name not in before),
        changed=tuple(name for name in shared if name not in same),
    )


def content_key(case: Case) -> tuple[object, ...]:
    """Return the fields that identify a question: all except its id, its tags and keys unknown to Citewire."""
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

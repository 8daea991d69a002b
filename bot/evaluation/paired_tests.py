"""Differences between two runs that answered the same questions: intervals and p-values, question by question.

Row i of A and row i of B belong to one question. Intervals redraw questions, p-values swap the two runs'
answers to a question: if the runs do not differ, each swap is as likely as what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.evaluation.statistics import (
    RESAMPLES,
    Floats,
    Interval,
    as_finite_array,
    auroc,
    mcnemar_exact,
    paired_bootstrap,
    percentile_interval,
    random_swaps,
    resampled,
    sign_flip_p,
)

PERMUTATIONS = 5000
Group = Sequence[float]


@dataclass(frozen=True, slots=True)
class Difference:
    """B minus A with its 95 % interval; `p` is None where there is no test."""

    a: float
    b: float
    ci: Interval
    p: float | None

    @property
    def value(self) -> float:
        """B minus A."""
        return self.b - self.a


def difference_of_means(a: Sequence[Group], b: Sequence[Group], *, share: bool) -> Difference:
    """Compare the means over all observations; a group holds one question's, and may be empty.

    One observation a question in both runs: exact McNemar for shares, sign flips else. Otherwise (sentences,
    citations, or a metric that applies to a question in one run only) whole groups are swapped.
    """
    if all(len(x) == len(y) == 1 for x, y in zip(a, b, strict=True)):
        return _one_each(as_finite_array([x[0] for x in a]), as_finite_array([y[0] for y in b]), share=share)
    sums = np.asarray([[sum(x), sum(y)] for x, y in zip(a, b, strict=True)], dtype=np.float64)
    counts = np.asarray([[len(x), len(y)] for x, y in zip(a, b, strict=True)], dtype=np.float64)
    if not counts.sum(0).all():
        raise ValueError("a run without an observation cannot be compared")
    before, after = sums.sum(0) / counts.sum(0)
    return Difference(float(before), float(after), _bootstrap_ci(sums, counts), _permutation_p(sums, counts))


def difference_of_auroc(labels: Sequence[bool], a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare how well two runs' confidences rank the questions with a true label above the others.

    Confidences are ranked within each run before they are swapped (Bandos et al. 2005): two models may
    well be sure on different scales. Raises ValueError unless both kinds are present.
    """
    kinds, before, after = np.asarray(labels, dtype=np.bool_), ranks(a), ranks(b)
    yes, no = np.flatnonzero(kinds), np.flatnonzero(~kinds)

    def difference(rows: NDArray[np.int64]) -> float:
        return auroc(kinds[rows], after[rows]) - auroc(kinds[rows], before[rows])

    first, second = auroc(kinds, before), auroc(kinds, after)
    rng = np.random.default_rng(0)
    draws = [
        difference(np.concatenate([rng.choice(yes, len(yes)), rng.choice(no, len(no))]))
        for _ in range(RESAMPLES)
    ]
    seen, extreme = abs(second - first) - 1e-12, 0
    for swap in (row for block in random_swaps(len(kinds), PERMUTATIONS, 0) for row in block):
        one, other = np.where(swap, after, before), np.where(swap, before, after)
        extreme += abs(auroc(kinds, other) - auroc(kinds, one)) >= seen
    interval = percentile_interval(np.asarray(draws))
    return Difference(first, second, interval, (extreme + 1) / (PERMUTATIONS + 1))


def difference_of_percentiles(share: float, a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare the percentile `share` (0 to 100) of one value a question, such as a time; without a test."""
    before, after = as_finite_array(a), as_finite_array(b)
    draws = [
        np.percentile(after[rows], share, axis=1) - np.percentile(before[rows], share, axis=1)
        for rows in resampled(len(before), RESAMPLES, 0)
    ]
    first, second = float(np.percentile(before, share)), float(np.percentile(after, share))
    return Difference(first, second, percentile_interval(np.concatenate(draws)), None)


def ranks(values: Sequence[float] | Floats) -> Floats:
    """Return each value's rank from 1; equal values share the middle of theirs."""
    array = as_finite_array(values)
    ordered = np.sort(array)
    left, right = np.searchsorted(ordered, array, "left"), np.searchsorted(ordered, array, "right")
    return ((left + right + 1) / 2).astype(np.float64)


def _one_each(a: Floats, b: Floats, *, share: bool) -> Difference:
    differences = b - a
    lost, won = int((differences < 0).sum()), int((differences > 0).sum())
    p = mcnemar_exact(lost, won) if share else sign_flip_p(differences)
    return Difference(float(a.mean()), float(b.mean()), paired_bootstrap(differences), p)


def _bootstrap_ci(sums: Floats, counts: Floats) -> Interval:
    draws = []
    for rows in resampled(len(sums), RESAMPLES, 0):
        drawn = counts[rows].sum(1)
        usable = drawn.all(1)  # a draw may hold no question to which the metric applies
        means = sums[rows][usable].sum(1) / drawn[usable]
        draws.append(means[:, 1] - means[:, 0])
    return percentile_interval(np.concatenate(draws))


def _permutation_p(sums: Floats, counts: Floats) -> float:
    """Return the p-value of swapping whole groups; a swap that leaves a run empty counts as extreme."""
    seen = abs(_difference(*sums.sum(0), *counts.sum(0))) - 1e-12
    extreme = total = 0
    for swaps in random_swaps(len(sums), PERMUTATIONS, 0):
        moved = swaps.astype(np.float64)
        shift, shift_n = moved @ (sums[:, 1] - sums[:, 0]), moved @ (counts[:, 1] - counts[:, 0])
        one, one_n = sums[:, 0].sum() + shift, counts[:, 0].sum() + shift_n
        other, other_n = sums[:, 1].sum() - shift, counts[:, 1].sum() - shift_n
        usable = (one_n > 0) & (other_n > 0)
        differences = other[usable] / other_n[usable] - one[usable] / one_n[usable]
        extreme += int((np.abs(differences) >= seen).sum()) + int((~usable).sum())
        total += len(swaps)
    return (extreme + 1) / (total + 1)


def _difference(sum_a: float, sum_b: float, n_a: float, n_b: float) -> float:
    return float(sum_b / n_b - sum_a / n_a)

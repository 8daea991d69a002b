"""Paired confidence intervals and significance tests for two runs of the same questions.

Row i of A and row i of B belong to the same question. Intervals resample questions; p-values swap the answers of the
two runs to a question: if the runs do not differ, every swap is as likely as the observation.
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
    iter_resamples,
    mcnemar_exact,
    paired_bootstrap,
    percentile_interval,
    random_swaps,
    sign_flip_p,
)

PERMUTATIONS = 5000
Group = Sequence[float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of a statistic between runs A and B.

    Args:
        a: value in run A.
        b: value in run B.
        ci: 95 % confidence interval of B minus A.
        p: p-value, or None if the difference is not tested.
    """

    a: float
    b: float
    ci: Interval
    p: float | None

    @property
    def value(self) -> float:
        """B minus A."""
        return self.b - self.a


def difference_of_means(a: Sequence[Group], b: Sequence[Group], *, share: bool) -> Difference:
    """Compare the means over all observations.

    If every question has one observation in both runs, the test is exact McNemar for shares and a sign-flip test
    otherwise. In all other cases (sentences, citations, or a metric that applies to a question in only one run), a
    permutation test swaps whole groups.

    Args:
        a: observations in run A, one group per question; a group may be empty.
        b: observations in run B.
        share: every observation is 0 or 1.

    Raises:
        ValueError: if a run has no observations.
    """
    if all(len(x) == len(y) == 1 for x, y in zip(a, b, strict=True)):
        return _compare_single_values(
            as_finite_array([x[0] for x in a]), as_finite_array([y[0] for y in b]), share=share
        )
    sums = np.asarray([[sum(x), sum(y)] for x, y in zip(a, b, strict=True)], dtype=np.float64)
    counts = np.asarray([[len(x), len(y)] for x, y in zip(a, b, strict=True)], dtype=np.float64)
    if not counts.sum(0).all():
        raise ValueError("a run without an observation cannot be compared")
    before, after = sums.sum(0) / counts.sum(0)
    return Difference(float(before), float(after), _bootstrap_ci(sums, counts), _permutation_p(sums, counts))


def difference_of_auroc(labels: Sequence[bool], a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare how well the confidences of two runs rank the questions with a true label above the others.

    Confidences are converted to ranks within each run before they are swapped (Bandos et al. 2005), because two
    models may use different scales of confidence.

    Args:
        labels: True for answerable questions.
        a: confidences in run A.
        b: confidences in run B.

    Raises:
        ValueError: if the labels are all equal.
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
    """Compare a percentile of one value per question, such as a time, without a test.

    Args:
        share: the percentile, 0 to 100.
        a: values in run A.
        b: values in run B.
    """
    before, after = as_finite_array(a), as_finite_array(b)
    draws = [
        np.percentile(after[rows], share, axis=1) - np.percentile(before[rows], share, axis=1)
        for rows in iter_resamples(len(before), RESAMPLES, 0)
    ]
    first, second = float(np.percentile(before, share)), float(np.percentile(after, share))
    return Difference(first, second, percentile_interval(np.concatenate(draws)), None)


def ranks(values: Sequence[float] | Floats) -> Floats:
    """Return the rank of each value, starting at 1; tied values get the mean of their ranks."""
    array = as_finite_array(values)
    ordered = np.sort(array)
    left, right = np.searchsorted(ordered, array, "left"), np.searchsorted(ordered, array, "right")
    return ((left + right + 1) / 2).astype(np.float64)


def _compare_single_values(a: Floats, b: Floats, *, share: bool) -> Difference:
    differences = b - a
    lost, won = int((differences < 0).sum()), int((differences > 0).sum())
    p = mcnemar_exact(lost, won) if share else sign_flip_p(differences)
    return Difference(float(a.mean()), float(b.mean()), paired_bootstrap(differences), p)


def _bootstrap_ci(sums: Floats, counts: Floats) -> Interval:
    draws = []
    for rows in iter_resamples(len(sums), RESAMPLES, 0):
        drawn = counts[rows].sum(1)
        usable = drawn.all(1)  # a resample may have no question to which the metric applies
        means = sums[rows][usable].sum(1) / drawn[usable]
        draws.append(means[:, 1] - means[:, 0])
    return percentile_interval(np.concatenate(draws))


def _permutation_p(sums: Floats, counts: Floats) -> float:
    """Return the p-value of a permutation test that swaps groups; a swap that leaves a run empty counts as extreme."""
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

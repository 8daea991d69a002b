"""Confidence intervals and significance tests in numpy, deterministic and suitable for small samples.

All are two-sided. Functions raise ValueError for empty or non-finite input: the caller omits metrics that do not apply,
so that no NaN reaches a report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
RESAMPLES = 2000
FLIPS = 20_000
MAX_ENUMERATED_DIFFERENCES = 12
"""Sign flips of up to 12 differences are enumerated: 2**12 of them."""
_BLOCK_ELEMENTS = 1 << 20
_MIN_WORSE_COUNT = 7.906
"""Mean of a Poisson count that reaches 6 with 80 % probability: exact McNemar needs 6 of 6 for p < 0.05."""


def mean(values: Floats) -> float:
    """Return the arithmetic mean."""
    return float(np.mean(values))


def wilson(successes: int, n: int) -> Interval:
    """Return the Wilson score interval (95 %) for `successes` of `n`.

    Raises:
        ValueError: unless 0 <= successes <= n and n >= 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"no share can be made of {successes} of {n}")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, scale = successes / n, 1 + z * z / n
    center = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return low, high


def bootstrap(
    groups: Sequence[Sequence[float]],
    statistic: Callable[[Floats], float] = mean,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap interval (95 %) of `statistic` over all observations.

    Args:
        groups: the observations of each question. A group is iter_resamples as a whole, because its observations are
            correlated; empty groups are ignored.
        statistic: function of the observations.
        resamples: number of bootstrap resamples.
        seed: seed of the random generator.
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    as_finite_array(np.concatenate(arrays) if arrays else [])
    if statistic is not mean:
        draws = [
            statistic(np.concatenate([arrays[i] for i in rows]))
            for block in iter_resamples(len(arrays), resamples, seed)
            for rows in block
        ]
        return percentile_interval(np.asarray(draws))
    sums = np.asarray([array.sum() for array in arrays])
    counts = np.asarray([len(array) for array in arrays], dtype=np.float64)
    means = [sums[rows].sum(1) / counts[rows].sum(1) for rows in iter_resamples(len(arrays), resamples, seed)]
    return percentile_interval(np.concatenate(means))


def paired_bootstrap(
    differences: Sequence[float] | Floats, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the percentile bootstrap interval (95 %) of the mean of paired differences, one per question."""
    values = as_finite_array(differences)
    means = [values[rows].mean(1) for rows in iter_resamples(len(values), resamples, seed)]
    return percentile_interval(np.concatenate(means))


def auroc(labels: Sequence[bool] | NDArray[np.bool_], scores: Sequence[float] | Floats) -> float:
    """Return the probability that a positive scores above a negative; a tie counts half.

    Raises:
        ValueError: if the labels are all equal.
    """
    positive, negative = _split_by_label(labels, scores)
    return _auroc(positive, np.sort(negative))


def auroc_interval(
    labels: Sequence[bool], scores: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the percentile bootstrap interval (95 %) of `auroc`, iter_resamples separately for each label."""
    positive, negative = _split_by_label(labels, scores)
    rng = np.random.default_rng(seed)
    draws = [
        _auroc(rng.choice(positive, len(positive)), np.sort(rng.choice(negative, len(negative))))
        for _ in range(resamples)
    ]
    return percentile_interval(np.asarray(draws))


def sign_flip_p(differences: Sequence[float] | Floats, *, flips: int = FLIPS, seed: int = 0) -> float:
    """Return the p-value of the mean paired difference if both signs of each difference are equally likely.

    The p-value is exact by enumeration for up to 12 nonzero differences. For more, it is (k + 1) / (flips + 1), with k
    extreme ones among `flips` random sign flips.
    """
    values = as_finite_array(differences)
    values = values[values != 0]
    if not len(values):
        return 1.0
    reached = abs(values.sum()) - 1e-9 * np.abs(values).sum()  # equal sums may differ in their last digits
    if len(values) <= MAX_ENUMERATED_DIFFERENCES:
        return float(np.mean(np.abs(_all_signs(len(values)) @ values) >= reached))
    extreme = sum(
        int((np.abs((2.0 * swaps - 1.0) @ values) >= reached).sum())
        for swaps in random_swaps(len(values), flips, seed)
    )
    return (extreme + 1) / (flips + 1)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the exact McNemar p-value, given the numbers of questions that only A and only B answered correctly."""
    if min(only_a, only_b) < 0:
        raise ValueError(f"counts cannot be negative: {only_a}, {only_b}")
    n, least = only_a + only_b, min(only_a, only_b)
    ways = term = 1
    for i in range(least):
        term = term * (n - i) // (i + 1)
        ways += term
    return float(min(1.0, 2 * ways / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the Holm-adjusted p-values in the same order, to be compared with 0.05 directly."""
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = floor
    return adjusted


def minimum_detectable_drop(differences: Sequence[float] | Floats, *, binary: bool = False) -> float:
    """Return the drop of the mean that a paired test at 5 % detects with 80 % power.

    Args:
        differences: paired differences with the expected spread.
        binary: the metric is a share. The drop is then at least the minimum of exact McNemar: about 8 questions in
            one direction.

    Raises:
        ValueError: for fewer than two differences.
    """
    values = as_finite_array(differences)
    if len(values) < 2:
        raise ValueError("one difference says nothing about its spread")
    normal = NormalDist()
    factor = normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)
    drop = factor * float(values.std(ddof=1)) / math.sqrt(len(values))
    return max(drop, _MIN_WORSE_COUNT / len(values)) if binary else drop


def as_finite_array(values: Sequence[float] | Floats) -> Floats:
    """Return `values` as a float array.

    Raises:
        ValueError: if there are no values or one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("there are no observations")
    if not np.isfinite(array).all():
        raise ValueError("an observation is not a finite number")
    return array


def iter_resamples(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield blocks of bootstrap resamples, each row `n` indices; blocks limit the memory."""
    rng = np.random.default_rng(seed)
    for rows in _block_sizes(n, resamples):
        yield rng.integers(0, n, size=(rows, n))


def random_swaps(n: int, swaps: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Yield blocks of random swaps, each row a boolean for each of `n` pairs."""
    rng = np.random.default_rng(seed)
    for rows in _block_sizes(n, swaps):
        yield rng.integers(0, 2, size=(rows, n), dtype=np.int8).astype(np.bool_)


def percentile_interval(draws: Floats) -> Interval:
    """Return the central 95 % interval of bootstrap draws."""
    low, high = np.percentile(draws, [100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _block_sizes(n: int, total: int) -> Iterator[int]:
    size = max(1, _BLOCK_ELEMENTS // n)
    for start in range(0, total, size):
        yield min(size, total - start)


def _all_signs(n: int) -> Floats:
    bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return (2 * bits - 1).astype(np.float64)


def _split_by_label(
    labels: Sequence[bool] | NDArray[np.bool_], scores: Sequence[float] | Floats
) -> tuple[Floats, Floats]:
    values, kinds = as_finite_array(scores), np.asarray(labels, dtype=np.bool_)
    if kinds.shape != values.shape:
        raise ValueError(f"{kinds.size} labels for {values.size} scores")
    positive, negative = values[kinds], values[~kinds]
    if not len(positive) or not len(negative):
        raise ValueError("auroc needs both answerable and unanswerable questions")
    return positive, negative


def _auroc(positive: Floats, ordered: Floats) -> float:
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.sum() / (2 * len(positive) * len(ordered)))

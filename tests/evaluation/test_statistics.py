"""Intervals and tests equal those of scipy and scikit-learn, or what can be worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy_imports import Later

from bot.evaluation import statistics
from bot.evaluation.paired_tests import (
    difference_of_auroc,
    difference_of_means,
    difference_of_percentiles,
    ranks,
)

stats = Later("scipy.stats")
sklearn = Later("sklearn.metrics")

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(share: tuple[int, int]) -> None:
    successes, n = share
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    low, high = statistics.wilson(successes, n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_ends_exactly_at_nothing_and_all() -> None:
    assert statistics.wilson(0, 10)[0] == 0
    assert statistics.wilson(10, 10)[1] == 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"no share can be made of {successes} of {n}"):
        statistics.wilson(successes, n)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test(only_a: int, only_b: int) -> None:
    both = only_a + only_b
    expected = stats.binomtest(only_a, both).pvalue if both else 1.0
    assert statistics.mcnemar_exact(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="negative"):
        statistics.mcnemar_exact(-1, 3)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=60))
def test_auroc_is_scikit_learns_with_ties(rows: list[tuple[bool, int]]) -> None:
    labels, scores = [label for label, _ in rows], [score / 5 for _, score in rows]
    if len(set(labels)) < 2:
        with pytest.raises(ValueError, match="both answerable and unanswerable"):
            statistics.auroc(labels, scores)
    else:
        assert statistics.auroc(labels, scores) == pytest.approx(
            sklearn.roc_auc_score(labels, scores), abs=1e-12
        )


def test_auroc_refuses_lists_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="2 labels for 3 scores"):
        statistics.auroc([True, False], [0.1, 0.2, 0.3])


def test_auroc_interval_holds_the_value_and_narrows_with_more_questions() -> None:
    rng = np.random.default_rng(4)
    widths = []
    for n in (40, 640):
        labels = np.arange(n) % 2 == 0
        scores = rng.normal(size=n) + labels
        low, high = statistics.auroc_interval(list(labels), list(scores))
        assert low < statistics.auroc(labels, scores) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2.5
    assert statistics.auroc_interval([True, False, True], [0.9, 0.1, 0.8]) == (1, 1)


def test_bootstrap_of_a_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=150)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=3)
    low, high = statistics.bootstrap([[value] for value in values], resamples=20_000)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.01)


def test_bootstrap_takes_any_statistic() -> None:
    groups = [[float(value)] for value in range(101)]

    def median(values: np.ndarray) -> float:
        return float(np.median(values))

    low, high = statistics.bootstrap(groups, median)
    assert 35 < low < 50 < high < 65
    by_hand = statistics.bootstrap(groups, lambda values: float(values.mean()))
    assert by_hand == pytest.approx(statistics.bootstrap(groups))


def test_bootstrap_draws_whole_questions() -> None:
    together = [[value] * 10 for value in (0.0, 1.0) * 20]
    apart = [[value] for group in together for value in group]
    wide, narrow = statistics.bootstrap(together), statistics.bootstrap(apart)
    assert wide[1] - wide[0] == pytest.approx(math.sqrt(10) * (narrow[1] - narrow[0]), rel=0.15)


def test_bootstrap_leaves_out_questions_without_an_observation() -> None:
    assert statistics.bootstrap([[], [1.0, 0.0], [], [1.0]]) == statistics.bootstrap([[1.0, 0.0], [1.0]])


@given(st.lists(finite, min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_intervals_lie_within_the_data_and_repeat_to_the_last_digit(values: list[float]) -> None:
    low, high = statistics.paired_bootstrap(values, resamples=300)
    slack = 1e-6
    assert min(values) - slack <= low <= high <= max(values) + slack
    assert statistics.paired_bootstrap(values, resamples=300) == (low, high)
    assert statistics.bootstrap([[value] for value in values], resamples=300) == pytest.approx((low, high))


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        low, high = statistics.paired_bootstrap(rng.normal(0.1, 0.5, size=80), resamples=400)
        covered += low <= 0.1 <= high
    assert 0.91 <= covered / 400 <= 0.98


def test_memory_is_bounded_by_blocks_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=50)
    whole = [*statistics.paired_bootstrap(values), statistics.sign_flip_p(values)]
    monkeypatch.setattr(statistics, "_BLOCK_ELEMENTS", 1000)
    blocks = [*statistics.paired_bootstrap(values), statistics.sign_flip_p(values)]
    assert blocks == pytest.approx(whole, abs=0.02)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9))
@settings(deadline=None)
def test_few_sign_flips_are_exact_as_scipys(values: list[int]) -> None:
    whole = np.asarray(values, dtype=float)  # of tenths, scipy takes equal sums for unequal ones
    expected = stats.permutation_test(
        (whole,), np.sum, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    assert statistics.sign_flip_p(whole / 10) == pytest.approx(expected.pvalue)


def test_many_sign_flips_come_near_the_exact_value() -> None:
    differences = np.random.default_rng(5).normal(0.35, 1, size=16)
    signs = np.asarray(list(itertools.product((-1, 1), repeat=16)))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9)
    assert statistics.sign_flip_p(differences) == pytest.approx(exact, abs=0.01)
    assert statistics.sign_flip_p(differences) == statistics.sign_flip_p(-differences)


def test_sign_flips_are_never_certain_and_ignore_zeros() -> None:
    assert statistics.sign_flip_p([1.0] * 200) == pytest.approx(1 / 20_001)
    assert statistics.sign_flip_p([0.0] * 200) == 1
    assert (
        statistics.sign_flip_p([0.0] * 50 + [0.1, 0.2, 0.3])
        == statistics.sign_flip_p([0.1, 0.2, 0.3])
        == 0.25
    )


@pytest.mark.parametrize("n", [8, 40])
def test_sign_flips_reject_no_more_often_than_they_say(n: int) -> None:
    rng = np.random.default_rng(7)
    rejected = sum(statistics.sign_flip_p(rng.normal(size=n), flips=500) < 0.05 for _ in range(600))
    assert rejected / 600 < 0.08


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([0.01, 0.01, 0.01, 0.01], [0.04, 0.04, 0.04, 0.04]),
        # R: p.adjust(c(.0001, .0401, .0201, .0301, .5), "holm")
        ([0.0001, 0.0401, 0.0201, 0.0301, 0.5], [0.0005, 0.0903, 0.0804, 0.0903, 0.5]),
    ],
)
def test_holm(raw: list[float], adjusted: list[float]) -> None:
    assert statistics.holm(raw) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_lies_between_the_raw_value_and_bonferroni(raw: list[float]) -> None:
    for p, adjusted in zip(raw, statistics.holm(raw), strict=True):
        assert min(1, p) <= adjusted <= min(1, p * len(raw)) + 1e-12


def test_a_detectable_drop_is_detected_four_times_in_five() -> None:
    rng = np.random.default_rng(3)
    spread = rng.normal(0, 0.4, size=2000)
    drop = statistics.minimum_detectable_drop(list(spread[:120]))
    assert drop == pytest.approx(2.8016 * spread[:120].std(ddof=1) / math.sqrt(120), rel=1e-4)
    tests = rng.normal(-drop, spread[:120].std(ddof=1), size=(800, 120))
    assert np.mean(stats.ttest_1samp(tests, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("n", [100, 400])
def test_a_share_drops_by_no_less_than_mcnemar_can_see(n: int) -> None:
    drop = statistics.minimum_detectable_drop([0.0] * n, binary=True)
    worse = np.random.default_rng(9).binomial(n, drop, size=4000)
    seen = [statistics.mcnemar_exact(int(count), 0) < 0.05 for count in worse]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    "call",
    [
        lambda values: statistics.bootstrap([values]),
        statistics.paired_bootstrap,
        statistics.sign_flip_p,
        statistics.minimum_detectable_drop,
        lambda values: statistics.auroc([True] * len(values), values),
    ],
)
@pytest.mark.parametrize(
    ("values", "reason"), [([], "no observations"), ([math.nan, 1.0], "not a finite number")]
)
def test_what_cannot_be_computed_is_refused(call: object, values: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        call(values)  # type: ignore[operator]


def test_one_difference_has_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing about its spread"):
        statistics.minimum_detectable_drop([0.5])


# Two runs of the same questions (bot.evaluation.paired_tests)


def test_one_observation_a_question_is_compared_exactly() -> None:
    before, after = [[1.0]] * 8 + [[0.0]] * 2, [[0.0]] * 7 + [[1.0]] * 3
    found = difference_of_means(before, after, share=True)
    assert (found.a, found.b, found.value) == pytest.approx((0.8, 0.3, -0.5))
    assert found.p == pytest.approx(stats.binomtest(7, 9).pvalue)
    graded = difference_of_means(before, after, share=False)
    assert graded.p == statistics.sign_flip_p([-1] * 7 + [1] * 2)
    assert graded.ci == found.ci == statistics.paired_bootstrap([-1.0] * 7 + [0.0] + [1.0] * 2)


def test_several_observations_a_question_keep_the_figure_of_the_run() -> None:
    before, after = [[1.0, 1.0, 0.0], [1.0], []], [[1.0], [0.0, 0.0, 1.0], [1.0]]
    found = difference_of_means(before, after, share=True)
    assert (found.a, found.b) == pytest.approx((3 / 4, 3 / 5))
    assert found.ci[0] <= found.value <= found.ci[1]


def test_swapping_groups_of_one_is_flipping_signs() -> None:
    rng = np.random.default_rng(6)
    before, after = rng.random(60), rng.random(60) + 0.08
    pairs = [[value] for value in before], [[value] for value in after]
    unequal = [*pairs[0], []], [*pairs[1], [float(after.mean())]]  # one in B only: groups are swapped
    exact, swapped = difference_of_means(*pairs, share=False), difference_of_means(*unequal, share=False)
    assert swapped.p == pytest.approx(exact.p, abs=0.02)
    assert swapped.ci == pytest.approx(exact.ci, abs=0.02)


def test_swapping_groups_rejects_no_more_often_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.evaluation.paired_tests.PERMUTATIONS", 300)
    monkeypatch.setattr("bot.evaluation.paired_tests.RESAMPLES", 10)
    rng = np.random.default_rng(8)
    rejected = 0
    for _ in range(300):
        levels = rng.random(30)
        runs = [
            [list((rng.random(rng.integers(0, 5)) < level).astype(float)) for level in levels] for _ in "ab"
        ]
        rejected += difference_of_means(*runs, share=True).p < 0.05  # type: ignore[operator]
    assert rejected / 300 < 0.09


def test_a_run_without_an_observation_is_refused() -> None:
    with pytest.raises(ValueError, match="without an observation"):
        difference_of_means([[1.0], [0.0]], [[], []], share=True)


def test_auroc_of_two_runs_is_compared_whatever_their_scales() -> None:
    rng = np.random.default_rng(10)
    labels = [True, False] * 60
    good = np.asarray(labels) * 1.5 + rng.normal(size=120)
    poor = rng.normal(size=120)
    found = difference_of_auroc(labels, list(good), list(poor))
    assert (found.a, found.b) == pytest.approx(
        (sklearn.roc_auc_score(labels, good), sklearn.roc_auc_score(labels, poor))
    )
    assert found.p is not None
    assert found.p < 0.01
    assert found.ci[1] < 0
    rescaled = difference_of_auroc(labels, list(good), list(np.exp(good) / 1000))
    assert (rescaled.value, rescaled.p, rescaled.ci) == (0, 1, (0, 0))


def test_auroc_rejects_no_more_often_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.evaluation.paired_tests.PERMUTATIONS", 200)
    monkeypatch.setattr("bot.evaluation.paired_tests.RESAMPLES", 10)
    rng = np.random.default_rng(13)
    labels, rejected = [True, False] * 15, 0
    for _ in range(200):
        shared = np.asarray(labels) + rng.normal(size=30)
        a, b = (list(shared + rng.normal(0, 0.5, size=30)) for _ in "ab")
        rejected += difference_of_auroc(labels, a, b).p < 0.05  # type: ignore[operator]
    assert 0 < rejected / 200 < 0.1


def test_percentiles_are_compared_without_a_test() -> None:
    times = list(np.random.default_rng(12).exponential(100, size=200))
    found = difference_of_percentiles(95, times, [2 * time for time in times])
    assert found.p is None
    assert found.a == pytest.approx(np.percentile(times, 95))
    assert found.b == pytest.approx(2 * found.a)
    assert 0 < found.ci[0] < found.value < found.ci[1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_ranks_are_scipys(values: list[int]) -> None:
    assert ranks([float(value) for value in values]) == pytest.approx(stats.rankdata(values))

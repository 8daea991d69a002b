"""Gates: what holds, what fails, what cannot be judged, and the exit code it all comes to."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from run_factory import GOLD, case, outcome, run, run_of

from bot.errors import EvaluationError
from bot.evaluation.gates import GateResult, Verdict, evaluate_gates, parse_bounds
from bot.evaluation.metrics import METRICS, summarize
from bot.evaluation.models import Run, Summary

WITHOUT_DEFAULT_GATE = {"words", "p50_ms", "p95_ms"}


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.evaluation.paired_tests.PERMUTATIONS", 500)
    monkeypatch.setattr("bot.evaluation.paired_tests.RESAMPLES", 100)


def judged(one: Run | str, **gates: Any) -> Verdict:
    made = run_of(one) if isinstance(one, str) else one
    summary = summary_of(one) if isinstance(one, str) else summarize(made.outcomes)
    return evaluate_gates(summary, made, **gates)


@functools.cache
def summary_of(marks: str) -> Summary:
    return summarize(run_of(marks).outcomes)


def against(before: Run | str, after: Run | str, *, strict: bool = False, **drops: float) -> Verdict:
    baseline = run_of(before) if isinstance(before, str) else before
    named = {name.replace("_at_", "@"): bound for name, bound in drops.items()}
    return judged(after, baseline=baseline, max_drop=named, strict=strict)


def only(verdict: Verdict) -> GateResult:
    (result,) = verdict.results
    return result


# Bounds


@pytest.mark.parametrize(
    ("texts", "bounds"),
    [
        ([], {}),
        (["answer=0.6"], {"answer": 0.6}),
        (
            [" hit@1 = 1 ", "answer=0", "answer_recall=.5"],
            {"hit@1": 1.0, "answer": 0.0, "answer_recall": 0.5},
        ),
        (["words=40", "p95_ms=2e3"], {"words": 40.0, "p95_ms": 2000.0}),
    ],
)
def test_bounds_are_read(texts: list[str], bounds: dict[str, float]) -> None:
    assert parse_bounds(texts) == bounds


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["answer"], "'answer': write it as metric=number, such as answer=0.6"),
        (["answer:0.6"], "write it as metric=number"),
        (["accuracy=0.5"], "no metric is called 'accuracy'; known: hit@1, "),
        (["=0.5"], "no metric is called ''"),
        (["Answer=0.5"], "no metric is called 'Answer'"),
        (["answer="], "'' is not a number"),
        (["answer=high"], "'high' is not a number"),
        (["answer=0.5=0.6"], "'0.5=0.6' is not a number"),
        (["answer=60%"], "'60%' is not a number"),
        (["answer=nan"], "'nan' is not a number"),
        (["p95_ms=inf"], "'inf' is not a number"),
        (["answer=-inf"], "'-inf' is not a number"),
        (["answer=60"], r"60 is out of range, give from 0 to 1 \(60 % is 0.6\)"),
        (["false_answers=1.01"], "1.01 is out of range"),
        (["ndcg@10=-0.1"], "-0.1 is out of range"),
        (["words=-1"], "-1 is out of range, give 0 or more"),
        (["answer=0.5", "hit@1=1", "answer=0.6"], "answer is given twice; keep one"),
    ],
)
def test_a_bound_that_could_never_be_meant_is_a_usage_error(texts: list[str], reason: str) -> None:
    with pytest.raises(EvaluationError, match=reason) as caught:
        parse_bounds(texts)
    assert caught.value.exit_code == 2


# Bounds on the run's own figures


@pytest.mark.parametrize("marks", ["+", "----", "xxxx", "0!x"])
def test_without_a_gate_any_score_passes(marks: str) -> None:
    assert judged(marks) == Verdict((), 0)


@pytest.mark.parametrize(
    ("marks", "gate", "metric", "bound", "exit_code"),
    [
        ("+++--", "fail_under", "answer", 0.5, 0),
        ("+++--", "fail_under", "answer", 0.6, 0),  # equal keeps the bound
        ("+++--", "fail_under", "answer", 0.601, 1),
        ("+--", "fail_under", "answer", 0.3333333333, 0),
        ("+--", "fail_under", "answer", 0.33334, 1),
        ("++++", "fail_under", "answer", 1.0, 0),
        ("+++x", "fail_under", "answer", 1.0, 1),  # a failed question is a wrong one
        ("....", "fail_under", "answer", 1.0, 0),
        ("00+++", "fail_over", "over_refusal", 0.5, 0),
        ("00+++", "fail_over", "over_refusal", 0.4, 0),
        ("00+++", "fail_over", "over_refusal", 0.399, 1),
        ("..!", "fail_over", "false_answers", 0.0, 1),
        ("...", "fail_over", "false_answers", 0.0, 0),
        ("..x", "fail_over", "over_refusal", 0.0, 1),
        ("+++", "fail_over", "p95_ms", 102.0, 0),
        ("+++", "fail_over", "p95_ms", 101.0, 1),
    ],
)
def test_a_bound_is_kept_or_not(marks: str, gate: str, metric: str, bound: float, exit_code: int) -> None:
    verdict = judged(marks, **{gate: {metric: bound}})
    assert verdict.exit_code == exit_code
    result = only(verdict)
    assert (result.passed, result.bound) == (exit_code == 0, bound)
    assert result.value == summary_of(marks).metrics[metric]
    assert result.name == f"{gate.replace('_', '-')} {metric}={bound:g}"
    assert (" not " in result.message) == result.passed


def test_the_message_holds_value_and_bound() -> None:
    assert only(judged("+++--", fail_under={"answer": 0.7})).message == "answer is 0.6, under 0.7"
    assert only(judged("+++--", fail_over={"answer": 0.7})).message == "answer is 0.6, not over 0.7"
    slow = run([replace(one, milliseconds=12345.6) for one in run_of("++").outcomes])
    assert only(judged(slow, fail_over={"p95_ms": 9000})).message == "p95_ms is 12345.6, over 9000"


def test_every_gate_is_judged_and_one_that_fails_is_enough() -> None:
    verdict = judged("+++--", fail_under={"answer": 0.5, "hit@1": 1.0}, fail_over={"over_refusal": 0.0})
    assert ([result.passed for result in verdict.results], verdict.exit_code) == ([True, True, True], 0)
    verdict = judged("+++--", fail_under={"answer": 0.9, "hit@1": 1.0}, fail_over={"over_refusal": 0.0})
    assert ([result.passed for result in verdict.results], verdict.exit_code) == ([False, True, True], 1)


@pytest.mark.parametrize(
    ("marks", "metric"), [("..!", "hit@1"), ("+++", "false_answers"), ("+++", "auroc"), ("+++", "rouge_l")]
)
@pytest.mark.parametrize("gate", ["fail_under", "fail_over"])
def test_a_metric_that_does_not_apply_cannot_be_judged(marks: str, metric: str, gate: str) -> None:
    verdict = judged(marks, **{gate: {metric: 0.5}})
    assert verdict.exit_code == 2
    assert (only(verdict).passed, only(verdict).value) == (False, None)
    assert only(verdict).message == f"{metric} does not apply (it is over: {METRICS[metric].over})"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_passes_no_gate(value: float) -> None:
    broken = Summary({"answer": value}, {}, {})
    for gates in ({"fail_under": {"answer": 0.0}}, {"fail_over": {"answer": 1.0}}):
        assert evaluate_gates(broken, run_of("+"), **gates).exit_code == 2


# Incomplete runs, and what outranks what


def test_an_incomplete_run_says_how_to_go_on() -> None:
    verdict = judged(run(run_of("+++").outcomes, questions=5))
    assert (verdict.exit_code, only(verdict).passed) == (3, False)
    assert (
        only(verdict).message
        == "3 of 5 questions were run; the same `eval run` command goes on with the rest"
    )


def test_the_same_question_twice_does_not_complete_a_run() -> None:
    outcomes = run_of("++").outcomes
    assert judged(run([*outcomes, outcomes[0]], questions=3)).exit_code == 3


@pytest.mark.parametrize(("asked", "words"), [(0, "no question was run"), (4, "0 of 4 questions were run")])
@pytest.mark.parametrize("gates", [{}, {"fail_under": {"answer": 0.0}}, {"baseline": run_of("++")}])
def test_nothing_run_is_incomplete_whatever_the_gates(asked: int, words: str, gates: dict[str, Any]) -> None:
    verdict = judged(run([], questions=asked), **gates)
    assert verdict.exit_code == 3
    assert words in verdict.results[0].message


def test_a_header_without_the_number_of_questions_is_refused() -> None:
    with pytest.raises(EvaluationError, match="does not say how many questions"):
        judged(run(run_of("+").outcomes, questions=None))


@pytest.mark.parametrize(
    ("unjudged", "incomplete", "failed"), list(itertools.product((False, True), repeat=3))
)
def test_not_judged_outranks_incomplete_and_that_outranks_failed(
    unjudged: bool, incomplete: bool, failed: bool
) -> None:
    made = run(run_of("+++--").outcomes, questions=6 if incomplete else 5)
    bounds = {"answer": 0.9 if failed else 0.1} | ({"rouge_l": 0.1} if unjudged else {})
    expected = 2 if unjudged else 3 if incomplete else int(failed)
    assert judged(made, fail_under=bounds).exit_code == expected


# A baseline


MIXED = "+-0x.!" * 8


def test_a_run_is_not_worse_than_itself() -> None:
    for strict in (False, True):
        verdict = against(MIXED, MIXED, strict=strict)
        assert verdict.exit_code == 0
        assert all(result.passed for result in verdict.results)
        gated = {result.name.split()[1].split("=")[0] for result in verdict.results}
        assert gated == set(summary_of(MIXED).metrics) - WITHOUT_DEFAULT_GATE


@pytest.mark.parametrize(
    ("before", "after", "drops", "exit_code", "strict_exit_code"),
    [
        ("+" * 30, "+" * 15 + "-" * 15, {"answer": 0.02}, 1, 1),
        ("+" * 30, "+" * 15 + "x" * 15, {"answer": 0.02}, 1, 1),
        ("+" * 30, "+" * 15 + "-" * 15, {"answer": 0.5}, 0, 0),  # equal keeps the bound
        ("+" * 30, "+" * 29 + "-", {"answer": 0.02}, 0, 1),  # may be chance
        ("+" * 30, "+" * 29 + "-", {"answer": 0.04}, 0, 0),
        ("++++-" * 4, "+++--" + "++++-" * 3, {"answer": 0.05}, 0, 0),  # 0.8 - 0.75 in floats
        ("+" * 15 + "-" * 15, "+" * 30, {"answer": 0.0}, 0, 0),
        ("+" * 30, "0" * 15 + "+" * 15, {"over_refusal": 0.02}, 1, 1),  # where lower is better
        ("0" * 15 + "+" * 15, "+" * 30, {"over_refusal": 0.0}, 0, 0),
        ("." * 30, "!" * 10 + "." * 20, {"false_answers": 0.1}, 1, 1),
        ("+" * 5, "-" * 5, {"answer": 0.0}, 0, 1),  # five of five are p = 0.0625
        ("+" * 6, "-" * 6, {"answer": 0.0}, 1, 1),
        ("+" * 20, "-" * 6 + "+" * 14, {"answer": 0.0}, 1, 1),  # p = 0.031
        ("+" * 20, "-" * 6 + "+" * 14, {"answer": 0.0, "hit_at_1": 0.0}, 0, 1),  # 0.062 by Holm over two
    ],
)
def test_a_drop_fails_when_it_is_large_and_significant(
    before: str, after: str, drops: dict[str, float], exit_code: int, strict_exit_code: int
) -> None:
    assert against(before, after, **drops).exit_code == exit_code
    assert against(before, after, strict=True, **drops).exit_code == strict_exit_code


def test_the_message_of_a_drop_says_what_it_stands_on() -> None:
    begin = "answer went from 1 to 0.7 over 20 questions: worse by more than 0.1"
    before, after = "+" * 20, "-" * 6 + "+" * 14
    assert only(against(before, after, answer=0.1)).message == f"{begin} (p = 0.0312 by Holm over 1)"
    assert only(against(before, after, answer=0.1, strict=True)).message == f"{begin} (without a test)"
    two = against(before, after, answer=0.1, hit_at_1=0.1).results[0]
    assert two.message == f"{begin}, but not significantly (p = 0.0625 by Holm over 2)"
    assert "not worse by more than 0.3" in only(against(before, after, answer=0.3)).message
    assert two.value == pytest.approx(0.3)


def test_without_named_drops_everything_with_a_direction_is_gated() -> None:
    verdict = against("+" * 30, "0" * 30)
    failed = {result.name for result in verdict.results if not result.passed}
    assert verdict.exit_code == 1
    assert {"max-drop answer=0", "max-drop over_refusal=0"} <= failed
    assert not any("words" in name or "_ms" in name for name in failed)


def test_times_are_gated_only_by_name_and_without_a_test() -> None:
    slow = run([replace(one, milliseconds=900.0) for one in run_of("++").outcomes])
    assert against("++", slow).exit_code == 0
    assert against("++", slow, p95_ms=100.0).exit_code == 1
    assert only(against("++", slow, p95_ms=798.0)).passed
    assert "(without a test)" in only(against("++", slow, p95_ms=100.0)).message


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("words", "neither better high nor low; use --fail-under or --fail-over"),
        ("false_answers", "false_answers does not apply (it is over: unanswerable questions), in both runs"),
    ],
)
def test_a_drop_that_cannot_be_judged_is_no_pass(metric: str, reason: str) -> None:
    verdict = against("+++", "+++", **{metric: 0.1})
    assert (verdict.exit_code, only(verdict).passed) == (2, False)
    assert reason in only(verdict).message


def test_a_drop_without_a_baseline_cannot_be_judged() -> None:
    verdict = judged("+++", max_drop={"answer": 0.1})
    assert verdict.exit_code == 2
    assert "name a run with --baseline" in only(verdict).message


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [
        (run([outcome(case(number), GOLD) for number in range(50, 60)]), "no question in common"),
        (run([outcome(case(0, answers=("Izmir",)), GOLD)]), "1 ids are in both, but with another content"),
        (run([]), "run A holds no answered question"),
        (run(run_of("++").outcomes * 2), "run A holds question 'q0' twice"),
    ],
)
@pytest.mark.parametrize("drops", [{}, {"answer": 1.0}])
def test_a_baseline_that_cannot_be_compared_is_no_pass(
    baseline: Run, reason: str, drops: dict[str, float]
) -> None:
    verdict = judged("+++", baseline=baseline, max_drop=drops)
    assert verdict.exit_code == 2
    assert only(verdict).message.startswith("the baseline (A) cannot be compared with this run (B): ")
    assert reason in only(verdict).message


def test_a_baseline_of_a_bare_test_set_gates_nothing_and_says_so() -> None:
    bare = run([outcome(case(1, answers=(), articles=(), answerable=None), GOLD)])
    verdict = judged(bare, baseline=bare)
    assert verdict.exit_code == 2
    assert only(verdict).message == "no metric that can become worse applies to both runs"


def test_what_a_baseline_does_not_cover_is_named() -> None:
    everything = run_of("+" * 10)
    changed = outcome(case(9, answers=("Izmir",)), "Izmir")
    fewer = run([*everything.outcomes[:6], changed, outcome(case(77), GOLD)])
    verdict = judged(fewer, baseline=everything, max_drop={"answer": 0.0})
    assert verdict.exit_code == 0
    assert verdict.results[0].message == (
        "6 questions compared; left out: 3 only in the baseline; 1 only in this run; 1 with another content"
    )


def test_metrics_that_only_the_baseline_has_are_named() -> None:
    asked = run_of("+-.!")
    retrieved = run([replace(one, answer=None) for one in asked.outcomes])
    verdict = judged(retrieved, baseline=asked)
    assert verdict.exit_code == 0
    assert "metrics of one run only: answer, short_answer, answer_recall" in verdict.results[0].message
    assert judged(retrieved, baseline=asked, max_drop={"answer": 0.5}).exit_code == 2


def test_an_incomplete_run_is_held_against_its_baseline_and_stays_incomplete() -> None:
    part = run(run_of("-" * 10).outcomes, questions=20)
    verdict = judged(part, baseline=run_of("+" * 20))
    assert verdict.exit_code == 3
    assert any(not result.passed for result in verdict.results if result.name == "max-drop answer=0")

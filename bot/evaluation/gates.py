"""Pass/fail thresholds of a run, and the exit code of the command.

Exit codes: 0 if all gates passed or there are none, 1 if a gate failed, 2 if a gate cannot be evaluated, 3 if the run
is incomplete. Code 2 takes precedence over 3, and 3 over 1. If no question was run, the code is 3, because no metric
can apply.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.errors import EvaluationError
from bot.evaluation.comparison import compare
from bot.evaluation.comparison_result import Comparison, Row
from bot.evaluation.metrics import METRICS, PERCENTILES
from bot.evaluation.models import Run, Summary
from bot.evaluation.statistics import ALPHA, holm

ExitCode = Literal[0, 1, 2, 3]
Bounds = Mapping[str, float]

TIMES = frozenset(PERCENTILES)
"""Metrics gated only by name: a busy machine must not fail a comparison of answers."""
_UNBOUNDED = TIMES | {"words"}
_NO_DIRECTION = "is neither better high nor low; use --fail-under or --fail-over"
_BOUND_TOLERANCE = 1e-9
"""Tolerance of bounds: a drop from 0.8 to 0.75 is slightly above 0.05 in floats, but satisfies a bound of 0.05."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """Result of one gate.

    Args:
        name: the gate.
        passed: True if the value satisfies the bound.
        value: the value compared with `bound`, or None if the gate cannot be evaluated.
        bound: the bound.
        message: explanation for users.
    """

    name: str
    passed: bool
    value: float | None
    bound: float
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Results of all gates and the resulting exit code."""

    results: tuple[GateResult, ...]
    exit_code: ExitCode


def parse_bounds(texts: Sequence[str]) -> dict[str, float]:
    """Parse bounds such as "answer=0.6".

    Raises:
        EvaluationError: if a bound is malformed, names an unknown metric, is repeated or is out of range.
    """
    bounds: dict[str, float] = {}
    for text in texts:
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals:
            raise EvaluationError(f"gate {text!r}: write it as metric=number, such as answer=0.6")
        if name not in METRICS:
            raise EvaluationError(f"gate {text!r}: no metric is called {name!r}; known: {', '.join(METRICS)}")
        if name in bounds:
            raise EvaluationError(f"gate {text!r}: {name} is given twice; keep one")
        bounds[name] = _parse_number(text, number, highest=math.inf if name in _UNBOUNDED else 1)
    return bounds


def parse_drops(texts: Sequence[str]) -> dict[str, float]:
    """Parse drops such as "answer=0.02".

    Raises:
        EvaluationError: if a bound is invalid (see `parse_bounds`) or its metric has no direction.
    """
    bounds = parse_bounds(texts)
    for name in bounds:
        if METRICS[name].better is None:
            raise EvaluationError(f"gate: {name} {_NO_DIRECTION}")
    return bounds


def evaluate_gates(
    summary: Summary,
    run: Run,
    *,
    fail_under: Bounds | None = None,
    fail_over: Bounds | None = None,
    baseline: Run | None = None,
    max_drop: Bounds | None = None,
    strict: bool = False,
) -> Verdict:
    """Evaluate the gates of a run and return the verdict with the exit code.

    Args:
        summary: the metrics of the run.
        run: the run.
        fail_under: lower bounds of metrics.
        fail_over: upper bounds of metrics.
        baseline: the run to compare with. Without `max_drop`, every metric with a direction in both runs, except
            times, is gated with a bound of 0.
        max_drop: bounds by which a metric may be worse than in the baseline. A gate fails only if the drop is also
            significant (5 %, Holm correction over these metrics).
        strict: fail without the significance test.

    Raises:
        EvaluationError: if the header of the run does not contain the number of questions.
    """
    results = [
        *_check_complete(run),
        *_evaluate_bounds("fail-under", fail_under or {}, summary),
        *_evaluate_bounds("fail-over", fail_over or {}, summary),
        *_evaluate_baseline(run, baseline, max_drop or {}, strict=strict),
    ]
    return Verdict(tuple(results), _decide_exit_code(run, results))


def _decide_exit_code(run: Run, results: Sequence[GateResult]) -> ExitCode:
    if not run.outcomes:
        return 3
    if any(result.value is None for result in results):
        return 2
    if any(_check_complete(run)):
        return 3
    return 0 if all(result.passed for result in results) else 1


def _check_complete(run: Run) -> Iterator[GateResult]:
    done, asked = len({outcome.case.id for outcome in run.outcomes}), run.header.get("questions")
    if not isinstance(asked, int):
        raise EvaluationError("the run's header does not say how many questions it has: run it again")
    if done < asked or not done:
        message = f"{done} of {asked} questions were run; the same `eval run` command goes on with the rest"
        if not asked:
            message = "no question was run: the test set holds none, or --limit and --tag left none"
        yield GateResult("complete", False, float(done), float(asked), message)


def _evaluate_bounds(gate: str, bounds: Bounds, summary: Summary) -> Iterator[GateResult]:
    for metric, bound in bounds.items():
        value = summary.metrics.get(metric)
        if value is None or not math.isfinite(value):
            yield _build_inconclusive(f"{gate} {metric}={bound:g}", bound, _explain_not_applicable(metric))
            continue
        low = gate == "fail-under"
        passed = value >= bound - _BOUND_TOLERANCE if low else value <= bound + _BOUND_TOLERANCE
        side = "under" if low else "over"
        message = f"{metric} is {value:.6g}, {'not ' if passed else ''}{side} {bound:g}"
        yield GateResult(f"{gate} {metric}={bound:g}", passed, value, bound, message)


def _evaluate_baseline(
    run: Run, baseline: Run | None, max_drop: Bounds, *, strict: bool
) -> Iterator[GateResult]:
    if baseline is None:
        for metric, bound in max_drop.items():
            reason = "there is nothing to compare with; name a run with --baseline"
            yield _build_inconclusive(f"max-drop {metric}={bound:g}", bound, f"{metric}: {reason}")
        return
    try:
        comparison = compare(baseline, run)
    except EvaluationError as exc:
        yield _build_inconclusive(
            "baseline", 0.0, f"the baseline (A) cannot be compared with this run (B): {exc}"
        )
        return
    rows = {row.metric: row for row in comparison.metrics}
    bounds = max_drop or {name: 0.0 for name in METRICS if name in rows and _is_gated_by_default(rows[name])}
    yield from _build_unpaired_note(comparison, named=bool(max_drop))
    if not bounds:
        yield _build_inconclusive("baseline", 0.0, "no metric that can become worse applies to both runs")
    adjusted = _adjust_p_values([rows[name] for name in bounds if name in rows])
    for metric, bound in bounds.items():
        yield _evaluate_drop(metric, bound, rows.get(metric), adjusted, strict=strict)


def _evaluate_drop(
    metric: str, bound: float, row: Row | None, adjusted: Mapping[str, float], *, strict: bool
) -> GateResult:
    name = f"max-drop {metric}={bound:g}"
    if METRICS[metric].better is None:
        return _build_inconclusive(name, bound, f"{metric} {_NO_DIRECTION}")
    if row is None:
        return _build_inconclusive(name, bound, f"{_explain_not_applicable(metric)}, in both runs")
    larger = row.drop > bound + _BOUND_TOLERANCE
    tested = not strict and metric in adjusted
    passed = not larger or (tested and adjusted[metric] >= ALPHA)
    size = f"worse by more than {bound:g}" if larger else f"not worse by more than {bound:g}"
    test = f" (p = {adjusted[metric]:.3g} by Holm over {len(adjusted)})" if tested else " (without a test)"
    but = ", but not significantly" if larger and passed else ""
    message = f"{metric} went from {row.a:.6g} to {row.b:.6g} over {row.n} questions: {size}{but}"
    return GateResult(name, passed, row.drop, bound, message + (test if larger else ""))


def _build_unpaired_note(comparison: Comparison, *, named: bool) -> Iterator[GateResult]:
    """Yield a passing result that names the questions and metrics excluded from the comparison with the baseline."""
    parts = [
        f"{len(ids)} {where}"
        for ids, where in (
            (comparison.only_a, "only in the baseline"),
            (comparison.only_b, "only in this run"),
            (comparison.changed, "with another content"),
        )
        if ids
    ]
    if comparison.metrics_in_one and not named:
        parts.append(f"metrics of one run only: {', '.join(comparison.metrics_in_one)}")
    if parts:
        message = f"{comparison.paired} questions compared; left out: {'; '.join(parts)}"
        yield GateResult("baseline", True, float(comparison.paired), 0.0, message)


def _adjust_p_values(rows: Sequence[Row]) -> dict[str, float]:
    tested = [(row.metric, row.p) for row in rows if row.p is not None and row.better]
    return dict(zip([name for name, _ in tested], holm([p for _, p in tested]), strict=True))


def _is_gated_by_default(row: Row) -> bool:
    return row.better is not None and row.metric not in TIMES


def _build_inconclusive(name: str, bound: float, message: str) -> GateResult:
    return GateResult(name, False, None, bound, message)


def _explain_not_applicable(metric: str) -> str:
    return f"{metric} does not apply (it is over: {METRICS[metric].over})"


def _parse_number(text: str, number: str, *, highest: float) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise EvaluationError(f"gate {text!r}: {number!r} is not a number")
    if not 0 <= value <= highest:
        between = "0 or more" if highest == math.inf else "from 0 to 1 (60 % is 0.6)"
        raise EvaluationError(f"gate {text!r}: {number} is out of range, give {between}")
    return value

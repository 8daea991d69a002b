"""Gates: bounds that a run must keep, and the one function that gives verdict and exit code.

0: every gate passed (or there is none); 1: a gate failed; 2: a gate cannot be judged; 3: the run is
incomplete. What could not be judged outranks what is incomplete, and that outranks what failed; but where
nothing was run at all it is 3, since then no metric can apply.
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
"""Gated only by name: a busy machine must not fail a comparison of answers."""
_UNBOUNDED = TIMES | {"words"}
_NO_DIRECTION = "is neither better high nor low; use --fail-under or --fail-over"
_SLACK = 1e-9
"""A drop from 0.8 to 0.75 is 0.05 and a bit in floats; it keeps a bound of 0.05."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What became of one gate. `value` is what is held against `get_context`; None where it cannot be judged."""

    name: str
    passed: bool
    value: float | None
    bound: float
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All gates' results and the exit code they come to."""

    results: tuple[GateResult, ...]
    exit_code: ExitCode


def parse_bounds(texts: Sequence[str]) -> dict[str, float]:
    """Read bounds such as "answer=0.6". Raises EvaluationError for what could never hold or never fail."""
    bounds: dict[str, float] = {}
    for text in texts:
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals:
            raise EvaluationError(f"gate {text!r}: write it as metric=number, such as answer=0.6")
        if name not in METRICS:
            raise EvaluationError(f"gate {text!r}: no metric is called {name!r}; known: {', '.join(METRICS)}")
        if name in bounds:
            raise EvaluationError(f"gate {text!r}: {name} is given twice; keep one")
        bounds[name] = _number(text, number, highest=math.inf if name in _UNBOUNDED else 1)
    return bounds


def parse_drops(texts: Sequence[str]) -> dict[str, float]:
    """Read drops such as "answer=0.02". Raises EvaluationError as `parse_bounds`, or for what cannot get worse."""
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
    """Hold a run against its gates and say how the command ends. Raises EvaluationError for a broken header.

    `max_drop` fails where a metric is worse than the baseline's by more than its bound, and significantly
    so (5 %, Holm over the metrics so gated); `strict` goes without the test. A baseline without
    `max_drop` gates every metric of both runs that has a direction, times aside, with a bound of 0.
    """
    results = [
        *_incomplete(run),
        *_bounded("fail-under", fail_under or {}, summary),
        *_bounded("fail-over", fail_over or {}, summary),
        *_baseline_gates(run, baseline, max_drop or {}, strict=strict),
    ]
    return Verdict(tuple(results), _exit_code(run, results))


def _exit_code(run: Run, results: Sequence[GateResult]) -> ExitCode:
    if not run.outcomes:
        return 3
    if any(result.value is None for result in results):
        return 2
    if any(_incomplete(run)):
        return 3
    return 0 if all(result.passed for result in results) else 1


def _incomplete(run: Run) -> Iterator[GateResult]:
    done, asked = len({outcome.case.id for outcome in run.outcomes}), run.header.get("questions")
    if not isinstance(asked, int):
        raise EvaluationError("the run's header does not say how many questions it has: run it again")
    if done < asked or not done:
        message = f"{done} of {asked} questions were run; the same `eval run` command goes on with the rest"
        if not asked:
            message = "no question was run: the test set holds none, or --limit and --tag left none"
        yield GateResult("complete", False, float(done), float(asked), message)


def _bounded(gate: str, bounds: Bounds, summary: Summary) -> Iterator[GateResult]:
    for metric, bound in bounds.items():
        value = summary.metrics.get(metric)
        if value is None or not math.isfinite(value):
            yield _inconclusive(f"{gate} {metric}={bound:g}", bound, _not_applicable(metric))
            continue
        low = gate == "fail-under"
        passed = value >= bound - _SLACK if low else value <= bound + _SLACK
        side = "under" if low else "over"
        message = f"{metric} is {value:.6g}, {'not ' if passed else ''}{side} {bound:g}"
        yield GateResult(f"{gate} {metric}={bound:g}", passed, value, bound, message)


def _baseline_gates(
    run: Run, baseline: Run | None, max_drop: Bounds, *, strict: bool
) -> Iterator[GateResult]:
    if baseline is None:
        for metric, bound in max_drop.items():
            reason = "there is nothing to compare with; name a run with --baseline"
            yield _inconclusive(f"max-drop {metric}={bound:g}", bound, f"{metric}: {reason}")
        return
    try:
        comparison = compare(baseline, run)
    except EvaluationError as exc:
        yield _inconclusive("baseline", 0.0, f"the baseline (A) cannot be compared with this run (B): {exc}")
        return
    rows = {row.metric: row for row in comparison.metrics}
    bounds = max_drop or {name: 0.0 for name in METRICS if name in rows and _gated_by_default(rows[name])}
    yield from _unpaired_note(comparison, named=bool(max_drop))
    if not bounds:
        yield _inconclusive("baseline", 0.0, "no metric that can become worse applies to both runs")
    adjusted = _adjusted([rows[name] for name in bounds if name in rows])
    for metric, bound in bounds.items():
        yield _drop(metric, bound, rows.get(metric), adjusted, strict=strict)


def _drop(
    metric: str, bound: float, row: Row | None, adjusted: Mapping[str, float], *, strict: bool
) -> GateResult:
    name = f"max-drop {metric}={bound:g}"
    if METRICS[metric].better is None:
        return _inconclusive(name, bound, f"{metric} {_NO_DIRECTION}")
    if row is None:
        return _inconclusive(name, bound, f"{_not_applicable(metric)}, in both runs")
    larger = row.drop > bound + _SLACK
    tested = not strict and metric in adjusted
    passed = not larger or (tested and adjusted[metric] >= ALPHA)
    size = f"worse by more than {bound:g}" if larger else f"not worse by more than {bound:g}"
    test = f" (p = {adjusted[metric]:.3g} by Holm over {len(adjusted)})" if tested else " (without a test)"
    but = ", but not significantly" if larger and passed else ""
    message = f"{metric} went from {row.a:.6g} to {row.b:.6g} over {row.n} questions: {size}{but}"
    return GateResult(name, passed, row.drop, bound, message + (test if larger else ""))


def _unpaired_note(comparison: Comparison, *, named: bool) -> Iterator[GateResult]:
    """Say what the baseline's gates did not look at: it fails nothing, but nobody should have to guess it."""
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


def _adjusted(rows: Sequence[Row]) -> dict[str, float]:
    tested = [(row.metric, row.p) for row in rows if row.p is not None and row.better]
    return dict(zip([name for name, _ in tested], holm([p for _, p in tested]), strict=True))


def _gated_by_default(row: Row) -> bool:
    return row.better is not None and row.metric not in TIMES


def _inconclusive(name: str, bound: float, message: str) -> GateResult:
    return GateResult(name, False, None, bound, message)


def _not_applicable(metric: str) -> str:
    return f"{metric} does not apply (it is over: {METRICS[metric].over})"


def _number(text: str, number: str, *, highest: float) -> float:
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

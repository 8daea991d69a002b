"""Gates, report files, printed summary and exit code of commands that evaluate a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from bot.cli.common import print_json

if TYPE_CHECKING:
    from bot.evaluation.gates import Verdict
    from bot.evaluation.models import Run, Summary

    GateEvaluator = Callable[[Summary, Run], Verdict]


def parse_gates(
    report: Path | None,
    fail_under: list[str] | None,
    fail_over: list[str] | None,
    baseline: Path | None,
    max_drop: list[str] | None,
    strict: bool,
) -> GateEvaluator:
    """Parse the gate options and check the report path, before any question is asked: a typo must not waste a run.

    Raises:
        EvaluationError: if an option or the baseline is invalid.
    """
    from bot.errors import EvaluationError
    from bot.evaluation.gates import evaluate_gates, parse_bounds, parse_drops
    from bot.evaluation.reports import check_report_path
    from bot.evaluation.run_log import read_run

    if report:
        check_report_path(report)
    if (max_drop or strict) and not baseline:
        raise EvaluationError("--max-drop and --strict hold a run against another: name that with --baseline")
    return partial(
        evaluate_gates,
        fail_under=parse_bounds(fail_under or []),
        fail_over=parse_bounds(fail_over or []),
        baseline=read_run(baseline) if baseline else None,
        max_drop=parse_drops(max_drop or []),
        strict=strict,
    )


def report_and_exit(
    done: Run, check_gates: GateEvaluator, report: Path | None, junit: Path | None, *, as_json: bool
) -> NoReturn:
    """Write the reports of a run, print its summary and exit with the code of the gates.

    Raises:
        EvaluationError: if a report cannot be written.
    """
    from bot.evaluation.metrics import summarize
    from bot.evaluation.reports import write_junit, write_report

    summary = summarize(done.outcomes)
    verdict = check_gates(summary, done)
    if report:
        write_report(done, summary, verdict, report)
    if junit:
        write_junit(done, summary, verdict, junit)
    if as_json:
        print_json(_build_json(done, summary, verdict))
    else:
        _print_summary(done, summary, verdict)
    raise typer.Exit(verdict.exit_code)


def _build_json(done: Run, summary: Summary, verdict: Verdict) -> dict[str, Any]:
    from bot.evaluation.thresholds import trade_offs

    failed = [{"id": outcome.case.id, "error": outcome.error} for outcome in done.outcomes if outcome.error]
    gates = [asdict(result) for result in verdict.results]
    rows = [asdict(row) for row in trade_offs(done.outcomes)]
    counts = {"questions": len(done.outcomes), "failed": failed}
    return {**asdict(summary), **counts, "gates": gates, "thresholds": rows}


def _print_trade_offs(done: Run) -> None:
    from bot.cli import console
    from bot.evaluation.thresholds import trade_offs

    if not (rows := trade_offs(done.outcomes)):
        return
    console.out.print("answered from confidence   answered   right   false_answers")
    for row in rows:
        console.out.print(
            f"{row.confidence:24.1f} {row.answered:10.3f} {row.right:7.3f} {row.false_answers:15.3f}"
        )


def _print_summary(done: Run, summary: Summary, verdict: Verdict) -> None:
    from bot.cli import console
    from bot.evaluation.reports import print_summary_table

    print_summary_table(summary, console.out)
    _print_trade_offs(done)
    for outcome in done.outcomes:
        if outcome.error:
            console.out.print(f"failed: {outcome.case.id}: {outcome.error}", soft_wrap=True)
    for result in verdict.results:
        console.out.print(f"{'pass' if result.passed else 'FAIL'}: {result.message}", soft_wrap=True)

"""How a command over a run ends: the gates it is held against, its report files, what is printed, the exit code."""

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

    Judge = Callable[[Summary, Run], Verdict]


def parse_gates(
    report: Path | None,
    fail_under: list[str] | None,
    fail_over: list[str] | None,
    baseline: Path | None,
    max_drop: list[str] | None,
    strict: bool,
) -> Judge:
    """Read gates and report before anything is asked: what is misspelt must not cost a run. Raises EvaluationError."""
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
    done: Run, judge: Judge, report: Path | None, junit: Path | None, *, as_json: bool
) -> NoReturn:
    """Report a run in files and in the terminal, and exit with its gates' code. Raises EvaluationError."""
    from bot.evaluation.metrics import summarise
    from bot.evaluation.reports import write_junit, write_report

    summary = summarise(done.outcomes)
    verdict = judge(summary, done)
    if report:
        write_report(done, summary, verdict, report)
    if junit:
        write_junit(done, summary, verdict, junit)
    if as_json:
        print_json(_fields(done, summary, verdict))
    else:
        _print_summary(done, summary, verdict)
    raise typer.Exit(verdict.exit_code)


def _fields(done: Run, summary: Summary, verdict: Verdict) -> dict[str, Any]:
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
    from bot.evaluation.reports import summary_table

    summary_table(summary, console.out)
    _print_trade_offs(done)
    for outcome in done.outcomes:
        if outcome.error:
            console.out.print(f"failed: {outcome.case.id}: {outcome.error}", soft_wrap=True)
    for result in verdict.results:
        console.out.print(f"{'pass' if result.passed else 'FAIL'}: {result.message}", soft_wrap=True)

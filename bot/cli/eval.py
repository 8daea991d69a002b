"""Commands: eval run, score, compare, check, harvest."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import Json, open_services, print_json
from bot.cli.eval_output import parse_gates, report_and_exit

if TYPE_CHECKING:
    from bot.evaluation.dataset import TestSet
    from bot.evaluation.models import Case
    from bot.evaluation.run_log import RunFile
    from bot.services import Services

app = typer.Typer(
    name="eval",
    help="Run, score and compare evaluations.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
_Report = Annotated[Path | None, typer.Option(help="Write a report: F.html, F.md or F.csv.", metavar="F")]
_Junit = Annotated[
    Path | None, typer.Option(help="Write JUnit XML, one test case per question and gate.", metavar="F")
]
_FailUnder = Annotated[
    list[str] | None, typer.Option(help="Fail if the metric is lower than X (repeatable).", metavar="M=X")
]
_FailOver = Annotated[
    list[str] | None, typer.Option(help="Fail if the metric is higher than X (repeatable).", metavar="M=X")
]
_Baseline = Annotated[Path | None, typer.Option(help="Baseline run.", exists=True, dir_okay=False)]
_MaxDrop = Annotated[
    list[str] | None,
    typer.Option(
        help="Fail if the metric is significantly worse than in the baseline, by more than D.", metavar="M=D"
    ),
]
# Asked first and not counted, so that no measured time includes loading.
_WARM_UP_QUESTION = "Who won the final?"
_Strict = Annotated[bool, typer.Option("--strict", help="Also fail on drops that are not significant.")]


@app.command()
def run(
    ctx: typer.Context,
    testset: _File,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", dir_okay=False, help="Run file (default: in the data directory)."),
    ] = None,
    retrieval_only: Annotated[bool, typer.Option("--retrieval-only", help="Retrieve only.")] = False,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, max=64, help="Concurrent questions.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only questions with this tag (repeatable).")] = None,
    report: _Report = None,
    junit: _Junit = None,
    as_json: Json = False,
    fail_under: _FailUnder = None,
    fail_over: _FailOver = None,
    baseline: _Baseline = None,
    max_drop: _MaxDrop = None,
    strict: _Strict = False,
) -> None:
    """Run a test set. Rerun the command to resume an interrupted run.

    Exit codes: 0 unless a gate fails (1), 2 usage error or not comparable, 3 incomplete, 130 interrupted.
    """
    from bot.evaluation.metrics import summarize
    from bot.evaluation.run_log import RunFile
    from bot.evaluation.runner import run_metadata

    check_gates = parse_gates(report, fail_under, fail_over, baseline, max_drop, strict)
    services, loaded = open_services(ctx), _load_valid_testset(testset)
    cases = _select_cases(loaded, limit, tag or [])
    _warn_about_unknown_articles(services, cases)
    options = {"retrieval_only": retrieval_only, "limit": limit, "tags": tag or []}
    header = run_metadata(services, loaded, cases, options)
    file = RunFile(output or _default_run_path(services, header, testset), header)
    _run_missing_cases(services, file, cases, retrieval_only=retrieval_only, jobs=jobs)
    done = file.as_run(cases)
    file.finish(summarize(done.outcomes))
    file.close()
    print(f"Run file: {file.path}", file=sys.stderr)
    report_and_exit(done, check_gates, report, junit, as_json=as_json)


@app.command()
def score(
    run_file: _File,
    report: _Report = None,
    junit: _Junit = None,
    as_json: Json = False,
    fail_under: _FailUnder = None,
    fail_over: _FailOver = None,
    baseline: _Baseline = None,
    max_drop: _MaxDrop = None,
    strict: _Strict = False,
) -> None:
    """Recompute metrics from a stored run."""
    from bot.evaluation.run_log import read_run

    check_gates = parse_gates(report, fail_under, fail_over, baseline, max_drop, strict)
    report_and_exit(read_run(run_file), check_gates, report, junit, as_json=as_json)


@app.command()
def compare(a: _File, b: _File, as_json: Json = False) -> None:
    """Compare two runs with paired significance tests."""
    from bot.evaluation.comparison import compare as compare_runs
    from bot.evaluation.reports.text import format_comparison
    from bot.evaluation.run_log import read_run

    comparison = compare_runs(read_run(a), read_run(b))
    if as_json:
        print_json(comparison.fields())
    else:
        print(format_comparison(comparison))


@app.command()
def check(ctx: typer.Context, testset: _File, as_json: Json = False) -> None:
    """Validate a test set: its errors by line, and gold articles that are not in the article store.

    Exit codes: 0 if it is valid, else 2.
    """
    from bot.evaluation.dataset import find_unknown_articles, load_testset

    loaded = load_testset(testset)
    unknown = find_unknown_articles(loaded.cases, open_services(ctx).articles.find)
    if as_json:
        print_json(
            {
                "questions": len(loaded.cases),
                "errors": [asdict(problem) for problem in loaded.problems],
                "unknown_articles": [
                    {"line": loaded.lines[case.id], "id": case.id, "article": article}
                    for case, article in unknown
                ],
            }
        )
    else:
        for problem in loaded.problems:
            print(f"{testset}: {problem}")
        for case, article in unknown:
            line = loaded.lines[case.id]
            print(f"{testset}: line {line}: article {article!r} of question {case.id} is not in the library")
        print(
            f"{len(loaded.cases)} questions, {len(loaded.problems)} errors, {len(unknown)} articles not in the library"
        )
    raise typer.Exit(2 if loaded.problems or unknown else 0)


@app.command()
def harvest(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Test set to append to.", dir_okay=False)],
) -> None:
    """Turn user feedback into candidate test cases (`"curated": false` until reviewed).

    Questions that the file already contains are skipped, and nothing in it is changed.
    """
    from bot.evaluation.feedback import add_candidates

    added = add_candidates(open_services(ctx).answers, output)
    print(f'{added} candidates added to {output}; set "curated" to true where they are right')


def _load_valid_testset(path: Path) -> TestSet:
    from bot.errors import EvaluationError
    from bot.evaluation.dataset import NO_QUESTIONS, load_testset

    loaded = load_testset(path)
    # An empty test set has an exit code of its own.
    if loaded.problems and loaded.problems != (NO_QUESTIONS,):
        more = f" and {len(loaded.problems) - 1} more" if len(loaded.problems) > 1 else ""
        raise EvaluationError(f"{path}: {loaded.problems[0]}{more}; `citewire eval check` lists them all")
    return loaded


def _select_cases(loaded: TestSet, limit: int | None, tags: list[str]) -> list[Case]:
    cases = [case for case in loaded.cases if case.curated]
    if left_out := len(loaded.cases) - len(cases):
        print(f'{left_out} left out: "curated" is false until somebody has set them right', file=sys.stderr)
    return [case for case in cases if not tags or set(tags) & set(case.tags)][:limit]


def _warn_about_unknown_articles(services: Services, cases: list[Case]) -> None:
    """Print a warning if gold articles are missing: it may be the wrong article store."""
    from bot.evaluation.dataset import find_unknown_articles

    if unknown := find_unknown_articles(cases, services.articles.find):
        print(
            f"{len(unknown)} gold articles are not in the library; `citewire eval check` lists them",
            file=sys.stderr,
        )


def _default_run_path(services: Services, header: dict[str, Any], testset: Path) -> Path:
    """Return a path that is the same for the same command, so that the command can resume its run.

    A complete run at that path is deleted.
    """
    from bot.articles.article import short_hash
    from bot.evaluation.run_log import flatten, is_complete

    name = f"{testset.stem}-{short_hash(json.dumps(flatten(header), sort_keys=True, default=str))[:8]}.jsonl"
    path = services.settings.data_dir / "runs" / name
    if is_complete(path):
        path.unlink()
    return path


def _run_missing_cases(
    services: Services, file: RunFile, cases: list[Case], *, retrieval_only: bool, jobs: int
) -> None:
    from functools import partial

    from bot.cli import console
    from bot.evaluation.models import Case
    from bot.evaluation.runner import ask_chain, run_cases

    left = [case for case in cases if case.id not in file.done]
    if len(left) < len(cases):
        print(f"{len(cases) - len(left)} of {len(cases)} questions were answered before", file=sys.stderr)
    if not left:
        return
    ask = partial(ask_chain, services, retrieval_only=retrieval_only)
    services.load_models()
    run_cases([Case("", _WARM_UP_QUESTION)], ask, workers=1, on_result=lambda _: None)
    with console.question_progress(len(cases), len(cases) - len(left)) as advance:

        def on_result(outcome: Any) -> None:
            file.add(outcome)
            advance()

        run_cases(left, ask, workers=jobs, on_result=on_result)

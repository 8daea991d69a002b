"""What the commands share: how they open the data folder and print JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from bot.ingestion.pipeline import IngestReport
    from bot.services import Services

PREPARING = "Preparing the question encoder"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def open_workspace(ctx: typer.Context, **options: Any) -> Services:
    """Return the data folder that the command line names; `options` are the command's own settings."""
    from bot.services import Services
    from bot.settings import load_settings

    return Services(load_settings(data_dir=ctx.obj, **options))


def print_json(fields: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(fields, ensure_ascii=False, indent=2))


def prepare_encoder(workspace: Services) -> None:
    """Export the question encoder if it is missing; without it questions are answered, but start slower."""
    from bot.cli import console

    with console.print_errors(), console.spinner(PREPARING):
        workspace.embedder.ensure_encoder()


def print_report_and_exit(workspace: Services, report: IngestReport, *, as_json: bool) -> NoReturn:
    """Say what an ingest has done, and exit: 1 where something was skipped."""
    from bot.cli import console

    totals = workspace.articles.totals()
    if totals.articles:
        prepare_encoder(workspace)
    if as_json:
        print_json(console.report_fields(report, totals))
    else:
        console.print_report(report, totals)
    raise typer.Exit(1 if report.failures else 0)

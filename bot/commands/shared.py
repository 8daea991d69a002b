"""What the commands share: how they open the data folder and print JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from bot.retrieval.ingest import Report
    from bot.workspace import Workspace

PREPARING = "Preparing the question encoder"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def open_workspace(ctx: typer.Context, **options: Any) -> Workspace:
    """Return the data folder that the command line names; `options` are the command's own settings."""
    from bot.settings import load_settings
    from bot.workspace import Workspace

    return Workspace(load_settings(data_dir=ctx.obj, **options))


def print_json(fields: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(fields, ensure_ascii=False, indent=2))


def prepare_encoder(workspace: Workspace) -> None:
    """Export the question encoder if it is missing; without it questions are answered, but start slower."""
    from bot import terminal

    with terminal.told_errors(), terminal.working(PREPARING):
        workspace.embedder.ensure_encoder()


def tell_report(workspace: Workspace, report: Report, *, as_json: bool) -> NoReturn:
    """Say what an ingest has done, and exit: 1 where something was skipped."""
    from bot import terminal

    totals = workspace.library.totals()
    if totals.articles:
        prepare_encoder(workspace)
    if as_json:
        print_json(terminal.report_fields(report, totals))
    else:
        terminal.print_report(report, totals)
    raise typer.Exit(1 if report.failures else 0)

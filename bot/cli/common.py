"""Shared options and JSON output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from bot.ingestion.pipeline import IngestReport
    from bot.services import Services

PREPARING_ENCODER = "Preparing the question encoder"

Json = Annotated[bool, typer.Option("--json", help="Output JSON.")]


def open_services(ctx: typer.Context, **options: Any) -> Services:
    """Return the services of the data directory given on the command line.

    Args:
        options: settings given by options of the command.
    """
    from bot.services import Services
    from bot.settings import load_settings

    return Services(load_settings(data_dir=ctx.obj, **options))


def print_json(fields: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(fields, ensure_ascii=False, indent=2))


def prepare_encoder(services: Services) -> None:
    """Export the query encoder if it is missing. Without it, questions are answered, but the start is slower."""
    from bot.cli import console

    with console.print_errors(), console.spinner(PREPARING_ENCODER):
        services.embedder.ensure_encoder()


def print_report_and_exit(services: Services, report: IngestReport, *, as_json: bool) -> NoReturn:
    """Print the report of an ingest and exit, with code 1 if something was skipped."""
    from bot.cli import console

    totals = services.articles.totals()
    if totals.articles:
        prepare_encoder(services)
    if as_json:
        print_json(console.report_fields(report, totals))
    else:
        console.print_report(report, totals)
    raise typer.Exit(1 if report.failures else 0)

"""Print the summary of a run, and write reports in the format of the file's suffix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.articles.article import clean_line
from bot.errors import EvaluationError
from bot.evaluation.models import Run, Summary
from bot.evaluation.reports.summary import figures

if TYPE_CHECKING:
    from bot.evaluation.gates import Verdict

FORMATS = (".html", ".md", ".csv")


def check_report_path(path: Path) -> None:
    """Check the suffix of a report before any question is asked.

    Raises:
        EvaluationError: if there is no report format with this suffix.
    """
    if path.suffix.lower() not in FORMATS:
        raise EvaluationError(f"{path}: no such report; name a file that ends with {', '.join(FORMATS)}")


def write_report(run: Run, summary: Summary, verdict: Verdict | None, path: Path) -> None:
    """Write a report as HTML, Markdown or CSV, depending on the file's suffix.

    Raises:
        EvaluationError: if the suffix is unknown or the file cannot be written.
    """
    check_report_path(path)
    _write(path, _build_content(run, summary, verdict, path.suffix.lower()).encode("utf-8"))


def write_junit(run: Run, summary: Summary, verdict: Verdict | None, path: Path) -> None:
    """Write JUnit XML with one test case per question and per gate.

    Raises:
        EvaluationError: if the file cannot be written.
    """
    from bot.evaluation.reports.junit import build_junit

    _write(path, build_junit(run, verdict))


def print_summary_table(summary: Summary, console: Console) -> None:
    """Print the metrics with their 95 % intervals and numbers of observations."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Metric", no_wrap=True)
    for name in ("Value", "95 % interval", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures(summary):
        cells = (figure.name, figure.value, figure.interval, f"{figure.n:,}")
        table.add_row(*(Text(clean_line(cell)) for cell in cells))
    console.print(table if table.row_count else Text("Nothing was measured."))


def _build_content(run: Run, summary: Summary, verdict: Verdict | None, suffix: str) -> str:
    if suffix == ".html":
        from bot.evaluation.reports.html import build_page

        return build_page(run, summary, verdict)
    from bot.evaluation.reports.text import format_csv, format_markdown

    return format_csv(run) if suffix == ".csv" else format_markdown(run, summary, verdict)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as exc:
        raise EvaluationError(f"{path}: cannot be written ({exc.strerror})") from exc

"""Rich consoles and progress bars. Text from articles is always printed as text, never as markup."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from bot.articles.article import clean_line
from bot.errors import CitewireError

if TYPE_CHECKING:
    from rich.progress import Progress

    from bot.ingestion.pipeline import IngestReport
    from bot.storage.models import StoreStats

out = Console(highlight=False, emoji=False, markup=False)
err = Console(stderr=True, highlight=False, emoji=False, markup=False)

_PLAIN_PROGRESS_SECONDS = 10.0  # between two progress lines if there is no terminal
_MAX_SHOWN_SKIPS = 20


def print_report(report: IngestReport, totals: StoreStats) -> None:
    """Print the counts of an ingest to stdout, and skipped files with the reason to stderr."""
    for skip in report.skipped[:_MAX_SHOWN_SKIPS]:
        # clean_line: the name of a file may contain terminal control sequences
        err.print(
            Text(f"{'passed over' if skip.expected else 'skipped'}: {clean_line(str(skip))}"), soft_wrap=True
        )
    if len(report.skipped) > _MAX_SHOWN_SKIPS:
        err.print(f"… and {len(report.skipped) - _MAX_SHOWN_SKIPS:,} more (`--json` lists all)")
    counts = (("added", report.added), ("changed", report.changed), ("unchanged", report.unchanged),
              ("removed", report.removed), ("skipped", len(report.failures)))  # fmt: skip
    out.print(", ".join(f"{count:,} {name}" for name, count in counts), soft_wrap=True)
    rate = f", {report.passages / report.seconds:,.0f} a second" if report.passages else ""
    out.print(
        f"{report.passages:,} passages in {report.seconds:,.1f} s{rate}; "
        f"the library holds {totals.articles:,} articles, {totals.passages:,} passages",
        soft_wrap=True,
    )


def report_fields(report: IngestReport, totals: StoreStats) -> dict[str, Any]:
    """Return the report of an ingest as a dictionary for JSON."""
    fields = asdict(report)
    return {**fields, "seconds": round(report.seconds, 3), "library": asdict(totals)}


def print_waiting_for_lock() -> None:
    """Print that another process is writing to the same data directory."""
    err.print("Another citewire process is writing to this data folder; waiting for it to finish …")


@contextlib.contextmanager
def print_errors() -> Iterator[None]:
    """Print an error and continue; Ctrl-C ends only the block."""
    try:
        yield
    except CitewireError as exc:
        err.print(f"citewire: {exc}", soft_wrap=True)
    except KeyboardInterrupt:
        err.print("Stopped.")


@contextlib.contextmanager
def spinner(label: str) -> Iterator[None]:
    """Show a spinner if stderr is a terminal."""
    with err.status(f"{label} …") if err.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def ingest_progress() -> Iterator[Callable[[IngestReport], None]]:
    """Show the progress of an ingest: a live line in a terminal, else a line every few seconds."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("Reading …", total=None)
        last = time.monotonic()

        def show(report: IngestReport) -> None:
            nonlocal last
            rate = f"{report.passages / report.seconds:,.0f} a second"
            line = f"{report.read:,} articles read, {report.passages:,} passages embedded, {rate}"
            bar.update(task, description=line)
            if not err.is_terminal and time.monotonic() - last > _PLAIN_PROGRESS_SECONDS:
                last = time.monotonic()
                err.print(line, soft_wrap=True)

        yield show


@contextlib.contextmanager
def passage_progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` passages are indexed."""
    with _progress_bar("Indexing") as bar:
        task = bar.add_task("passages", total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def question_progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """Show how many of `total` questions are answered, starting at `done`."""
    with _progress_bar("Asking") as bar:
        task = bar.add_task("questions", total=total, completed=done)
        yield lambda: bar.advance(task)


def _progress_bar(label: str) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)

"""Commands: watch, feeds. Also fetches the URLs given to `ingest`."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import Json, open_services, print_json, print_report_and_exit
from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.ingestion.pipeline import IngestReport
    from bot.services import Services

app = typer.Typer()


def is_url(argument: str) -> bool:
    """Return True if an argument is a URL, not a path."""
    return argument.lower().startswith(("http://", "https://"))


def fetch(services: Services, urls: Sequence[str], *, feeds: bool, source: str) -> IngestReport:
    """Ingest pages, or feeds, which are also stored for `watch`."""
    from bot.articles.article import clean_line
    from bot.cli import console
    from bot.crawler.watcher import Watcher
    from bot.ingestion.pipeline import IngestReport

    watch = Watcher(services, stopping=threading.Event(), on_wait=console.print_waiting_for_lock)
    pages, feed_urls = ([], urls) if feeds else (urls, [])
    so_far = IngestReport()
    with contextlib.closing(watch), console.ingest_progress() as progress:

        def show(step: IngestReport) -> None:
            so_far.add(step)
            if so_far.seconds:
                progress(so_far)

        return watch.ingest_once(pages=pages, feeds=feed_urls, source=clean_line(source), on_report=show)


@app.command()
def watch(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Poll every feed once and exit.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Minimum seconds between polls of a feed.")] = 300,
    as_json: Json = False,
) -> None:
    """Poll feeds and ingest new, corrected and withdrawn articles until interrupted.

    The interval adapts to each feed (5 minutes to 1 day).
    """
    from bot.cli import console
    from bot.crawler.lock import watcher_lock
    from bot.crawler.watcher import Watcher

    services, stopping = open_services(ctx), threading.Event()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("bot.crawler").setLevel(logging.INFO)
    with _stop_on_signals(stopping), watcher_lock(services, wait=not once, stopping=stopping):
        watcher = Watcher(
            services, stopping=stopping, min_interval=every, on_wait=console.print_waiting_for_lock
        )
        if not watcher.store.feeds():
            raise CitewireError(
                "no feeds are known: `citewire ingest --feed URL` takes one in and remembers it"
            )
        with contextlib.closing(watcher):
            if once:
                print_report_and_exit(services, watcher.poll_all(), as_json=as_json)
            else:
                watcher.run(on_report=_print_json_line if as_json else _log_report)


@app.command()
def feeds(
    ctx: typer.Context,
    remove: Annotated[
        str, typer.Option(metavar="URL", help="Stop polling this feed (its articles are kept).")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the feeds that `watch` polls, or stop polling one."""
    from bot.cli.listing import feed_fields, print_feeds
    from bot.crawler.store import CrawlStore

    ledger = CrawlStore(open_services(ctx).articles)
    if remove and not ledger.remove_feed(remove):
        raise CitewireError(f"no such feed: {remove}; `citewire feeds` lists what is polled")
    known = ledger.feeds()
    if as_json:
        print_json({"feeds": [feed_fields(feed) for feed in known]})
    else:
        print_feeds(known)


@contextlib.contextmanager
def _stop_on_signals(stopping: threading.Event) -> Iterator[None]:
    """Shut down gracefully at the first Ctrl-C or SIGTERM, and immediately at the second one."""

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_report(report: IngestReport) -> None:
    """Log failures, and a line if something changed."""
    from bot.articles.article import clean_line

    logger = logging.getLogger("bot.crawler.watch")
    for skip in report.failures:
        logger.warning("%s", clean_line(str(skip)))
    if report.added or report.changed or report.removed:
        logger.info("%d added, %d changed, %d removed", report.added, report.changed, report.removed)


def _print_json_line(report: IngestReport) -> None:
    """Print a JSON line if something changed or failed."""
    from dataclasses import asdict

    if report.added or report.changed or report.removed or report.failures:
        print(json.dumps(asdict(report), ensure_ascii=False), flush=True)

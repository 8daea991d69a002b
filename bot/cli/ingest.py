"""Commands: ingest, articles, forget, reindex."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import (
    PREPARING_ENCODER,
    Json,
    open_services,
    prepare_encoder,
    print_json,
    print_report_and_exit,
)
from bot.cli.feeds import fetch, is_url
from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.ingestion.pipeline import IngestReport
    from bot.services import Services

app = typer.Typer()


class Engine(StrEnum):
    """Backend that reads, splits and embeds articles."""

    LOCAL = "local"
    RAY = "ray"


@app.command()
def ingest(
    ctx: typer.Context,
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|URL...",
            help="Files, directories or URLs (text, Markdown, HTML, PDF, DOCX, JSON, CSV, email, web archives).",
        ),
    ],
    feed: Annotated[
        bool, typer.Option("--feed", help="Treat URLs as feeds or sitemaps, polled by `citewire watch`.")
    ] = False,
    source: Annotated[str, typer.Option(help="Source of articles that do not state one.")] = "",
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove articles whose files under these paths no longer exist.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="Execution engine.")] = Engine.LOCAL,
    address: Annotated[
        str, typer.Option(help="Ray cluster (host:port); starts a local one by default.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Ingest articles. Unchanged articles are skipped, changed ones replaced.

    Safe to interrupt; rerun the command to resume. Exits 1 if anything was skipped.
    """
    from bot.ingestion.pipeline import IngestReport

    urls = [place for place in places if is_url(place)]
    paths = [Path(place) for place in places if not is_url(place)]
    if feed and not urls:
        raise typer.BadParameter("it goes with a feed's address", param_hint="--feed")
    if missing := [str(path) for path in paths if not path.exists()]:
        raise typer.BadParameter(f"no such file or folder: {', '.join(missing)}", param_hint="PATH|URL")
    if address and engine is Engine.LOCAL:
        raise typer.BadParameter("it goes with --engine ray", param_hint="--address")
    if urls and engine is Engine.RAY:
        raise typer.BadParameter("addresses are fetched without Ray", param_hint="--engine")
    services, report = open_services(ctx), IngestReport()
    if paths:
        report.add(_ingest_files(services, paths, source=source, prune=prune, engine=engine, address=address))
    if urls:
        report.add(fetch(services, urls, feeds=feed, source=source))
    print_report_and_exit(services, report, as_json=as_json)


def _ingest_files(
    services: Services, paths: list[Path], *, source: str, prune: bool, engine: Engine, address: str
) -> IngestReport:
    from bot.articles.article import clean_line
    from bot.cli import console
    from bot.ingestion.loaders import read_articles
    from bot.ingestion.pipeline import ingest as run

    with contextlib.ExitStack() as exits:
        if engine is Engine.RAY:
            from bot.ingestion import ray_backend

            exits.enter_context(ray_backend.ray_session(address))
            found = ray_backend.read_and_encode(services, paths, source=clean_line(source))
        else:
            found = read_articles(paths, source=clean_line(source))
        indexer = exits.enter_context(services.index_writer(on_wait=console.print_waiting_for_lock))
        progress = exits.enter_context(console.ingest_progress())
        return run(indexer, services.articles, found, prune=paths if prune else (), progress=progress)


@app.command()
def articles(ctx: typer.Context, as_json: Json = False) -> None:
    """List the articles, newest first."""
    from bot.cli import listing

    store = open_services(ctx).articles
    if as_json:
        print_json({"articles": [listing.article_fields(article) for article in store.list_articles()]})
    else:
        listing.print_articles(store.list_articles())


@app.command()
def forget(
    ctx: typer.Context,
    references: Annotated[list[str], typer.Argument(metavar="URL|ID...", help="Article URLs or ids.")],
    as_json: Json = False,
) -> None:
    """Delete articles and all their versions."""
    from bot.cli import console

    services = open_services(ctx)
    with services.index_writer(on_wait=console.print_waiting_for_lock) as indexer:
        found = {reference: services.articles.find(reference) for reference in references}
        unknown = [reference for reference, article_id in found.items() if article_id is None]
        ids = list(dict.fromkeys(article_id for article_id in found.values() if article_id))
        indexer.publish(retired=ids)
    if as_json:
        print_json({"forgotten": ids, "unknown": unknown})
    else:
        print(f"{len(ids)} forgotten")
    if unknown:
        raise CitewireError(f"not in the library: {', '.join(unknown)}; `citewire articles` lists what is")


@app.command()
def reindex(
    ctx: typer.Context,
    encoder: Annotated[bool, typer.Option("--encoder", help="Only re-export the query encoder.")] = False,
    words: Annotated[
        bool, typer.Option("--words", help="Only rebuild the BM25 index (needs no model).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild both indexes, e.g. after changing the embedding model."""
    from bot.cli import console

    services = open_services(ctx)
    fields: dict[str, Any]
    if encoder:
        with console.spinner(PREPARING_ENCODER):
            services.embedder.ensure_encoder(force=True)
        fields = {"model": services.embedder.model}
        summary = f"question encoder exported from {services.embedder.model}"
    elif words:
        with _passage_progress(services) as progress:
            fields = {"passages": services.bm25_sync.rebuild(progress)}
        summary = f"the words of {fields['passages']:,} passages indexed"
    else:
        fields = {"passages": _rebuild(services), "model": services.embedder.model}
        summary = f"{fields['passages']:,} passages indexed with {services.embedder.model}"
    if as_json:
        print_json(fields)
    else:
        print(summary)


def _rebuild(services: Services) -> int:
    from bot.cli import console

    with (
        services.index_writer(on_wait=console.print_waiting_for_lock) as indexer,
        _passage_progress(services) as progress,
    ):
        done = indexer.rebuild(progress)
    if done:
        prepare_encoder(services)
    return done


def _passage_progress(services: Services) -> AbstractContextManager[Callable[[int], None]]:
    from bot.cli import console

    return console.passage_progress(services.articles.totals().passages)

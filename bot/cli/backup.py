"""Commands: backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import Json, open_services, print_json

app = typer.Typer()


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Backup file to create.")],
    as_json: Json = False,
) -> None:
    """Back up the data directory to one file while it is in use.

    The BM25 index and the query encoder are not included: `citewire restore` rebuilds them.
    """
    from bot.cli import console
    from bot.storage.backup import create_backup

    with console.spinner("Backing up"):
        manifest = create_backup(open_services(ctx).settings, file)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        print(
            f"{manifest.articles:,} articles, {manifest.passages:,} passages, {manifest.size / 1e6:,.1f} MB in {file}"
        )


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Backup file to restore.")],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty data directory (all or nothing)."""
    from bot.cli import console
    from bot.storage.restore import restore as run

    services = open_services(ctx)
    with console.spinner("Restoring"):
        manifest = run(services.settings, file)
    with console.print_errors(), console.spinner("Preparing word index and question encoder"):
        services.bm25_sync.sync(wait=True)
        if manifest.articles:
            services.embedder.ensure_encoder()
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        counts = f"{manifest.articles:,} articles, {manifest.passages:,} passages"
        print(f"{counts} as of {manifest.made} in {services.settings.data_dir}")

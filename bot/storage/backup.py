"""Consistent online backup of a data directory.

A backup does not wait for readers or writers. It copies a snapshot of the article store, and the vector collections
that belong to the snapshot; a committed collection is never changed (see `bot.indexing.chroma_embedded`). The backup is
therefore equal to the state after a crash at that moment, from which Citewire recovers. The BM25 index and the query
encoder are not included, because they are rebuilt.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from bot import __version__
from bot.errors import BackupError
from bot.settings import Settings
from bot.storage.article_store import ArticleStore
from bot.storage.backup_archive import (
    LIBRARY,
    VECTORS,
    Manifest,
    describe_member,
    require_local_storage,
    write_archive,
)

_MAX_ATTEMPTS = 5
_CHROMA_FILE = "chroma.sqlite3"
_STAGING_PREFIX = ".citewire-backup-"  # next to the archive; the next backup deletes leftovers


def create_backup(settings: Settings, target: Path) -> Manifest:
    """Write a backup of the data directory to a new file, atomically.

    Raises:
        BackupError: if the data directory has no article store, the file exists, or the backup fails.
    """
    require_local_storage(settings)
    if not (settings.data_dir / LIBRARY).is_file():
        raise BackupError(f"{settings.data_dir} holds no library; --data-dir names another folder")
    if target.exists():
        raise BackupError(f"{target} exists; name another file, or take it away first")
    try:
        with _backup_lock(settings.data_dir), ExitStack() as exits:
            staging = exits.enter_context(_staging_dir(settings.data_dir, target.absolute().parent))
            files = _snapshot(settings.data_dir, staging, exits)
            manifest = _build_manifest(files, staging / LIBRARY)
            (staging / "archive").touch(mode=0o600)  # it contains the questions of all users
            with (staging / "archive").open("wb") as file:
                write_archive(file, manifest, files)
                file.flush()
                os.fsync(file.fileno())
            (staging / "archive").replace(target)
            fsync_folder(target.absolute().parent)
    except (OSError, sqlite3.Error) as exc:
        raise BackupError(f"the back-up to {target} has failed: {exc}; nothing is left of it") from exc
    return manifest


def fsync_folder(folder: Path) -> None:
    """Flush a directory to disk, so that files moved into it survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _backup_lock(data_dir: Path) -> Iterator[None]:
    lock = FileLock(data_dir / "backup.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BackupError(f"another back-up of {data_dir} is being made; wait for it") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _staging_dir(data_dir: Path, parent: Path) -> Iterator[Path]:
    """Create a temporary directory on the disk of the archive."""
    with closing(sqlite3.connect(data_dir / LIBRARY)) as library:
        (library_id,) = library.execute("SELECT value FROM facts WHERE key = 'library_id'").fetchone()
    staging = parent / f"{_STAGING_PREFIX}{library_id[:8]}"
    shutil.rmtree(staging, ignore_errors=True)  # left by a killed backup
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _snapshot(data_dir: Path, staging: Path, exits: ExitStack) -> dict[str, BinaryIO]:
    """Return the open files of a consistent snapshot by their names in the archive."""
    for _ in range(_MAX_ATTEMPTS):
        with closing(sqlite3.connect(data_dir / LIBRARY)) as library:
            library.execute("BEGIN")  # all reads and the copy see the snapshot of the first statement
            locations = _locations(library)
            files = _open_vectors(data_dir, locations, staging, exits)
            if files is None:
                continue
            _copy_database(library, staging / "copy")
        with closing(sqlite3.connect(staging / "copy")) as copy:
            # Drops deleted data, such as the text of forgotten articles.
            copy.execute("VACUUM INTO ?", (str(staging / LIBRARY),))
        (staging / "copy").unlink()
        return {LIBRARY: exits.enter_context((staging / LIBRARY).open("rb")), **files}
    raise BackupError("articles are published faster than they can be backed up; try again")


def _open_vectors(
    data_dir: Path, locations: list[str], staging: Path, exits: ExitStack
) -> dict[str, BinaryIO] | None:
    """Open all files of the given collections, so that they stay readable after their deletion.

    Returns:
        The open files by their names in the archive, or None if other collections were published in the meantime.
    """
    try:
        files: dict[str, BinaryIO] = {
            f"{VECTORS}/{location}/{name}": exits.enter_context(path.open("rb"))
            for location in locations
            for name, path in _iter_files(
                data_dir / VECTORS / location, staging / f"{location}.{_CHROMA_FILE}"
            )
        }
    except (OSError, sqlite3.Error):
        if _locations_now(data_dir) == locations:
            raise
        return None
    return files if _locations_now(data_dir) == locations else None


def _iter_files(folder: Path, copy: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a collection by name; the SQLite file is copied, because readers that open it write to it."""
    with closing(sqlite3.connect((folder / _CHROMA_FILE).as_uri() + "?mode=rw", uri=True)) as database:
        _copy_database(database, copy)
    yield _CHROMA_FILE, copy
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(_CHROMA_FILE):
            yield path.relative_to(folder).as_posix(), path


def _copy_database(database: sqlite3.Connection, path: Path) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as copy:
        database.backup(copy)


def _locations(library: sqlite3.Connection) -> list[str]:
    return [row[0] for row in library.execute("SELECT location FROM collections ORDER BY location")]


def _locations_now(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / LIBRARY)) as library:
        return _locations(library)


def _build_manifest(files: dict[str, BinaryIO], library_file: Path) -> Manifest:
    with closing(ArticleStore(f"sqlite:///{library_file}", lock_file=None)) as library:
        totals = library.totals()
        describe = partial(
            Manifest,
            citewire=__version__,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            schema_version=library.schema_version(),
            library_id=library.library_id,
            generation=library.generation(),
            articles=totals.articles,
            passages=totals.passages,
            content_hash=library.content_hash(),
        )
    # The file of the article store does not change any more only after it was closed.
    return describe(parts={name: describe_member(file) for name, file in files.items()})

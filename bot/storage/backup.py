"""Takes a back-up of a data folder while it is answered from and written to.

It waits for nobody. The library is copied as one moment's, and names the collections of vectors that hold exactly what
it shows; such a collection is never changed again (see `bot.indexing.chroma_embedded`). The copy is therefore what a
crash in that moment would have left, from which everything goes on. Left out is what is made anew from it: the word
index and the question encoder.
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
from bot.storage.backup_archive import LIBRARY, VECTORS, Manifest, pack, part_of, require_local_storage

_TRIES = 5
_CHROMA = "chroma.sqlite3"
_PLACE = ".citewire-backup-"  # beside the archive; its remains are taken away by the next back-up


def create_backup(settings: Settings, target: Path) -> Manifest:
    """Write all that a data folder holds to a new file, which is whole as soon as it is there. Raises BackupError."""
    require_local_storage(settings)
    if not (settings.data_dir / LIBRARY).is_file():
        raise BackupError(f"{settings.data_dir} holds no library; --data-dir names another folder")
    if target.exists():
        raise BackupError(f"{target} exists; name another file, or take it away first")
    try:
        with _backup_lock(settings.data_dir), ExitStack() as exits:
            place = exits.enter_context(_place(settings.data_dir, target.absolute().parent))
            files = _snapshot(settings.data_dir, place, exits)
            manifest = _describe(files, place / LIBRARY)
            (place / "archive").touch(mode=0o600)  # it holds all that anybody asked
            with (place / "archive").open("wb") as file:
                pack(file, manifest, files)
                file.flush()
                os.fsync(file.fileno())
            (place / "archive").replace(target)
            flush_folder(target.absolute().parent)
    except (OSError, sqlite3.Error) as exc:
        raise BackupError(f"the back-up to {target} has failed: {exc}; nothing is left of it") from exc
    return manifest


def flush_folder(folder: Path) -> None:
    """See to it that what was moved into a folder is there after a power cut."""
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
def _place(data_dir: Path, beside: Path) -> Iterator[Path]:
    """Make a folder for what is not whole yet, on the disk where the archive is to be."""
    with closing(sqlite3.connect(data_dir / LIBRARY)) as library:
        (library_id,) = library.execute("SELECT value FROM facts WHERE key = 'library_id'").fetchone()
    place = beside / f"{_PLACE}{library_id[:8]}"
    shutil.rmtree(place, ignore_errors=True)  # a back-up that was killed has left it
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _snapshot(data_dir: Path, place: Path, exits: ExitStack) -> dict[str, BinaryIO]:
    """Return the open files of one moment by their names in the archive."""
    for _ in range(_TRIES):
        with closing(sqlite3.connect(data_dir / LIBRARY)) as library:
            library.execute("BEGIN")  # it reads one moment from its first statement on, and so does its copy
            locations = _locations(library)
            files = _open_vectors(data_dir, locations, place, exits)
            if files is None:
                continue
            _copy(library, place / "copy")
        with closing(sqlite3.connect(place / "copy")) as copy:
            # Without what was deleted, such as the text of forgotten articles.
            copy.execute("VACUUM INTO ?", (str(place / LIBRARY),))
        (place / "copy").unlink()
        return {LIBRARY: exits.enter_context((place / LIBRARY).open("rb")), **files}
    raise BackupError("articles are published faster than they can be backed up; try again")


def _open_vectors(
    data_dir: Path, locations: list[str], place: Path, exits: ExitStack
) -> dict[str, BinaryIO] | None:
    """Open all files of these collections, so that they stay readable when they are taken away.

    None where they were already: the library has named others since.
    """
    try:
        files: dict[str, BinaryIO] = {
            f"{VECTORS}/{location}/{name}": exits.enter_context(path.open("rb"))
            for location in locations
            for name, path in _files(data_dir / VECTORS / location, place / f"{location}.{_CHROMA}")
        }
    except (OSError, sqlite3.Error):
        if _locations_now(data_dir) == locations:
            raise
        return None
    return files if _locations_now(data_dir) == locations else None


def _files(folder: Path, copy: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a collection; in that of SQLite a reader who opens it makes a note."""
    with closing(sqlite3.connect((folder / _CHROMA).as_uri() + "?mode=rw", uri=True)) as database:
        _copy(database, copy)
    yield _CHROMA, copy
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(_CHROMA):
            yield path.relative_to(folder).as_posix(), path


def _copy(database: sqlite3.Connection, path: Path) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as copy:
        database.backup(copy)


def _locations(library: sqlite3.Connection) -> list[str]:
    return [row[0] for row in library.execute("SELECT location FROM collections ORDER BY location")]


def _locations_now(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / LIBRARY)) as library:
        return _locations(library)


def _describe(files: dict[str, BinaryIO], library_file: Path) -> Manifest:
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
    # Only now is the library's file at rest.
    return describe(parts={name: part_of(file) for name, file in files.items()})

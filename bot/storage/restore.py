"""Puts a back-up in place, in a data folder that holds nothing yet.

All parts are written and checked aside first; the library is moved in last, and without it a folder holds nothing.
Whatever moment the process dies at, the folder is as empty as before or whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from bot.errors import BackupError
from bot.settings import Settings
from bot.storage.backup import flush_folder
from bot.storage.backup_archive import LIBRARY, VECTORS, BackupReader, Manifest, require_local_storage
from bot.storage.migrations import MIGRATIONS

_LOCK = "library.lock"  # who opens the library waits for it, and so for the end of this
_ASIDE = "restoring"
# What was asked in Slack and open at the moment of the back-up: it has been answered since, or is asked again. What is
# still owed, a correction or the deletion of an answer, stays; it is looked up whether it was done. As in restore.sh.
_LET_GO = """
UPDATE slack_jobs
SET state = CASE WHEN kind IN ('correction', 'delete') THEN state ELSE 'failed' END, posting = TRUE
WHERE state IN ('waiting', 'working')
"""
_NOTHING = {_LOCK, "write.lock", "backup.lock", "lost+found"}  # the last is a new disk's


def restore(settings: Settings, archive: Path) -> Manifest:
    """Restore a back-up into the data folder that the settings name. Raises BackupError."""
    require_local_storage(settings)
    folder = settings.data_dir
    with _opened(archive) as unpacked:
        manifest = unpacked.manifest
        if manifest.schema_version > len(MIGRATIONS):
            raise BackupError(
                f"it was made by a newer Citewire ({manifest.citewire}, schema {manifest.schema_version}; "
                f"this one knows {len(MIGRATIONS)}); upgrade Citewire first"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            _require_empty(folder)
            _require_room(folder, manifest)
            with _staging_dir(folder) as aside:
                unpacked.extract_to(aside)
                _close_open_slack_jobs(aside / LIBRARY)
                _install(aside, folder)
    return manifest


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[BackupReader]:
    """Open an archive; whatever is amiss with it or with the disk is a BackupError that names it."""
    try:
        with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield BackupReader(tar)
    except BackupError as exc:
        raise BackupError(f"{archive} cannot be restored: {exc}") from exc
    except (tarfile.TarError, ValueError, EOFError) as exc:
        raise BackupError(f"{archive} cannot be restored: it is cut short or damaged ({exc})") from exc
    except OSError as exc:
        raise BackupError(f"{archive} cannot be restored: {exc}") from exc


def _require_empty(folder: Path) -> None:
    """Raise BackupError unless the folder is empty, but for what an interrupted restore has left."""
    found = {path.name for path in folder.iterdir()} - _NOTHING
    if _ASIDE in found:
        found -= {_ASIDE, VECTORS}
    if found:
        raise BackupError(f"{folder} is not empty ({min(found)}); name a new folder with --data-dir")


def _require_room(folder: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder).free
    if manifest.size > free:
        raise BackupError(f"it takes {manifest.size:,} bytes, and the disk of {folder} has {free:,}")


def _close_open_slack_jobs(library_file: Path) -> None:
    """Answer no question of Slack's a second time."""
    try:
        with closing(sqlite3.connect(library_file)) as library, library:
            if library.execute("SELECT 1 FROM sqlite_master WHERE name = 'slack_jobs'").fetchone():
                library.execute(_LET_GO)
    except sqlite3.Error as exc:
        raise BackupError(f"its library cannot be used: {exc}") from exc


@contextlib.contextmanager
def _staging_dir(folder: Path) -> Iterator[Path]:
    for leftover in (folder / _ASIDE, folder / VECTORS):
        shutil.rmtree(leftover, ignore_errors=True)
    aside = folder / _ASIDE
    aside.mkdir(mode=0o700)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _install(aside: Path, folder: Path) -> None:
    for path in sorted(aside.rglob("*"), reverse=True):  # what is in a folder before the folder
        _flush(path)
    if (aside / VECTORS).exists():
        (aside / VECTORS).replace(folder / VECTORS)
        flush_folder(folder)
    (aside / LIBRARY).replace(folder / LIBRARY)
    flush_folder(folder)


def _flush(path: Path) -> None:
    if path.is_dir():
        flush_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())

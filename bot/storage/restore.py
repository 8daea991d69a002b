"""Atomic restore of a backup into an empty data directory.

All members are extracted to a staging directory and verified first. The article store is moved into place last, and a
directory without it counts as empty. After a crash at any moment, the directory is therefore either empty or complete.
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
from bot.storage.backup import fsync_folder
from bot.storage.backup_archive import LIBRARY, VECTORS, BackupReader, Manifest, require_local_storage
from bot.storage.migrations import MIGRATIONS

_LOCK = "library.lock"  # processes that open the article store wait for it
_STAGING_NAME = "restoring"
# Closes the Slack questions that were open at the time of the backup: they were answered since, or are asked
# again. Corrections and deletions of answers stay open; before one runs, it is checked in Slack if it was
# done. The same statement is in restore.sh.
_CLOSE_JOBS_SQL = """
UPDATE slack_jobs
SET state = CASE WHEN kind IN ('correction', 'delete') THEN state ELSE 'failed' END, posting = TRUE
WHERE state IN ('waiting', 'working')
"""
_IGNORED_FILES = {_LOCK, "write.lock", "backup.lock", "lost+found"}  # the last one is on a new disk


def restore(settings: Settings, archive: Path) -> Manifest:
    """Restore a backup into the data directory of the settings, and return its manifest.

    Raises:
        BackupError: if the directory is not empty, or the backup is damaged, too new or too large.
    """
    require_local_storage(settings)
    folder = settings.data_dir
    with _open_backup(archive) as backup:
        manifest = backup.manifest
        if manifest.schema_version > len(MIGRATIONS):
            raise BackupError(
                f"it was made by a newer Citewire ({manifest.citewire}, schema {manifest.schema_version}; "
                f"this one knows {len(MIGRATIONS)}); upgrade Citewire first"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            _require_empty(folder)
            _require_free_space(folder, manifest)
            with _staging_dir(folder) as staging:
                backup.extract_to(staging)
                _close_open_slack_jobs(staging / LIBRARY)
                _install(staging, folder)
    return manifest


@contextlib.contextmanager
def _open_backup(archive: Path) -> Iterator[BackupReader]:
    """Open an archive, and convert all errors of the archive and the disk to a BackupError with its path."""
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
    """Check that the directory is empty, except for leftovers of an interrupted restore.

    Raises:
        BackupError: if it is not.
    """
    found = {path.name for path in folder.iterdir()} - _IGNORED_FILES
    if _STAGING_NAME in found:
        found -= {_STAGING_NAME, VECTORS}
    if found:
        raise BackupError(f"{folder} is not empty ({min(found)}); name a new folder with --data-dir")


def _require_free_space(folder: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder).free
    if manifest.size > free:
        raise BackupError(f"it takes {manifest.size:,} bytes, and the disk of {folder} has {free:,}")


def _close_open_slack_jobs(library_file: Path) -> None:
    """Close the open Slack questions, so that none is answered a second time."""
    try:
        with closing(sqlite3.connect(library_file)) as library, library:
            if library.execute("SELECT 1 FROM sqlite_master WHERE name = 'slack_jobs'").fetchone():
                library.execute(_CLOSE_JOBS_SQL)
    except sqlite3.Error as exc:
        raise BackupError(f"its library cannot be used: {exc}") from exc


@contextlib.contextmanager
def _staging_dir(folder: Path) -> Iterator[Path]:
    for leftover in (folder / _STAGING_NAME, folder / VECTORS):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = folder / _STAGING_NAME
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _install(staging: Path, folder: Path) -> None:
    for path in sorted(staging.rglob("*"), reverse=True):  # contents before their directory
        _fsync_path(path)
    if (staging / VECTORS).exists():
        (staging / VECTORS).replace(folder / VECTORS)
        fsync_folder(folder)
    (staging / LIBRARY).replace(folder / LIBRARY)
    fsync_folder(folder)


def _fsync_path(path: Path) -> None:
    if path.is_dir():
        fsync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())

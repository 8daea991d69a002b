"""Leader election: one watcher per article store; another process waits to take over."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from filelock import FileLock, Timeout
from sqlalchemy import Connection, text

from bot.errors import CitewireError
from bot.services import Services
from bot.storage.article_store import ArticleStore

logger = logging.getLogger(__name__)

_ADVISORY_LOCK_KEY = 0x6369746E  # PostgreSQL advisory lock of the active watcher
_RETRY_SECONDS = 2.0  # between two attempts


@contextlib.contextmanager
def watcher_lock(services: Services, *, wait: bool, stopping: threading.Event) -> Iterator[None]:
    """Hold the lock for polling feeds.

    The locks belong to the kernel and to PostgreSQL, which release them when the process that holds them ends.

    Args:
        services: the article store and its data directory.
        wait: wait until the process that holds the lock ends.
        stopping: stops waiting when set; the block then runs without the lock.

    Raises:
        CitewireError: if another process holds the lock and `wait` is False.
    """
    lock = FileLock(services.settings.data_dir / "watch.lock")
    with (
        _hold_lock(lambda: _acquire_file(lock), lock.release, wait=wait, stopping=stopping),
        _hold_database_lock(services.articles, wait=wait, stopping=stopping),
    ):
        yield


@contextlib.contextmanager
def _hold_database_lock(store: ArticleStore, *, wait: bool, stopping: threading.Event) -> Iterator[None]:
    """Hold the lock among all machines that share a PostgreSQL article store."""
    with store.connect() as connection:
        if connection.dialect.name != "postgresql":
            connection.rollback()
            yield
            return
        with _hold_lock(
            lambda: _call_lock_function(connection, "pg_try_advisory_lock"),
            lambda: _call_lock_function(connection, "pg_advisory_unlock"),
            wait=wait,
            stopping=stopping,
        ):
            yield


@contextlib.contextmanager
def _hold_lock(
    acquire: Callable[[], bool], release: Callable[[], object], *, wait: bool, stopping: threading.Event
) -> Iterator[None]:
    held = acquire()
    if not held and not wait:
        raise CitewireError("another `citewire watch` polls these feeds already; it brings in what is new")
    if not held:
        logger.info("another `citewire watch` polls these feeds; waiting to take over")
    while not held and not stopping.wait(_RETRY_SECONDS):
        held = acquire()
    try:
        yield
    finally:
        if held:
            release()


def _acquire_file(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _call_lock_function(connection: Connection, function: str) -> bool:
    answer = bool(connection.scalar(text(f"SELECT {function}(:key)"), {"key": _ADVISORY_LOCK_KEY}))
    connection.commit()
    return answer

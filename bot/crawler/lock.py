"""Lets one process watch over a library at a time; another one waits, and takes over when that one is gone."""

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

_WATCH_KEY = 0x6369746E  # PostgreSQL's advisory lock of the one that watches
_AGAIN = 2.0  # seconds between two tries


@contextlib.contextmanager
def watcher_lock(workspace: Services, *, wait: bool, stopping: threading.Event) -> Iterator[None]:
    """Hold the one right to poll feeds. Where another process has it: wait for it to end, or raise CitewireError.

    The locks are the kernel's and PostgreSQL's: they are free the moment their holder dies.
    """
    lock = FileLock(workspace.settings.data_dir / "watch.lock")
    with (
        _held(lambda: _take_file(lock), lock.release, wait=wait, stopping=stopping),
        _shared(workspace.articles, wait=wait, stopping=stopping),
    ):
        yield


@contextlib.contextmanager
def _shared(library: ArticleStore, *, wait: bool, stopping: threading.Event) -> Iterator[None]:
    """Hold it among all machines that share a PostgreSQL library."""
    with library.connect() as connection:
        if connection.dialect.name != "postgresql":
            connection.rollback()
            yield
            return
        with _held(
            lambda: _ask(connection, "pg_try_advisory_lock"),
            lambda: _ask(connection, "pg_advisory_unlock"),
            wait=wait,
            stopping=stopping,
        ):
            yield


@contextlib.contextmanager
def _held(
    take: Callable[[], bool], give_back: Callable[[], object], *, wait: bool, stopping: threading.Event
) -> Iterator[None]:
    held = take()
    if not held and not wait:
        raise CitewireError("another `citewire watch` polls these feeds already; it brings in what is new")
    if not held:
        logger.info("another `citewire watch` polls these feeds; waiting to take over")
    while not held and not stopping.wait(_AGAIN):
        held = take()
    try:
        yield
    finally:
        if held:
            give_back()


def _take_file(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _ask(connection: Connection, function: str) -> bool:
    answer = bool(connection.scalar(text(f"SELECT {function}(:key)"), {"key": _WATCH_KEY}))
    connection.commit()
    return answer

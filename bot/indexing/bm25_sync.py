"""Incrementally sync the local BM25 index with the article store.

The index is derived from the article store alone. The store records the generation in which each article last changed,
and a file in the index directory records the generation that the index was synced to.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from filelock import FileLock, Timeout

from bot.errors import KeywordIndexError
from bot.indexing.bm25_index import Bm25Index, translate_errors
from bot.storage.article_store import ArticleStore

_STATE_FILE = "followed.json"


class _SyncState(NamedTuple):
    """Article store and generation that an index was synced to; stored as JSON."""

    library: str
    generation: int


class Bm25Sync:
    """Sync of one BM25 index with one article store; safe to share between threads and between processes."""

    def __init__(self, index: Bm25Index, articles: ArticleStore) -> None:
        self._index = index
        self._articles = articles
        self._folder = index.folder
        self._last_state: _SyncState | None = None

    def sync(self, *, wait: bool = False) -> None:
        """Apply the changes of the article store since the last sync; build the index if it does not exist.

        If another thread or process is syncing, return immediately.

        Args:
            wait: wait for the other thread or process to finish. It is always awaited if there is no index yet.

        Raises:
            KeywordIndexError: if the index cannot be used.
        """
        now = self._store_state()
        if now in (self._last_state, self._index_state()):
            self._last_state = now
            return
        with self._acquire_lock(wait=wait or not self._index.exists()) as acquired:
            if acquired:
                # Another process may have synced it since; the index state is read first, so it is never
                # ahead.
                self._catch_up(self._index_state(), self._store_state())

    def is_stale(self) -> bool:
        """Return True if the index is behind the article store."""
        return self._index_state() != self._store_state()

    def rebuild(self, progress: Callable[[int], None] = lambda done: None) -> int:
        """Rebuild the index and return the number of passages; readers use the old index until the new is complete."""
        with self._acquire_lock(wait=True):
            now = self._store_state()
            done = self._reindex(progress)
            self._save_state(now)
        return done

    def _catch_up(self, before: _SyncState | None, now: _SyncState) -> None:
        if before is None or before.library != now.library or before.generation > now.generation:
            self._reindex()  # the last condition: an older article store was restored
        elif before.generation < now.generation:
            changed = self._articles.changed_since(before.generation)
            with self._index.writer() as writer:
                writer.remove(changed)
                writer.add(self._articles.iter_versions(changed))
                writer.commit()
        else:
            return
        self._save_state(now)

    def _reindex(self, progress: Callable[[int], None] = lambda done: None) -> int:
        with contextlib.ExitStack() as exits:
            try:
                writer = exits.enter_context(self._index.writer())
            except KeywordIndexError:  # unreadable, or written by an older Citewire
                self._index.delete()
                writer = exits.enter_context(self._index.writer())
            writer.clear()
            done = writer.add(self._articles.iter_versions(), progress)
            writer.commit()
        return done

    @contextlib.contextmanager
    def _acquire_lock(self, *, wait: bool) -> Iterator[bool]:
        """Acquire the write lock of the index and yield True, or yield False if it is held and `wait` is False.

        The kernel releases the lock when the process that holds it dies.
        """
        with translate_errors(self._folder):
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder.with_name(f"{self._folder.name}.lock"), timeout=-1 if wait else 0)
            try:
                lock.acquire()
            except Timeout:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()

    def _store_state(self) -> _SyncState:
        return _SyncState(self._articles.library_id, self._articles.generation())

    def _index_state(self) -> _SyncState | None:
        if not self._index.exists():
            return None
        try:
            return _SyncState(**json.loads((self._folder / _STATE_FILE).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _save_state(self, state: _SyncState) -> None:
        """Record the state that the index was synced to; after a crash before this, the changes are applied again."""
        with translate_errors(self._folder):
            draft = self._folder / f".{_STATE_FILE}"
            draft.write_text(json.dumps(state._asdict()), encoding="utf-8")
            os.replace(draft, self._folder / _STATE_FILE)  # noqa: PTH105
        self._last_state = state

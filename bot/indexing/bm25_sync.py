"""Keeps a machine's word index at what readers of the library see, wherever that was written.

The index is made of the library alone. The library notes for each article in which generation it changed last; beside
the index stands up to which generation it has followed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from filelock import FileLock, Timeout

from bot.errors import KeywordIndexError
from bot.indexing.bm25_index import Bm25Index, translated
from bot.storage.article_store import ArticleStore

_MARK = "followed.json"


class _SyncState(NamedTuple):
    """Up to which generation of which library an index has followed."""

    library: str
    generation: int


class Bm25Sync:
    """Brings one word index after one library; safe to share between threads, and between processes."""

    def __init__(self, words: Bm25Index, library: ArticleStore) -> None:
        self._words = words
        self._library = library
        self._folder = words.folder
        self._followed: _SyncState | None = None

    def sync(self, *, wait: bool = False) -> None:
        """Take in what has changed in the library since the last time; where there is no index, make it.

        Where another thread or process is at it, return at once; with `wait`, or where there is nothing to read yet,
        when it is done. Raises KeywordIndexError.
        """
        now = self._now()
        if now in (self._followed, self._mark()):
            self._followed = now
            return
        with self._only_writer(wait=wait or not self._words.exists()) as held:
            if held:  # another process may have been faster: what it has followed is not ahead of the library
                self._catch_up(self._mark(), self._now())

    def is_stale(self) -> bool:
        """Return whether the index has yet to take in something of the library."""
        return self._mark() != self._now()

    def rebuild(self, progress: Callable[[int], None] = lambda done: None) -> int:
        """Make the index anew and return how many passages it has; readers keep the old one until it is whole."""
        with self._only_writer(wait=True):
            now = self._now()
            done = self._build(progress)
            self._set_mark(now)
        return done

    def _catch_up(self, before: _SyncState | None, now: _SyncState) -> None:
        if before is None or before.library != now.library or before.generation > now.generation:
            self._build()  # the last: an older state of the library was restored
        elif before.generation < now.generation:
            changed = self._library.changed_since(before.generation)
            with self._words.writer() as writer:
                writer.remove(changed)
                writer.add(self._library.iter_versions(changed))
                writer.commit()
        else:
            return
        self._set_mark(now)

    def _build(self, progress: Callable[[int], None] = lambda done: None) -> int:
        with contextlib.ExitStack() as exits:
            try:
                writer = exits.enter_context(self._words.writer())
            except KeywordIndexError:  # unreadable, or of an older Citewire: nothing in it is worth keeping
                self._words.delete()
                writer = exits.enter_context(self._words.writer())
            writer.clear()
            done = writer.add(self._library.iter_versions(), progress)
            writer.commit()
        return done

    @contextlib.contextmanager
    def _only_writer(self, *, wait: bool) -> Iterator[bool]:
        """Hold the one right to write to this index; the lock is the kernel's, free the moment its holder dies."""
        with translated(self._folder):
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

    def _now(self) -> _SyncState:
        return _SyncState(self._library.library_id, self._library.generation())

    def _mark(self) -> _SyncState | None:
        if not self._words.exists():
            return None
        try:
            return _SyncState(**json.loads((self._folder / _MARK).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _set_mark(self, mark: _SyncState) -> None:
        """Note what is on disk; after a crash before this the same changes are taken in once more."""
        with translated(self._folder):
            draft = self._folder / f".{_MARK}"
            draft.write_text(json.dumps(mark._asdict()), encoding="utf-8")
            os.replace(draft, self._folder / _MARK)  # noqa: PTH105
        self._followed = mark

"""Writes library and vectors, and keeps them in agreement through any crash; the word index follows the library.

The order of every write: the library first (pending, unseen), then the vectors, then one transaction that
lets readers see the new and no longer the old, and last the removal of what nobody sees any more. Whatever
moment a process dies at, the next writer finds in the library what is left to do.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from bot.articles.article import Article
from bot.articles.library import Library
from bot.articles.passages import split_passages
from bot.articles.records import Collection, Draft
from bot.errors import VectorsError
from bot.retrieval.embeddings import Embedder
from bot.retrieval.following import WordFollower
from bot.retrieval.vectors import Stage, VectorStore

_BATCH = 512  # passages embedded and written at once by a rebuild
_PUBLISH_SECONDS = 20.0  # a running bot sees a long ingest's articles at least this often


class Indexer:
    """The one writer of a data folder; made by `writing`."""

    def __init__(
        self, library: Library, store: VectorStore, follower: WordFollower, embedder: Embedder
    ) -> None:
        self._library = library
        self._store = store
        self._follower = follower
        self._embedder = embedder
        self._stage: Stage | None = None
        self._drafts: list[Draft] = []
        library.discard_pending()
        self._stale = library.stale_passages()  # left over by a crash, to be taken out of the indexes
        self._published = time.monotonic()

    def write(self, articles: Sequence[Article]) -> int:
        """Write new versions of these articles, unseen until `publish`; return how many passages they have."""
        stage = self._open_stage()  # first, so that a wrong model is refused before anything is written
        numbers = self._library.next_versions(article.id for article in articles)
        drafts = [_draft(article, numbers[article.id]) for article in articles]
        self._library.write(drafts)
        self._index(stage, drafts)
        self._drafts += drafts
        return sum(len(draft.passages) for draft in drafts)

    def publish(self, retired: Sequence[str] = ()) -> None:
        """Let readers see all that was written, and no longer the versions before nor the retired articles."""
        if not (self._drafts or retired or self._stale):
            self._follower.follow(wait=True)  # after a crash the word index may be behind
            return
        stage = self._open_stage()
        replaced = [draft.article.id for draft in self._drafts]
        outdated = [*self._stale, *self._library.visible_passages([*replaced, *retired])]
        if not self._store.in_place:
            stage.remove(outdated)
        stage.seal()
        before = self._current()
        self._library.publish(self._drafts, retired=retired, collection=self._collection(stage))
        self._follower.follow(wait=True)
        if self._store.in_place:
            stage.remove(outdated)
        self._library.drop_passages(outdated)
        self._sweep(before)
        self._drafts, self._stale, self._stage = [], [], None
        self._published = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether readers have waited long enough for what is written."""
        return time.monotonic() - self._published > _PUBLISH_SECONDS

    def rebuild(self, progress: Callable[[int], None]) -> int:
        """Make both indexes anew from the library; readers keep the old ones until the new are whole."""
        name, done = self._name(), 0
        self._stage = stage = self._store.stage(None, name)
        for drafts in _by_passages(self._library.drafts()):
            self._index(stage, drafts)
            done += sum(len(draft.passages) for draft in drafts)
            progress(done)
        stage.seal()
        before = self._current()
        self._library.publish([], collection=self._collection(stage))
        self._follower.rebuild()
        self._library.drop_passages(self._stale)
        self._sweep(before)
        self._stale, self._stage = [], None
        return done

    def _index(self, stage: Stage, drafts: Sequence[Draft]) -> None:
        texts = [
            embedded_text(draft.article.title, passage.text) for draft in drafts for passage in draft.passages
        ]
        ids = [passage.id for draft in drafts for passage in draft.passages]
        stage.upsert(ids, self._embedder.encode(texts))

    def _open_stage(self) -> Stage:
        if self._stage is None:
            current = self._current()
            if current is None and self._library.totals().articles:
                raise VectorsError(
                    f"the articles are embedded with another model than {self._embedder.model}: "
                    "run `citewire reindex` first, or set CITEWIRE_EMBEDDING_MODEL back"
                )
            self._stage = self._store.stage(current.location if current else None, self._name())
        return self._stage

    def _current(self) -> Collection | None:
        return self._library.collection(self._embedder.fingerprint)

    def _collection(self, stage: Stage) -> Collection:
        embedder, current = self._embedder, self._current()
        dimension = current.dimension if current else embedder.dimension
        return Collection(embedder.fingerprint, embedder.model, dimension, stage.location)

    def _name(self) -> str:
        return f"{self._prefix}{self._embedder.fingerprint}"

    @property
    def _prefix(self) -> str:
        return f"citewire-{self._library.library_id[:8]}-"

    def _sweep(self, before: Collection | None) -> None:
        """Remove collections nobody reads; the one before stays for readers in the middle of a question."""
        keep = {collection.location for collection in self._library.collections()}
        self._store.sweep(self._prefix, keep | ({before.location} if before else set()))


@contextlib.contextmanager
def writing(
    library: Library,
    store: VectorStore,
    follower: WordFollower,
    embedder: Embedder,
    *,
    lock_file: Path,
    on_wait: Callable[[], None],
) -> Iterator[Indexer]:
    """Hold the right to write to a data folder; `on_wait` is called once if another process has it.

    The lock is the kernel's: it is free the moment its holder dies.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        with library.only_writer():
            yield Indexer(library, store, follower, embedder)
    finally:
        lock.release()


def embedded_text(title: str, passage: str) -> str:
    """Return what is embedded for a passage: a headline names the subject that its passages only refer to."""
    return f"{title}\n{passage}" if title else passage


def _draft(article: Article, version: int) -> Draft:
    return Draft(article, version, tuple(split_passages(article.id, version, article.text)))


def _by_passages(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    for draft in drafts:
        batch.append(draft)
        if sum(len(each.passages) for each in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch

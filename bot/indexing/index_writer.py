"""Writes library and vectors, and keeps them in agreement through any crash; the word index follows the library.

The order of every write: the library first (pending, unseen), then the vectors, then one transaction that
lets readers see the new and no longer the old, and last the removal of what nobody sees any more. Whatever
moment a process dies at, the next writer finds in the library what is left to do.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.errors import VectorStoreError
from bot.indexing.bm25_sync import Bm25Sync
from bot.indexing.embeddings import Embedder
from bot.indexing.story_clusters import StoryClusters
from bot.indexing.vector_store import CollectionWriter, VectorStore
from bot.storage.article_store import ArticleStore
from bot.storage.models import EmbeddedArticle, PendingRef, PendingVersion, VectorCollection

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 512  # passages embedded and written at once
# A running bot sees a long ingest's articles this often; rarer where publishing, which copies an embedded
# collection, would take more than this share of the time.
_PUBLISH_SECONDS, _PUBLISH_SHARE = 20.0, 0.05
_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


class IndexWriter:
    """The one writer of a data folder; made by `writing`."""

    def __init__(
        self, library: ArticleStore, store: VectorStore, follower: Bm25Sync, embedder: Embedder
    ) -> None:
        self._library = library
        self._store = store
        self._follower = follower
        self._stories = StoryClusters(library)
        self._embedder = embedder
        self._stage: CollectionWriter | None = None
        self._written: list[PendingRef] = []
        library.discard_pending()
        self._stale = library.stale_passages()  # left over by a crash, to be taken out of the indexes
        self._published, self._staging, self._pause = time.monotonic(), 0.0, _PUBLISH_SECONDS

    def prepare(self, articles: Sequence[Article]) -> list[PendingVersion]:
        """Cut the next versions of these articles into passages. Raises VectorStoreError for another model's index."""
        self._base()  # first, so that nothing is embedded or written in vain
        numbers = self._library.next_versions(article.id for article in articles)
        return [_draft(article, numbers[article.id]) for article in articles]

    def encode(self, drafts: Sequence[PendingVersion]) -> NDArray[np.float32]:
        """Return the vectors of all passages of these drafts, row by row in their order; writes nothing."""
        if any(isinstance(draft.article, EmbeddedArticle) for draft in drafts):
            return np.vstack([self._vectors(draft) for draft in drafts])
        return self._encode(drafts)

    def commit(self, drafts: Sequence[PendingVersion], vectors: NDArray[np.float32]) -> None:
        """Write these drafts with their vectors, unseen until `publish`."""
        self._written += self._library.write(drafts)
        self._open_stage().upsert(_ids(drafts), vectors)

    def publish(self, retired: Sequence[str] = ()) -> None:
        """Let readers see all that was written, and no longer the versions before nor the retired articles."""
        if not (self._written or retired or self._stale):
            self._sync_derived_indexes()  # after a crash what follows the library may be behind
            return
        begun = time.monotonic()
        stage = self._open_stage()
        replaced = [written.article_id for written in self._written]
        outdated = [*self._stale, *self._library.visible_passages([*replaced, *retired])]
        if not self._store.in_place:
            stage.remove(outdated)
        stage.commit()
        before = self._current()
        self._library.publish(self._written, retired=retired, collection=self._collection(stage))
        self._sync_derived_indexes()
        if self._store.in_place:
            stage.remove(outdated)
        self._library.drop_passages(outdated)
        self._delete_unused_collections(before)
        self._written, self._stale, self._stage = [], [], None
        self._published = time.monotonic()
        took = self._published - begun + self._staging
        self._pause = max(_PUBLISH_SECONDS, took / _PUBLISH_SHARE)

    @property
    def is_due(self) -> bool:
        """Whether readers have waited long enough for what is written."""
        return time.monotonic() - self._published > self._pause

    def rebuild(self, progress: Callable[[int], None]) -> int:
        """Make both indexes anew from the library; readers keep the old ones until the new are whole."""
        stage, done = self._store.open_writer(None, self._name()), 0

        def encode(drafts: list[PendingVersion]) -> NDArray[np.float32]:
            nonlocal done
            vectors = self.encode(drafts)
            done += len(vectors)
            progress(done)
            return vectors

        def commit(drafts: list[PendingVersion], vectors: NDArray[np.float32]) -> None:
            stage.upsert(_ids(drafts), vectors)

        run_overlapped(batch_by_passages(self._library.iter_versions()), encode, commit)
        stage.commit()
        before = self._current()
        self._library.publish([], collection=self._collection(stage))
        self._follower.rebuild()
        self._library.drop_passages(self._stale)
        self._delete_unused_collections(before)
        self._stale, self._stage = [], None
        return done

    def _sync_derived_indexes(self) -> None:
        """Bring what is made of the library alone to what it shows now."""
        self._follower.sync(wait=True)
        self._stories.sync()

    def _vectors(self, draft: PendingVersion) -> NDArray[np.float32]:
        """Return what an article has brought along, or make it."""
        return draft.article.vectors if isinstance(draft.article, EmbeddedArticle) else self._encode([draft])

    def _encode(self, drafts: Sequence[PendingVersion]) -> NDArray[np.float32]:
        return self._embedder.encode(
            [
                embedded_text(draft.article.title, passage.text)
                for draft in drafts
                for passage in draft.passages
            ]
        )

    def _open_stage(self) -> CollectionWriter:
        if self._stage is None:
            begun = time.monotonic()
            self._stage = self._store.open_writer(self._base(), self._name())
            self._staging = time.monotonic() - begun
        return self._stage

    def _base(self) -> str | None:
        """Return where the vectors stand that new ones are added to; None where there are no articles yet."""
        current = self._current()
        if current is None and self._library.totals().articles:
            raise VectorStoreError(
                f"the articles are embedded with another model than {self._embedder.model}: "
                "run `citewire reindex` first, or set CITEWIRE_EMBEDDING_MODEL or _PRECISION back"
            )
        return current.location if current else None

    def _current(self) -> VectorCollection | None:
        return self._library.collection(self._embedder.fingerprint)

    def _collection(self, stage: CollectionWriter) -> VectorCollection:
        embedder, current = self._embedder, self._current()
        dimension = current.dimension if current else embedder.dimension
        return VectorCollection(embedder.fingerprint, embedder.model, dimension, stage.location)

    def _name(self) -> str:
        return f"{self._prefix}{self._embedder.fingerprint}"

    @property
    def _prefix(self) -> str:
        return f"citewire-{self._library.library_id[:8]}-"

    def _delete_unused_collections(self, before: VectorCollection | None) -> None:
        """Remove collections nobody reads; the one before stays for readers in the middle of a question."""
        keep = {collection.location for collection in self._library.collections()}
        self._store.delete_unused(self._prefix, keep | ({before.location} if before else set()))


@contextlib.contextmanager
def writing(
    library: ArticleStore,
    store: VectorStore,
    follower: Bm25Sync,
    embedder: Embedder,
    *,
    lock_file: Path,
    on_wait: Callable[[], None],
) -> Iterator[IndexWriter]:
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
        with library.writer_lock():
            yield IndexWriter(library, store, follower, embedder)
    finally:
        lock.release()


def embedded_text(title: str, passage: str) -> str:
    """Return what is embedded for a passage: a headline names the subject that its passages only refer to."""
    return f"{title}\n{passage}" if title else passage


def _draft(article: Article, version: int) -> PendingVersion:
    return PendingVersion(article, version, tuple(split_passages(article.id, version, article.text)))


def _ids(drafts: Iterable[PendingVersion]) -> list[str]:
    return [passage.id for draft in drafts for passage in draft.passages]


def batch_by_passages(drafts: Iterable[PendingVersion]) -> Iterator[list[PendingVersion]]:
    """Yield the drafts in batches to embed and write at once."""
    batch: list[PendingVersion] = []
    size = 0
    for draft in drafts:
        batch.append(draft)
        size += len(draft.passages)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def run_overlapped(
    batches: Iterable[_Batch], work: Callable[[_Batch], _Result], finish: Callable[[_Batch, _Result], None]
) -> None:
    """Work on each batch in its turn; a thread makes the next one meanwhile, another finishes the last one.

    Three batches at most are held at once. What any of the three raises ends the others and is raised here.
    """
    rest = iter(batches)
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:
        coming = ahead.submit(next, rest, None)
        finished: Future[None] | None = None
        while (batch := coming.result()) is not None:
            coming = ahead.submit(next, rest, None)
            result = work(batch)
            if finished:
                finished.result()
            finished = behind.submit(finish, batch, result)
        if finished:
            finished.result()

"""Single writer that keeps the article store and the indexes consistent across crashes.

Every write has the same order: first the article store (as pending versions, not visible), then the vectors, then one
transaction that makes the new versions visible in place of the old ones, and finally the removal of data that is no
longer visible. After a crash at any moment, the next writer finds the remaining work in the article store. The BM25
index is synced with the article store.
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

_BATCH_SIZE = 512  # passages embedded and written together
# Interval at which the articles of a long ingest become visible; longer if publishing, which copies an
# embedded collection, would take more than this share of the time.
_PUBLISH_SECONDS = 20.0
_PUBLISH_SHARE = 0.05
_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


class IndexWriter:
    """The only writer of a data directory; opened by `open_index_writer`."""

    def __init__(
        self, articles: ArticleStore, store: VectorStore, bm25_sync: Bm25Sync, embedder: Embedder
    ) -> None:
        self._articles = articles
        self._store = store
        self._bm25_sync = bm25_sync
        self._story_clusters = StoryClusters(articles)
        self._embedder = embedder
        self._writer: CollectionWriter | None = None
        self._written: list[PendingRef] = []
        articles.discard_pending()
        self._stale_passages = articles.stale_passages()  # left by a crash, to be removed from the indexes
        self._published_at = time.monotonic()
        self._copy_seconds = 0.0
        self._publish_interval = _PUBLISH_SECONDS

    def prepare(self, articles: Sequence[Article]) -> list[PendingVersion]:
        """Split the next versions of articles into passages.

        Raises:
            VectorStoreError: if the index was built with another embedding model.
        """
        self._base_location()  # raises before anything is embedded or written
        numbers = self._articles.next_versions(article.id for article in articles)
        return [_build_draft(article, numbers[article.id]) for article in articles]

    def encode(self, drafts: Sequence[PendingVersion]) -> NDArray[np.float32]:
        """Return the vectors of all passages of the drafts, one row each in their order; writes nothing."""
        if any(isinstance(draft.article, EmbeddedArticle) for draft in drafts):
            return np.vstack([self._vectors(draft) for draft in drafts])
        return self._encode(drafts)

    def commit(self, drafts: Sequence[PendingVersion], vectors: NDArray[np.float32]) -> None:
        """Write the drafts and their vectors; they are not visible until `publish`."""
        self._written += self._articles.write(drafts)
        self._open_writer().upsert(_passage_ids(drafts), vectors)

    def publish(self, retired: Sequence[str] = ()) -> None:
        """Make all written versions visible in place of the previous ones, and hide the retired articles.

        Args:
            retired: ids of articles to remove.
        """
        if not (self._written or retired or self._stale_passages):
            self._sync_derived_indexes()  # after a crash they may be behind the article store
            return
        started = time.monotonic()
        writer = self._open_writer()
        replaced = [written.article_id for written in self._written]
        outdated = [*self._stale_passages, *self._articles.visible_passages([*replaced, *retired])]
        if not self._store.in_place:
            writer.remove(outdated)
        writer.commit()
        before = self._current_collection()
        self._articles.publish(self._written, retired=retired, collection=self._collection(writer))
        self._sync_derived_indexes()
        if self._store.in_place:
            writer.remove(outdated)
        self._articles.drop_passages(outdated)
        self._delete_unused_collections(before)
        self._written, self._stale_passages, self._writer = [], [], None
        self._published_at = time.monotonic()
        seconds = self._published_at - started + self._copy_seconds
        self._publish_interval = max(_PUBLISH_SECONDS, seconds / _PUBLISH_SHARE)

    @property
    def is_due(self) -> bool:
        """True if the interval between two publications has passed."""
        return time.monotonic() - self._published_at > self._publish_interval

    def rebuild(self, progress: Callable[[int], None]) -> int:
        """Rebuild both indexes from the article store; readers use the old ones until the new ones are complete.

        Args:
            progress: called with the number of passages embedded so far.

        Returns:
            The number of passages embedded.
        """
        writer, done = self._store.open_writer(None, self._collection_name()), 0

        def encode(drafts: list[PendingVersion]) -> NDArray[np.float32]:
            nonlocal done
            vectors = self.encode(drafts)
            done += len(vectors)
            progress(done)
            return vectors

        def commit(drafts: list[PendingVersion], vectors: NDArray[np.float32]) -> None:
            writer.upsert(_passage_ids(drafts), vectors)

        run_concurrent_stages(batch_by_passages(self._articles.iter_versions()), encode, commit)
        writer.commit()
        before = self._current_collection()
        self._articles.publish([], collection=self._collection(writer))
        self._bm25_sync.rebuild()
        self._articles.drop_passages(self._stale_passages)
        self._delete_unused_collections(before)
        self._stale_passages, self._writer = [], None
        return done

    def _sync_derived_indexes(self) -> None:
        """Sync the indexes that are derived from the article store alone."""
        self._bm25_sync.sync(wait=True)
        self._story_clusters.sync()

    def _vectors(self, draft: PendingVersion) -> NDArray[np.float32]:
        """Return the vectors of an embedded article, or encode its passages."""
        return draft.article.vectors if isinstance(draft.article, EmbeddedArticle) else self._encode([draft])

    def _encode(self, drafts: Sequence[PendingVersion]) -> NDArray[np.float32]:
        return self._embedder.encode(
            [
                build_embedding_text(draft.article.title, passage.text)
                for draft in drafts
                for passage in draft.passages
            ]
        )

    def _open_writer(self) -> CollectionWriter:
        if self._writer is None:
            started = time.monotonic()
            self._writer = self._store.open_writer(self._base_location(), self._collection_name())
            self._copy_seconds = time.monotonic() - started
        return self._writer

    def _base_location(self) -> str | None:
        """Return the location of the collection to extend, or None if there are no articles yet.

        Raises:
            VectorStoreError: if the index was built with another embedding model.
        """
        current = self._current_collection()
        if current is None and self._articles.totals().articles:
            raise VectorStoreError(
                f"the articles are embedded with another model than {self._embedder.model}: "
                "run `citewire reindex` first, or set CITEWIRE_EMBEDDING_MODEL or _PRECISION back"
            )
        return current.location if current else None

    def _current_collection(self) -> VectorCollection | None:
        return self._articles.collection(self._embedder.fingerprint)

    def _collection(self, writer: CollectionWriter) -> VectorCollection:
        embedder, current = self._embedder, self._current_collection()
        dimension = current.dimension if current else embedder.dimension
        return VectorCollection(embedder.fingerprint, embedder.model, dimension, writer.location)

    def _collection_name(self) -> str:
        return f"{self._prefix}{self._embedder.fingerprint}"

    @property
    def _prefix(self) -> str:
        return f"citewire-{self._articles.library_id[:8]}-"

    def _delete_unused_collections(self, before: VectorCollection | None) -> None:
        """Delete unused collections, but keep the previous one for questions that are being answered."""
        keep = {collection.location for collection in self._articles.collections()}
        self._store.delete_unused_collections(self._prefix, keep | ({before.location} if before else set()))


@contextlib.contextmanager
def open_index_writer(
    articles: ArticleStore,
    store: VectorStore,
    bm25_sync: Bm25Sync,
    embedder: Embedder,
    *,
    lock_file: Path,
    on_wait: Callable[[], None],
) -> Iterator[IndexWriter]:
    """Acquire the write lock of a data directory and yield its index writer.

    The kernel releases the lock when the process that holds it dies.

    Args:
        articles: the article store.
        store: the vector store.
        bm25_sync: syncs the BM25 index after each publication.
        embedder: the embedding model of the index.
        lock_file: the file to lock.
        on_wait: called once if another process holds the lock.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        with articles.writer_lock():
            yield IndexWriter(articles, store, bm25_sync, embedder)
    finally:
        lock.release()


def build_embedding_text(title: str, passage: str) -> str:
    """Return the text to embed for a passage: with the title, which names the subject that passages only refer to."""
    return f"{title}\n{passage}" if title else passage


def _build_draft(article: Article, version: int) -> PendingVersion:
    return PendingVersion(article, version, tuple(split_passages(article.id, version, article.text)))


def _passage_ids(drafts: Iterable[PendingVersion]) -> list[str]:
    return [passage.id for draft in drafts for passage in draft.passages]


def batch_by_passages(drafts: Iterable[PendingVersion]) -> Iterator[list[PendingVersion]]:
    """Yield the drafts in batches of at least `_BATCH_SIZE` passages, the last one smaller."""
    batch: list[PendingVersion] = []
    size = 0
    for draft in drafts:
        batch.append(draft)
        size += len(draft.passages)
        if size >= _BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def run_concurrent_stages(
    batches: Iterable[_Batch], work: Callable[[_Batch], _Result], finish: Callable[[_Batch, _Result], None]
) -> None:
    """Process batches in order, while one thread reads the next batch and another one finishes the previous batch.

    At most three batches are in memory. An exception in any of the three stages stops the others and is re-raised.

    Args:
        batches: iterated in a thread.
        work: called in the calling thread.
        finish: called in another thread with the batch and the result of `work`.
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

"""Haystack as its tutorials do it: split by 200 words, embed, write; the in-memory store, kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from haystack import Document, Pipeline
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from peers.step import Asked, Found, Record, Search, metadata, whole_text

_FILE = "store.json"


def ingest(records: Sequence[Record], folder: Path, model: str) -> int:
    folder.mkdir(exist_ok=True)
    return _index_and_save(records, InMemoryDocumentStore(), folder, model)


def again(records: Sequence[Record], folder: Path, model: str) -> int:
    store = InMemoryDocumentStore.load_from_disk(str(folder / _FILE))
    return _index_and_save(records, store, folder, model)


def searcher(folder: Path, model: str, k: int) -> Search:
    store = InMemoryDocumentStore.load_from_disk(str(folder / _FILE))
    return searching(InMemoryEmbeddingRetriever(store, top_k=k), model)


def index(records: Sequence[Record], store: Any, model: str) -> int:
    """Run the indexing pipeline; what is there already is embedded again and then skipped."""
    pipeline = Pipeline()
    pipeline.add_component("splitter", DocumentSplitter())
    embedder = SentenceTransformersDocumentEmbedder(model=model, progress_bar=False)
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.SKIP))
    pipeline.connect("splitter", "embedder")
    pipeline.connect("embedder", "writer")
    documents = [Document(content=whole_text(record), meta=metadata(record)) for record in records]
    pipeline.run({"splitter": {"documents": documents}})
    count: int = store.count_documents()
    return count


def searching(retriever: Any, model: str) -> Search:
    pipeline = Pipeline()
    pipeline.add_component("embedder", SentenceTransformersTextEmbedder(model=model, progress_bar=False))
    pipeline.add_component("retriever", retriever)
    pipeline.connect("embedder.embedding", "retriever.query_embedding")

    def search(asked: Asked) -> list[Found]:
        answer = pipeline.run({"embedder": {"text": asked["question"]}})
        return [Found(found.meta["article"], found.content) for found in answer["retriever"]["documents"]]

    return search


def _index_and_save(records: Sequence[Record], store: InMemoryDocumentStore, folder: Path, model: str) -> int:
    count = index(records, store, model)
    store.save_to_disk(str(folder / _FILE))
    return count

"""Haystack with Chroma as its store, which its integration writes to one chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from haystack_integrations.components.retrievers.chroma import ChromaEmbeddingRetriever
from haystack_integrations.document_stores.chroma import ChromaDocumentStore
from peers.haystack_way import index, searching
from peers.step import Record, Search


def ingest(records: Sequence[Record], folder: Path, model: str) -> int:
    return index(records, ChromaDocumentStore(persist_path=str(folder)), model)


again = ingest  # embeds everything again, and then skips what is there


def searcher(folder: Path, model: str, k: int) -> Search:
    return searching(ChromaEmbeddingRetriever(ChromaDocumentStore(persist_path=str(folder)), top_k=k), model)

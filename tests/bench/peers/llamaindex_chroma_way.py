"""LlamaIndex, fitted: chunks no longer than what the model reads, and Chroma, as its page on Chroma does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import chromadb
from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore
from peers.llamaindex_way import documents, searching
from peers.step import Record, Search


def ingest(records: Sequence[Record], folder: Path, model: str) -> int:
    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    Settings.node_parser = SentenceSplitter(chunk_size=256, chunk_overlap=20)
    collection = _collection(folder)
    storage = StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection))
    VectorStoreIndex.from_documents(documents(records), storage_context=storage)
    return collection.count()


again = ingest  # new ids: every chunk stands twice


def searcher(folder: Path, model: str, k: int) -> Search:
    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    store = ChromaVectorStore(chroma_collection=_collection(folder))
    return searching(VectorStoreIndex.from_vector_store(store), k)


def _collection(folder: Path) -> chromadb.Collection:
    return chromadb.PersistentClient(path=str(folder)).get_or_create_collection("articles")

"""LlamaIndex as its starter tutorial does it: default splitter and default store, kept on disk with `persist`.

The default chunk has up to 1,024 tokens, of which the model reads the first 256. Title, outlet, date and address
go before each chunk that is embedded, also by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from peers.step import Asked, Found, Record, Search, metadata, whole_text


def ingest(records: Sequence[Record], folder: Path, model: str) -> int:
    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    index = VectorStoreIndex.from_documents(documents(records))
    index.storage_context.persist(persist_dir=str(folder))
    return len(index.docstore.docs)


def again(records: Sequence[Record], folder: Path, model: str) -> int:
    index = _load(folder, model)
    index.refresh_ref_docs(documents(records))  # passes over what has not changed
    index.storage_context.persist(persist_dir=str(folder))
    return len(index.docstore.docs)


def searcher(folder: Path, model: str, k: int) -> Search:
    return searching(_load(folder, model), k)


def documents(records: Sequence[Record]) -> list[Document]:
    return [Document(text=whole_text(item), id_=item["id"], metadata=metadata(item)) for item in records]


def searching(index: VectorStoreIndex, k: int) -> Search:
    retriever = index.as_retriever(similarity_top_k=k)

    def search(asked: Asked) -> list[Found]:
        return [
            Found(found.metadata["article"], found.text) for found in retriever.retrieve(asked["question"])
        ]

    return search


def _load(folder: Path, model: str) -> VectorStoreIndex:
    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    return load_index_from_storage(StorageContext.from_defaults(persist_dir=str(folder)))

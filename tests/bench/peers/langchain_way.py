"""LangChain as its tutorials do it: split by characters (1000, overlap 200), embed, Chroma on disk, top k."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from peers.step import Asked, Found, Record, Search, metadata, whole_text


def ingest(records: Sequence[Record], folder: Path, model: str) -> int:
    documents = [Document(whole_text(record), metadata=metadata(record)) for record in records]
    chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
    embeddings = HuggingFaceEmbeddings(model_name=model)
    store = Chroma.from_documents(chunks, embeddings, persist_directory=str(folder))
    return len(store.get(include=[])["ids"])


again = ingest  # new ids: every chunk stands twice


def searcher(folder: Path, model: str, k: int) -> Search:
    embeddings = HuggingFaceEmbeddings(model_name=model)
    store = Chroma(persist_directory=str(folder), embedding_function=embeddings)

    def search(asked: Asked) -> list[Found]:
        documents = store.similarity_search(asked["question"], k=k)
        return [Found(document.metadata["article"], document.page_content) for document in documents]

    return search

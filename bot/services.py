"""Lazily opened components of one data directory: article store, indexes, models and answer pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.answering.answer_store import AnswerStore
    from bot.answering.citation_status import CitationAudit
    from bot.answering.fact_check import FactChecker
    from bot.answering.generation.generator import GenerativeAnswerer
    from bot.answering.langchain import AnswerChain
    from bot.answering.pipeline import AnswerPipeline
    from bot.answering.signed_links import SignedLinks
    from bot.indexing.bm25_index import Bm25Index
    from bot.indexing.bm25_sync import Bm25Sync
    from bot.indexing.embeddings import Embedder
    from bot.indexing.filters import SearchFilters
    from bot.indexing.index_writer import IndexWriter
    from bot.indexing.vector_store import VectorStore
    from bot.reader.reader import Reader
    from bot.retrieval.retriever import Retriever
    from bot.settings import Settings
    from bot.storage.article_store import ArticleStore
    from bot.verification.verifier import Verifier


class Services:
    """Components of one data directory, each opened on first use, so that a command loads only what it needs."""

    def __init__(
        self, settings: Settings, *, embedder: Embedder | None = None, reader: Reader | None = None
    ) -> None:
        """Open nothing yet.

        Args:
            embedder: replaces the configured embedding model, in tests.
            reader: replaces the configured reader, in tests.
        """
        self.settings = settings
        self._embedder = embedder
        self._reader = reader

    @cached_property
    def articles(self) -> ArticleStore:
        """The article store.

        Raises:
            DatabaseError: if it cannot be opened.
        """
        from bot.storage.article_store import open_article_store

        return open_article_store(self.settings.data_dir, self.settings.database_url)

    @cached_property
    def answers(self) -> AnswerStore:
        """The stored answers, with their traces and the feedback of users."""
        from bot.answering.answer_store import AnswerStore

        return AnswerStore(self.articles)

    @cached_property
    def citation_audit(self) -> CitationAudit:
        """The check of past citations against the current articles."""
        from bot.answering.citation_status import CitationAudit

        return CitationAudit(self.articles)

    @cached_property
    def vector_store(self) -> VectorStore:
        """The vector index.

        Raises:
            SettingsError: if its settings are invalid.
        """
        return open_vector_store(self.settings)

    @cached_property
    def bm25(self) -> Bm25Index:
        """The BM25 index."""
        from bot.indexing.bm25_index import Bm25Index

        return Bm25Index(self.settings.data_dir / "words", language=self.settings.language)

    @cached_property
    def bm25_sync(self) -> Bm25Sync:
        """The sync of the BM25 index with the article store."""
        from bot.indexing.bm25_sync import Bm25Sync

        return Bm25Sync(self.bm25, self.articles)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model, not loaded yet.

        Raises:
            EmbeddingError: if it cannot be found.
        """
        return self._embedder or self.open_embedder()

    @property
    def open_embedder(self) -> Callable[[], Embedder]:
        """Factory for another instance of the configured embedding model, which also works on other machines."""
        from bot.indexing.embeddings import SentenceTransformerEmbedder

        return partial(
            SentenceTransformerEmbedder,
            self.settings.embedding_model,
            device=self.settings.device,
            encoders=self.settings.data_dir / "encoders",
            int8=self.settings.embedding_precision == "int8",
        )

    @cached_property
    def reader(self) -> Reader:
        """The reader, not loaded yet."""
        from bot.reader.reader import QuestionAnsweringReader

        exports = self.settings.data_dir / "readers"
        return self._reader or QuestionAnsweringReader(self.settings.reader_model, exports=exports)

    def load_models(self) -> None:
        """Load the embedding model and the reader, so that the first question does not wait for them.

        Raises:
            EmbeddingError: if the embedding model cannot be loaded.
            ReaderError: if the reader cannot be loaded.
        """
        self.embedder.load()
        self.reader.load()

    @cached_property
    def retriever(self) -> Retriever:
        """The hybrid search in both indexes."""
        from bot.retrieval.reranker import CrossEncoderReranker
        from bot.retrieval.retriever import Retriever

        model, device = self.settings.rerank_model, self.settings.device
        reranker = CrossEncoderReranker(model, device=device) if model else None
        return Retriever(self.articles, self.vector_store, self.bm25, self.bm25_sync, self.embedder, reranker)

    @cached_property
    def pipeline(self) -> AnswerPipeline:
        """The answer pipeline with the configured chat model.

        Raises:
            ChatModelError: if the chat model cannot be set up.
        """
        return self.pipeline_for(self.settings.chat_model)

    @cached_property
    def chain(self) -> AnswerChain:
        """The answer pipeline as a LangChain Runnable.

        Raises:
            ChatModelError: if the chat model cannot be set up.
        """
        from bot.answering.langchain import AnswerChain

        return AnswerChain(self.pipeline)

    @cached_property
    def verifier(self) -> Verifier:
        """The verifier of the support for sentences.

        Raises:
            ChatModelError: if the LLM judge cannot be set up.
        """
        from bot.llm import load_chat_model
        from bot.verification.llm_judge import LlmJudge
        from bot.verification.nli import NliModel
        from bot.verification.verifier import Verifier

        model, judge = self.settings.support_model, self.settings.support_judge
        return Verifier(
            entailment=NliModel(model, device=self.settings.device) if model else None,
            judge=LlmJudge(load_chat_model(judge, self.settings)) if judge else None,
        )

    @cached_property
    def signed_links(self) -> SignedLinks:
        """The signed links to evidence pages."""
        from bot.answering.signed_links import SignedLinks

        return SignedLinks(self.articles, self.settings.public_url)

    def fact_checker(self, filters: SearchFilters | None = None) -> FactChecker:
        """Build a checker of sentences against the articles that match the filters."""
        from bot.answering.fact_check import FactChecker

        return FactChecker(
            self.verifier, self.retriever, self.articles, filters=filters, signed_links=self.signed_links
        )

    def pipeline_for(self, chat_model: str) -> AnswerPipeline:
        """Build an answer pipeline.

        Args:
            chat_model: provider and model, or an empty string for extractive answers.

        Raises:
            ChatModelError: if the chat model cannot be set up.
        """
        from bot.answering.answer import Pricing
        from bot.answering.pipeline import AnswerPipeline

        return AnswerPipeline(
            self.articles,
            self.retriever,
            self.bm25,
            self.reader,
            min_confidence=self.settings.min_confidence,
            closest_confidence=self.settings.closest_confidence,
            generative=self._build_generative_answerer(chat_model) if chat_model else None,
            pricing=Pricing(self.settings.chat_price_in, self.settings.chat_price_out),
            signed_links=self.signed_links,
        )

    def _build_generative_answerer(self, name: str) -> GenerativeAnswerer:
        from bot.answering.generation.generator import GenerativeAnswerer
        from bot.llm import load_chat_model, max_output_tokens

        max_prompt_tokens = self.settings.chat_budget - max_output_tokens(self.settings)
        model = load_chat_model(name, self.settings)
        return GenerativeAnswerer(
            model,
            self.verifier,
            self.articles,
            name=name,
            max_prompt_tokens=max_prompt_tokens,
            signed_links=self.signed_links,
        )

    @contextlib.contextmanager
    def index_writer(self, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[IndexWriter]:
        """Hold the write lock of the data directory during the block and yield the index writer.

        Args:
            on_wait: called if another process holds the lock.
        """
        from bot.indexing.index_writer import open_index_writer

        lock_file = self.settings.data_dir / "write.lock"
        with open_index_writer(
            self.articles,
            self.vector_store,
            self.bm25_sync,
            self.embedder,
            lock_file=lock_file,
            on_wait=on_wait,
        ) as indexer:
            yield indexer

    def close(self) -> None:
        """Close the components that are open."""
        for component in ("articles", "vector_store"):
            if component in self.__dict__:
                self.__dict__[component].close()


def open_vector_store(settings: Settings) -> VectorStore:
    """Open the vector store that the settings name.

    Raises:
        SettingsError: if the settings of the Chroma server are invalid.
    """
    if not settings.chroma_url:
        from bot.indexing.chroma_embedded import EmbeddedVectorStore

        return EmbeddedVectorStore(settings.data_dir / "chroma")
    from bot.indexing.chroma_server import ServerVectorStore

    return ServerVectorStore(
        settings.chroma_url,
        headers={name: value.get_secret_value() for name, value in settings.chroma_headers.items()},
        tenant=settings.chroma_tenant,
        database=settings.chroma_database,
        ca_file=settings.chroma_ca_file,
    )

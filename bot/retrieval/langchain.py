"""LangChain BaseRetriever adapter."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from bot.indexing.filters import SearchFilters, TimeWindow
from bot.retrieval.models import Hit
from bot.retrieval.retriever import DEFAULT_K, Retriever


class PassageRetriever(BaseRetriever):
    """LangChain retriever; the metadata of its Documents contain the article."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: int = DEFAULT_K
    filters: SearchFilters = SearchFilters()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [to_document(hit) for hit in self.retriever.search(query, k=self.k, filters=self.filters)]


# Resolves a type that filters.py imports only for type checking.
PassageRetriever.model_rebuild(_types_namespace={"Window": TimeWindow})


def to_document(hit: Hit) -> Document:
    """Return a hit as a LangChain Document."""
    headline, passage = hit.headline, hit.passage
    return Document(
        id=passage.id,
        page_content=passage.text,
        metadata={
            "article_id": passage.article_id,
            "start": passage.start,
            "end": passage.end,
            "title": headline.title,
            "source": headline.source,
            "published": headline.published.isoformat() if headline.published else None,
            "url": headline.url,
            "score": hit.score,
        },
    )

"""Arguments and results of the article store, as immutable types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from bot.articles.article import Article
from bot.articles.chunking import Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ArticleSummary:
    """Metadata of an article version, without its text."""

    article_id: str
    version: int
    title: str
    source: str
    published: datetime | None
    url: str | None
    author: str = ""


class SourceCount(NamedTuple):
    """Source, as spelled in its articles, with the number of its visible articles."""

    name: str
    articles: int


@dataclass(frozen=True, slots=True)
class VectorCollection:
    """Vector collection of one embedding model; `location` identifies it in Chroma."""

    fingerprint: str
    model: str
    dimension: int
    location: str


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedArticle(Article):
    """Article with the vectors of its passages, shape (passages, dimension)."""

    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PendingVersion:
    """Article version with its passages, written to the article store or about to be, but not yet visible."""

    article: Article
    version: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class ArticleVersion:
    """Article version that is or was visible, with its passages; `newest` is the visible one."""

    article: Article
    version: int
    passages: tuple[Passage, ...]
    newest: PendingVersion
    corrected: datetime | None  # when `newest` was written; None if this is the newest


@dataclass(frozen=True, slots=True)
class PendingRef:
    """Reference to a pending version in the article store, used to publish it."""

    article_id: str
    version: int
    origin: str


@dataclass(frozen=True, slots=True)
class ArticleFingerprint:
    """Content hash and origin of an article, compared to detect changes and moves."""

    content_hash: str
    origin: str


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Numbers of visible articles and passages."""

    articles: int
    passages: int

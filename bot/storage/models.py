"""What the library gives and takes: small frozen shapes that the other rooms pass on."""

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
    """What names an article to a reader, without its text."""

    article_id: str
    version: int
    title: str
    source: str
    published: datetime | None
    url: str | None
    author: str = ""


class Outlet(NamedTuple):
    """An outlet as its articles write it, and how many of them readers see."""

    name: str
    articles: int


@dataclass(frozen=True, slots=True)
class VectorCollection:
    """Where the vectors of one embedding model stand: `location` names the Chroma collection."""

    fingerprint: str
    model: str
    dimension: int
    location: str


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedArticle(Article):
    """An article that brings the vectors of its passages along, row by row in their order."""

    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PendingVersion:
    """A version of an article on its way in: written to the library, not yet visible."""

    article: Article
    version: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class ArticleVersion:
    """A version of an article that readers see or saw, with its passages; `newest` is what they see now."""

    article: Article
    version: int
    passages: tuple[Passage, ...]
    newest: PendingVersion
    corrected: datetime | None  # when that replaced it; None where it is this one


@dataclass(frozen=True, slots=True)
class PendingRef:
    """What is left to remember of a draft once the library holds it: enough to make it visible."""

    article_id: str
    version: int
    origin: str


@dataclass(frozen=True, slots=True)
class ArticleFingerprint:
    """What tells whether an article that is read again has changed or moved."""

    content_hash: str
    origin: str


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much readers see."""

    articles: int
    passages: int

"""HMAC-signed links to evidence pages: a link gives access to its own page only."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cached_property
from urllib.parse import quote as percent_encode

from bot.articles.chunking import Span
from bot.storage.article_store import ArticleStore

_SIGNATURE_BYTES = 16  # too long to guess


class SignedLinks:
    """Builds and verifies links to the page of an article version, with one quote highlighted.

    The key is stored in the article store, so that all machines that share it accept each other's links. It is read
    for the first link: most answers need none.
    """

    def __init__(self, store: ArticleStore, public_url: str) -> None:
        """Prepare links; the key is read later.

        Args:
            store: contains the key.
            public_url: URL of the service for users, or an empty string if they cannot reach it.
        """
        self._store = store
        self._public_url = public_url

    @property
    def has_public_url(self) -> bool:
        """True if users can reach the service at a URL."""
        return bool(self._public_url)

    def link(
        self,
        article_id: str,
        version: int,
        span: Span | None,
        passage_id: str = "",
        *,
        answer: Span | None = None,
    ) -> str:
        """Return the signed link to a quote or to a whole version.

        Args:
            article_id: id of the article.
            version: version of the article.
            span: the quote, in offsets of the article's text; None for the whole version.
            passage_id: passage to scroll to.
            answer: the words in the quote that answer the question, in offsets of the article's text.

        Returns:
            The URL, or only its path if the service has no public URL.
        """
        query = f"&q={span.start}-{span.end}" if span else ""
        query += f"&a={answer.start}-{answer.end}" if answer else ""
        signature = self._sign(article_id, version, span, answer)
        fragment = f"#{passage_id}" if passage_id else ""
        encoded_id = percent_encode(article_id, safe="")
        return f"{self._public_url}/articles/{encoded_id}?v={version}{query}&key={signature}{fragment}"

    def verify(
        self, signature: str, article_id: str, version: int, span: Span | None, answer: Span | None = None
    ) -> bool:
        """Return True if a signature is valid for exactly these values; compares in constant time."""
        return hmac.compare_digest(signature.encode(), self._sign(article_id, version, span, answer).encode())

    def _sign(self, article_id: str, version: int, span: Span | None, answer: Span | None) -> str:
        quote = f"{span.start}-{span.end}" if span else ""
        if answer:  # without an answer, signatures of links from older versions stay valid
            quote += f"\n{answer.start}-{answer.end}"
        digest = hmac.digest(self._key, f"{article_id}\n{version}\n{quote}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode().rstrip("=")

    @cached_property
    def _key(self) -> bytes:
        return bytes.fromhex(self._store.link_key())

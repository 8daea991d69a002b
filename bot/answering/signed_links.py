"""Links to the service's evidence pages, sealed: who has a link may open its page, and no other."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cached_property
from urllib.parse import quote as percent_encode

from bot.articles.chunking import Span
from bot.storage.article_store import ArticleStore

_DIGEST = 16  # bytes of the seal: too many to try


class SignedLinks:
    """Makes links to the page of an article's version with one quote marked, and knows its own again.

    The key lies in the library, so that all machines that share it know each other's links. It is read when the first
    link is made: most answers need none.
    """

    def __init__(self, library: ArticleStore, public_url: str) -> None:
        """`public_url` is the service's address as readers reach it; "" where they do not."""
        self._library = library
        self._public_url = public_url

    @property
    def has_public_url(self) -> bool:
        """Whether the service has an address that readers reach."""
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
        """Return the link to a quote, or to a version as a whole; without the service's address just its path.

        `answer` are the words in the quote that answer.
        """
        marked = f"&q={span.start}-{span.end}" if span else ""
        marked += f"&a={answer.start}-{answer.end}" if answer else ""
        seal = self._sign(article_id, version, span, answer)
        place = f"#{passage_id}" if passage_id else ""
        named = percent_encode(article_id, safe="")
        return f"{self._public_url}/articles/{named}?v={version}{marked}&key={seal}{place}"

    def verify(
        self, seal: str, article_id: str, version: int, span: Span | None, answer: Span | None = None
    ) -> bool:
        """Say whether a seal is ours for just this; in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(seal.encode(), self._sign(article_id, version, span, answer).encode())

    def _sign(self, article_id: str, version: int, span: Span | None, answer: Span | None) -> str:
        quote = f"{span.start}-{span.end}" if span else ""
        if answer:  # without one the seal is what it was before links had any
            quote += f"\n{answer.start}-{answer.end}"
        sealed = hmac.digest(self._key, f"{article_id}\n{version}\n{quote}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(sealed[:_DIGEST]).decode().rstrip("=")

    @cached_property
    def _key(self) -> bytes:
        return bytes.fromhex(self._library.link_key())

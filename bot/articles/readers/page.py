"""Reads a text, Markdown or HTML file: one article."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.articles.article import Article
from bot.articles.readers import files
from bot.articles.readers.files import File, Skipped, read_text, refuse_large


def read_page(fields: Callable[[str], dict[str, object]], file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a file whose text `fields` makes a record of. Raises ReadError."""
    refuse_large(file.size, files.MAX_ARTICLE_BYTES, "for one article", "split it or write it as JSON lines")
    yield file.article(fields(read_text(file.path)))

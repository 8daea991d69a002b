"""Remembers which articles a run has met, on disk: there may be more of them than memory has room for."""

from __future__ import annotations

import sqlite3

from bot.articles.article import Article

_CACHE_KIB = 16_000


class Seen:
    """The ids and content hashes of the articles of one run; gone when it is closed, or its process dies."""

    def __init__(self) -> None:
        # "" is a file that SQLite removes as soon as it is open. One thread after another uses it.
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=OFF",  # nobody reads it after a crash
            f"PRAGMA cache_size=-{_CACHE_KIB}",
            "CREATE TABLE seen (id TEXT PRIMARY KEY, content_hash TEXT NOT NULL) WITHOUT ROWID",
        ):
            self._table.execute(statement)

    def __contains__(self, article_id: str) -> bool:
        return self._hash(article_id) is not None

    def note(self, article: Article) -> str | None:
        """Note an article; return the content hash noted under its id before, None where it is the first."""
        before = self._hash(article.id)
        if before is None:
            self._table.execute("INSERT INTO seen VALUES (?, ?)", (article.id, article.content_hash))
        return before

    def close(self) -> None:
        """Forget everything."""
        self._table.close()

    def _hash(self, article_id: str) -> str | None:
        row = self._table.execute("SELECT content_hash FROM seen WHERE id = ?", (article_id,)).fetchone()
        return str(row[0]) if row else None

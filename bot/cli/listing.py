"""Prints articles, feeds, answers and checks as plain lines; imports nothing slow."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.articles.article import clean_line, clean_text

if TYPE_CHECKING:
    from bot.answering.citation_status import AffectedAnswer
    from bot.crawler.store import FeedRecord
    from bot.doctor import Check
    from bot.storage.models import ArticleSummary

_COLUMNS = ("Published", "Outlet", "Title", "Id")
_CITATION_FIELDS = {"n", "article_id", "title", "source", "url", "quote", "standing"}
_Row = tuple[str, str, str, str]


def print_articles(articles: Iterable[ArticleSummary]) -> None:
    """Print date, source, title and id of articles: as a table in a terminal, else separated by tabs."""
    rows = [_build_row(article) for article in articles]
    if not rows:
        print("No articles yet: run `citewire ingest PATH`.", file=sys.stderr)
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in (_COLUMNS, *rows):
            print(*row, sep="\t")


def _build_row(article: ArticleSummary) -> _Row:
    date = article.published.date().isoformat() if article.published else "–"
    return date, article.source, article.title or "(no title)", article.article_id


def _print_table(rows: Iterable[_Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.cli.console import out

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold", no_wrap=name in ("Published", "Id"))
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def article_fields(article: ArticleSummary) -> dict[str, Any]:
    """Return an article as a dictionary for JSON."""
    return {
        "id": article.article_id,
        "version": article.version,
        "title": article.title,
        "source": article.source,
        "author": article.author,
        "published": article.published.isoformat() if article.published else None,
        "url": article.url,
    }


def print_affected_answers(found: Iterable[AffectedAnswer]) -> None:
    """Print answers, each with the citations whose articles have changed."""
    from bot.answering.citation_status import describe_status

    is_empty = True
    for one in found:
        is_empty = False
        _print_line("", f"{one.answer.id}  {one.given:%Y-%m-%d %H:%M}  {one.answer.question}", style="bold")
        for citation in one.answer.citations:
            if since := one.article_changes.get(citation.n):
                name = f"{citation.source} · {citation.title}" if citation.source else citation.title
                _print_line("", f"  [{citation.n}] {name}: {describe_status(citation.standing, since)}")
    if is_empty:
        print("No answer cites an article that has changed since.", file=sys.stderr)


def affected_fields(affected: AffectedAnswer) -> dict[str, Any]:
    """Return an answer and those of its citations whose articles have changed as a dictionary for JSON."""
    answer = affected.answer
    cited = {citation.n: citation for citation in answer.citations}
    return {
        "answer_id": answer.id,
        "question": answer.question,
        "given": affected.given.isoformat(),
        "citations": [
            {
                **cited[n].model_dump(mode="json", include=_CITATION_FIELDS),
                "cited_version": cited[n].version,
                "version": since.version,
                "changed": since.changed.isoformat() if since.changed else None,
            }
            for n, since in affected.article_changes.items()
        ],
    }


def print_feeds(feeds: Sequence[FeedRecord]) -> None:
    """Print feeds with their state, next poll and problem."""
    if not feeds:
        print("No feeds yet: run `citewire ingest --feed URL`.", file=sys.stderr)
        return
    print("State", "Next poll", "Title", "Address", "Problem", sep="\t")
    for feed in feeds:
        due = "–" if feed.state == "gone" else _format_time(feed.due)
        print(
            *map(clean_line, (feed.state, str(due), feed.title or "(no title)", feed.url, feed.problem)),
            sep="\t",
        )


def feed_fields(feed: FeedRecord) -> dict[str, Any]:
    """Return a feed as a dictionary for JSON."""
    return {
        "url": feed.url,
        "title": feed.title,
        "source": feed.source,
        "state": feed.state,
        "added": _format_time(feed.added),
        "polled": _format_time(feed.polled),
        "due": None if feed.state == "gone" else _format_time(feed.due),
        "failures": feed.failures,
        "problem": feed.problem,
    }


def _format_time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def print_checks(checks: Sequence[Check]) -> None:
    """Print the result of each check, and the remedy if it failed."""
    for check in checks:
        mark, style = ("ok   ", "green") if check.ok else ("FAIL ", "bold red")
        _print_line(mark, f"{check.name}: {check.detail}", style=style)
        if check.remedy:
            _print_line("     ", f"→ {check.remedy}")


def _print_line(mark: str, text: str, *, style: str = "") -> None:
    text = clean_text(text)  # the name of a directory may contain terminal control sequences
    if not sys.stdout.isatty():
        print(mark + text)
        return
    from rich.text import Text

    from bot.cli.console import out

    out.print(Text(mark, style=style) + Text(text), soft_wrap=True)

"""What `articles`, `affected` and `doctor` list. Nobody waits for rich where no terminal shows its columns."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.articles.article import clean_line, clean_text

if TYPE_CHECKING:
    from bot.answers.standing import Affected
    from bot.articles.records import Headline
    from bot.doctor import Check
    from bot.sources.records import FeedRecord

_NAMES = ("Published", "Outlet", "Title", "Id")
_CITED = {"n", "article_id", "title", "source", "url", "quote", "standing"}
_Row = tuple[str, str, str, str]


def print_headlines(headlines: Iterable[Headline]) -> None:
    """List articles: date, outlet, title, id; as a table in a terminal, elsewhere with tabs between."""
    rows = [_headline_row(headline) for headline in headlines]
    if not rows:
        print("No articles yet: run `citewire ingest PATH`.", file=sys.stderr)
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in (_NAMES, *rows):
            print(*row, sep="\t")


def _headline_row(headline: Headline) -> _Row:
    date = headline.published.date().isoformat() if headline.published else "–"
    return date, headline.source, headline.title or "(no title)", headline.article_id


def _print_table(rows: Iterable[_Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.terminal import out

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _NAMES:
        table.add_column(name, overflow="fold", no_wrap=name in ("Published", "Id"))
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def headline_fields(headline: Headline) -> dict[str, Any]:
    """Return a headline for JSON."""
    return {
        "id": headline.article_id,
        "version": headline.version,
        "title": headline.title,
        "source": headline.source,
        "author": headline.author,
        "published": headline.published.isoformat() if headline.published else None,
        "url": headline.url,
    }


def print_affected(found: Iterable[Affected]) -> None:
    """List answers, each with the citations whose articles are others by now."""
    from bot.answers.standing import told

    none = True
    for one in found:
        none = False
        _print_line("", f"{one.answer.id}  {one.given:%Y-%m-%d %H:%M}  {one.answer.question}", style="bold")
        for citation in one.answer.citations:
            if since := one.since.get(citation.n):
                name = f"{citation.source} · {citation.title}" if citation.source else citation.title
                _print_line("", f"  [{citation.n}] {name}: {told(citation.standing, since)}")
    if none:
        print("No answer cites an article that has changed since.", file=sys.stderr)


def affected_fields(affected: Affected) -> dict[str, Any]:
    """Return for JSON what has become of an answer's citations, those whose articles are others by now."""
    answer = affected.answer
    cited = {citation.n: citation for citation in answer.citations}
    return {
        "answer_id": answer.id,
        "question": answer.question,
        "given": affected.given.isoformat(),
        "citations": [
            {
                **cited[n].model_dump(mode="json", include=_CITED),
                "cited_version": cited[n].version,
                "version": since.version,
                "changed": since.changed.isoformat() if since.changed else None,
            }
            for n, since in affected.since.items()
        ],
    }


def print_feeds(feeds: Sequence[FeedRecord]) -> None:
    """List feeds with their state, when each is polled next, and what is wrong with it."""
    if not feeds:
        print("No feeds yet: run `citewire ingest --feed URL`.", file=sys.stderr)
        return
    print("State", "Next poll", "Title", "Address", "Problem", sep="\t")
    for feed in feeds:
        due = "–" if feed.state == "gone" else _iso(feed.due)
        print(
            *map(clean_line, (feed.state, str(due), feed.title or "(no title)", feed.url, feed.problem)),
            sep="\t",
        )


def feed_fields(feed: FeedRecord) -> dict[str, Any]:
    """Return a feed for JSON."""
    return {
        "url": feed.url,
        "title": feed.title,
        "source": feed.source,
        "state": feed.state,
        "added": _iso(feed.added),
        "polled": _iso(feed.polled),
        "due": None if feed.state == "gone" else _iso(feed.due),
        "failures": feed.failures,
        "problem": feed.problem,
    }


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def print_checks(checks: Sequence[Check]) -> None:
    """Show each check with what it found, and what to do where it failed."""
    for check in checks:
        mark, style = ("ok   ", "green") if check.ok else ("FAIL ", "bold red")
        _print_line(mark, f"{check.name}: {check.detail}", style=style)
        if check.remedy:
            _print_line("     ", f"→ {check.remedy}")


def _print_line(mark: str, said: str, *, style: str = "") -> None:
    text = clean_text(said)  # a folder's name can hold what a terminal would obey
    if not sys.stdout.isatty():
        print(mark + text)
        return
    from rich.text import Text

    from bot.terminal import out

    out.print(Text(mark, style=style) + Text(text), soft_wrap=True)

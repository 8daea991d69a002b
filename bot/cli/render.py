"""What a reader sees of an answer in a terminal. Every text from an article or a model is printed as text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from bot.answering.answer import NOT_SURE
from bot.answering.quotes import answer_span, nearest_heading, other_articles, split_quote
from bot.articles.article import clean_line, clean_text, is_web_url
from bot.cli.console import out, spinner
from bot.text.formatting import format_date, format_page

if TYPE_CHECKING:
    from bot.answering.answer import Answer, ArticleRef, Citation, Sentence
    from bot.answering.citation_status import AffectedAnswer
    from bot.answering.question import AnswerTrace, Notice
    from bot.articles.article import Article
    from bot.crawler.store import FeedRecord
    from bot.doctor import Check
    from bot.storage.models import ArticleSummary

_WEAK = " (weakly supported)"
_UNNUMBERED = "   "  # the mark of a passage that answers nothing, as wide as a citation's
_AROUND = 600  # characters of the article beside a quote
_NAMES = ("Published", "Outlet", "Title", "Id")
_CITED = {"n", "article_id", "title", "source", "url", "quote", "standing"}
_Row = tuple[str, str, str, str]


def print_answer(answer: Answer) -> None:
    """Show the answer with its numbered citations; if there is none, the closest passage and what came near."""
    if answer.notice.strip():
        _print(Text(answer.notice.strip(), style="italic"))
    composed = [sentence for sentence in answer.sentences if sentence.support != "verbatim"]
    if composed:
        _print(Text(" ").join(map(_sentence, composed)))
    elif answer.closest:
        _print_closest(answer)
    elif not answer.citations:
        _print(Text(answer.text, style="bold" if answer.status == "not_found" else ""))
    print_citations(answer)


def print_stream(parts: Iterable[Notice | Sentence | AnswerTrace]) -> AnswerTrace:
    """Show each sentence that a model has written as soon as it is verified, and its citations at the end.

    Returns the Trace, which the parts end with. Quotes are shown as one, when all are there.
    """
    from bot.answering.question import AnswerTrace, Notice

    shown = False
    notice = ""
    for part in _show_spinner_until_first(parts):
        if isinstance(part, AnswerTrace):
            break
        if isinstance(part, Notice):
            notice = f"{notice} {part}".strip()
            _print(Text(str(part), style="italic"))
        elif part.support != "verbatim":
            shown = True
            _print(_sentence(part))
    assert isinstance(part, AnswerTrace)
    answer = part.answer
    if not shown:
        print_answer(answer.model_copy(update={"notice": answer.notice.removeprefix(notice)}))
        return part
    if rest := answer.notice.removeprefix(notice).strip():
        _print(Text(rest, style="italic"))
    print_citations(answer)
    return part


def _show_spinner_until_first(
    parts: Iterable[Notice | Sentence | AnswerTrace],
) -> Iterator[Notice | Sentence | AnswerTrace]:
    """Show that something is being done until the first part is there."""
    waiting = iter(parts)
    with spinner("Reading the articles"):
        first = next(waiting)
    yield first
    yield from waiting


def print_citations(answer: Answer) -> None:
    """Show each citation with its quote, outlet, date and link; where there are none, what came near."""
    for citation in answer.citations:
        print_citation(citation)
    near = other_articles(answer)
    if near:
        _print(Text(nearest_heading(answer)))
    for nearest in near:
        _print(Text(_format_source(nearest), style="dim"), mark="  ·")


def print_passage(citation: Citation, article: Article) -> None:
    """Show a quote within what stands around it in its article, marked »so«."""
    _print(Text(_format_source(citation), style="bold"))
    text = article.text
    # From and to a space: words are not cut.
    start = text.rfind(" ", 0, max(0, citation.start - _AROUND)) + 1
    end = text.find(" ", citation.end + _AROUND) if citation.end + _AROUND < len(text) else -1
    before = ("… " if start else "") + text[start : citation.start]
    after = text[citation.end : end] + " …" if end > 0 else text[citation.end :]
    _print(Text(before) + _marked_quote(citation) + Text(after))
    if citation.link:
        _print(Text(citation.link, style="dim"))


def _sentence(sentence: Sentence) -> Text:
    marks = "".join(f"[{n}]" for n in sentence.citations)
    weak = Text(_WEAK, style="yellow") if sentence.support == "weak" else Text("")
    return Text(sentence.text) + Text(f" {marks}" if marks else "", style="bold cyan") + weak


def _marked_quote(citation: Citation) -> Text:
    """Return a quote as it is in its article, marked; bold are the words that answer, all of it if they are unknown."""
    span = answer_span(citation)
    text = Text(f"»{citation.quote}«", style="cyan" if span else "bold cyan")
    if span:
        text.stylize("bold", span[0] + 1, span[1] + 1)
    return text


def _print_closest(answer: Answer) -> None:
    """Show the passage that is closest to an answer, without a number: nothing cites it."""
    _print(Text(NOT_SURE, style="bold"))
    for citation in answer.closest:
        _print_source(citation, _UNNUMBERED)


def print_citation(citation: Citation) -> None:
    """Show a citation: its number and quote, and below them outlet, date, title, page, copies and link."""
    _print_source(citation, f"[{citation.n}]")


def _print_source(citation: Citation, mark: str) -> None:
    before, words, after = split_quote(citation)
    _print(Text.assemble("“", before, (words, "bold"), after, "”"), mark=mark)
    _print(Text(_format_source(citation), style="dim"), mark=" " * len(mark))
    if citation.copies:
        also = ", ".join(dict.fromkeys(copy.source or copy.title for copy in citation.copies))
        _print(Text(f"also carried by {also}", style="dim"), mark=" " * len(mark))
    if citation.link and out.is_terminal:
        # Shown short and on one unbroken line; only a web address is made clickable.
        style = f"dim link {citation.link}" if is_web_url(citation.link) else "dim"
        out.print(
            Text(f"{' ' * len(mark)} ") + Text(citation.url or citation.link.partition("?")[0], style=style),
            soft_wrap=True,
        )
    elif citation.link:
        _print(Text(citation.link), mark=" " * len(mark))


def _print(body: Text, *, mark: str = "") -> None:
    """Print text behind a mark; wrapped under itself in a terminal, in one line elsewhere."""
    if not out.is_terminal:
        out.print(Text(f"{mark} " if mark else "") + body, soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    cells = [Text(mark, style="bold cyan"), body] if mark else [body]
    grid.add_row(*cells)
    out.print(grid)


def _format_source(article: Citation | ArticleRef) -> str:
    parts = (
        article.source,
        format_date(article.published),
        article.title or "(no title)",
        format_page(getattr(article, "page", None)),
    )
    return " · ".join(part for part in parts if part)


def print_headlines(headlines: Iterable[ArticleSummary]) -> None:
    """List articles: date, outlet, title, id; as a table in a terminal, elsewhere with tabs between."""
    rows = [_headline_row(headline) for headline in headlines]
    if not rows:
        print("No articles yet: run `citewire ingest PATH`.", file=sys.stderr)
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in (_NAMES, *rows):
            print(*row, sep="\t")


def _headline_row(headline: ArticleSummary) -> _Row:
    date = headline.published.date().isoformat() if headline.published else "–"
    return date, headline.source, headline.title or "(no title)", headline.article_id


def _print_table(rows: Iterable[_Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.cli.console import out

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _NAMES:
        table.add_column(name, overflow="fold", no_wrap=name in ("Published", "Id"))
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def headline_fields(headline: ArticleSummary) -> dict[str, Any]:
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


def print_affected(found: Iterable[AffectedAnswer]) -> None:
    """List answers, each with the citations whose articles are others by now."""
    from bot.answering.citation_status import describe_status

    none = True
    for one in found:
        none = False
        _print_line("", f"{one.answer.id}  {one.given:%Y-%m-%d %H:%M}  {one.answer.question}", style="bold")
        for citation in one.answer.citations:
            if since := one.since.get(citation.n):
                name = f"{citation.source} · {citation.title}" if citation.source else citation.title
                _print_line("", f"  [{citation.n}] {name}: {describe_status(citation.standing, since)}")
    if none:
        print("No answer cites an article that has changed since.", file=sys.stderr)


def affected_fields(affected: AffectedAnswer) -> dict[str, Any]:
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

    from bot.cli.console import out

    out.print(Text(mark, style=style) + Text(text), soft_wrap=True)

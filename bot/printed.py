"""What a reader sees of an answer in a terminal. Every text from an article or a model is printed as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bot.answers.answer import NOT_SURE
from bot.articles.article import is_web_url
from bot.quotes import answer_span, nearest_heading, other_articles, split_quote
from bot.terminal import day, out, page_of, working

if TYPE_CHECKING:
    from bot.answers.answer import Answer, Citation, Nearest, Sentence
    from bot.answers.turn import Notice, Trace
    from bot.articles.article import Article

_WEAK = " (weakly supported)"
_UNNUMBERED = "   "  # the mark of a passage that answers nothing, as wide as a citation's
_AROUND = 600  # characters of the article beside a quote


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
    print_notes(answer)


def print_stream(parts: Iterable[Notice | Sentence | Trace]) -> Trace:
    """Show each sentence that a model has written as soon as it is verified, and its citations at the end.

    Returns the Trace, which the parts end with. Quotes are shown as one, when all are there.
    """
    from bot.answers.turn import Notice, Trace

    shown = False
    notice = ""
    for part in _while_working(parts):
        if isinstance(part, Trace):
            break
        if isinstance(part, Notice):
            notice = f"{notice} {part}".strip()
            _print(Text(str(part), style="italic"))
        elif part.support != "verbatim":
            shown = True
            _print(_sentence(part))
    assert isinstance(part, Trace)
    answer = part.answer
    if not shown:
        print_answer(answer.model_copy(update={"notice": answer.notice.removeprefix(notice)}))
        return part
    if rest := answer.notice.removeprefix(notice).strip():
        _print(Text(rest, style="italic"))
    print_notes(answer)
    return part


def _while_working(parts: Iterable[Notice | Sentence | Trace]) -> Iterator[Notice | Sentence | Trace]:
    """Show that something is being done until the first part is there."""
    waiting = iter(parts)
    with working("Reading the articles"):
        first = next(waiting)
    yield first
    yield from waiting


def print_notes(answer: Answer) -> None:
    """Show each citation with its quote, outlet, date and link; where there are none, what came near."""
    for citation in answer.citations:
        print_citation(citation)
    near = other_articles(answer)
    if near:
        _print(Text(nearest_heading(answer)))
    for nearest in near:
        _print(Text(_named(nearest), style="dim"), mark="  ·")


def print_passage(citation: Citation, article: Article) -> None:
    """Show a quote within what stands around it in its article, marked »so«."""
    _print(Text(_named(citation), style="bold"))
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
    _print(Text(_named(citation), style="dim"), mark=" " * len(mark))
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


def _named(article: Citation | Nearest) -> str:
    parts = (article.source, day(article.published), article.title or "(no title)", page_of(article))
    return " · ".join(part for part in parts if part)

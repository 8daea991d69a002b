"""Terminal output of answers, articles, feeds and checks. Text from articles and models is never treated as markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bot.answering.answer import NOT_SURE
from bot.answering.quotes import answer_span, nearest_heading, other_articles, split_quote
from bot.articles.article import is_web_url
from bot.cli.console import out, spinner
from bot.text.formatting import format_date, format_page

if TYPE_CHECKING:
    from bot.answering.answer import Answer, ArticleRef, Citation, Sentence
    from bot.answering.question import AnswerTrace, Notice
    from bot.articles.article import Article

_WEAK_LABEL = " (weakly supported)"
_NO_NUMBER = "   "  # mark of a passage without a number, as wide as that of a citation
_CONTEXT_CHARS = 600  # of the article on each side of a quote


def print_answer(answer: Answer) -> None:
    """Print an answer with its numbered citations or, if there is none, the closest passage and related articles."""
    if answer.notice.strip():
        _print_text(Text(answer.notice.strip(), style="italic"))
    composed = [sentence for sentence in answer.sentences if sentence.support != "verbatim"]
    if composed:
        _print_text(Text(" ").join(map(_format_sentence, composed)))
    elif answer.closest:
        _print_closest(answer)
    elif not answer.citations:
        _print_text(Text(answer.text, style="bold" if answer.status == "not_found" else ""))
    print_citations(answer)


def print_stream(parts: Iterable[Notice | Sentence | AnswerTrace]) -> AnswerTrace:
    """Print each sentence written by a model as soon as it is verified, and the citations at the end.

    Quotes are printed together when all of them are available.

    Returns:
        The AnswerTrace, which is the last part.
    """
    from bot.answering.question import AnswerTrace, Notice

    shown = False
    notice = ""
    for part in _show_spinner_until_first(parts):
        if isinstance(part, AnswerTrace):
            break
        if isinstance(part, Notice):
            notice = f"{notice} {part}".strip()
            _print_text(Text(str(part), style="italic"))
        elif part.support != "verbatim":
            shown = True
            _print_text(_format_sentence(part))
    assert isinstance(part, AnswerTrace)
    answer = part.answer
    if not shown:
        print_answer(answer.model_copy(update={"notice": answer.notice.removeprefix(notice)}))
        return part
    if rest := answer.notice.removeprefix(notice).strip():
        _print_text(Text(rest, style="italic"))
    print_citations(answer)
    return part


def _show_spinner_until_first(
    parts: Iterable[Notice | Sentence | AnswerTrace],
) -> Iterator[Notice | Sentence | AnswerTrace]:
    """Yield the parts, with a spinner until the first one is available."""
    waiting = iter(parts)
    with spinner("Reading the articles"):
        first = next(waiting)
    yield first
    yield from waiting


def print_citations(answer: Answer) -> None:
    """Print each citation with its quote, source, date and link, and related articles."""
    for citation in answer.citations:
        print_citation(citation)
    near = other_articles(answer)
    if near:
        _print_text(Text(nearest_heading(answer)))
    for nearest in near:
        _print_text(Text(_format_source(nearest), style="dim"), mark="  ·")


def print_passage(citation: Citation, article: Article) -> None:
    """Print a quote, marked »like this«, with the surrounding text of its article."""
    _print_text(Text(_format_source(citation), style="bold"))
    text = article.text
    # Cut at spaces, so that words stay whole.
    start = text.rfind(" ", 0, max(0, citation.start - _CONTEXT_CHARS)) + 1
    end = text.find(" ", citation.end + _CONTEXT_CHARS) if citation.end + _CONTEXT_CHARS < len(text) else -1
    before = ("… " if start else "") + text[start : citation.start]
    after = text[citation.end : end] + " …" if end > 0 else text[citation.end :]
    _print_text(Text(before) + _highlight_quote(citation) + Text(after))
    if citation.link:
        _print_text(Text(citation.link, style="dim"))


def _format_sentence(sentence: Sentence) -> Text:
    marks = "".join(f"[{n}]" for n in sentence.citations)
    weak = Text(_WEAK_LABEL, style="yellow") if sentence.support == "weak" else Text("")
    return Text(sentence.text) + Text(f" {marks}" if marks else "", style="bold cyan") + weak


def _highlight_quote(citation: Citation) -> Text:
    """Return a marked quote. The words that answer the question are bold, or all words if these are unknown."""
    span = answer_span(citation)
    text = Text(f"»{citation.quote}«", style="cyan" if span else "bold cyan")
    if span:
        text.stylize("bold", span[0] + 1, span[1] + 1)
    return text


def _print_closest(answer: Answer) -> None:
    """Print the passage that is closest to an answer, without a number, because no sentence cites it."""
    _print_text(Text(NOT_SURE, style="bold"))
    for citation in answer.closest:
        _print_source(citation, _NO_NUMBER)


def print_citation(citation: Citation) -> None:
    """Print the number and quote of a citation, and below them source, date, title, page, copies and link."""
    _print_source(citation, f"[{citation.n}]")


def _print_source(citation: Citation, mark: str) -> None:
    before, words, after = split_quote(citation)
    _print_text(Text.assemble("“", before, (words, "bold"), after, "”"), mark=mark)
    _print_text(Text(_format_source(citation), style="dim"), mark=" " * len(mark))
    if citation.copies:
        also = ", ".join(dict.fromkeys(copy.source or copy.title for copy in citation.copies))
        _print_text(Text(f"also carried by {also}", style="dim"), mark=" " * len(mark))
    if citation.link and out.is_terminal:
        # Short and on one unbroken line. Only web URLs are made clickable.
        style = f"dim link {citation.link}" if is_web_url(citation.link) else "dim"
        out.print(
            Text(f"{' ' * len(mark)} ") + Text(citation.url or citation.link.partition("?")[0], style=style),
            soft_wrap=True,
        )
    elif citation.link:
        _print_text(Text(citation.link), mark=" " * len(mark))


def _print_text(body: Text, *, mark: str = "") -> None:
    """Print text after a mark, wrapped with a hanging indent in a terminal, else on one line."""
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

"""The pages that people see. What stands in an article is text: none of it becomes markup, style or a script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from bot.articles.article import is_web_url
from bot.articles.chunking import Passage, Span

if TYPE_CHECKING:
    from bot.server.evidence import EvidenceView

_UNTITLED = "(no title)"
_WRAPPED = 120  # characters: in a text whose every line is shorter a line's end means nothing
_ENDS = re.compile(r"[^\S\n]*\n\s*")
_FOOT = "The words are the article's own, as they were read; the passage that an answer cites is marked."


def article_page(evidence: EvidenceView) -> HTMLResponse:
    """Return the page of an article with its quote marked."""
    article = evidence.edition.article
    title = escape(article.title or _UNTITLED)
    head = f'<header><h1 dir="auto">{title}</h1>{"".join(_header_lines(evidence))}</header>'
    text = "".join(_render_passages(article.text, evidence.edition.passages, evidence.span, evidence.answer))
    return _page(
        title, f'<main>{head}<article class="text" dir="auto">{text}</article></main><footer>{_FOOT}</footer>'
    )


def notice_page(sentence: str, *, status: int, headers: Mapping[str, str]) -> HTMLResponse:
    """Return a page that says one thing."""
    page = _page(
        "Citewire", f'<main><p class="notice">{escape(sentence[:1].upper() + sentence[1:])}</p></main>'
    )
    page.status_code = status
    page.headers.update(headers)
    return page


def _page(title: str, body: str) -> HTMLResponse:
    style, policy = _style()
    return HTMLResponse(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex, nofollow"><title>{title}</title><style>{style}</style></head>'
        f"<body>{body}</body></html>\n",
        headers={"Content-Security-Policy": policy, "Vary": "Accept"},
    )


@cache
def _style() -> tuple[str, str]:
    """Return the one style sheet, and the policy that allows it and nothing else."""
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = f"style-src 'sha256-{digest}'"
    return (
        style,
        f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _header_lines(evidence: EvidenceView) -> Iterator[str]:
    article = evidence.edition.article
    day = f"{article.published.day} {article.published:%B %Y}" if article.published else ""
    if named := " · ".join(f"<bdi>{escape(part)}</bdi>" for part in (article.source, day) if part):
        yield f'<p class="from">{named}</p>'
    if article.url and is_web_url(article.url):
        yield f'<p class="from"><a href="{escape(article.url)}" rel="noopener noreferrer nofollow">The original</a></p>'
    if evidence.status_note:
        link = f' <a href="{escape(evidence.newest_link)}">Read it as it is now</a>'
        yield f'<p class="note" role="note">{escape(evidence.status_note)}{link}</p>'


def _render_passages(
    text: str, passages: tuple[Passage, ...], quote: Span | None, answer: Span | None = None
) -> Iterator[str]:
    """Yield the whole text, each passage an element that bears its id, and the words that answer in bold.

    In the one that holds the quote the quote bears it: a passage can be longer than a phone's screen, and the link has
    to lead to the quote.
    """
    wrapped, at = _is_wrapped(text), 0

    def marked(start: int, end: int, place: str = "") -> str:
        return "".join(_render_highlight(text, Span(start, end), quote, answer, wrapped=wrapped, place=place))

    for passage in passages:
        yield marked(at, passage.start)
        place = f' id="{escape(passage.id)}"'
        cited = quote is not None and passage.start <= quote.start < passage.end
        inner = marked(passage.start, passage.end, place if cited else "")
        yield f"<span{'' if cited else place}>{inner}</span>"
        at = passage.end
    yield marked(at, len(text))


def _render_highlight(
    text: str, part: Span, quote: Span | None, answer: Span | None, *, wrapped: bool, place: str
) -> Iterator[str]:
    """Yield a part of the text, with that of it which is quoted marked; `place` is the mark's attribute."""
    start, end = part
    cut = Span(max(start, quote.start), min(end, quote.end)) if quote else Span(start, start)
    if cut.start >= cut.end or not (place or text[cut.start : cut.end].strip()):
        yield _shown(text[start:end], wrapped=wrapped)
        return
    yield _shown(text[start : cut.start], wrapped=wrapped)
    yield f"<mark{place}>{_bold(text, cut, answer, wrapped=wrapped)}</mark>"
    yield _shown(text[cut.end : end], wrapped=wrapped)


def _bold(text: str, part: Span, answer: Span | None, *, wrapped: bool) -> str:
    """Return a part of the text with that of it which answers in bold."""
    bold = Span(max(part.start, answer.start), min(part.end, answer.end)) if answer else part
    if answer is None or bold.start >= bold.end:
        return _shown(text[part.start : part.end], wrapped=wrapped)
    before, words, after = (
        _shown(text[start:end], wrapped=wrapped)
        for start, end in ((part.start, bold.start), bold, (bold.end, part.end))
    )
    return f"{before}<b>{words}</b>{after}"


def _shown(text: str, *, wrapped: bool) -> str:
    """Return text as HTML, with an empty line between paragraphs."""

    def end(found: re.Match[str]) -> str:
        return " " if wrapped and found[0].count("\n") == 1 else "\n\n"

    return escape(_ENDS.sub(end, text))


def _is_wrapped(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return "\n\n" in text and max(map(len, lines), default=0) < _WRAPPED

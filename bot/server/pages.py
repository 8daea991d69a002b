"""HTML pages for users. Article text is escaped: none of it becomes markup, style or script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from bot.articles.article import is_web_url
from bot.articles.chunking import Passage, Span

if TYPE_CHECKING:
    from bot.storage.models import ArticleVersion

_UNTITLED = "(no title)"
# If all lines of a text are shorter, single line breaks are line wrapping and are removed.
_MAX_WRAPPED_LINE_CHARS = 120
_LINE_BREAKS = re.compile(r"[^\S\n]*\n\s*")
_FOOTER = "The words are the article's own, as they were read; the passage that an answer cites is marked."


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """Version of an article with a quote, and its status in the newest version.

    Attributes:
        span: the quote, in offsets of the article's text, or None for the whole article.
        is_quote_current: True if the newest version contains the quote too.
        newest_link: link to the newest version, or an empty string if this is the newest.
        answer: the words in the quote that answer the question, in offsets of the article's text.
    """

    article_version: ArticleVersion
    span: Span | None
    is_quote_current: bool
    newest_link: str
    answer: Span | None = None

    @property
    def quote(self) -> str:
        """Return the text to highlight."""
        return self.article_version.article.text[self.span.start : self.span.end] if self.span else ""

    @property
    def status_note(self) -> str:
        """Return a note that the article was corrected, or an empty string if this is the newest version."""
        corrected = self.article_version.corrected
        if corrected is None:
            return ""
        date = f"{corrected.day} {corrected:%B %Y}"
        quote_status = "still stands in it" if self.is_quote_current else "no longer stands in it"
        return f"This article was corrected on {date}" + (
            f"; the quote {quote_status}." if self.span else "."
        )


def article_page(evidence: EvidenceView) -> HTMLResponse:
    """Return the page of an article with its quote highlighted."""
    article = evidence.article_version.article
    title = escape(article.title or _UNTITLED)
    head = f'<header><h1 dir="auto">{title}</h1>{"".join(_header_lines(evidence))}</header>'
    text = "".join(
        _render_passages(article.text, evidence.article_version.passages, evidence.span, evidence.answer)
    )
    return _build_page(
        title,
        f'<main>{head}<article class="text" dir="auto">{text}</article></main><footer>{_FOOTER}</footer>',
    )


def notice_page(message: str, *, status: int, headers: Mapping[str, str]) -> HTMLResponse:
    """Return a page that contains only a message."""
    page = _build_page(
        "Citewire", f'<main><p class="notice">{escape(message[:1].upper() + message[1:])}</p></main>'
    )
    page.status_code = status
    page.headers.update(headers)
    return page


def _build_page(title: str, body: str) -> HTMLResponse:
    style, policy = _load_style()
    return HTMLResponse(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex, nofollow"><title>{title}</title><style>{style}</style></head>'
        f"<body>{body}</body></html>\n",
        headers={"Content-Security-Policy": policy, "Vary": "Accept"},
    )


@cache
def _load_style() -> tuple[str, str]:
    """Return the style sheet, and the content security policy that allows nothing else."""
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    style_source = f"style-src 'sha256-{digest}'"
    return (
        style,
        f"default-src 'none'; {style_source}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _header_lines(evidence: EvidenceView) -> Iterator[str]:
    article = evidence.article_version.article
    day = f"{article.published.day} {article.published:%B %Y}" if article.published else ""
    if byline := " · ".join(f"<bdi>{escape(part)}</bdi>" for part in (article.source, day) if part):
        yield f'<p class="from">{byline}</p>'
    if article.url and is_web_url(article.url):
        yield f'<p class="from"><a href="{escape(article.url)}" rel="noopener noreferrer nofollow">The original</a></p>'
    if evidence.status_note:
        link = f' <a href="{escape(evidence.newest_link)}">Read it as it is now</a>'
        yield f'<p class="note" role="note">{escape(evidence.status_note)}{link}</p>'


def _render_passages(
    text: str, passages: tuple[Passage, ...], quote: Span | None, answer: Span | None = None
) -> Iterator[str]:
    """Yield the whole text as HTML, each passage in an element with its id, and the words of the answer in bold.

    The id of the passage that contains the quote is set on the highlight: a passage can be longer than a phone's
    screen, and the link must lead to the quote.
    """
    wrapped, position = _is_wrapped(text), 0

    def render_range(start: int, end: int, attribute: str = "") -> str:
        return "".join(
            _render_highlight(text, Span(start, end), quote, answer, wrapped=wrapped, attribute=attribute)
        )

    for passage in passages:
        yield render_range(position, passage.start)
        attribute = f' id="{escape(passage.id)}"'
        has_quote = quote is not None and passage.start <= quote.start < passage.end
        inner = render_range(passage.start, passage.end, attribute if has_quote else "")
        yield f"<span{'' if has_quote else attribute}>{inner}</span>"
        position = passage.end
    yield render_range(position, len(text))


def _render_highlight(
    text: str, part: Span, quote: Span | None, answer: Span | None, *, wrapped: bool, attribute: str
) -> Iterator[str]:
    """Yield a part of the text as HTML, with the quote in it highlighted.

    Args:
        part: the part, in offsets of the text.
        attribute: HTML attribute of the `<mark>` element.
    """
    start, end = part
    highlighted = Span(max(start, quote.start), min(end, quote.end)) if quote else Span(start, start)
    if highlighted.start >= highlighted.end or not (
        attribute or text[highlighted.start : highlighted.end].strip()
    ):
        yield _render_text(text[start:end], wrapped=wrapped)
        return
    yield _render_text(text[start : highlighted.start], wrapped=wrapped)
    yield f"<mark{attribute}>{_render_bold(text, highlighted, answer, wrapped=wrapped)}</mark>"
    yield _render_text(text[highlighted.end : end], wrapped=wrapped)


def _render_bold(text: str, part: Span, answer: Span | None, *, wrapped: bool) -> str:
    """Return a part of the text as HTML, with the words of the answer in bold."""
    bold = Span(max(part.start, answer.start), min(part.end, answer.end)) if answer else part
    if answer is None or bold.start >= bold.end:
        return _render_text(text[part.start : part.end], wrapped=wrapped)
    before, bold_text, after = (
        _render_text(text[start:end], wrapped=wrapped)
        for start, end in ((part.start, bold.start), bold, (bold.end, part.end))
    )
    return f"{before}<b>{bold_text}</b>{after}"


def _render_text(text: str, *, wrapped: bool) -> str:
    """Return text as HTML, with an empty line between paragraphs."""

    def replace_break(line_break: re.Match[str]) -> str:
        return " " if wrapped and line_break[0].count("\n") == 1 else "\n\n"

    return escape(_LINE_BREAKS.sub(replace_break, text))


def _is_wrapped(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return "\n\n" in text and max(map(len, lines), default=0) < _MAX_WRAPPED_LINE_CHARS

"""Citations as Block Kit: source, date, title, quote and link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.answering.answer import NOT_SURE, Answer, ArticleRef, Citation, CitationStatus
from bot.answering.extractive import ExtractiveAnswerer
from bot.answering.quotes import QuoteParts, nearest_heading, other_articles, split_quote
from bot.slack.rendering.elements import (
    Part,
    bullet_list,
    context_block,
    link_element,
    quote_elements,
    quote_section,
    raw_text,
    rich_text_block,
    sanitize_url,
    section_block,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import clip, clip_quote, neutralize
from bot.slack.rendering.limits import MAX_TEXT, MAX_URL, Block
from bot.text.formatting import format_date, format_page

UNTITLED = "(no title)"
_MAX_NEAREST = 5
_MAX_OTHERS = 2  # nearest articles below the closest passage
_MIN_CLOSEST_CHARS = 100  # of the closest passage: a shorter excerpt is useless
_NAMES_PER_ELEMENT = 25

# Feedback that users can give on a citation, with its label.
REASONS = {"unsupported": "Does not say that", "outdated": "Out of date", "wrong_article": "Wrong article"}

# Labels for citations whose article has changed.
STATUS_LABELS: dict[CitationStatus, str] = {
    "changed": "the article no longer says so",
    "withdrawn": "withdrawn since",
}
STRIKE_STYLE = {"strike": True}


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """Maximum lengths of the parts of an answer, in characters.

    Attributes:
        separate_blocks: put each source into a block of its own, with a menu.
    """

    sentence: int = 2_000
    source: int = 100
    title: int = 300
    link: int = MAX_URL
    quote: int = MAX_TEXT
    copies: int = 600
    separate_blocks: bool = True


FULL = RenderLimits()
REDUCED = (
    RenderLimits(quote=300, copies=120, title=200, link=1_000),
    RenderLimits(quote=150, copies=0, title=150, link=500),
    RenderLimits(quote=100, copies=0, title=100, link=400, separate_blocks=False),
)
# Used if even the first sentence does not fit. Every source keeps its line.
MINIMAL = (
    RenderLimits(sentence=1_000, quote=0, copies=0, source=60, title=60, link=300, separate_blocks=False),
    RenderLimits(sentence=600, quote=0, copies=0, source=30, title=0, link=0, separate_blocks=False),
)


def source_blocks(answer: Answer, limits: RenderLimits = FULL) -> Iterator[Block]:
    """Yield the blocks of all citations."""
    if limits.separate_blocks:
        for citation in answer.citations:
            yield citation_header(citation, answer.id, limits)
            yield rich_text_block(*_build_body(citation, limits))
    elif answer.citations and limits.title:
        yield rich_text_block(
            bullet_list(text_section(*_build_row(citation, limits)) for citation in answer.citations)
        )
    elif answer.citations:
        yield rich_text_block(text_section(*_build_name_list(answer, limits)))


def citation_header(citation: Citation, answer_id: str, limits: RenderLimits = FULL) -> Block:
    """Return the number, source and date of a citation, with a menu to report a problem with it."""
    options = [
        {"text": {"type": "plain_text", "text": label}, "value": f"{reason}:{citation.n}:{answer_id}"}
        for reason, label in REASONS.items()
    ]
    menu = {"type": "overflow", "action_id": f"citation:{citation.n}", "options": options}
    return section_block(format_citation(citation, limits), accessory=menu)


def closest_blocks(answer: Answer, limits: RenderLimits = FULL) -> Iterator[Block]:
    """Yield the passage that is closest to an answer, without a number and a menu, because no sentence cites it."""
    shown = replace(
        limits, quote=max(limits.quote, _MIN_CLOSEST_CHARS), title=max(limits.title, _MIN_CLOSEST_CHARS)
    )
    for citation in answer.closest:
        yield rich_text_block(text_section(raw_text(NOT_SURE, bold=True)))
        yield section_block(format_source(citation, shown))
        yield rich_text_block(*_build_body(citation, shown))


def nearest_blocks(answer: Answer, limits: RenderLimits = FULL) -> Iterator[Block]:
    """Yield the list of related articles."""
    rows = [
        text_section(
            text_element(format_source(article, limits)),
            raw_text(" · "),
            link_element(
                article.url, format_title(article, limits.title or limits.source), max_length=limits.link
            ),
        )
        for article in other_articles(answer)[: _MAX_OTHERS if answer.closest else _MAX_NEAREST]
    ]
    if rows:
        yield rich_text_block(text_section(raw_text(nearest_heading(answer))), bullet_list(rows))


def footer_blocks(answer: Answer) -> Iterator[Block]:
    """Yield a line in small print: time window, reference date and author of the wording."""
    if notes := " · ".join(_footer_notes(answer)):
        yield context_block(notes)


def format_source(article: Citation | ArticleRef, limits: RenderLimits = FULL) -> str:
    """Return source, date and page; the date format is unambiguous in all countries."""
    source = clip(article.source, limits.source)
    return " · ".join(
        part
        for part in (source, format_date(article.published), format_page(getattr(article, "page", None)))
        if part
    )


def format_citation(citation: Citation, limits: RenderLimits = FULL) -> str:
    """Return number, source and date of a citation, and the reason if it is no longer valid."""
    status = f" · {STATUS_LABELS[citation.standing]}" if citation.standing in STATUS_LABELS else ""
    return f"[{citation.n}] {format_source(citation, limits)}{status}"


def strike_style(citation: Citation) -> dict[str, bool]:
    """Return the text style of a citation: strikethrough if it is no longer valid."""
    return STRIKE_STYLE if citation.standing in STATUS_LABELS else {}


def format_quote(citation: Citation, limit: int) -> list[Part]:
    """Return the text elements of a quote, truncated to `limit` characters.

    The words that answer the question are bold unless the quote is struck through.
    """
    style, quote = strike_style(citation), split_quote(citation)
    if style or not quote.words:
        quote = QuoteParts(citation.quote, "", "")
    return quote_elements(clip_quote(quote, limit, opening="“", closing="”"), **style)


def format_title(article: Citation | ArticleRef, max_length: int) -> str:
    """Return the title of an article, truncated after a word if it is too long."""
    return clip(article.title, max_length) or UNTITLED


def linked_title(citation: Citation, limits: RenderLimits = FULL) -> Part:
    """Return the title, linked to the quote, or to the page if that link is too long."""
    target = next(
        (url for url in (citation.link, citation.url) if sanitize_url(url, max_length=limits.link)), None
    )
    return link_element(target, format_title(citation, limits.title), **strike_style(citation))


def format_copies(citation: Citation, limits: RenderLimits = FULL) -> str:
    """Return the sources of syndicated copies, or "" if there are none or they exceed the limit."""
    names = list(
        dict.fromkeys(clip(copy.source or copy.title, limits.source) or UNTITLED for copy in citation.copies)
    )
    for shown in range(len(names), 0, -1):
        rest = f" and {len(names) - shown} more" if shown < len(names) else ""
        if len(also := f"also carried by {', '.join(names[:shown])}{rest}") <= limits.copies:
            return also
    return ""


def is_only_quotes(answer: Answer) -> bool:
    """Return True if the sentences are exactly the quotes of the citations, so that showing both would repeat them."""
    quotes = {citation.n: citation.quote.split() for citation in answer.citations}
    return bool(quotes) and {n for sentence in answer.sentences for n in sentence.citations} == set(quotes) and all(
        sentence.support in ("verbatim", "lost")
        and len(sentence.citations) == 1
        and quotes[sentence.citations[0]] == sentence.text.split()
        for sentence in answer.sentences
    )  # fmt: skip


def _build_body(citation: Citation, limits: RenderLimits) -> Iterator[Part]:
    if limits.quote:
        yield quote_section(*format_quote(citation, limits.quote - 2))
    footer = [linked_title(citation, limits)]
    if also := format_copies(citation, limits):
        footer += [raw_text(" · "), text_element(also, italic=True)]
    yield text_section(*footer)


def _build_row(citation: Citation, limits: RenderLimits) -> Iterator[Part]:
    yield text_element(format_citation(citation, limits))
    yield from (raw_text(" · "), linked_title(citation, limits))
    if limits.quote:
        yield from (raw_text(": "), *format_quote(citation, limits.quote))


def _build_name_list(answer: Answer, limits: RenderLimits) -> Iterator[Part]:
    """Yield only sources and dates, in as few text elements as possible: an element is larger than a name."""
    names = [neutralize(format_citation(citation, limits)) for citation in answer.citations]
    for first in range(0, len(names), _NAMES_PER_ELEMENT):
        yield raw_text("\n".join(names[first : first + _NAMES_PER_ELEMENT]) + "\n")


def _footer_notes(answer: Answer) -> Iterator[str]:
    if answer.window and (label := answer.window.label) and label not in answer.notice and _is_within(answer):
        yield f"Articles {label}" if label.startswith(("since", "before")) else f"Articles of {label}"
    if answer.as_of and not answer.notice.startswith("As of "):
        yield f"As of {format_date(answer.as_of)}"
    if answer.status != "answered":
        return
    if answer.answerer != ExtractiveAnswerer.name:
        yield f"Written by {clip(answer.answerer, 80)}; each sentence was checked against what it cites"
    elif answer.citations:
        yield "Quoted word for word"


def _is_within(answer: Answer) -> bool:
    """Return True if all dates are within the window; if it had no articles, the answer is from another time."""
    assert answer.window
    since, until = answer.window.since, answer.window.until
    shown = (*answer.citations, *answer.closest)
    dates = [citation.published for citation in shown if citation.published]
    return all((not since or since <= date) and (not until or date < until) for date in dates)

"""The sources of an answer as blocks: outlet, date, title, quote and link of each citation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.answering.answer import NOT_SURE, Answer, ArticleRef, Citation, CitationStatus
from bot.answering.extractive import ExtractiveAnswerer
from bot.answering.quotes import QuoteParts, nearest_heading, other_articles, split_quote
from bot.slack.rendering.elements import (
    Part,
    bullets,
    context,
    link,
    quote_section,
    quote_words,
    raw_text,
    rich_text_block,
    section,
    text_element,
    text_section,
    web_address,
)
from bot.slack.rendering.escaping import clip, literal_quote, neutralize
from bot.slack.rendering.limits import TEXT, URL, Block
from bot.text.formatting import format_date, format_page

UNTITLED = "(no title)"
_NEAREST = 5
_OTHERS = 2  # of the nearest articles, below the closest passage
_CLOSEST = 100  # characters of the closest passage: with less it says nothing
_NAMES = 25  # to a part

# What a reader can say of a citation, and how it is written down.
REASONS = {"unsupported": "Does not say that", "outdated": "Out of date", "wrong_article": "Wrong article"}


# What has become of a citation whose article is another by now.
LOST: dict[CitationStatus, str] = {"changed": "the article no longer says so", "withdrawn": "withdrawn since"}
STRUCK = {"strike": True}


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """How much is shown of each sentence and source, in characters; `apart`: each source has a block, with its menu."""

    sentence: int = 2_000
    outlet: int = 100
    title: int = 300
    link: int = URL
    quote: int = TEXT
    copies: int = 600
    apart: bool = True


FULL = RenderLimits()
REDUCED = (
    RenderLimits(quote=300, copies=120, title=200, link=1_000),
    RenderLimits(quote=150, copies=0, title=150, link=500),
    RenderLimits(quote=100, copies=0, title=100, link=400, apart=False),
)
# What is left where even the first sentence would not fit; no source goes without its line.
MINIMAL = (
    RenderLimits(sentence=1_000, quote=0, copies=0, outlet=60, title=60, link=300, apart=False),
    RenderLimits(sentence=600, quote=0, copies=0, outlet=30, title=0, link=0, apart=False),
)


def source_blocks(answer: Answer, measure: RenderLimits = FULL) -> Iterator[Block]:
    """Yield the blocks of all citations."""
    if measure.apart:
        for citation in answer.citations:
            yield citation_header(citation, answer.id, measure)
            yield rich_text_block(*_body(citation, measure))
    elif answer.citations and measure.title:
        yield rich_text_block(
            bullets(text_section(*_row(citation, measure)) for citation in answer.citations)
        )
    elif answer.citations:
        yield rich_text_block(text_section(*_names(answer, measure)))


def citation_header(citation: Citation, answer_id: str, measure: RenderLimits = FULL) -> Block:
    """Return number, outlet and date of a citation, with the menu by which a reader says what is wrong with it."""
    options = [
        {"text": {"type": "plain_text", "text": label}, "value": f"{reason}:{citation.n}:{answer_id}"}
        for reason, label in REASONS.items()
    ]
    menu = {"type": "overflow", "action_id": f"citation:{citation.n}", "options": options}
    return section(named(citation, measure), accessory=menu)


def closest_blocks(answer: Answer, measure: RenderLimits = FULL) -> Iterator[Block]:
    """Yield the passage that is closest to an answer, without a number and a menu: nothing cites it."""
    shown = replace(measure, quote=max(measure.quote, _CLOSEST), title=max(measure.title, _CLOSEST))
    for citation in answer.closest:
        yield rich_text_block(text_section(raw_text(NOT_SURE, bold=True)))
        yield section(format_source(citation, shown))
        yield rich_text_block(*_body(citation, shown))


def nearest_blocks(answer: Answer, measure: RenderLimits = FULL) -> Iterator[Block]:
    """Yield the articles that came near."""
    rows = [
        text_section(
            text_element(format_source(article, measure)),
            raw_text(" · "),
            link(article.url, title(article, measure.title or measure.outlet), longest=measure.link),
        )
        for article in other_articles(answer)[: _OTHERS if answer.closest else _NEAREST]
    ]
    if rows:
        yield rich_text_block(text_section(raw_text(nearest_heading(answer))), bullets(rows))


def footer_blocks(answer: Answer) -> Iterator[Block]:
    """Yield the time looked at, the date the answer stands at, and whose words it is in, in small print."""
    if said := " · ".join(_foot(answer)):
        yield context(said)


def format_source(article: Citation | ArticleRef, measure: RenderLimits = FULL) -> str:
    """Return outlet, date and page, the date written so that it reads the same in every country."""
    outlet = clip(article.source, measure.outlet)
    return " · ".join(
        part
        for part in (outlet, format_date(article.published), format_page(getattr(article, "page", None)))
        if part
    )


def named(citation: Citation, measure: RenderLimits = FULL) -> str:
    """Return number, outlet and date of a citation, and where it no longer stands, why."""
    lost = f" · {LOST[citation.standing]}" if citation.standing in LOST else ""
    return f"[{citation.n}] {format_source(citation, measure)}{lost}"


def strike_style(citation: Citation) -> dict[str, bool]:
    """Return the style of a citation's words: struck through where it no longer stands."""
    return STRUCK if citation.standing in LOST else {}


def quote_parts(citation: Citation, limit: int) -> list[Part]:
    """Return the quote in at most `limit` characters, the words that answer in bold unless it is struck through."""
    style, quote = strike_style(citation), split_quote(citation)
    if style or not quote.words:
        quote = QuoteParts(citation.quote, "", "")
    return quote_words(literal_quote(quote, limit, opening="“", closing="”"), **style)


def title(article: Citation | ArticleRef, longest: int) -> str:
    """Return an article's title, cut at a word where it is longer."""
    return clip(article.title, longest) or UNTITLED


def linked_title(citation: Citation, measure: RenderLimits = FULL) -> Part:
    """Return the title, linked to the quote, or to its page where that link is too long."""
    address = next(
        (url for url in (citation.link, citation.url) if web_address(url, longest=measure.link)), None
    )
    return link(address, title(citation, measure.title), **strike_style(citation))


def copies(citation: Citation, measure: RenderLimits = FULL) -> str:
    """Return where else the passage was printed; "" where nowhere, or where there is no room for it."""
    names = list(
        dict.fromkeys(clip(copy.source or copy.title, measure.outlet) or UNTITLED for copy in citation.copies)
    )
    for shown in range(len(names), 0, -1):
        rest = f" and {len(names) - shown} more" if shown < len(names) else ""
        if len(also := f"also carried by {', '.join(names[:shown])}{rest}") <= measure.copies:
            return also
    return ""


def is_quoted(answer: Answer) -> bool:
    """Say whether the answer's sentences are just the quotes of its citations, so that one would repeat the other."""
    quotes = {citation.n: citation.quote.split() for citation in answer.citations}
    return bool(quotes) and {n for sentence in answer.sentences for n in sentence.citations} == set(quotes) and all(
        sentence.support in ("verbatim", "lost")
        and len(sentence.citations) == 1
        and quotes[sentence.citations[0]] == sentence.text.split()
        for sentence in answer.sentences
    )  # fmt: skip


def _body(citation: Citation, measure: RenderLimits) -> Iterator[Part]:
    if measure.quote:
        yield quote_section(*quote_parts(citation, measure.quote - 2))
    below = [linked_title(citation, measure)]
    if also := copies(citation, measure):
        below += [raw_text(" · "), text_element(also, italic=True)]
    yield text_section(*below)


def _row(citation: Citation, measure: RenderLimits) -> Iterator[Part]:
    yield text_element(named(citation, measure))
    yield from (raw_text(" · "), linked_title(citation, measure))
    if measure.quote:
        yield from (raw_text(": "), *quote_parts(citation, measure.quote))


def _names(answer: Answer, measure: RenderLimits) -> Iterator[Part]:
    """Yield outlets and dates alone, as few parts as hold them: each part takes more room than a name."""
    names = [neutralize(named(citation, measure)) for citation in answer.citations]
    for first in range(0, len(names), _NAMES):
        yield raw_text("\n".join(names[first : first + _NAMES]) + "\n")


def _foot(answer: Answer) -> Iterator[str]:
    if answer.window and (named := answer.window.label) and named not in answer.notice and _is_within(answer):
        yield f"Articles {named}" if named.startswith(("since", "before")) else f"Articles of {named}"
    if answer.as_of and not answer.notice.startswith("As of "):
        yield f"As of {format_date(answer.as_of)}"
    if answer.status != "answered":
        return
    if answer.answerer != ExtractiveAnswerer.name:
        yield f"Written by {clip(answer.answerer, 80)}; each sentence was checked against what it cites"
    elif answer.citations:
        yield "Quoted word for word"


def _is_within(answer: Answer) -> bool:
    """Say whether the window was kept to: where it held nothing, the answer is from another time."""
    assert answer.window
    since, until = answer.window.since, answer.window.until
    shown = (*answer.citations, *answer.closest)
    dates = [citation.published for citation in shown if citation.published]
    return all((not since or since <= date) and (not until or date < until) for date in dates)

"""Modals and the Home tab: sources of an answer, check of a message, channel settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.answering.answer import Answer, Citation
from bot.answering.fact_check import CheckResult
from bot.articles.article import Article
from bot.slack.channel_settings import ChannelSetting
from bot.slack.rendering.answer import Message, sentence_parts
from bot.slack.rendering.citations import (
    FULL,
    MINIMAL,
    REDUCED,
    RenderLimits,
    citation_header,
    format_copies,
    format_source,
    is_only_quotes,
    linked_title,
    source_blocks,
    strike_style,
)
from bot.slack.rendering.elements import (
    Part,
    bullet_list,
    button_element,
    channel_element,
    context_block,
    header_block,
    plain_text,
    quote_section,
    raw_text,
    rich_text_block,
    section_block,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import clip, strip_invisible
from bot.slack.rendering.limits import MAX_LABEL, Block, fits_view
from bot.storage.models import StoreStats
from bot.text.formatting import format_date
from bot.verification.verifier import Verdict

View = dict[str, Any]

_CONTEXT_CHARS = 500  # of the article on each side of a quote
_MAX_OPTION_CHARS = 150  # of the value of an option
_MAX_SENTENCES = 40  # sentences of a message
_MAX_REASON_CHARS = 300
_MAX_CHANNELS = 50  # in the Home tab
_MAX_SOURCES_CHARS = 300  # of the sources of a channel in the Home tab

_VERDICTS: dict[Verdict, str] = {
    "supported": "Supported",
    "weak": "Weakly supported",
    "unsupported": "Not supported",
}
_HELP = (
    "Mention me with a question in a channel, or write to me directly.",
    "Use /cite with a question for an answer that only you see until you share it.",
    "Open the menu of a message to have it checked against the articles, sentence by sentence.",
    "Ask on in the thread: I go on until somebody else is spoken to.",
)


def sources_view(answer: Answer, articles: Mapping[tuple[str, int], Article]) -> View:
    """Return the modal that shows the quote of each citation within its article.

    Args:
        articles: stored articles by id and version; the quote of a missing one is shown alone.
    """
    return _fit_modal("Sources", lambda limits: _source_blocks(answer, articles, limits))


def check_view(checked: Sequence[CheckResult], *, done: bool) -> View:
    """Return the modal with the verdicts on the sentences of a message.

    Args:
        checked: results so far.
        done: True if there will be no more results.
    """
    if done and not checked:
        return _build_modal(
            "Check", [section_block("There is no sentence in this message that could be checked.")]
        )
    shown, left = checked[:_MAX_SENTENCES], len(checked) - _MAX_SENTENCES
    top = [section_block(_format_counts(checked))] if done else []
    end = [context_block(f"… and {left:,} more")] if left > 0 else []
    if not done:
        end.append(context_block("Reading the articles …"))
    return _fit_modal("Check", lambda limits: [*top, *(_verdict_block(one, limits) for one in shown), *end])


def notice_view(message: Message) -> View:
    """Return a modal that shows a message instead of the requested content."""
    return _build_modal("Citewire", message.blocks)


def home_view(
    totals: StoreStats, newest: datetime | None, *, channels: Mapping[str, ChannelSetting] | None
) -> View:
    """Return the Home tab: totals, help and, for administrators, the sources of the channels.

    Args:
        newest: time of the newest article.
        channels: settings by channel, or None if the user is not an administrator.
    """
    blocks = [header_block("Citewire"), section_block(_format_totals(totals, newest))]
    blocks.append(
        rich_text_block(
            text_section(raw_text("How to ask", bold=True)),
            bullet_list(text_section(text_element(how)) for how in _HELP),
        )
    )
    if channels is not None:
        blocks += _settings_blocks({name: setting for name, setting in channels.items() if setting.sources})
    return {"type": "home", "blocks": blocks}


def access_denied_view(message: Message) -> View:
    """Return the Home tab for a user who is not allowed to ask."""
    return {"type": "home", "blocks": list(message.blocks)}


def channel_settings_view() -> View:
    """Return the form that sets the sources of a channel, with the callback id "channel_sources"."""
    conversations = {
        "type": "conversations_select",
        "action_id": "channel",
        "placeholder": plain_text("Choose a channel"),
        "filter": {"include": ["public", "private"], "exclude_bot_users": True},
    }
    sources = {
        "type": "multi_external_select",
        "action_id": "outlets",
        "placeholder": plain_text("All outlets"),
        "min_query_length": 0,
    }
    blocks: list[Block] = [
        {"type": "input", "label": plain_text("Channel"), "element": conversations},
        {
            "type": "input",
            "label": plain_text("Outlets"),
            "hint": plain_text("The channel is answered from these alone; from all where none is chosen."),
            "element": sources,
            "optional": True,
        },
    ]
    form = _build_modal("A channel's outlets", blocks)
    return {
        **form,
        "close": plain_text("Cancel"),
        "callback_id": "channel_sources",
        "submit": plain_text("Save"),
    }


def source_options(names: Iterable[str]) -> list[Part]:
    """Return menu options for sources. Names longer than the value of an option may be are omitted."""
    return [
        {"text": plain_text(name, max_length=MAX_LABEL), "value": name}
        for name in names
        if strip_invisible(name) and len(name) <= _MAX_OPTION_CHARS
    ]


def _build_modal(name: str, blocks: Sequence[Block]) -> View:
    return {"type": "modal", "title": plain_text(name), "close": plain_text("Close"), "blocks": list(blocks)}


def _fit_modal(name: str, blocks: Callable[[RenderLimits], list[Block]]) -> View:
    """Return a modal, its blocks built with the first limits that fit."""
    for limits in (FULL, *REDUCED, *MINIMAL):
        view = _build_modal(name, blocks(limits))
        if fits_view(view):
            break
    return view


def _source_blocks(
    answer: Answer, articles: Mapping[tuple[str, int], Article], limits: RenderLimits
) -> list[Block]:
    blocks = (
        [] if is_only_quotes(answer) else [rich_text_block(text_section(*_sentence_elements(answer, limits)))]
    )
    if not limits.separate_blocks:
        return [*blocks, *source_blocks(answer, limits)]
    for citation in answer.citations:
        article = articles.get((citation.article_id, citation.version)) if limits is FULL else None
        shown = (
            *_passage_elements(citation, article, limits),
            raw_text("\n"),
            *_title_elements(citation, limits),
        )
        blocks += [citation_header(citation, answer.id, limits), rich_text_block(text_section(*shown))]
    return blocks


def _sentence_elements(answer: Answer, limits: RenderLimits) -> list[Part]:
    return sentence_parts(answer.sentences, limits, citations=answer.citations)


def _passage_elements(citation: Citation, article: Article | None, limits: RenderLimits) -> Iterator[Part]:
    """Yield the quote in bold with the surrounding text of its article."""
    before, after = _surrounding_text(article.text, citation) if article else ("", "")
    if strip_invisible(before):
        yield from (text_element(before), raw_text(" "))
    yield text_element(clip(citation.quote, limits.quote), bold=True, **strike_style(citation))
    if strip_invisible(after):
        yield from (raw_text(" "), text_element(after))


def _surrounding_text(text: str, citation: Citation) -> tuple[str, str]:
    """Return the text before and after a quote, cut at spaces."""
    start = text.rfind(" ", 0, max(0, citation.start - _CONTEXT_CHARS)) + 1
    end = text.find(" ", citation.end + _CONTEXT_CHARS) if citation.end + _CONTEXT_CHARS < len(text) else -1
    before = ("… " if start else "") + text[start : citation.start]
    return before, text[citation.end : end] + " …" if end > 0 else text[citation.end :]


def _title_elements(citation: Citation, limits: RenderLimits) -> Iterator[Part]:
    yield linked_title(citation, limits)
    if also := format_copies(citation, limits):
        yield from (raw_text(" · "), text_element(also, italic=True))


def _verdict_block(one: CheckResult, limits: RenderLimits) -> Block:
    sentence = [
        raw_text(f"{_VERDICTS[one.verdict]}: ", bold=True),
        text_element(clip(one.sentence, limits.sentence)),
    ]
    parts = [
        text_section(
            *sentence, raw_text("\n"), text_element(clip(one.reason, _MAX_REASON_CHARS), italic=True)
        )
    ]
    for citation in one.citations:
        if limits.quote:
            parts.append(quote_section(text_element(f"“{clip(citation.quote, limits.quote - 2)}”")))
        source = (text_element(format_source(citation, limits)), raw_text(" · "))
        parts.append(text_section(*source, *_title_elements(citation, limits)))
    return rich_text_block(*parts)


def _format_counts(checked: Sequence[CheckResult]) -> str:
    supported = sum(one.verdict == "supported" for one in checked)
    weakly = sum(one.verdict == "weak" for one in checked)
    also = f", {weakly} more weakly" if weakly else ""
    return f"The articles support {supported} of {len(checked)} sentences{also}."


def _format_totals(totals: StoreStats, newest: datetime | None) -> str:
    if not totals.articles:
        return "I have no articles to answer from yet."
    number = f"{totals.articles:,} articles" if totals.articles > 1 else "one article"
    date = f", the newest of {format_date(newest)}" if newest else ""
    return f"I answer from {number}{date}. Every sentence I give cites the passage it stands on."


def _settings_blocks(channels: Mapping[str, ChannelSetting]) -> Iterator[Block]:
    yield header_block("Channels")
    rows = [
        text_section(
            channel_element(name),
            raw_text(": "),
            text_element(clip(", ".join(setting.sources), _MAX_SOURCES_CHARS)),
        )
        for name, setting in list(channels.items())[:_MAX_CHANNELS]
    ]
    if rows:
        yield rich_text_block(bullet_list(rows))
    left = len(channels) - len(rows)
    yield context_block(
        f"… and {left:,} more" if left else "Every other channel is answered from all outlets."
    )
    yield {"type": "actions", "elements": [button_element("Set a channel's outlets", "set_channel", "set")]}

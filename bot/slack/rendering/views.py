"""What opens beside the conversation: the sources of an answer, the check of a message, the Home tab, the settings."""

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
    copies,
    format_source,
    is_quoted,
    linked_title,
    source_blocks,
    strike_style,
)
from bot.slack.rendering.elements import (
    Part,
    bullets,
    button,
    channel,
    context,
    header,
    plain_text,
    quote_section,
    raw_text,
    rich_text_block,
    section,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import clip, strip_invisible
from bot.slack.rendering.limits import LABEL, Block, fits_view
from bot.storage.models import StoreStats
from bot.text.formatting import format_date
from bot.verification.verifier import Verdict

View = dict[str, Any]

_AROUND = 500  # characters of the article beside a quote
_OPTION = 150  # characters of an option's value
_CHECKED = 40  # sentences of a message
_REASON = 300  # characters
_LISTED = 50  # channels of the Home tab
_OUTLETS = 300  # characters of a channel's outlets there

_VERDICTS: dict[Verdict, str] = {
    "supported": "Supported",
    "weak": "Weakly supported",
    "unsupported": "Not supported",
}
_HOW = (
    "Mention me with a question in a channel, or write to me directly.",
    "Use /cite with a question for an answer that only you see until you share it.",
    "Open the menu of a message to have it checked against the articles, sentence by sentence.",
    "Ask on in the thread: I go on until somebody else is spoken to.",
)


def sources_view(answer: Answer, articles: Mapping[tuple[str, int], Article]) -> View:
    """Return each citation's quote within what stands around it in its article, where that is still there.

    `articles` are found by id and version.
    """
    return _fitted("Sources", lambda measure: _sources(answer, articles, measure))


def check_view(checked: Sequence[CheckResult], *, done: bool) -> View:
    """Return the verdicts on a message's sentences, those that are there so far."""
    if done and not checked:
        return _modal("Check", [section("There is no sentence in this message that could be checked.")])
    shown, left = checked[:_CHECKED], len(checked) - _CHECKED
    top = [section(_count(checked))] if done else []
    end = [context(f"… and {left:,} more")] if left > 0 else []
    if not done:
        end.append(context("Reading the articles …"))
    return _fitted("Check", lambda measure: [*top, *(_verdict(one, measure) for one in shown), *end])


def notice_view(message: Message) -> View:
    """Return a message that stands where a view was to be."""
    return _modal("Citewire", message.blocks)


def home_view(
    totals: StoreStats, newest: datetime | None, *, channels: Mapping[str, ChannelSetting] | None
) -> View:
    """Return the Home tab: what the bot knows, how to ask and, for those who may set them, the channels' outlets."""
    blocks = [header("Citewire"), section(_known(totals, newest))]
    blocks.append(
        rich_text_block(
            text_section(raw_text("How to ask", bold=True)),
            bullets(text_section(text_element(how)) for how in _HOW),
        )
    )
    if channels is not None:
        blocks += _settings({name: setting for name, setting in channels.items() if setting.sources})
    return {"type": "home", "blocks": blocks}


def closed_view(message: Message) -> View:
    """Return the Home tab of somebody who is not answered."""
    return {"type": "home", "blocks": list(message.blocks)}


def channel_view() -> View:
    """Return the form in which a channel's outlets are chosen; it comes back as "channel_sources"."""
    conversations = {
        "type": "conversations_select",
        "action_id": "channel",
        "placeholder": plain_text("Choose a channel"),
        "filter": {"include": ["public", "private"], "exclude_bot_users": True},
    }
    outlets = {
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
            "element": outlets,
            "optional": True,
        },
    ]
    form = _modal("A channel's outlets", blocks)
    return {
        **form,
        "close": plain_text("Cancel"),
        "callback_id": "channel_sources",
        "submit": plain_text("Save"),
    }


def outlet_options(names: Iterable[str]) -> list[Part]:
    """Return outlets to choose from; the value is the name itself, so one that Slack cannot hold is left out."""
    return [
        {"text": plain_text(name, longest=LABEL), "value": name}
        for name in names
        if strip_invisible(name) and len(name) <= _OPTION
    ]


def _modal(name: str, blocks: Sequence[Block]) -> View:
    return {"type": "modal", "title": plain_text(name), "close": plain_text("Close"), "blocks": list(blocks)}


def _fitted(name: str, blocks: Callable[[RenderLimits], list[Block]]) -> View:
    """Return a modal of these blocks, as much of each as fits."""
    for measure in (FULL, *REDUCED, *MINIMAL):
        view = _modal(name, blocks(measure))
        if fits_view(view):
            break
    return view


def _sources(
    answer: Answer, articles: Mapping[tuple[str, int], Article], measure: RenderLimits
) -> list[Block]:
    blocks = [] if is_quoted(answer) else [rich_text_block(text_section(*_said(answer, measure)))]
    if not measure.apart:
        return [*blocks, *source_blocks(answer, measure)]
    for citation in answer.citations:
        article = articles.get((citation.article_id, citation.version)) if measure is FULL else None
        shown = (*_passage(citation, article, measure), raw_text("\n"), *_origin(citation, measure))
        blocks += [citation_header(citation, answer.id, measure), rich_text_block(text_section(*shown))]
    return blocks


def _said(answer: Answer, measure: RenderLimits) -> list[Part]:
    return sentence_parts(answer.sentences, measure, citations=answer.citations)


def _passage(citation: Citation, article: Article | None, measure: RenderLimits) -> Iterator[Part]:
    """Yield the quote in bold within what stands around it."""
    before, after = _around(article.text, citation) if article else ("", "")
    if strip_invisible(before):
        yield from (text_element(before), raw_text(" "))
    yield text_element(clip(citation.quote, measure.quote), bold=True, **strike_style(citation))
    if strip_invisible(after):
        yield from (raw_text(" "), text_element(after))


def _around(text: str, citation: Citation) -> tuple[str, str]:
    """Return what stands before and after a quote, from and to a space: words are not cut."""
    start = text.rfind(" ", 0, max(0, citation.start - _AROUND)) + 1
    end = text.find(" ", citation.end + _AROUND) if citation.end + _AROUND < len(text) else -1
    before = ("… " if start else "") + text[start : citation.start]
    return before, text[citation.end : end] + " …" if end > 0 else text[citation.end :]


def _origin(citation: Citation, measure: RenderLimits) -> Iterator[Part]:
    yield linked_title(citation, measure)
    if also := copies(citation, measure):
        yield from (raw_text(" · "), text_element(also, italic=True))


def _verdict(one: CheckResult, measure: RenderLimits) -> Block:
    said = [
        raw_text(f"{_VERDICTS[one.verdict]}: ", bold=True),
        text_element(clip(one.sentence, measure.sentence)),
    ]
    parts = [text_section(*said, raw_text("\n"), text_element(clip(one.reason, _REASON), italic=True))]
    for citation in one.citations:
        if measure.quote:
            parts.append(quote_section(text_element(f"“{clip(citation.quote, measure.quote - 2)}”")))
        named = (text_element(format_source(citation, measure)), raw_text(" · "))
        parts.append(text_section(*named, *_origin(citation, measure)))
    return rich_text_block(*parts)


def _count(checked: Sequence[CheckResult]) -> str:
    held = sum(one.verdict == "supported" for one in checked)
    weakly = sum(one.verdict == "weak" for one in checked)
    also = f", {weakly} more weakly" if weakly else ""
    return f"The articles support {held} of {len(checked)} sentences{also}."


def _known(totals: StoreStats, newest: datetime | None) -> str:
    if not totals.articles:
        return "I have no articles to answer from yet."
    number = f"{totals.articles:,} articles" if totals.articles > 1 else "one article"
    dated = f", the newest of {format_date(newest)}" if newest else ""
    return f"I answer from {number}{dated}. Every sentence I give cites the passage it stands on."


def _settings(channels: Mapping[str, ChannelSetting]) -> Iterator[Block]:
    yield header("Channels")
    rows = [
        text_section(channel(name), raw_text(": "), text_element(clip(", ".join(setting.sources), _OUTLETS)))
        for name, setting in list(channels.items())[:_LISTED]
    ]
    if rows:
        yield rich_text_block(bullets(rows))
    left = len(channels) - len(rows)
    yield context(f"… and {left:,} more" if left else "Every other channel is answered from all outlets.")
    yield {"type": "actions", "elements": [button("Set a channel's outlets", "set_channel", "set")]}

"""Answer as Block Kit: sentences with citation markers, sources and buttons."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.answering.answer import Answer, Citation, Sentence
from bot.answering.question import Notice
from bot.answering.quotes import QuoteParts, split_quote
from bot.slack.rendering.citations import (
    FULL,
    MINIMAL,
    REDUCED,
    STRIKE_STYLE,
    RenderLimits,
    closest_blocks,
    footer_blocks,
    format_citation,
    format_source,
    is_only_quotes,
    nearest_blocks,
    source_blocks,
)
from bot.slack.rendering.elements import (
    Part,
    button_element,
    mention_element,
    quote_elements,
    raw_text,
    rich_text_block,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import bold_words, clip, clip_and_escape, clip_quote, escape_markdown
from bot.slack.rendering.limits import Block, fits

_WEAK_LABEL = "(weakly supported)"
_SUPPORT_LABELS = {"weak": _WEAK_LABEL, "lost": "(no longer stands)"}  # in plain text, which has no style
_MAX_NOTICE_CHARS = 400
_MAX_FALLBACK_CHARS = 3_000  # of the `text` of a message
_MAX_FALLBACK_SOURCES = 40
_FAILURE_TEXT = "I could not answer this."


@dataclass(frozen=True, slots=True)
class Message:
    """Slack message.

    Attributes:
        text: plain text for notifications and screen readers.
        blocks: content that is shown.
    """

    text: str
    blocks: tuple[Block, ...]


def answer_message(
    answer: Answer, *, helpers: bool = False, private: bool = False, shared_by: str = ""
) -> Message:
    """Return the message for an answer: complete if it fits, else shortened, but always with all of its sources.

    Args:
        helpers: add a button that asks people for help.
        private: only the user who asked sees the message; add a button that shares it.
        shared_by: id (U…) of the user who shared the answer; the question is then shown above it.
    """
    top = [*_question_blocks(answer, shared_by), *_notice_blocks(answer.notice)]
    end = [*footer_blocks(answer), *_button_blocks(answer, helpers, private)]
    return Message(fallback_text(answer), _fit_blocks(answer, top, end))


def closing_blocks(
    answer: Answer, *, notice: str = "", above: str = "", helpers: bool = False
) -> tuple[Block, ...]:
    """Return the blocks below the sentences of a streamed answer. Quotes that were streamed are not repeated.

    Args:
        notice: notice at the start of the stream.
        above: all Markdown of the stream.
        helpers: add a button that asks people for help.
    """
    top = tuple(_notice_blocks(answer.notice.removeprefix(notice)))
    end = (*footer_blocks(answer), *_button_blocks(answer, helpers, private=False))
    for limits in (FULL, *REDUCED, *MINIMAL):
        remaining = replace(limits, quote=0) if is_only_quotes(answer) else limits
        refusal = () if answer.sentences else _sentence_blocks(answer, 0, remaining)
        sources = (*source_blocks(answer, remaining), *nearest_blocks(answer, remaining))
        blocks = (*top, *refusal, *sources, *end)
        if fits(blocks, used=len(above.encode())):
            break
    return blocks


def partial_message(parts: Sequence[Sentence | Notice]) -> Message:
    """Return the message for the part of an answer that is verified so far, for use if it cannot be streamed."""
    sentences = [part for part in parts if isinstance(part, Sentence)]
    notice = " ".join(part for part in parts if isinstance(part, Notice))
    for limits in (FULL, *MINIMAL):
        shown = sentence_parts(sentences, limits)
        blocks = (*_notice_blocks(notice), rich_text_block(text_section(*shown, raw_text("…", italic=True))))
        if fits(blocks):
            break
    return Message(
        clip_and_escape(" ".join([notice, *map(_format_plain, sentences)]), _MAX_FALLBACK_CHARS) or "…",
        blocks,
    )


def sentence_parts(
    sentences: Iterable[Sentence], limits: RenderLimits = FULL, *, citations: Sequence[Citation] = ()
) -> list[Part]:
    """Return the text elements of sentences with their citation markers; weakly supported ones are labeled.

    Args:
        citations: in sentences that quote one of them, the words that answer the question are bold.
    """
    return [part for sentence in sentences for part in _sentence_elements(sentence, limits, citations)]


def to_stream_markdown(part: Sentence | Notice, citations: Sequence[Citation] = ()) -> str:
    """Return the Markdown of a sentence, or of the notice before the first one, to append to a stream.

    Args:
        citations: in a sentence that quotes one of them, the words that answer the question are bold.
    """
    if isinstance(part, Notice):
        return f"_{escape_markdown(clip(part, _MAX_NOTICE_CHARS))}_\n\n"
    weak = f" _{_WEAK_LABEL}_" if part.support == "weak" else ""
    return f"{_format_markdown(part, citations)} {_format_markers(part)}{weak}".strip() + " "


def fallback_text(answer: Answer) -> str:
    """Return an answer as plain text without links, for notifications and screen readers."""
    parts = [answer.notice, *(map(_format_plain, answer.sentences) if answer.sentences else [answer.text])]
    above = clip_and_escape(" ".join(filter(None, parts)), _MAX_FALLBACK_CHARS // 2) or _FAILURE_TEXT
    cited = [f"{format_citation(one)} · {one.title}" for one in answer.citations]
    closest = [f"{format_source(one)} · {one.title}" for one in answer.closest]
    shown = [*cited, *closest][:_MAX_FALLBACK_SOURCES]
    max_chars = min(160, _MAX_FALLBACK_CHARS // 2 // (len(shown) or 1))
    sources = [clip_and_escape(source, max_chars) for source in shown]
    left = len(cited) + len(closest) - len(shown)
    return "\n".join((above, *sources, *([f"… and {left:,} more"] if left else [])))


def _fit_blocks(answer: Answer, top: Sequence[Block], end: Sequence[Block]) -> tuple[Block, ...]:
    """Return `top`, the content that fits, and `end`: sources are shortened before sentences are omitted."""

    def blocks(shown: int, limits: RenderLimits) -> tuple[Block, ...]:
        near = nearest_blocks(answer, limits)
        return (*top, *_sentence_blocks(answer, shown, limits), *source_blocks(answer, limits), *near, *end)

    if is_only_quotes(answer) and fits(
        sources := (*top, *source_blocks(answer), *nearest_blocks(answer), *end)
    ):
        return sources
    total = len(answer.sentences)
    for limits in (FULL, *REDUCED):
        if fits(whole := blocks(total, limits)):
            return whole
    for limits in (REDUCED[-1], *MINIMAL):
        fitting = bisect_left(range(1, total), True, key=lambda n: not fits(blocks(n, limits)))
        if fitting:
            return blocks(fitting, limits)
    return blocks(min(total, 1), MINIMAL[-1])


def _sentence_blocks(answer: Answer, shown: int, limits: RenderLimits) -> Iterator[Block]:
    if answer.closest:
        yield from closest_blocks(answer, limits)
        return
    parts = sentence_parts(answer.sentences[:shown], limits, citations=answer.citations)
    if left := len(answer.sentences) - shown:
        parts.append(
            raw_text(
                f"… ({left:,} more {'sentence' if left == 1 else 'sentences'}: see Sources)", italic=True
            )
        )
    if not answer.sentences:
        parts = [text_element(answer.text or _FAILURE_TEXT, bold=answer.status == "not_found")]
    yield rich_text_block(text_section(*parts))


def _sentence_elements(
    sentence: Sentence, limits: RenderLimits, citations: Sequence[Citation]
) -> Iterator[Part]:
    style = STRIKE_STYLE if sentence.support == "lost" else {}
    yield from quote_elements(clip_quote(_match_quote(sentence, citations), limits.sentence), **style)
    if sentence.citations:
        yield raw_text(f" {_format_markers(sentence)}", bold=True)
    yield raw_text(f" {_WEAK_LABEL} ", italic=True) if sentence.support == "weak" else raw_text(" ")


def _format_markdown(sentence: Sentence, citations: Sequence[Citation]) -> str:
    quote = clip_quote(_match_quote(sentence, citations), FULL.sentence)
    return bold_words(quote) if quote.words else escape_markdown(clip(sentence.text, FULL.sentence))


def _match_quote(sentence: Sentence, citations: Sequence[Citation]) -> QuoteParts:
    """Return a sentence split around the words that answer the question if it is the quote of its citation."""
    text = " ".join(sentence.text.split())
    cited = [citation for citation in citations if (citation.n,) == sentence.citations]
    if sentence.support == "verbatim" and cited and "".join(quote := split_quote(cited[0])) == text:
        return quote
    return QuoteParts(sentence.text, "", "")


def _format_plain(sentence: Sentence) -> str:
    return " ".join(
        filter(None, (sentence.text, _format_markers(sentence), _SUPPORT_LABELS.get(sentence.support)))
    )


def _format_markers(sentence: Sentence) -> str:
    return "".join(f"[{n}]" for n in sentence.citations)


def _question_blocks(answer: Answer, shared_by: str) -> Iterator[Block]:
    if shared_by:
        yield rich_text_block(
            text_section(
                mention_element(shared_by),
                raw_text(" asked: "),
                text_element(clip(answer.question, _MAX_NOTICE_CHARS), italic=True),
            )
        )


def _notice_blocks(notice: str) -> Iterator[Block]:
    if shown := clip(notice, _MAX_NOTICE_CHARS):
        yield rich_text_block(text_section(text_element(shown, italic=True)))


def _button_blocks(answer: Answer, helpers: bool, private: bool) -> Iterator[Block]:
    """Yield the feedback buttons and further actions; small talk gets none."""
    if answer.status not in ("answered", "not_found"):
        return
    right, wrong = f"right:{answer.id}", f"wrong:{answer.id}"
    elements = []
    if private:  # Slack does not document feedback buttons in ephemeral messages
        elements += [
            button_element("Right", "feedback_right", right),
            button_element("Wrong", "feedback_wrong", wrong),
        ]
    else:
        yield _feedback_block(right, wrong)
    if answer.citations:
        elements.append(button_element("Sources", "sources", answer.id))
    if helpers:
        elements.append(button_element("Ask a person", "ask_person", answer.id))
    if private:
        elements.append(button_element("Share", "share", answer.id))
    if elements:
        yield {"type": "actions", "elements": elements}


def _feedback_block(right: str, wrong: str) -> Block:
    def build_choice(label: str, accessibility_label: str, value: str) -> Part:
        text = {"type": "plain_text", "text": label}
        return {"text": text, "accessibility_label": accessibility_label, "value": value}

    buttons = {
        "type": "feedback_buttons",
        "action_id": "feedback",
        "positive_button": build_choice("Right", "This answers the question", right),
        "negative_button": build_choice("Wrong", "This does not answer the question", wrong),
    }
    return {"type": "context_actions", "elements": [buttons]}

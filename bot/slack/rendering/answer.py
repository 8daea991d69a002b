"""An answer as a Slack message: every sentence with its marks, every source, and what can be said back."""

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
    STRUCK,
    RenderLimits,
    closest_blocks,
    footer_blocks,
    format_source,
    is_quoted,
    named,
    nearest_blocks,
    source_blocks,
)
from bot.slack.rendering.elements import (
    Part,
    button,
    person,
    quote_words,
    raw_text,
    rich_text_block,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import bold_words, clip, clip_escaped, escape_markdown, literal_quote
from bot.slack.rendering.limits import Block, fits

_WEAK = "(weakly supported)"
_SUPPORT = {"weak": _WEAK, "lost": "(no longer stands)"}  # what is said where it cannot be shown
_NOTICE = 400  # characters
_SPOKEN = 3_000  # characters of a message's `text`
_SPOKEN_SOURCES = 40
_FAILED = "I could not answer this."


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: `text` is what notifications and screen readers say, `blocks` is what is shown."""

    text: str
    blocks: tuple[Block, ...]


def answer_message(
    answer: Answer, *, helpers: bool = False, private: bool = False, shared_by: str = ""
) -> Message:
    """Return an answer with its sources, whole if it fits, and never without a source.

    `helpers`: somebody can be asked. `private`: only the asker sees it, and can share it. `shared_by` is the
    person (U…) who shared it; the question is shown with it.
    """
    top = [*_question(answer, shared_by), *_notice(answer.notice)]
    end = [*footer_blocks(answer), *_buttons(answer, helpers, private)]
    return Message(fallback_text(answer), _fitted(answer, top, end))


def closing_blocks(
    answer: Answer, *, said: str = "", above: str = "", helpers: bool = False
) -> tuple[Block, ...]:
    """Return what stands below the sentences of a streamed answer.

    `said` is the notice that opened the stream, `above` all of its Markdown. Where the sentences are quotes, these
    are not repeated.
    """
    top = tuple(_notice(answer.notice.removeprefix(said)))
    end = (*footer_blocks(answer), *_buttons(answer, helpers, private=False))
    for measure in (FULL, *REDUCED, *MINIMAL):
        unsaid = replace(measure, quote=0) if is_quoted(answer) else measure
        refusal = () if answer.sentences else _sentences(answer, 0, unsaid)
        sources = (*source_blocks(answer, unsaid), *nearest_blocks(answer, unsaid))
        blocks = (*top, *refusal, *sources, *end)
        if fits(blocks, taken=len(above.encode())):
            break
    return blocks


def partial_message(parts: Sequence[Sentence | Notice]) -> Message:
    """Return the verified beginning of an answer, for where it cannot be streamed."""
    sentences = [part for part in parts if isinstance(part, Sentence)]
    notice = " ".join(part for part in parts if isinstance(part, Notice))
    for measure in (FULL, *MINIMAL):
        shown = sentence_parts(sentences, measure)
        blocks = (*_notice(notice), rich_text_block(text_section(*shown, raw_text("…", italic=True))))
        if fits(blocks):
            break
    return Message(clip_escaped(" ".join([notice, *map(_said, sentences)]), _SPOKEN) or "…", blocks)


def sentence_parts(
    sentences: Iterable[Sentence], measure: RenderLimits = FULL, *, citations: Sequence[Citation] = ()
) -> list[Part]:
    """Return sentences with their marks, and which of them are weakly supported.

    In one that quotes one of the `citations` the words that answer are bold.
    """
    return [part for sentence in sentences for part in _sentence(sentence, measure, citations)]


def to_stream_markdown(part: Sentence | Notice, citations: Sequence[Citation] = ()) -> str:
    """Return the Markdown of a sentence, or of the notice before the first, to be appended to a stream.

    In a sentence that quotes one of the `citations` the words that answer are bold.
    """
    if isinstance(part, Notice):
        return f"_{escape_markdown(clip(part, _NOTICE))}_\n\n"
    weak = f" _{_WEAK}_" if part.support == "weak" else ""
    return f"{_markdown(part, citations)} {_marks(part)}{weak}".strip() + " "


def fallback_text(answer: Answer) -> str:
    """Return an answer as text alone, without links, for notifications and screen readers."""
    said = [answer.notice, *(map(_said, answer.sentences) if answer.sentences else [answer.text])]
    above = clip_escaped(" ".join(filter(None, said)), _SPOKEN // 2) or _FAILED
    cited = [f"{named(one)} · {one.title}" for one in answer.citations]
    closest = [f"{format_source(one)} · {one.title}" for one in answer.closest]
    shown = [*cited, *closest][:_SPOKEN_SOURCES]
    longest = min(160, _SPOKEN // 2 // (len(shown) or 1))
    sources = [clip_escaped(source, longest) for source in shown]
    left = len(cited) + len(closest) - len(shown)
    return "\n".join((above, *sources, *([f"… and {left:,} more"] if left else [])))


def _fitted(answer: Answer, top: Sequence[Block], end: Sequence[Block]) -> tuple[Block, ...]:
    """Put between top and end what fits: less of each source before fewer sentences, and always every source."""

    def blocks(shown: int, measure: RenderLimits) -> tuple[Block, ...]:
        near = nearest_blocks(answer, measure)
        return (*top, *_sentences(answer, shown, measure), *source_blocks(answer, measure), *near, *end)

    if is_quoted(answer) and fits(quoted := (*top, *source_blocks(answer), *nearest_blocks(answer), *end)):
        return quoted
    everything = len(answer.sentences)
    for measure in (FULL, *REDUCED):
        if fits(whole := blocks(everything, measure)):
            return whole
    for measure in (REDUCED[-1], *MINIMAL):
        fitting = bisect_left(range(1, everything), True, key=lambda n: not fits(blocks(n, measure)))
        if fitting:
            return blocks(fitting, measure)
    return blocks(min(everything, 1), MINIMAL[-1])


def _sentences(answer: Answer, shown: int, measure: RenderLimits) -> Iterator[Block]:
    if answer.closest:
        yield from closest_blocks(answer, measure)
        return
    parts = sentence_parts(answer.sentences[:shown], measure, citations=answer.citations)
    if left := len(answer.sentences) - shown:
        parts.append(
            raw_text(
                f"… ({left:,} more {'sentence' if left == 1 else 'sentences'}: see Sources)", italic=True
            )
        )
    if not answer.sentences:
        parts = [text_element(answer.text or _FAILED, bold=answer.status == "not_found")]
    yield rich_text_block(text_section(*parts))


def _sentence(sentence: Sentence, measure: RenderLimits, citations: Sequence[Citation]) -> Iterator[Part]:
    style = STRUCK if sentence.support == "lost" else {}
    yield from quote_words(literal_quote(_as_quote(sentence, citations), measure.sentence), **style)
    if sentence.citations:
        yield raw_text(f" {_marks(sentence)}", bold=True)
    yield raw_text(f" {_WEAK} ", italic=True) if sentence.support == "weak" else raw_text(" ")


def _markdown(sentence: Sentence, citations: Sequence[Citation]) -> str:
    quote = literal_quote(_as_quote(sentence, citations), FULL.sentence)
    return bold_words(quote) if quote.words else escape_markdown(clip(sentence.text, FULL.sentence))


def _as_quote(sentence: Sentence, citations: Sequence[Citation]) -> QuoteParts:
    """Return a sentence with the words that answer set apart, if it is the quote of the citation that it bears."""
    text = " ".join(sentence.text.split())
    cited = [citation for citation in citations if (citation.n,) == sentence.citations]
    if sentence.support == "verbatim" and cited and "".join(quote := split_quote(cited[0])) == text:
        return quote
    return QuoteParts(sentence.text, "", "")


def _said(sentence: Sentence) -> str:
    return " ".join(filter(None, (sentence.text, _marks(sentence), _SUPPORT.get(sentence.support))))


def _marks(sentence: Sentence) -> str:
    return "".join(f"[{n}]" for n in sentence.citations)


def _question(answer: Answer, shared_by: str) -> Iterator[Block]:
    if shared_by:
        yield rich_text_block(
            text_section(
                person(shared_by),
                raw_text(" asked: "),
                text_element(clip(answer.question, _NOTICE), italic=True),
            )
        )


def _notice(notice: str) -> Iterator[Block]:
    if said := clip(notice, _NOTICE):
        yield rich_text_block(text_section(text_element(said, italic=True)))


def _buttons(answer: Answer, helpers: bool, private: bool) -> Iterator[Block]:
    """Yield feedback and further actions; small talk needs none."""
    if answer.status not in ("answered", "not_found"):
        return
    right, wrong = f"right:{answer.id}", f"wrong:{answer.id}"
    elements = []
    if private:  # nothing says that Slack takes feedback buttons in messages that only one person sees
        elements += [button("Right", "feedback_right", right), button("Wrong", "feedback_wrong", wrong)]
    else:
        yield _feedback(right, wrong)
    if answer.citations:
        elements.append(button("Sources", "sources", answer.id))
    if helpers:
        elements.append(button("Ask a person", "ask_person", answer.id))
    if private:
        elements.append(button("Share", "share", answer.id))
    if elements:
        yield {"type": "actions", "elements": elements}


def _feedback(right: str, wrong: str) -> Block:
    def choice(label: str, told: str, value: str) -> Part:
        text = {"type": "plain_text", "text": label}
        return {"text": text, "accessibility_label": told, "value": value}

    buttons = {
        "type": "feedback_buttons",
        "action_id": "feedback",
        "positive_button": choice("Right", "This answers the question", right),
        "negative_button": choice("Wrong", "This does not answer the question", wrong),
    }
    return {"type": "context_actions", "elements": [buttons]}

"""What Citewire says of itself in Slack, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.answering.answer import Citation
from bot.slack.rendering.answer import Message
from bot.slack.rendering.citations import named, title
from bot.slack.rendering.elements import (
    bullets,
    person,
    raw_text,
    rich_text_block,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import clip, clip_escaped, clip_literal
from bot.slack.rendering.limits import Block
from bot.storage.models import ArticleSummary

READING = "is reading the articles …"  # the status beside the bot's name
LOADING = ["Reading the articles …", "Checking every sentence against its source …"]  # shown in turn

_SAID = 1_000  # characters
_BROKEN = 10  # sources in one correction
_RELY = "Please do not rely on it. Ask again for what the articles say now."

_HOW = (
    "Mention me with a question, write to me directly, or use /cite for an answer that only you see. "
    "Every sentence I give cites the passage it stands on; when the articles do not say, I say so."
)


def failure_message(reference: str) -> Message:
    """Say that no answer came about; `reference` finds the reason in the log."""
    return _message(
        f"I could not answer this: something went wrong on my side. Please ask again. (Reference: {reference})"
    )


def unsearchable_message(reference: str) -> Message:
    """Say that the articles cannot be searched now; `reference` finds the reason in the log."""
    return _message(
        "I could not answer this: the articles cannot be searched at the moment. Please ask again in a few minutes. "
        f"(Reference: {reference})"
    )


def interrupted_message() -> Message:
    """Say that an answer was cut off by a restart."""
    return _message("I am being restarted. The answer to this follows when I am back.")


def busy_message(limit: int) -> Message:
    """Say that a person has as many questions waiting as one may."""
    questions = "question is" if limit == 1 else f"{limit} questions are"
    return _message(
        f"Your {questions} still waiting for an answer. Please ask this one again when they are answered."
    )


def question_message(reason: str) -> Message:
    """Say why what was asked is no question that can be put."""
    return _message(f"I cannot answer this: {reason}.")


def not_allowed_message() -> Message:
    """Say that this person or channel is not among those that are answered."""
    return _message("I am not set up to answer here. Please ask whoever set me up in this workspace.")


def no_articles_message() -> Message:
    """Say that there is nothing to answer from."""
    return _message("I have no articles to answer from yet. Please ask whoever set me up in this workspace.")


def help_message() -> Message:
    """Say how to ask."""
    return _message(_HOW)


def noted_message(verdict: str, note: str, citation: int) -> Message:
    """Say what was noted of an answer or of one of its sources."""
    if citation:
        return _message(f"Noted of source [{citation}]: {note}. Thank you.")
    more = "" if verdict == "right" else " The menu beside a source says what is wrong with it."
    return _message(f"Noted: {verdict}. Thank you; you can change your mind at any time.{more}")


def not_done_message() -> Message:
    """Say that nothing came of a click."""
    return _message("That did not work: something went wrong on the way. Please ask the question again.")


def cannot_share_message() -> Message:
    """Say why a private answer cannot be shared."""
    return _message(
        "I can share an answer only where I was invited, and not in channels shared with another company."
    )


def help_wanted_message(helpers: str, *, asked_by: str, question: str) -> Message:
    """Call the people who help: a user group (S…) or a person (U…)."""
    asked = clip(question, 1_000)
    mention = f"<!subteam^{helpers}>" if helpers.startswith("S") else f"<@{helpers}>"
    shown = (
        person(helpers),
        raw_text(", "),
        person(asked_by),
        raw_text(" asks for a person: "),
        text_element(f"“{asked}”"),
    )
    text = f"{mention} could you help with this question? {clip_escaped(f'“{asked}”', 2_000)}"
    return Message(text, (rich_text_block(text_section(*shown)),))


def correction_message(
    lost: Sequence[Citation], back: Sequence[Citation] = (), *, question: str = ""
) -> Message:
    """Say which sources of an answer no longer stand, and which do again.

    `question` is given where the answer does not stand above it.
    """
    about = f"my answer to “{clip(question, 300)}”" if question else "this answer"
    said: list[str] = []
    blocks: list[Block] = []
    for citations, opening, ending in (
        (lost, f"A correction: what {about} stands on has changed.", _RELY),
        (back, f"A correction is taken back: what {about} cites is in the articles again.", ""),
    ):
        if citations:
            rows = _rows(citations)
            said += [opening, *rows, *filter(None, [ending])]
            below = [text_section(text_element(ending))] if ending else []
            blocks.append(
                rich_text_block(
                    text_section(text_element(opening)),
                    bullets(text_section(text_element(row)) for row in rows),
                    *below,
                )
            )
    return Message("\n".join(clip_escaped(part, 500) for part in said), tuple(blocks))


def _rows(citations: Sequence[Citation]) -> list[str]:
    shown, left = citations[:_BROKEN], len(citations) - _BROKEN
    rows = [clip(f"{named(citation)} · {title(citation, 200)}", 400) for citation in shown]
    return rows + ([f"… and {left:,} more"] if left > 0 else [])


def suggested_prompts(headlines: Iterable[ArticleSummary]) -> list[dict[str, str]]:
    """Return questions about these articles, for the agent's pane."""
    titles = [clip_literal(headline.title, 150) for headline in headlines if headline.title]
    about = [
        {"title": clip_literal(title, 70), "message": f"What do the articles say about this: {title}?"}
        for title in titles
    ]
    return [*about[:3], {"title": "What can you do?", "message": "What can you do?"}]


def _message(said: str) -> Message:
    return Message(
        clip_escaped(said, _SAID), (rich_text_block(text_section(text_element(clip(said, _SAID)))),)
    )

"""Status, error and help messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.answering.answer import Citation
from bot.slack.rendering.answer import Message
from bot.slack.rendering.citations import format_citation, format_title
from bot.slack.rendering.elements import (
    bullet_list,
    mention_element,
    raw_text,
    rich_text_block,
    text_element,
    text_section,
)
from bot.slack.rendering.escaping import clip, clip_and_escape, clip_and_neutralize
from bot.slack.rendering.limits import Block
from bot.storage.models import ArticleSummary

READING = "is reading the articles …"  # the status next to the bot's name
LOADING = ["Reading the articles …", "Checking every sentence against its source …"]  # shown alternately

_MAX_MESSAGE_CHARS = 1_000
_MAX_CORRECTED_SOURCES = 10  # in one correction
_CORRECTION_ADVICE = "Please do not rely on it. Ask again for what the articles say now."

_HELP = (
    "Mention me with a question, write to me directly, or use /cite for an answer that only you see. "
    "Every sentence I give cites the passage it stands on; when the articles do not say, I say so."
)


def failure_message(reference: str) -> Message:
    """Return the message that answering failed.

    Args:
        reference: id by which the reason can be found in the log.
    """
    return _build_message(
        f"I could not answer this: something went wrong on my side. Please ask again. (Reference: {reference})"
    )


def unsearchable_message(reference: str) -> Message:
    """Return the message that the articles cannot be searched at the moment.

    Args:
        reference: id by which the reason can be found in the log.
    """
    return _build_message(
        "I could not answer this: the articles cannot be searched at the moment. Please ask again in a few minutes. "
        f"(Reference: {reference})"
    )


def interrupted_message() -> Message:
    """Return the message that an answer was interrupted by a restart."""
    return _build_message("I am being restarted. The answer to this follows when I am back.")


def busy_message(limit: int) -> Message:
    """Return the message that the user already has the maximum number of questions in the queue."""
    questions = "question is" if limit == 1 else f"{limit} questions are"
    return _build_message(
        f"Your {questions} still waiting for an answer. Please ask this one again when they are answered."
    )


def question_message(reason: str) -> Message:
    """Return the message that a question is not valid, with the reason."""
    return _build_message(f"I cannot answer this: {reason}.")


def not_allowed_message() -> Message:
    """Return the message that this user or channel is not allowed to ask."""
    return _build_message("I am not set up to answer here. Please ask whoever set me up in this workspace.")


def no_articles_message() -> Message:
    """Return the message that there are no articles."""
    return _build_message(
        "I have no articles to answer from yet. Please ask whoever set me up in this workspace."
    )


def help_message() -> Message:
    """Return the message that explains how to ask."""
    return _build_message(_HELP)


def noted_message(verdict: str, note: str, citation: int) -> Message:
    """Return the confirmation of feedback.

    Args:
        note: label of the reason given for a source.
        citation: number of the source, or 0 for the whole answer.
    """
    if citation:
        return _build_message(f"Noted of source [{citation}]: {note}. Thank you.")
    more = "" if verdict == "right" else " The menu beside a source says what is wrong with it."
    return _build_message(f"Noted: {verdict}. Thank you; you can change your mind at any time.{more}")


def not_done_message() -> Message:
    """Return the message that an action failed."""
    return _build_message(
        "That did not work: something went wrong on the way. Please ask the question again."
    )


def cannot_share_message() -> Message:
    """Return the message that a private answer cannot be shared in this channel."""
    return _build_message(
        "I can share an answer only where I was invited, and not in channels shared with another company."
    )


def help_wanted_message(helpers: str, *, asked_by: str, question: str) -> Message:
    """Return the message that asks people for help.

    Args:
        helpers: id of a user group (S…) or of a user (U…).
        asked_by: id of the user who asked the question.
    """
    asked = clip(question, 1_000)
    mention = f"<!subteam^{helpers}>" if helpers.startswith("S") else f"<@{helpers}>"
    shown = (
        mention_element(helpers),
        raw_text(", "),
        mention_element(asked_by),
        raw_text(" asks for a person: "),
        text_element(f"“{asked}”"),
    )
    text = f"{mention} could you help with this question? {clip_and_escape(f'“{asked}”', 2_000)}"
    return Message(text, (rich_text_block(text_section(*shown)),))


def correction_message(
    broken: Sequence[Citation], restored: Sequence[Citation] = (), *, question: str = ""
) -> Message:
    """Return the message that sources of an answer are no longer valid, or are valid again.

    Args:
        question: question of the answer, if the message is not posted below the answer.
    """
    about = f"my answer to “{clip(question, 300)}”" if question else "this answer"
    lines: list[str] = []
    blocks: list[Block] = []
    for citations, opening, ending in (
        (broken, f"A correction: what {about} stands on has changed.", _CORRECTION_ADVICE),
        (restored, f"A correction is taken back: what {about} cites is in the articles again.", ""),
    ):
        if citations:
            rows = _format_rows(citations)
            lines += [opening, *rows, *filter(None, [ending])]
            below = [text_section(text_element(ending))] if ending else []
            blocks.append(
                rich_text_block(
                    text_section(text_element(opening)),
                    bullet_list(text_section(text_element(row)) for row in rows),
                    *below,
                )
            )
    return Message("\n".join(clip_and_escape(line, 500) for line in lines), tuple(blocks))


def _format_rows(citations: Sequence[Citation]) -> list[str]:
    shown, left = citations[:_MAX_CORRECTED_SOURCES], len(citations) - _MAX_CORRECTED_SOURCES
    rows = [clip(f"{format_citation(citation)} · {format_title(citation, 200)}", 400) for citation in shown]
    return rows + ([f"… and {left:,} more"] if left > 0 else [])


def suggested_prompts(articles: Iterable[ArticleSummary]) -> list[dict[str, str]]:
    """Return suggested questions about these articles for the assistant pane."""
    titles = [clip_and_neutralize(article.title, 150) for article in articles if article.title]
    about = [
        {"title": clip_and_neutralize(title, 70), "message": f"What do the articles say about this: {title}?"}
        for title in titles
    ]
    return [*about[:3], {"title": "What can you do?", "message": "What can you do?"}]


def _build_message(text: str) -> Message:
    shown = clip(text, _MAX_MESSAGE_CHARS)
    blocks = (rich_text_block(text_section(text_element(shown))),)
    return Message(clip_and_escape(text, _MAX_MESSAGE_CHARS), blocks)

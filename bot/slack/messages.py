"""What Citewire says of itself in Slack, in one place."""

from __future__ import annotations

from bot.slack.blocks import Message
from bot.slack.rich import line, mark, rich

_HOW = (
    "Mention me with a question, write to me directly, or use /cite for an answer that only you see. "
    "Every sentence I give cites the passage it stands on; when the articles do not say, I say so."
)


def waiting_message() -> Message:
    """Say that an answer is being looked for."""
    return _message("Reading the articles …")


def failure_message(reference: str) -> Message:
    """Say that no answer came about; `reference` finds the reason in the log."""
    return _message(
        f"I could not answer this: something went wrong on my side. Please ask again. (Reference: {reference})"
    )


def interrupted_message() -> Message:
    """Say that an answer was cut off by a restart."""
    return _message("I was restarted while answering this. Please ask again.")


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


def _message(said: str) -> Message:
    return Message(said, (rich(line(mark(said))),))

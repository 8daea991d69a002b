"""Observes questions and answers: a log line for each, and metrics in the service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.answering.answer import Answer

logger = logging.getLogger(__name__)


class AnswerObserver:
    """Who is told of questions and answers; this one writes a line a finished answer, without a word of its text."""

    def on_question(self, via: str) -> None:
        """Take note of a question, and of the way it came."""

    def on_answer(self, answer: Answer, *, via: str, seconds: float) -> None:
        """Take note of an answer."""
        usage = answer.usage
        logger.info(
            "answered",
            extra={
                "answer_id": answer.id,
                "via": via,
                "status": answer.status,
                "answerer": answer.answerer,
                "sentences": len(answer.sentences),
                "citations": len(answer.citations),
                "dropped": len(answer.dropped),
                "confidence": round(answer.confidence, 3),
                "tokens_read": usage.input_tokens if usage else 0,
                "tokens_written": usage.output_tokens if usage else 0,
                "ms": round(seconds * 1000),
                "steps_ms": dict(answer.timings),
            },
        )

    def on_failure(self, via: str) -> None:
        """Take note that a question has got no answer; why stands in the log already."""

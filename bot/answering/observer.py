"""Observer of questions and answers, for logs and metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.answering.answer import Answer

logger = logging.getLogger(__name__)


class AnswerObserver:
    """Base class for observers of questions and answers; logs each finished answer, without its text."""

    def on_question(self, via: str) -> None:
        """Record a question.

        Args:
            via: interface through which it was asked.
        """

    def on_answer(self, answer: Answer, *, via: str, seconds: float) -> None:
        """Record a finished answer."""
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
        """Record that a question failed; the reason is already in the log."""

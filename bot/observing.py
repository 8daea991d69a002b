"""What is seen from outside of questions on their way: the ids they go by, spans for a tracer, and who counts answers.

It imports nothing of weight: without a tracer a span costs a call, and no one's start waits for it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.answers.answer import Answer

log = logging.getLogger(__name__)

_NONE: Mapping[str, str] = {}
_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default=_NONE)


def bind(*, afresh: bool = False, **ids: str) -> None:
    """Have every log line and span of this task and of the threads it starts bear these ids.

    `afresh` forgets those before: one connection's requests may inherit each other's context.
    """
    _ids.set(ids if afresh else {**_ids.get(), **ids})


def bound() -> Mapping[str, str]:
    """Return the ids in force."""
    return _ids.get()


class Tracer(Protocol):
    """Where spans go."""

    def span(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """Return a block that is a span, and the parent of those within."""

    def stretch(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """Return the same for a block of a generator, which must not change what its caller's spans hang on."""

    def continuing(self, headers: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return a block whose spans hang on those of the caller that these headers of a request name."""


class _Tracing:
    tracer: Tracer | None = None


_NOTHING: AbstractContextManager[object] = nullcontext()


def trace_with(tracer: Tracer | None) -> None:
    """Send the spans of this process there."""
    _Tracing.tracer = tracer


def span(name: str, **attributes: str | int) -> AbstractContextManager[object]:
    """Return a block that is a span of this name, with the ids in force. No attribute may hold words of a text."""
    tracer = _Tracing.tracer
    return tracer.span(name, {**_ids.get(), **attributes}) if tracer else _NOTHING


def stretch(name: str, **attributes: str | int) -> AbstractContextManager[object]:
    """Return the same for a block in which a generator yields."""
    tracer = _Tracing.tracer
    return tracer.stretch(name, {**_ids.get(), **attributes}) if tracer else _NOTHING


def continuing(headers: Mapping[str, str]) -> AbstractContextManager[object]:
    """Return a block whose spans hang on those of the caller that a request's headers name."""
    tracer = _Tracing.tracer
    return tracer.continuing(headers) if tracer else _NOTHING


class Witness:
    """Who is told of questions and answers; this one writes a line a finished answer, without a word of its text."""

    def asked(self, via: str) -> None:
        """Take note of a question, and of the way it came."""

    def answered(self, answer: Answer, *, via: str, seconds: float) -> None:
        """Take note of an answer."""
        usage = answer.usage
        log.info(
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

    def failed(self, via: str) -> None:
        """Take note that a question has got no answer; why stands in the log already."""


def told(exc: BaseException) -> str:
    """Return for the log what went wrong; of an unforeseen error where, because its words may hold article text."""
    if isinstance(exc, CitewireError):
        return str(exc)
    return f"{type(exc).__name__}\n{''.join(traceback.format_tb(exc.__traceback__))}"

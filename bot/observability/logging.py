"""Logging of long-running processes: JSON lines, or text in a terminal, with the ids of the current request.

Records describe events only: they contain no text of questions, answers or articles, and no tokens.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog

from bot.observability.tracing import describe_exception, get_context

if TYPE_CHECKING:
    from structlog.typing import Processor, WrappedLogger

_Event = MutableMapping[str, Any]


def configure_logging(log_format: str = "", *, verbose: bool = False) -> None:
    """Write all log records to stderr: those of `bot` from INFO, those of other packages from WARNING.

    Args:
        log_format: "json", "text", or an empty string for text in a terminal and JSON elsewhere.
        verbose: log other packages from INFO too, and exceptions with their messages.
    """
    as_text = log_format == "text" or (not log_format and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_build_formatter(as_text=as_text, verbose=verbose))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("bot").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _build_formatter(*, as_text: bool, verbose: bool) -> logging.Formatter:
    pre_chain: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_ids,
        structlog.processors.TimeStamper(fmt="iso", utc=not as_text),
        structlog.processors.format_exc_info if verbose else _redact_exception,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
        if as_text
        else structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=pre_chain,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _add_ids(_: WrappedLogger, __: str, event: _Event) -> _Event:
    for name, value in get_context().items():
        event.setdefault(name, value)
    return event


def _redact_exception(_: WrappedLogger, __: str, event: _Event) -> _Event:
    """Replace an exception by its description: the message of an unexpected one may contain article text."""
    exc_info = event.pop("exc_info", None)
    exc = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(exc, BaseException):
        event["exception"] = describe_exception(exc)
    return event

"""A service's log: JSON lines, or text in a terminal, with the ids of what is under way on each line.

Nothing that was asked, answered or read stands in it, and no token: lines are about what happened, not what was said.
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


def configure_logging(form: str = "", *, verbose: bool = False) -> None:
    """Have all that is logged written to stderr; `form` is json, text, or "" for what suits stderr.

    Our own lines are written from INFO on, other packages' from WARNING on; with `verbose` theirs too from INFO on, and
    errors with their words.
    """
    as_text = form == "text" or (not form and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(as_text=as_text, verbose=verbose))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("bot").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _formatter(*, as_text: bool, verbose: bool) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_ids,
        structlog.processors.TimeStamper(fmt="iso", utc=not as_text),
        structlog.processors.format_exc_info if verbose else _redact_exception,
    ]
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
        if as_text
        else structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )


def _add_ids(_: WrappedLogger, __: str, event: _Event) -> _Event:
    for name, value in get_context().items():
        event.setdefault(name, value)
    return event


def _redact_exception(_: WrappedLogger, __: str, event: _Event) -> _Event:
    """Say where an error came up without its words: those of an unforeseen one may hold article text."""
    found = event.pop("exc_info", None)
    exc = found[1] if isinstance(found, tuple) else found
    if isinstance(exc, BaseException):
        event["exception"] = describe_exception(exc)
    return event

"""Citewire answers questions from news articles; a passage supports every sentence, and is cited with it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.answering.answer import Answer, Citation
    from bot.answering.question import Question
    from bot.api import Citewire

__version__ = "0.1.0"
__all__ = ["Answer", "Citation", "Citewire", "Question", "__version__"]

# Imported when they are used: every command imports this module, and few of them answer questions.
_HOMES = {
    "Answer": "bot.answering.answer",
    "Citation": "bot.answering.answer",
    "Citewire": "bot.api",
    "Question": "bot.answering.question",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

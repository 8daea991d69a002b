"""Whether questions can be answered now: each part is tried, as often as asked but no more than once a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bot.errors import CitewireError
from bot.observability.tracing import describe_exception

if TYPE_CHECKING:
    from bot.services import Services

logger = logging.getLogger(__name__)

_GOOD_FOR = 1.0  # seconds
_PATIENCE = 3.0  # seconds for a part to say that it is there
_SLOW = "no answer yet"


class NotReadyError(Exception):
    """A part is not ready, for a reason that is no error."""


class Readiness:
    """Tries the parts: library, Chroma, word index and question encoder. One try of a part runs at a time."""

    def __init__(self, workspace: Services) -> None:
        self._workspace = workspace
        self._parts: Mapping[str, Callable[[], None]] = {
            "library": self._library,
            "chroma": self._chroma,
            "words": self._words,
            "model": self._model,
        }
        self._trying: dict[str, asyncio.Task[str]] = {}
        self._found: dict[str, str] = {}
        self._at = -_GOOD_FOR
        self.loaded = False  # whether the question encoder is

    async def failing_components(self) -> dict[str, str]:
        """Return the parts that are not ready, each with why, in words for the log, which has them too."""
        if time.monotonic() - self._at >= _GOOD_FOR:
            self._at = time.monotonic()
            found = await self._tried()
            for part, why in found.items():
                if why and why != self._found.get(part):
                    logger.warning("not ready: %s: %s", part, why)
            self._found = found
        return {part: why for part, why in self._found.items() if why}

    async def _tried(self) -> dict[str, str]:
        for part, check in self._parts.items():
            if part not in self._trying:
                self._trying[part] = asyncio.create_task(asyncio.to_thread(_why_not, check))
        await asyncio.wait(self._trying.values(), timeout=_PATIENCE)
        done = {part: task.result() for part, task in self._trying.items() if task.done()}
        found = {part: done.get(part, _SLOW) for part in self._parts}
        for part in done:
            del self._trying[part]
        return found

    def _library(self) -> None:
        self._workspace.articles.generation()

    def _chroma(self) -> None:
        library, embedder = self._workspace.articles, self._workspace.embedder
        collection = library.collection(embedder.fingerprint)
        if collection:
            self._workspace.vector_store.count(collection.location)
        elif not library.is_empty():
            raise NotReadyError(
                f"the articles are not embedded with {embedder.model}: run `citewire reindex`"
            )

    def _words(self) -> None:
        if not self._workspace.articles.is_empty():
            self._workspace.bm25.count()

    def _model(self) -> None:
        if not self.loaded:
            raise NotReadyError("not loaded yet")


def _why_not(check: Callable[[], None]) -> str:
    """Return why a part is not ready; "" where it is."""
    try:
        check()
    except NotReadyError as exc:
        return str(exc)
    except CitewireError as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the part is not ready
        return describe_exception(exc)
    return ""

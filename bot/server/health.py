"""Readiness checks of the components that answers need, cached for one second."""

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

_CACHE_SECONDS = 1.0
_CHECK_TIMEOUT = 3.0  # seconds for the check of a component
_TIMED_OUT = "no answer yet"


class NotReadyError(Exception):
    """A component is not ready, for a reason that is not an error."""


class Readiness:
    """Checks the article store, Chroma, the BM25 index and the models. Checks of one component do not overlap.

    Attributes:
        models_loaded: True after the models that questions need are loaded; set by the service.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._checks: Mapping[str, Callable[[], None]] = {
            "library": self._check_articles,
            "chroma": self._check_vectors,
            "words": self._check_bm25,
            "model": self._check_models,
        }
        self._running: dict[str, asyncio.Task[str]] = {}
        self._reasons: dict[str, str] = {}
        self._checked_at = -_CACHE_SECONDS
        self.models_loaded = False

    async def failing_components(self) -> dict[str, str]:
        """Return the components that are not ready with the reasons, and log each new reason.

        The reasons are written for the log, not for clients.
        """
        if time.monotonic() - self._checked_at >= _CACHE_SECONDS:
            self._checked_at = time.monotonic()
            reasons = await self._run_checks()
            for component, reason in reasons.items():
                if reason and reason != self._reasons.get(component):
                    logger.warning("not ready: %s: %s", component, reason)
            self._reasons = reasons
        return {component: reason for component, reason in self._reasons.items() if reason}

    async def _run_checks(self) -> dict[str, str]:
        for component, check in self._checks.items():
            if component not in self._running:
                self._running[component] = asyncio.create_task(asyncio.to_thread(_failure_reason, check))
        await asyncio.wait(self._running.values(), timeout=_CHECK_TIMEOUT)
        done = {component: task.result() for component, task in self._running.items() if task.done()}
        reasons = {component: done.get(component, _TIMED_OUT) for component in self._checks}
        for component in done:
            del self._running[component]
        return reasons

    def _check_articles(self) -> None:
        self._services.articles.generation()

    def _check_vectors(self) -> None:
        articles, embedder = self._services.articles, self._services.embedder
        collection = articles.collection(embedder.fingerprint)
        if collection:
            self._services.vector_store.count(collection.location)
        elif not articles.is_empty():
            raise NotReadyError(
                f"the articles are not embedded with {embedder.model}: run `citewire reindex`"
            )

    def _check_bm25(self) -> None:
        if not self._services.articles.is_empty():
            self._services.bm25.count()

    def _check_models(self) -> None:
        if not self.models_loaded:
            raise NotReadyError("not loaded yet")


def _failure_reason(check: Callable[[], None]) -> str:
    """Return why a component is not ready, or an empty string if it is ready."""
    try:
        check()
    except NotReadyError as exc:
        return str(exc)
    except CitewireError as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001 - the component is not ready, whatever the error is
        return describe_exception(exc)
    return ""

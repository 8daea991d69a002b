"""Background tasks of long-running processes: loading the models, and syncing the BM25 index with other machines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.services import Services

logger = logging.getLogger(__name__)

_SYNC_SECONDS = 5.0  # between two syncs of the BM25 index


@contextlib.asynccontextmanager
async def keep_warm(services: Services, *, on_load: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Keep models and indexes ready for questions during the block.

    Without the sync, the first question after another machine has ingested articles would wait for it.

    Args:
        on_load: called when the models are loaded, so that questions no longer wait for them.
    """
    _load_in_background(services, on_load)
    async with run_periodically(_SYNC_SECONDS, services.bm25_sync.sync, "the word index could not follow"):
        yield


@contextlib.asynccontextmanager
async def run_periodically(seconds: float, action: Callable[[], None], failure: str) -> AsyncIterator[None]:
    """Run an action in a thread periodically during the block; log its errors and continue.

    Args:
        seconds: pause between two runs.
        failure: message to log if the action fails.
    """

    async def repeat() -> None:
        while True:
            try:
                await asyncio.to_thread(action)
            except CitewireError as exc:
                logger.warning("%s: %s", failure, exc)
            await asyncio.sleep(seconds)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()


def _load_in_background(services: Services, on_load: Callable[[], None]) -> None:
    """Load the models and indexes in a thread before the first question needs them."""

    def load() -> None:
        with contextlib.suppress(CitewireError):  # the first question raises the same error and reports it
            services.load_models()
            on_load()
            services.chain.search("warming up")
        with contextlib.suppress(CitewireError):  # `doctor` reports it
            services.embedder.ensure_encoder()  # nothing else exports it if another machine ingests

    threading.Thread(target=load, daemon=True).start()

"""What a service does beside answering: loads what questions need, and follows what other machines have ingested."""

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

_MOMENT = 5.0  # seconds


@contextlib.asynccontextmanager
async def keep_warm(workspace: Services, *, loaded: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Keep a workspace ready for questions while the block lasts; `loaded` is called when they need not wait any more.

    Without following, the first question after another machine's ingest would wait for that.
    """
    _load_in_background(workspace, loaded)
    async with run_periodically(_MOMENT, workspace.bm25_sync.sync, "the word index could not follow"):
        yield


@contextlib.asynccontextmanager
async def run_periodically(seconds: float, action: Callable[[], None], failure: str) -> AsyncIterator[None]:
    """Do something in a thread again and again while the block lasts; where it fails, say so and go on."""

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


def _load_in_background(workspace: Services, loaded: Callable[[], None]) -> None:
    """Load the model and the indexes before the first question asks for them."""

    def load() -> None:
        with contextlib.suppress(CitewireError):  # the first question meets the same error and tells it
            workspace.load_models()
            loaded()
            workspace.chain.search("warming up")
        with contextlib.suppress(CitewireError):  # `doctor` tells it
            workspace.embedder.ensure_encoder()  # where another machine ingests, nothing else makes it

    threading.Thread(target=load, daemon=True).start()

"""A service as it runs: in a thread of its own, over real sockets, until it is stopped."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

from conftest import WordEmbedder, take_in

from bot.articles.article import Article
from bot.server.timeouts import Timeouts
from bot.services import Services
from bot.settings import Settings


class Running(ABC):
    """One of our servers; `said` are the lines that it has told whoever started it."""

    def __init__(self, workspace: Services, patience: Timeouts) -> None:
        self.workspace = workspace
        self.patience = patience
        self.said: list[str] = []
        self.failed: BaseException | None = None
        self._listening = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="service")

    @abstractmethod
    async def serve(self, stopped: asyncio.Event, say: Callable[[str], None]) -> None:
        """Serve until `stopped` is set, and say where."""

    def start(self) -> Self:
        self._thread.start()
        assert self._listening.wait(60)
        if self.failed:
            raise self.failed
        return self

    def begin_to_stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.begin_to_stop()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self.serve(self._stopped, self._say))
            except BaseException as exc:  # noqa: BLE001 - raised by `start`
                self.failed = exc
            finally:
                self._listening.set()

    def _say(self, line: str) -> None:
        self.said.append(line)
        self._listening.set()


def with_articles(settings: Settings, articles: Sequence[Article], embedder: WordEmbedder) -> Services:
    """A workspace with these settings, these articles taken in where it has none yet."""
    workspace = Services(settings, embedder=embedder)
    if not workspace.articles.totals().articles and articles:
        take_in(workspace, articles)
    return workspace

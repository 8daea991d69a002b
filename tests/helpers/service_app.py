"""The HTTP service as it runs: `citewire serve`'s own server in a thread, over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import pytest
from conftest import FOUR, WordEmbedder, make
from service_thread import Running, with_articles

from bot.articles.article import Article
from bot.observability.logging import configure_logging
from bot.server.app import serve
from bot.server.runner import BindAddress
from bot.server.timeouts import DEFAULT_TIMEOUTS, Timeouts
from bot.settings import Settings, load_settings
from bot.slack.supervisor import open_slack

WHO_WON = "Who won the final against France on penalties?"
CUP = "Argentina won the final against France on penalties."


class Held(WordEmbedder):
    """Lets questions through only while it is open; `held` is set while one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.held = threading.Semaphore(0)

    def encode_query(self, texts: Sequence[str]) -> np.ndarray:
        if not self.open.is_set():
            self.held.release()
            assert self.open.wait(60)
        return super().encode_query(texts)


class Service(Running):
    """`citewire serve`."""

    def start(self) -> Self:
        super().start()
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        return self

    async def serve(self, stopped: asyncio.Event, say: Callable[[str], None]) -> None:
        address = BindAddress("127.0.0.1", 0)
        await serve(
            self.workspace,
            address,
            stopped=stopped,
            on_listening=say,
            timeouts=self.patience,
            open_slack=open_slack,
        )

    @property
    def embedder(self) -> Held:
        assert isinstance(self.workspace.embedder, Held)
        return self.workspace.embedder

    @property
    def url(self) -> str:
        return self.said[0].removeprefix("Listening at ").partition(",")[0]

    def ask(
        self, question: str = WHO_WON, *, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        return self.client.post("/ask", json={"question": question, **fields}, headers=headers)

    def events(self, question: str = WHO_WON, **fields: Any) -> list[tuple[str, Any]]:
        response = self.ask(question, headers={"Accept": "text/event-stream"}, **fields)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        return read_events(response.text)

    def metric(self, line: str) -> float:
        """The value of one line of `/metrics`."""
        found = [
            row for row in self.client.get("/metrics").text.splitlines() if row.rpartition(" ")[0] == line
        ]
        return float(found[0].rpartition(" ")[2])


def read_events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        if block and not block.startswith(":"):
            event, data = block.split("\n")
            found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


StartService = Callable[..., Service]


def _end(service: Service) -> None:
    if isinstance(service.workspace.embedder, Held):
        service.workspace.embedder.open.set()
    service.stop()
    if hasattr(service, "client"):
        service.client.close()
    service.workspace.close()


@pytest.fixture
def start_service(tmp_path: Path, four: list[Article]) -> Iterator[StartService]:
    """Starts services with four articles, in one data folder unless named; settings are given by their names."""
    services: list[Service] = []

    def start(
        *,
        articles: Sequence[Article] = tuple(four),
        folder: str = "data",
        patience: Timeouts = DEFAULT_TIMEOUTS,
        **settings: Any,
    ) -> Service:
        found = load_settings(data_dir=tmp_path / folder, min_confidence=0.3, **settings)
        services.append(Service(with_articles(found, articles, Held()), patience))
        return services[-1].start()

    yield start
    for service in services:
        _end(service)


@pytest.fixture
def service(start_service: StartService) -> Service:
    """The service with the settings that it has by itself."""
    return start_service()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, as a service keeps it."""
    root, ours = logging.getLogger(), logging.getLogger("bot")
    before = (root.handlers[:], root.level, ours.level)
    kept = io.StringIO()
    monkeypatch.setattr(sys, "stderr", kept)
    configure_logging()
    yield kept
    root.handlers[:], (root.level, ours.level) = before[0], before[1:]
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Starts services for all tests that only ask: each row of a table would pay for its own."""
    services: list[Service] = []

    def start(**settings: Any) -> Service:
        data = tmp_path_factory.mktemp("service")  # and whatever the tests' surroundings set is not read
        found = Settings(data_dir=data, min_confidence=0.3, serve_rate=1_000_000, **settings)
        articles = [make(dict(record)) for record in FOUR]
        services.append(Service(with_articles(found, articles, Held()), DEFAULT_TIMEOUTS))
        return services[-1].start()

    yield start
    for service in services:
        _end(service)


@pytest.fixture(scope="session")
def shared_service(start_shared: StartService) -> Service:
    """The service with the settings that it has by itself, but no limit of questions a minute."""
    return start_shared()

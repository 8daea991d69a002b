"""The Slack adapter as it runs: `citewire slack`'s own server, beside a stand-in for Slack, over real sockets."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import WordEmbedder
from service_thread import Running, with_articles
from slack_server import SlackServer
from sqlalchemy import func, select

from bot.articles.article import Article
from bot.server.timeouts import DEFAULT_TIMEOUTS, Timeouts
from bot.services import Services
from bot.settings import load_settings
from bot.slack.app import serve
from bot.slack.connections import BindAddress
from bot.storage.schema import slack_jobs

ME = "<@U0BOT>"
NEWS, DESK, SHARED = "C0NEWS", "G0DESK", "C0SHARED"
ANN, BEN, CAT = "U0ANN", "U0BEN", "U0CAT"
# Where a link may lead: to an article of the four, and to a quote in it.
ARTICLES = re.compile(r": https://(daily|ledger)\.example/\w+(#:~:text=\S+)?$")


def words(message: dict[str, Any]) -> str:
    """All that a reader sees of a message or view."""
    return " ".join(_texts(message.get("blocks") or message.get("text", "")))


def _texts(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for item in node for text in _texts(item)]
    if not isinstance(node, dict):
        return []
    if node.get("type") in ("rich_text_section", "rich_text_quote"):  # bold words are no words apart
        return ["".join(str(part.get("text", "")) for part in node["elements"])]
    own = [node["text"]] if isinstance(node.get("text"), str) else []
    if node.get("type") == "markdown":
        own = [re.sub(r"(?<!\\)\*\*", "", text) for text in own]
    return own + [text for value in node.values() if not isinstance(value, str) for text in _texts(value)]


def replies(slack: SlackServer, channel: str, ts: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait for that many whole answers in a thread."""

    def enough() -> list[dict[str, Any]]:
        found = [
            one
            for one in slack.messages(channel, ts, by="U0BOT")
            if one.get("streaming_state", "completed") == "completed"
        ]
        return found if len(found) >= count else []

    return slack.wait_for(enough)


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """Slack; whatever a test does, nothing may be sent that Slack would refuse or that calls or links anywhere."""
    with SlackServer() as server:
        yield server
        assert server.problems == []
        assert [sent for sent in server.unsafe if not ARTICLES.search(sent)] == []


class App(Running):
    """`citewire slack`."""

    def __init__(self, slack: SlackServer, workspace: Services, patience: Timeouts, *, http: bool) -> None:
        super().__init__(workspace, patience)
        self.slack = slack
        self._http = http

    async def serve(self, stopped: asyncio.Event, say: Callable[[str], None]) -> None:
        http = BindAddress("127.0.0.1", 0) if self._http else None
        await serve(self.workspace, http=http, stopped=stopped, on_listening=say, timeouts=self.patience)

    @property
    def embedder(self) -> WordEmbedder:
        assert isinstance(self.workspace.embedder, WordEmbedder)
        return self.workspace.embedder

    def quiet(self) -> None:
        """Wait until everything that Slack has delivered is acknowledged and worked on."""
        self.slack.wait_for(
            lambda: all(delivery.outcome.done() for delivery in self.slack.deliveries.values())
        )
        until = time.monotonic() + 60
        while self._open():  # the end of a job is told to nobody
            assert time.monotonic() < until
            time.sleep(0.01)

    def _open(self) -> int:
        query = select(func.count()).where(slack_jobs.c.state.in_(("waiting", "working")))
        with self.workspace.articles.connect() as connection:
            return connection.scalar(query) or 0

    @property
    def url(self) -> str:
        return self.said[0].rpartition(" ")[2]


@pytest.fixture
def start(
    slack: SlackServer, tmp_path: Path, four: list[Article], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., App]]:
    """Starts apps with four articles, in one data folder unless named; settings are given by their names."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_APP_TOKEN", slack.app_token)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    apps: list[App] = []

    def start(
        *,
        http: bool = True,
        articles: Sequence[Article] = tuple(four),
        folder: str = "data",
        patience: Timeouts = DEFAULT_TIMEOUTS,
        **settings: Any,
    ) -> App:
        found = load_settings(
            **{"data_dir": tmp_path / folder, "min_confidence": 0.3, "slack_api_url": slack.url, **settings}
        )
        workspace = with_articles(found, articles, WordEmbedder())
        apps.append(App(slack, workspace, patience, http=http).start())
        if http:
            slack.deliver_to = [app.url for app in apps]
        return apps[-1]

    yield start
    for app in apps:
        app.stop()
        app.workspace.close()


@pytest.fixture
def app(start: Callable[..., App]) -> App:
    """The app over HTTP, with the settings that it has by itself."""
    return start()

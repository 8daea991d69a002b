"""What Prometheus is told. Labels are few and ours: nothing that is sent from outside becomes one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Counts
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bot.answering.observer import AnswerObserver
from bot.crawler.store import CrawlStore
from bot.errors import CitewireError
from bot.server.errors import Reason

if TYPE_CHECKING:
    from bot.answering.answer import Answer
    from bot.server.health import Readiness
    from bot.storage.article_store import ArticleStore

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)  # seconds
_GOOD_FOR = 15.0  # seconds that what was counted in the library is told again
_SHARE = 20  # and so many times as long as counting it took
_FEED_STATES = ("ok", "failing", "gone")
_PARTS = ("library", "chroma", "words", "model")


class Metrics(AnswerObserver):
    """Counts questions and answers, whichever way they came, and what the service does beside."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the lines, for a time that nobody asks for
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._questions = Counter("citewire_questions", "Questions.", ["via"], registry=registry)
        self._answers = Counter("citewire_answers", "Answers.", ["status"], registry=registry)
        self._seconds = Histogram(
            "citewire_answer_seconds", "Seconds from question to answer.", buckets=_BUCKETS, registry=registry
        )
        self._dropped = Counter(
            "citewire_sentences_dropped", "Sentences that no passage supports.", registry=registry
        )
        self._tokens = Counter(
            "citewire_tokens", "Tokens of the chat model.", ["direction"], registry=registry
        )
        self._refused = Counter("citewire_refused", "Requests refused.", ["reason"], registry=registry)
        self._requests = Counter("citewire_requests", "Requests.", ["route", "code"], registry=registry)
        self._waiting = Gauge("citewire_queue_waiting", "Questions that wait.", registry=registry)
        self._running = Gauge("citewire_queue_running", "Questions being answered.", registry=registry)
        self._up = Gauge("citewire_up", "Whether a part is there.", ["part"], registry=registry)
        self._articles = Gauge("citewire_articles", "Articles that readers see.", registry=registry)
        self._newest = Gauge(
            "citewire_newest_article_timestamp_seconds", "When the newest was published.", registry=registry
        )
        self._feeds = Gauge("citewire_feeds", "Feeds that are watched.", ["state"], registry=registry)
        for via in ("http", "slack"):  # told from the start: an alert cannot see a first 1
            self._questions.labels(via)
        for status in ("answered", "not_found", "small_talk", "error"):
            self._answers.labels(status)
        for reason in get_args(Reason):
            self._refused.labels(reason)
        for direction in ("read", "written"):
            self._tokens.labels(direction)

    def asked(self, via: str) -> None:
        """Count a question."""
        self._questions.labels(via).inc()

    def answered(self, answer: Answer, *, via: str, seconds: float) -> None:
        """Count an answer."""
        super().on_answer(answer, via=via, seconds=seconds)
        self._answers.labels(answer.status).inc()
        self._seconds.observe(seconds)
        self._dropped.inc(len(answer.dropped))
        if usage := answer.usage:
            self._tokens.labels("read").inc(usage.input_tokens)
            self._tokens.labels("written").inc(usage.output_tokens)

    def failed(self, via: str) -> None:
        """Count a question that has got no answer."""
        super().on_failure(via)
        self._answers.labels("error").inc()

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(reason).inc()

    def request(self, route: str, status: int) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()

    def text(self, state: GaugeCollector) -> bytes:
        """Return all of it as Prometheus reads it."""
        self._waiting.set(state.waiting)
        self._running.set(state.running)
        for part in _PARTS:
            self._up.labels(part).set(part not in state.failing)
        if state.slack is not None:
            self._up.labels("slack").set(state.slack)
        if state.articles is not None:
            self._articles.set(state.articles)
        if state.newest is not None:
            self._newest.set(state.newest)
        for feed_state in _FEED_STATES:
            self._feeds.labels(feed_state).set(state.feeds[feed_state])
        return generate_latest(self._registry)


class GaugeCollector:
    """What is not counted as it happens, but looked up when Prometheus asks."""

    def __init__(
        self,
        library: ArticleStore,
        readiness: Readiness,
        queue: Callable[[], tuple[int, int]],
        slack: Callable[[], bool | None],
    ) -> None:
        """`queue` returns how many questions wait and are worked on, and may ask the library.

        `slack` returns whether Slack is there, None where it is not set up.
        """
        self._library = library
        self._readiness = readiness
        self._queue = queue
        self._slack = slack
        self._due = 0.0
        self._lock = asyncio.Lock()
        self.waiting = self.running = 0
        self.slack: bool | None = None
        self.failing: dict[str, str] = {}
        self.articles: int | None = None
        self.newest: float | None = None
        self.feeds: Counts[str] = Counts()

    async def look(self) -> GaugeCollector:
        """Look up what has changed, seldom where that is slow."""
        async with self._lock:
            self.failing, self.slack = await self._readiness.failing_components(), self._slack()
            if "library" not in self.failing:
                await asyncio.to_thread(self._count)
        return self

    def _count(self) -> None:
        begun = time.monotonic()
        try:
            self.waiting, self.running = self._queue()
            if begun < self._due:
                return
            self.articles = self._library.count()
            newest = self._library.newest()
            self.newest = newest.timestamp() if newest else None
            self.feeds = Counts(feed.state for feed in CrawlStore(self._library).feeds())
        except CitewireError:
            return
        took = time.monotonic() - begun
        self._due = time.monotonic() + max(_GOOD_FOR, _SHARE * took)

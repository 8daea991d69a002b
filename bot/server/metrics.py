"""Prometheus metrics. Label values are a fixed set: nothing that a client sends becomes one."""

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
_CACHE_SECONDS = 15.0  # minimum seconds between two counts in the article store
_CACHE_FACTOR = 20  # and at least this many times the duration of the last count
_FEED_STATES = ("ok", "failing", "gone")
_COMPONENTS = ("library", "chroma", "words", "model")


class Metrics(AnswerObserver):
    """Metrics of questions and answers from all interfaces, and of HTTP requests."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the lines and are not used
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
        for via in (
            "http",
            "slack",
        ):  # exported from the start: an alert does not see a counter that starts at 1
            self._questions.labels(via)
        for status in ("answered", "not_found", "small_talk", "error"):
            self._answers.labels(status)
        for reason in get_args(Reason):
            self._refused.labels(reason)
        for direction in ("read", "written"):
            self._tokens.labels(direction)

    def on_question(self, via: str) -> None:
        """Count a question."""
        self._questions.labels(via).inc()

    def on_answer(self, answer: Answer, *, via: str, seconds: float) -> None:
        """Count an answer."""
        super().on_answer(answer, via=via, seconds=seconds)
        self._answers.labels(answer.status).inc()
        self._seconds.observe(seconds)
        self._dropped.inc(len(answer.dropped))
        if usage := answer.usage:
            self._tokens.labels("read").inc(usage.input_tokens)
            self._tokens.labels("written").inc(usage.output_tokens)

    def on_failure(self, via: str) -> None:
        """Count a question that failed."""
        super().on_failure(via)
        self._answers.labels("error").inc()

    def count_refusal(self, reason: str) -> None:
        """Count a rejected request."""
        self._refused.labels(reason).inc()

    def count_request(self, route: str, status: int) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()

    def render(self, gauges: GaugeCollector) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        self._waiting.set(gauges.waiting)
        self._running.set(gauges.running)
        for component in _COMPONENTS:
            self._up.labels(component).set(component not in gauges.failing)
        if gauges.slack is not None:
            self._up.labels("slack").set(gauges.slack)
        if gauges.articles is not None:
            self._articles.set(gauges.articles)
        if gauges.newest is not None:
            self._newest.set(gauges.newest)
        for feed_state in _FEED_STATES:
            self._feeds.labels(feed_state).set(gauges.feeds[feed_state])
        return generate_latest(self._registry)


class GaugeCollector:
    """Values that are not counted as events happen, but read when Prometheus scrapes.

    A value that is not known yet is None.
    """

    def __init__(
        self,
        store: ArticleStore,
        readiness: Readiness,
        queue: Callable[[], tuple[int, int]],
        slack: Callable[[], bool | None],
    ) -> None:
        """Create a collector without values.

        Args:
            queue: returns the numbers of waiting and running questions; may query the article store.
            slack: returns True if Slack is connected, None if it is not configured.
        """
        self._store = store
        self._readiness = readiness
        self._queue = queue
        self._slack = slack
        self._due_at = 0.0
        self._lock = asyncio.Lock()
        self.waiting = self.running = 0
        self.slack: bool | None = None
        self.failing: dict[str, str] = {}
        self.articles: int | None = None
        self.newest: float | None = None
        self.feeds: Counts[str] = Counts()

    async def collect(self) -> GaugeCollector:
        """Update the values, less often if the queries are slow, and return this collector."""
        async with self._lock:
            self.failing, self.slack = await self._readiness.failing_components(), self._slack()
            if "library" not in self.failing:
                await asyncio.to_thread(self._update_counts)
        return self

    def _update_counts(self) -> None:
        started = time.monotonic()
        try:
            self.waiting, self.running = self._queue()
            if started < self._due_at:
                return
            self.articles = self._store.count()
            newest = self._store.newest()
            self.newest = newest.timestamp() if newest else None
            self.feeds = Counts(feed.state for feed in CrawlStore(self._store).feeds())
        except CitewireError:
            return
        elapsed = time.monotonic() - started
        self._due_at = time.monotonic() + max(_CACHE_SECONDS, _CACHE_FACTOR * elapsed)

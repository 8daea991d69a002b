"""Schedules feed polls and page fetches over a worker pool: hosts in parallel, one request per host at a time."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from bot.crawler import scheduling
from bot.crawler.feed_poller import CrawlResult, FeedPoller
from bot.crawler.fetcher import Fetcher
from bot.crawler.page_fetch import PageFetcher
from bot.crawler.politeness import CrawlStopped, HostThrottle
from bot.crawler.ssrf import AddressPolicy
from bot.crawler.store import CrawlStore, FeedRecord
from bot.crawler.writer import CrawlWriter
from bot.errors import CitewireError
from bot.ingestion.pipeline import IngestReport
from bot.services import Services

logger = logging.getLogger(__name__)

_MAX_BATCH_PAGES = 200  # written together
_BATCH_SECONDS = 20.0  # for collecting a batch before it is written; longer if writing takes longer
_WRITING_SHARE = 0.1  # of the time, at most
_IDLE_SECONDS = 5.0  # between two checks for due feeds and pages
_PRUNE_INTERVAL_SECONDS = 86_400.0  # between two deletions of useless rows
_ERROR_PAUSE_SECONDS = 60.0  # before work resumes after an error of the article store or an index
_ORPHAN_JOB_URL = ""  # of the job that rechecks pages without a feed

OnReport = Callable[[IngestReport], None]
_Item = TypeVar("_Item")
_MAX_WORKERS = 8  # more than cores, because they mostly wait
_QUEUE_SIZE = 64  # results waiting to be written; workers block if it is full


class Watcher:
    """Crawls pages and feeds into one article store."""

    def __init__(
        self,
        services: Services,
        *,
        stopping: threading.Event,
        min_interval: float = scheduling.MIN_INTERVAL_SECONDS,
        on_wait: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create the fetcher, poller and writer.

        Args:
            services: the article store, indexes and settings.
            stopping: stops the crawl when set.
            min_interval: minimum seconds between two polls of a feed.
            on_wait: called before waiting for the lock of the index writer.
            clock: returns seconds since 1970.
        """
        settings = services.settings
        self.store = CrawlStore(services.articles, clock=clock)
        self._stopping = stopping
        throttle = HostThrottle(
            delay=settings.fetch_delay,
            stopping=stopping,
            backoffs=self.store.backoffs(),
            on_backoff=self.store.set_backoff,
        )
        self._fetcher = Fetcher(AddressPolicy.from_allowlist(settings.fetch_allow), throttle)
        page_fetcher = PageFetcher(self._fetcher, services.articles, clock=clock)
        self._poller = FeedPoller(self._fetcher, self.store, page_fetcher, min_interval=min_interval)
        self._writer = CrawlWriter(services, self.store, self._poller.in_flight, on_wait=on_wait)
        self._batch_seconds = _BATCH_SECONDS

    def ingest_once(
        self,
        *,
        pages: Iterable[str] = (),
        feeds: Iterable[str] = (),
        source: str = "",
        on_report: OnReport = lambda _: None,
    ) -> IngestReport:
        """Ingest pages and feeds; the feeds are stored for later polls.

        Args:
            pages: URLs of pages.
            feeds: URLs of feeds.
            source: source of the articles, given by the user.
            on_report: called with the report of each batch written.
        """
        jobs = [_Job(url, partial(self._fetch_page, url, source)) for url in pages]
        jobs += [_Job(url, partial(self._poller.add, url, source=source)) for url in feeds]
        return self._run_jobs(jobs, on_report)

    def poll_all(self, *, on_report: OnReport = lambda _: None) -> IngestReport:
        """Poll all feeds now, and recheck the pages that are due."""
        self.store.prune()
        jobs = [self._poll_job(feed) for feed in self.store.feeds() if feed.state != "gone"]
        return self._run_jobs([*jobs, self._orphan_pages_job()], on_report)

    def run(self, *, on_report: OnReport) -> None:
        """Poll each feed when it is due, until `stopping` is set; pages fetched by then are still written."""
        pruned_at = float("-inf")
        with WorkerPool[CrawlResult](self._stopping) as pool:
            while not self._stopping.is_set():
                try:
                    if time.monotonic() - pruned_at > _PRUNE_INTERVAL_SECONDS:
                        self.store.prune()
                        pruned_at = time.monotonic()
                    self._submit_jobs(
                        pool, [*map(self._poll_job, self.store.due_feeds()), self._orphan_pages_job()]
                    )
                    self._save_batch(pool, on_report)
                    self._stopping.wait(0 if pool.has_more else _IDLE_SECONDS)
                except CitewireError as exc:
                    logger.error("%s; going on in %.0f s", exc, _ERROR_PAUSE_SECONDS)
                    self._stopping.wait(_ERROR_PAUSE_SECONDS)
            while pool.has_more:
                self._save_batch(pool, on_report)

    def close(self) -> None:
        """Close all connections."""
        self._fetcher.close()

    # Internals

    def _run_jobs(self, jobs: Iterable[_Job], on_report: OnReport) -> IngestReport:
        report, started = IngestReport(), time.monotonic()
        with WorkerPool[CrawlResult](self._stopping) as pool:
            self._submit_jobs(pool, jobs)
            while pool.has_more:
                report.add(self._save_batch(pool, on_report))
        report.seconds = time.monotonic() - started
        return report

    def _submit_jobs(self, pool: WorkerPool[CrawlResult], jobs: Iterable[_Job]) -> None:
        """Run the jobs of each host in one thread, in order; hosts that are busy are left for the next time."""
        by_host: dict[str, list[_Job]] = {}
        for job in jobs:
            if job.host not in pool.busy:
                by_host.setdefault(job.host, []).append(job)
        for host, host_jobs in by_host.items():
            pool.submit(host, partial(_run_in_order, host_jobs))

    def _save_batch(self, pool: WorkerPool[CrawlResult], on_report: OnReport) -> IngestReport:
        found, ended = pool.collect(seconds=self._batch_seconds, max_items=_MAX_BATCH_PAGES)
        started = time.monotonic()
        try:
            report = self._writer.save(found)
        finally:
            pool.busy.difference_update(ended)
        self._batch_seconds = max(_BATCH_SECONDS, (time.monotonic() - started) / _WRITING_SHARE)
        on_report(report)
        return report

    def _fetch_page(self, url: str, source: str) -> Iterator[CrawlResult]:
        record = self.store.page(url)
        if self._poller.in_flight.begin(record.key):
            yield self._poller.fetch_page(record, source=source, user_requested=True)

    def _poll_job(self, feed: FeedRecord) -> _Job:
        return _Job(feed.url, partial(self._poller.poll, feed))

    def _orphan_pages_job(self) -> _Job:
        return _Job(_ORPHAN_JOB_URL, partial(self._poller.recheck_pages, ""))


class _Job(NamedTuple):
    url: str
    work: Callable[[], Iterator[CrawlResult]]

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc.lower()


def _run_in_order(jobs: Iterable[_Job]) -> Iterator[CrawlResult]:
    for job in jobs:
        yield from job.work()


@dataclass(frozen=True, slots=True)
class _JobEnd:
    name: str
    problem: Exception | None


class WorkerPool(Generic[_Item]):
    """Runs named jobs in threads and passes their items to one consumer; running jobs stop soon after exit."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._items: queue.Queue[_Item | _JobEnd] = queue.Queue(_QUEUE_SIZE)
        self._pool = ThreadPoolExecutor(_MAX_WORKERS, thread_name_prefix="visit")
        self._exited = False
        self._problem: Exception | None = None
        self.busy = set[str]()  # names of jobs whose items are not all written; only the consumer changes it

    @property
    def has_more(self) -> bool:
        """True if there are items to collect, now or later."""
        return bool(self.busy or self._problem)

    def submit(self, name: str, job: Callable[[], Iterator[_Item]]) -> None:
        """Start a job as soon as a worker is free."""
        self.busy.add(name)
        self._pool.submit(self._work, name, job)

    def collect(self, *, seconds: float, max_items: int) -> tuple[list[_Item], list[str]]:
        """Collect a batch of items.

        Args:
            seconds: time to wait for items.
            max_items: maximum size of the batch.

        Returns:
            The items, and the names of the jobs that have ended.

        Raises:
            Exception: that a job has raised, after all items before it were returned.
        """
        items: list[_Item] = []
        ended: list[str] = []
        until = time.monotonic() + seconds
        while len(items) < max_items and len(ended) < len(self.busy):
            try:
                item = self._items.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if not isinstance(item, _JobEnd):
                items.append(item)
                continue
            ended.append(item.name)
            self._problem = self._problem or item.problem
        if self._problem and not items:  # items before it are written first
            self.busy.difference_update(ended)
            problem, self._problem = self._problem, None
            raise problem
        return items, ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exited = True
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _work(self, name: str, job: Callable[[], Iterator[_Item]]) -> None:
        problem: Exception | None = None
        try:
            for item in job():
                self._put(item)
                if self._stopping.is_set():
                    break
        except CrawlStopped:
            pass
        except Exception as exc:  # noqa: BLE001 - raised again by collect()
            problem = exc
        self._put(_JobEnd(name, problem))

    def _put(self, item: _Item | _JobEnd) -> None:
        while not self._exited:  # afterwards no consumer is left
            try:
                return self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
        return None

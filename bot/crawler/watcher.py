"""Takes pages and feeds in, once or for as long as it runs: hosts side by side, each by turns."""

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
from bot.crawler.feed_poller import FeedPoller, Found
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

_MOST = 200  # pages put away at once
_SECONDS = 20.0  # that what was fetched waits for more to come; longer where putting away takes longer
_WRITING_SHARE = 0.1
_IDLE = 5.0  # seconds between two looks at what is due
_TIDYING = 86_400.0  # seconds between two times that useless rows are deleted
_TROUBLE = 60.0  # seconds before work goes on after the library or an index could not be used
_LOOSE = ""  # the job that looks at pages that are of no feed

Told = Callable[[IngestReport], None]
_Item = TypeVar("_Item")
_WORKERS = 8  # they mostly wait
_WAITING = 64  # items that wait to be put away; then the workers wait


class Watcher:
    """Everything that fetching needs, opened over one data folder."""

    def __init__(
        self,
        workspace: Services,
        *,
        stopping: threading.Event,
        shortest: float = scheduling.SHORTEST,
        on_wait: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Poll a feed every `shortest` seconds at most, until `stopping` is set."""
        settings = workspace.settings
        self.ledger = CrawlStore(workspace.articles, clock=clock)
        self._stopping = stopping
        hosts = HostThrottle(
            delay=settings.fetch_delay,
            stopping=stopping,
            resting=self.ledger.backoffs(),
            on_rest=self.ledger.set_backoff,
        )
        self._fetcher = Fetcher(AddressPolicy.allowing(settings.fetch_allow), hosts)
        visitor = PageFetcher(self._fetcher, workspace.articles, clock=clock)
        self._poller = FeedPoller(self._fetcher, self.ledger, visitor, shortest=shortest)
        self._intake = CrawlWriter(workspace, self.ledger, self._poller.in_flight, on_wait=on_wait)
        self._patience = _SECONDS

    def ingest_once(
        self,
        *,
        pages: Iterable[str] = (),
        feeds: Iterable[str] = (),
        source: str = "",
        told: Told = lambda _: None,
    ) -> IngestReport:
        """Take in pages, and feeds that are then remembered; `call_api` is called with what each step has changed."""
        jobs = [_Job(url, partial(self._page, url, source)) for url in pages]
        jobs += [_Job(url, partial(self._poller.add, url, source=source)) for url in feeds]
        return self._done(jobs, told)

    def poll_all(self, *, told: Told = lambda _: None) -> IngestReport:
        """Poll all feeds now, and look at the pages whose time it is."""
        self.ledger.prune()
        jobs = [self._poll(feed) for feed in self.ledger.feeds() if feed.state != "gone"]
        return self._done([*jobs, self._orphan_pages_job()], told)

    def run(self, *, told: Told) -> None:
        """Poll each feed when it is due, until it is to stop; what is fetched by then is put away."""
        tidied = float("-inf")
        with WorkerPool[Found](self._stopping) as crew:
            while not self._stopping.is_set():
                try:
                    if time.monotonic() - tidied > _TIDYING:
                        self.ledger.prune()
                        tidied = time.monotonic()
                    self._send(crew, [*map(self._poll, self.ledger.due_feeds()), self._orphan_pages_job()])
                    self._save_batch(crew, told)
                    self._stopping.wait(0 if crew.has_more else _IDLE)
                except CitewireError as exc:
                    logger.error("%s; going on in %.0f s", exc, _TROUBLE)
                    self._stopping.wait(_TROUBLE)
            while crew.has_more:
                self._save_batch(crew, told)

    def close(self) -> None:
        """End all connections."""
        self._fetcher.close()

    # Within

    def _done(self, jobs: Iterable[_Job], told: Told) -> IngestReport:
        report, begun = IngestReport(), time.monotonic()
        with WorkerPool[Found](self._stopping) as crew:
            self._send(crew, jobs)
            while crew.has_more:
                report.add(self._save_batch(crew, told))
        report.seconds = time.monotonic() - begun
        return report

    def _send(self, crew: WorkerPool[Found], jobs: Iterable[_Job]) -> None:
        """Give the jobs of one host to one thread, in their order; hosts that are being visited wait."""
        by_host: dict[str, list[_Job]] = {}
        for job in jobs:
            if job.host not in crew.busy:
                by_host.setdefault(job.host, []).append(job)
        for host, theirs in by_host.items():
            crew.submit(host, partial(_in_turn, theirs))

    def _save_batch(self, crew: WorkerPool[Found], told: Told) -> IngestReport:
        found, ended = crew.collect(seconds=self._patience, most=_MOST)
        begun = time.monotonic()
        try:
            report = self._intake.save(found)
        finally:
            crew.busy.difference_update(ended)
        self._patience = max(_SECONDS, (time.monotonic() - begun) / _WRITING_SHARE)
        told(report)
        return report

    def _page(self, url: str, source: str) -> Iterator[Found]:
        record = self.ledger.page(url)
        if self._poller.in_flight.begin(record.key):
            yield self._poller.visit(record, source=source, asked_for=True)

    def _poll(self, feed: FeedRecord) -> _Job:
        return _Job(feed.url, partial(self._poller.poll, feed))

    def _orphan_pages_job(self) -> _Job:
        return _Job(_LOOSE, partial(self._poller.recheck_pages, ""))


class _Job(NamedTuple):
    url: str
    work: Callable[[], Iterator[Found]]

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc.lower()


def _in_turn(jobs: Iterable[_Job]) -> Iterator[Found]:
    for job in jobs:
        yield from job.work()


@dataclass(frozen=True, slots=True)
class _Ended:
    name: str
    problem: Exception | None


class WorkerPool(Generic[_Item]):
    """Works on named jobs, each in one thread, until it is left; then what is under way ends soon."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._items: queue.Queue[_Item | _Ended] = queue.Queue(_WAITING)
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="visit")
        self._left = False
        self._problem: Exception | None = None
        self.busy = set[
            str
        ]()  # names of jobs that are not put away yet; only the one who collects changes it

    @property
    def has_more(self) -> bool:
        """Whether there is something to collect, now or later."""
        return bool(self.busy or self._problem)

    def submit(self, name: str, job: Callable[[], Iterator[_Item]]) -> None:
        """Begin a job as soon as somebody is free for it."""
        self.busy.add(name)
        self._pool.submit(self._work, name, job)

    def collect(self, *, seconds: float, most: int) -> tuple[list[_Item], list[str]]:
        """Return what came within so many seconds from the first on, and the names of jobs that ended with it.

        Raises what a job has raised.
        """
        items: list[_Item] = []
        ended: list[str] = []
        until = time.monotonic() + seconds
        while len(items) < most and len(ended) < len(self.busy):
            try:
                item = self._items.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if not isinstance(item, _Ended):
                items.append(item)
                continue
            ended.append(item.name)
            self._problem = self._problem or item.problem
        if self._problem and not items:  # what came before it is put away first
            self.busy.difference_update(ended)
            problem, self._problem = self._problem, None
            raise problem
        return items, ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
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
        except Exception as exc:  # noqa: BLE001 - it is raised where the items are collected
            problem = exc
        self._put(_Ended(name, problem))

    def _put(self, item: _Item | _Ended) -> None:
        while not self._left:  # nobody collects any more
            try:
                return self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
        return None

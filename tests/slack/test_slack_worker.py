"""The worker loses no job: whatever its parts do, each is closed, or given back for somebody to begin again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

import pytest

from bot.slack.models import Job, Request
from bot.slack.queue import EnqueueResult, JobQueue
from bot.slack.rendering.answer import Message
from bot.slack.worker import Worker
from bot.storage.article_store import ArticleStore


class Broken:
    """A session in which everything goes wrong that nobody has foreseen."""

    async def work(self) -> None:
        raise RuntimeError

    async def say(self, message: Message) -> None:
        raise RuntimeError


class Fine(Broken):
    async def work(self) -> None:
        """Nothing is to be done."""


def question(ts: str = "1.0") -> Request:
    return Request(kind="question", channel="C0NEWS", thread=ts, target=ts, ts=ts, person="U0ANN")


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_job_that_is_claimed_while_the_end_comes_is_given_back(library: ArticleStore) -> None:
    claimed, ended = threading.Event(), threading.Event()

    class Slow(JobQueue):
        def claim(self) -> Job | None:
            job = super().claim()
            claimed.set()
            assert ended.wait(10)
            return job

    async def run() -> None:
        worker = Worker(Slow(library, waiting=9), {"question": lambda _: Fine()}, concurrency=1)
        working = asyncio.create_task(worker.run())
        await until(claimed.is_set)
        await worker.stop(grace=0)
        ended.set()
        await working

    other = JobQueue(library, waiting=9)
    other.enqueue(question())
    asyncio.run(run())
    job = other.claim()
    assert job
    assert job.tries == 2


def test_what_cannot_even_be_told_is_tried_again_later_and_given_up_in_the_end(library: ArticleStore) -> None:
    now = 1_000_000.0
    inbox = JobQueue(library, waiting=1, clock=lambda: now)
    inbox.enqueue(question())

    async def run() -> None:
        nonlocal now
        worker = Worker(inbox, {"question": lambda _: Broken()}, concurrency=1)
        working = asyncio.create_task(worker.run())

        def over() -> bool:
            nonlocal now
            now += 1  # a lease does not end within ten
            worker.wake()
            return inbox.enqueue(question(f"{now}")) is EnqueueResult.NEW

        await until(over)
        await worker.stop(grace=5)
        await working

    asyncio.run(run())


def test_an_error_that_nobody_foresaw_does_not_end_the_leases(
    library: ArticleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.worker._HEARTBEAT_SECONDS", 0.01)
    renewals: list[str] = []

    class Faulty(JobQueue):
        def renew(self, jobs: Iterable[Job]) -> None:
            renewals.append("")
            if len(renewals) == 1:
                raise RuntimeError
            super().renew(jobs)

    class Long(Broken):
        async def run(self) -> None:
            await until(lambda: len(renewals) > 1)

    inbox = Faulty(library, waiting=1)
    inbox.enqueue(question())

    async def run() -> None:
        worker = Worker(inbox, {"question": lambda _: Long()}, concurrency=1)
        working = asyncio.create_task(worker.run())
        await until(lambda: len(renewals) > 1)
        await worker.stop(grace=5)
        await working

    asyncio.run(run())
    assert inbox.enqueue(question("2.0")) is EnqueueResult.NEW  # the first is done

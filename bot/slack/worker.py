"""Processes queued jobs concurrently, with retries and graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from bot.answering.answer import new_answer_id
from bot.answering.observer import AnswerObserver
from bot.errors import (
    CitewireError,
    QuestionError,
    SlackRejectedError,
    SlackUnavailableError,
    VectorStoreUnavailableError,
)
from bot.observability.tracing import bind_context, describe_exception, span
from bot.slack.client import FINAL_MESSAGE_TIMEOUT
from bot.slack.models import Job, Kind
from bot.slack.queue import LEASE_SECONDS, JobQueue
from bot.slack.rendering.answer import Message
from bot.slack.rendering.messages import (
    failure_message,
    interrupted_message,
    question_message,
    unsearchable_message,
)
from bot.slack.reply import LeaseLostError

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # between two searches for jobs that another process released
_HEARTBEAT_SECONDS = LEASE_SECONDS / 5
# Then the asker is notified: a process that crashed six times during a job crashes because of it.
_MAX_TRIES = 6
_JOB_TIMEOUT_SECONDS = 900.0  # a model may run indefinitely, and would block its thread and a slot
# No user waits for these, but they must not be lost: they are retried for longer than any outage of Slack so far.
_BACKGROUND_KINDS: frozenset[Kind] = frozenset({"correction", "delete"})
_BACKGROUND_RETRY_SECONDS = 86_400.0
_BACKOFF_SECONDS = 0.5  # doubled with each try


class JobHandler(Protocol):
    """Handler of one job."""

    async def run(self) -> None:
        """Process the job.

        Raises:
            Exception: any error; the worker logs it, and retries the job or notifies the asker.
        """

    async def notify(self, message: Message) -> None:
        """Show a message to the asker instead of an answer."""


class Worker:
    """Worker that processes up to `concurrency` jobs concurrently.

    `handlers` contains a function for each kind of job that creates its handler.
    """

    def __init__(
        self,
        inbox: JobQueue,
        handlers: Mapping[Kind, Callable[[Job], JobHandler]],
        *,
        concurrency: int,
        observer: AnswerObserver | None = None,
    ) -> None:
        self._inbox = inbox
        self._handlers = handlers
        self._slots = asyncio.Semaphore(concurrency)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._wakeup = asyncio.Event()
        self._stopping = False
        self._heartbeat: asyncio.Task[None] | None = None
        self._observer = observer or AnswerObserver()

    @property
    def running(self) -> int:
        """Number of jobs in flight."""
        return len(self._running)

    def wake(self) -> None:
        """Search for jobs immediately."""
        self._wakeup.set()

    async def run(self) -> None:
        """Process jobs until `stop` is called."""
        self._heartbeat = asyncio.create_task(self._renew_leases())
        while not self._stopping:
            await self._slots.acquire()
            job = None if self._stopping else await self._claim_next()
            if job and not self._stopping:
                self._start(job)
                continue
            if job:  # `stop` was called while it was claimed
                await self._release(job)
            self._slots.release()
            await self._wait_for_wakeup()

    async def stop(self, *, grace: float) -> None:
        """Start no more jobs, wait `grace` seconds for those in flight, interrupt the rest and notify their askers."""
        self._stopping = True
        self.wake()
        if running := list(self._running):
            logger.info("finishing %d answers", len(running))
            _, unfinished = await asyncio.wait(running, timeout=grace)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        if self._heartbeat:
            self._heartbeat.cancel()

    async def _claim_next(self) -> Job | None:
        self._wakeup.clear()  # before the search, so that a job enqueued after it wakes the worker again
        try:
            return await asyncio.to_thread(self._inbox.claim)
        except CitewireError as exc:
            logger.error("no job can be taken: %s", exc)
            return None

    async def _wait_for_wakeup(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wakeup.wait(), _POLL_SECONDS)

    def _start(self, job: Job) -> None:
        task = asyncio.create_task(self._run_job(job))
        self._running[task] = job
        task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._slots.release()
        self.wake()

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            if self._running:
                try:
                    await asyncio.to_thread(self._inbox.renew, list(self._running.values()))
                except Exception as exc:  # noqa: BLE001 - without leases every job would be started again
                    logger.error("leases could not be renewed: %s", describe_exception(exc))

    async def _run_job(self, job: Job) -> None:
        """Process a job; in any case it is closed, reported as failed, or released."""
        bind_context(answer_id=job.answer_id or new_answer_id(), job=job.reference)
        with span("slack job", kind=job.kind):
            await self._execute(job, self._handlers[job.kind](job))

    async def _execute(self, job: Job, handler: JobHandler) -> None:
        try:
            if job.tries > _MAX_TRIES and not _can_wait(job):
                await self._fail(job, handler, failure_message(job.reference), "tried too often")
                return
            async with asyncio.timeout(_JOB_TIMEOUT_SECONDS):
                await handler.run()
            await asyncio.to_thread(self._inbox.close, job)
        except LeaseLostError:
            logger.warning("%s is another's by now", job.reference)
        except asyncio.CancelledError:
            await self._interrupt(job, handler)
        except SlackUnavailableError as exc:
            await self._reschedule(job, exc)
        except SlackRejectedError as exc:
            # Nothing can be posted to the channel: it is archived, or the bot was removed from it.
            logger.error("%s cannot be answered: %s", job.reference, exc)
            await self._abandon(job)
        except QuestionError as exc:
            await self._fail(job, handler, question_message(str(exc)), "is no question that can be put")
        except VectorStoreUnavailableError as exc:
            self._observer.on_failure("slack")
            await self._fail(job, handler, unsearchable_message(job.reference), describe_exception(exc))
        except Exception as exc:  # noqa: BLE001 - the asker is notified of any error
            self._observer.on_failure("slack")
            await self._fail(job, handler, failure_message(job.reference), describe_exception(exc))

    async def _fail(self, job: Job, handler: JobHandler, message: Message, reason: str) -> None:
        """Log a failure and notify the asker; if that is not possible now, retry the job later."""
        logger.error("%s failed: %s", job.reference, reason)
        try:
            await handler.notify(message)
            await asyncio.to_thread(self._inbox.close, job, failed=True)
        except LeaseLostError:
            logger.warning("%s is another's by now", job.reference)
        except SlackRejectedError as exc:
            logger.error("%s: the asker cannot be told: %s", job.reference, exc)
            await self._abandon(job)
        except Exception as exc:  # noqa: BLE001 - so that it is not restarted indefinitely
            await self._reschedule(job, exc)

    async def _reschedule(self, job: Job, exc: Exception) -> None:
        logger.warning("%s is put off: %s", job.reference, describe_exception(exc))
        if job.tries > 2 * _MAX_TRIES and not _can_wait(job):
            logger.error("%s is given up", job.reference)
            await self._abandon(job)
        else:
            await self._release(job, after=_BACKOFF_SECONDS * 2 ** min(job.tries, 9 if _can_wait(job) else 6))

    async def _interrupt(self, job: Job, handler: JobHandler) -> None:
        """Notify the asker of the interruption and release the job, which another process can resume."""
        try:
            await asyncio.wait_for(handler.notify(interrupted_message()), FINAL_MESSAGE_TIMEOUT)
        except Exception as exc:  # noqa: BLE001 - the job is released anyway
            logger.warning(
                "%s: its interruption could not be told: %s", job.reference, describe_exception(exc)
            )
        await self._release(job)

    # If the database cannot be written to, the lease expires.

    async def _release(self, job: Job, *, after: float = 0.0) -> None:
        with _log_errors(job):
            await asyncio.to_thread(self._inbox.release, job, after=after)

    async def _abandon(self, job: Job) -> None:
        with _log_errors(job):
            await asyncio.to_thread(self._inbox.close, job, failed=True)


def _can_wait(job: Job) -> bool:
    return job.kind in _BACKGROUND_KINDS and time.time() - job.received < _BACKGROUND_RETRY_SECONDS


@contextlib.contextmanager
def _log_errors(job: Job) -> Iterator[None]:
    try:
        yield
    except CitewireError as exc:
        logger.error("%s: %s", job.reference, exc)

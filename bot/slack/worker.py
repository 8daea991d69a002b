"""The worker: takes jobs from the inbox, a few at a time, and sees to it that each gets its answer."""

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
from bot.slack.queue import LEASE, JobQueue
from bot.slack.rendering.answer import Message
from bot.slack.rendering.messages import (
    failure_message,
    interrupted_message,
    question_message,
    unsearchable_message,
)
from bot.slack.reply import LeaseLostError

logger = logging.getLogger(__name__)

_POLL = 1.0  # seconds between looks for jobs that another process left
_HEARTBEAT = LEASE / 5
_TRIES = 6  # then the asker is told; a process that dies six times with one job dies of it
_LONGEST = 900.0  # seconds for a job: a model can go on for ever, and would hold up its thread and a slot
# What nobody waits for, and what may not be lost: it is tried for longer than Slack has ever been away.
_BACKGROUND_KINDS: frozenset[Kind] = frozenset({"correction", "delete"})
_AWAY = 86_400.0  # seconds
_BACKOFF = 0.5  # seconds, doubled with each try


class JobHandler(Protocol):
    """One job on its way: what is done for it, and how something else is said to whoever asked."""

    async def run(self) -> None:
        """Do what was asked for. Raises what goes wrong."""

    async def notify(self, message: Message) -> None:
        """Say this instead of an answer."""


class Worker:
    """Works on up to `concurrency` jobs at once; `sessions` opens the session of each kind."""

    def __init__(
        self,
        inbox: JobQueue,
        sessions: Mapping[Kind, Callable[[Job], JobHandler]],
        *,
        concurrency: int,
        witness: AnswerObserver | None = None,
    ) -> None:
        self._inbox = inbox
        self._sessions = sessions
        self._slots = asyncio.Semaphore(concurrency)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._wakeup = asyncio.Event()
        self._stopping = False
        self._heartbeat: asyncio.Task[None] | None = None
        self._witness = witness or AnswerObserver()

    @property
    def running(self) -> int:
        """How many jobs are worked on."""
        return len(self._running)

    def wake(self) -> None:
        """Look for jobs now."""
        self._wakeup.set()

    async def run(self) -> None:
        """Work until `stop` is called."""
        self._heartbeat = asyncio.create_task(self._keep_leases())
        while not self._stopping:
            await self._slots.acquire()
            job = None if self._stopping else await self._next()
            if job and not self._stopping:
                self._begin(job)
                continue
            if job:  # `stop` came while it was claimed
                await self._release(job)
            self._slots.release()
            await self._wait()

    async def stop(self, *, grace: float) -> None:
        """Begin nothing more; give what is under way `grace` seconds, and say of the rest that it is interrupted."""
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

    # Within

    async def _next(self) -> Job | None:
        self._wakeup.clear()  # before the look: what comes after it wakes the next
        try:
            return await asyncio.to_thread(self._inbox.claim)
        except CitewireError as exc:
            logger.error("no job can be taken: %s", exc)
            return None

    async def _wait(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wakeup.wait(), _POLL)

    def _begin(self, job: Job) -> None:
        task = asyncio.create_task(self._run_job(job))
        self._running[task] = job
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._slots.release()
        self.wake()

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            if self._running:
                try:
                    await asyncio.to_thread(self._inbox.renew, list(self._running.values()))
                except Exception as exc:  # noqa: BLE001 - without leases every job would be begun again
                    logger.error("leases could not be renewed: %s", describe_exception(exc))

    async def _run_job(self, job: Job) -> None:
        """Do a job; whatever happens, it is closed, told to have failed, or given back."""
        bind_context(answer_id=job.answer_id or new_answer_id(), job=job.reference)
        with span("slack job", kind=job.kind):
            await self._execute(job, self._sessions[job.kind](job))

    async def _execute(self, job: Job, session: JobHandler) -> None:
        try:
            if job.tries > _TRIES and not _can_wait(job):
                await self._fail(job, session, failure_message(job.reference), "tried too often")
                return
            async with asyncio.timeout(_LONGEST):
                await session.run()
            await asyncio.to_thread(self._inbox.close, job)
        except LeaseLostError:
            logger.warning("%s is another's by now", job.reference)
        except asyncio.CancelledError:
            await self._interrupt(job, session)
        except SlackUnavailableError as exc:
            await self._reschedule(job, exc)
        except SlackRejectedError as exc:
            # Nothing can be said there: it is archived, or the bot was put out of it.
            logger.error("%s cannot be answered: %s", job.reference, exc)
            await self._abandon(job)
        except QuestionError as exc:
            await self._fail(job, session, question_message(str(exc)), "is no question that can be put")
        except VectorStoreUnavailableError as exc:
            self._witness.on_failure("slack")
            await self._fail(job, session, unsearchable_message(job.reference), describe_exception(exc))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the asker hears of it
            self._witness.on_failure("slack")
            await self._fail(job, session, failure_message(job.reference), describe_exception(exc))

    async def _fail(self, job: Job, session: JobHandler, message: Message, why: str) -> None:
        """Tell the asker in plain words, and the log in its own; where that fails, try all of it again later."""
        logger.error("%s failed: %s", job.reference, why)
        try:
            await session.notify(message)
            await asyncio.to_thread(self._inbox.close, job, failed=True)
        except LeaseLostError:
            logger.warning("%s is another's by now", job.reference)
        except SlackRejectedError as exc:
            logger.error("%s: the asker cannot be told: %s", job.reference, exc)
            await self._abandon(job)
        except Exception as exc:  # noqa: BLE001 - not begun again for ever
            await self._reschedule(job, exc)

    async def _reschedule(self, job: Job, exc: Exception) -> None:
        logger.warning("%s is put off: %s", job.reference, describe_exception(exc))
        if job.tries > 2 * _TRIES and not _can_wait(job):
            logger.error("%s is given up", job.reference)
            await self._abandon(job)
        else:
            await self._release(job, after=_BACKOFF * 2 ** min(job.tries, 9 if _can_wait(job) else 6))

    async def _interrupt(self, job: Job, session: JobHandler) -> None:
        """Say that an answer was interrupted, and give it back: it follows when somebody is there again."""
        try:
            await asyncio.wait_for(session.notify(interrupted_message()), FINAL_MESSAGE_TIMEOUT)
        except Exception as exc:  # noqa: BLE001 - it is given back all the same
            logger.warning("%s: its interruption could not be told: %s", job.reference, describe_exception(exc))
        await self._release(job)

    # A library that cannot be written to: the lease will end by itself.

    async def _release(self, job: Job, *, after: float = 0.0) -> None:
        with _logged_errors(job):
            await asyncio.to_thread(self._inbox.release, job, after=after)

    async def _abandon(self, job: Job) -> None:
        with _logged_errors(job):
            await asyncio.to_thread(self._inbox.close, job, failed=True)


def _can_wait(job: Job) -> bool:
    return job.kind in _BACKGROUND_KINDS and time.time() - job.received < _AWAY


@contextlib.contextmanager
def _logged_errors(job: Job) -> Iterator[None]:
    try:
        yield
    except CitewireError as exc:
        logger.error("%s: %s", job.reference, exc)

"""Limit on concurrent answers: an answer takes one CPU core, so more of them would not be faster."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from bot.server.errors import HttpError


class Slot:
    """Slot of one answer, free again when both its client and its thread have finished."""

    def __init__(self, limiter: ConcurrencyLimiter) -> None:
        self._limiter = limiter
        self._started = False
        self._ended = False
        self._released = False

    def on_thread_start(self) -> None:
        """Record that a thread computes the answer."""
        self._started = True

    def on_thread_end(self) -> None:
        """Record that the thread has stopped."""
        self._ended = True
        if self._released:
            self._limiter.abandoned -= 1
            self._limiter._admit_next()

    def release(self) -> None:
        """Record that no client waits for the answer any longer."""
        self._released = True
        self._limiter.running -= 1
        if self._started and not self._ended:
            self._limiter.abandoned += 1
        self._limiter._admit_next()


class ConcurrencyLimiter:
    """Limits concurrent answers, with a bounded queue of waiting questions.

    A thread cannot be stopped from outside: if its client disconnects, it stops at its next sentence. Until then its
    slot counts as free, unless there are more of these abandoned threads than slots.

    Attributes:
        running: number of slots in use.
        abandoned: number of threads that still run although their client has disconnected.
    """

    def __init__(self, max_running: int, max_waiting: int, *, timeout: float) -> None:
        """Create a limiter with all slots free.

        Args:
            max_running: number of slots.
            max_waiting: number of questions that may wait for a slot.
            timeout: seconds for an answer, including the wait for a slot.
        """
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._queue: deque[asyncio.Future[None]] = deque()
        self._active_timeouts: set[asyncio.Timeout] = set()
        self._stopping = False
        self.running = 0
        self.abandoned = 0

    @property
    def waiting(self) -> int:
        """Return the number of questions that wait for a slot."""
        return len(self._queue)

    @property
    def is_stopping(self) -> bool:
        """Return True if no more questions are admitted."""
        return self._stopping

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Slot]:
        """Wait for a slot and hold it during the block.

        Raises:
            HttpError: if the queue is full, the service is stopping, or the timeout expires.
        """
        try:
            async with asyncio.timeout(self._timeout) as active_timeout:
                self._active_timeouts.add(active_timeout)
                slot = await self._take_slot()
                try:
                    yield slot
                finally:
                    slot.release()
        except TimeoutError:
            raise self._build_error() from None
        finally:
            self._active_timeouts.discard(active_timeout)

    async def drain(self, grace: float) -> None:
        """Admit no more questions, wait for those in flight, and cancel them after `grace` seconds."""
        self._stopping = True
        while self._queue:
            self._queue.popleft().cancel()
        deadline = asyncio.get_running_loop().time() + grace
        while self.running and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        for active_timeout in self._active_timeouts:
            active_timeout.reschedule(0)

    def _admit_next(self) -> None:
        """Admit the questions that have waited longest while slots are free."""
        while self._queue and self._is_free():
            waiter = self._queue.popleft()
            if not waiter.done():
                self.running += 1
                waiter.set_result(None)

    async def _take_slot(self) -> Slot:
        if self._stopping:
            raise self._build_error()
        if self._is_free() and not self._queue:
            self.running += 1
            return Slot(self)
        if len(self._queue) >= self._max_waiting:
            raise HttpError(503, "busy", "too many questions are being answered; ask again in a moment")
        await self._wait()
        return Slot(self)

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # admitted just when it was canceled
                self.running -= 1
                self._admit_next()
            elif waiter in self._queue:
                self._queue.remove(waiter)
            elif self._stopping:
                raise self._build_error() from None
            raise

    def _is_free(self) -> bool:
        return self.running + max(0, self.abandoned - self._max_running) < self._max_running

    def _build_error(self) -> HttpError:
        if self._stopping:
            return HttpError(503, "stopping", "the service is stopping; ask again in a moment")
        return HttpError(
            503, "time", f"the answer took longer than {self._timeout:g} seconds; ask again later"
        )

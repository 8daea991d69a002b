"""Who is answered at once, who waits, and who is sent away: an answer takes a core, more at once are no faster."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from bot.server.errors import HttpError


class Slot:
    """One answer's place, free again when its asker and its thread are done with it."""

    def __init__(self, places: ConcurrencyLimiter) -> None:
        self._places = places
        self._begun = False
        self._ended = False
        self._left = False

    def on_thread_start(self) -> None:
        """Note that a thread works on it."""
        self._begun = True

    def on_thread_end(self) -> None:
        """Note that the thread has stopped."""
        self._ended = True
        if self._left:
            self._places.abandoned -= 1
            self._places._admit_next()

    def release(self) -> None:
        """Note that nobody waits for the answer any more."""
        self._left = True
        self._places.running -= 1
        if self._begun and not self._ended:
            self._places.abandoned += 1
        self._places._admit_next()


class ConcurrencyLimiter:
    """So many answers at once, and so many questions that wait for one of those places.

    A thread cannot be ended from outside: one whose asker has gone stops at its next sentence. Until then its place
    counts as free, unless there are as many of those as places.
    """

    def __init__(self, at_once: int, waiting: int, *, longest: float) -> None:
        """`longest`: seconds that an answer may take, waiting included."""
        self._at_once = at_once
        self._room = waiting
        self._longest = longest
        self._queue: deque[asyncio.Future[None]] = deque()
        self._limits: set[asyncio.Timeout] = set()
        self._stopping = False
        self.running = 0
        self.abandoned = 0

    @property
    def waiting(self) -> int:
        """How many questions wait for a place."""
        return len(self._queue)

    @property
    def stopping(self) -> bool:
        """Whether no more are let in."""
        return self._stopping

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Slot]:
        """Wait for a place and hold it. Raises HttpError where there is none, or the block takes too long."""
        try:
            async with asyncio.timeout(self._longest) as limit:
                self._limits.add(limit)
                place = await self._enter()
                try:
                    yield place
                finally:
                    place.release()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._limits.discard(limit)

    async def drain(self, grace: float) -> None:
        """Let nobody in any more; wait for those that are answered, and after `grace` seconds end them."""
        self._stopping = True
        while self._queue:
            self._queue.popleft().cancel()
        until = asyncio.get_running_loop().time() + grace
        while self.running and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
        for limit in self._limits:
            limit.reschedule(0)

    def _admit_next(self) -> None:
        """Let in who waits longest, where there is a place."""
        while self._queue and self._is_free():
            first = self._queue.popleft()
            if not first.done():
                self.running += 1
                first.set_result(None)

    async def _enter(self) -> Slot:
        if self._stopping:
            raise self._refusal()
        if self._is_free() and not self._queue:
            self.running += 1
            return Slot(self)
        if len(self._queue) >= self._room:
            raise HttpError(503, "busy", "too many questions are being answered; ask again in a moment")
        await self._wait()
        return Slot(self)

    async def _wait(self) -> None:
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():  # let in just when it gave up
                self.running -= 1
                self._admit_next()
            elif ticket in self._queue:
                self._queue.remove(ticket)
            elif self._stopping:
                raise self._refusal() from None
            raise

    def _is_free(self) -> bool:
        return self.running + max(0, self.abandoned - self._at_once) < self._at_once

    def _refusal(self) -> HttpError:
        if self._stopping:
            return HttpError(503, "stopping", "the service is stopping; ask again in a moment")
        return HttpError(
            503, "time", f"the answer took longer than {self._longest:g} seconds; ask again later"
        )

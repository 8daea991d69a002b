"""Runs the bot in the process of the HTTP service and reconnects it; the service works without Slack, too."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bot.answering.observer import AnswerObserver
from bot.errors import SlackError, SlackUnavailableError
from bot.server.timeouts import Timeouts
from bot.slack.app import Bot, run_bot
from bot.slack.connections import slack_route

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from starlette.routing import Route

    from bot.services import Services

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def open_slack(
    services: Services, observer: AnswerObserver, timeouts: Timeouts
) -> AsyncIterator[SlackSupervisor | None]:
    """Run the bot inside the block, or nothing if its token or signing secret is not set.

    Raises:
        SlackError: if Slack refuses the token.
    """
    settings = services.settings
    if (
        not settings.slack_bot_token.get_secret_value()
        or not settings.slack_signing_secret.get_secret_value()
    ):
        yield None
        return
    async with SlackSupervisor(services, observer, timeouts).run() as slack:
        yield slack


class SlackSupervisor:
    """Supervisor of the bot: starts it when Slack is available, and checks the connection regularly."""

    def __init__(self, services: Services, observer: AnswerObserver, timeouts: Timeouts) -> None:
        self._services = services
        self._observer = observer
        self._timeouts = timeouts
        self._bot: Bot | None = None
        self._exit_stack = contextlib.AsyncExitStack()
        self._task: asyncio.Task[None] | None = None
        self._last_error = ""  # message of the last error, or an empty string
        self.is_connected = False  # True if the last check succeeded

    @property
    def app(self) -> AsyncApp | None:
        """Bolt app that handles the requests of Slack, or None before the first connection."""
        return self._bot.app if self._bot else None

    @property
    def route(self) -> Route:
        """Route for the requests of Slack."""
        return slack_route(lambda: self.app)

    @property
    def task(self) -> asyncio.Task[None]:
        """Task of the bot, which ends only with an error of the bot."""
        assert self._task
        return self._task

    def queue(self) -> tuple[int, int]:
        """Return the number of requests queued on all machines, and of those in flight in this process."""
        return self._bot.queue() if self._bot else (0, 0)

    async def stop(self) -> None:
        """Start no more jobs, and finish those in flight."""
        if self._bot:
            await self._bot.stop(self._timeouts.grace)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[SlackSupervisor]:
        """Run the bot during the block, as soon as Slack is available.

        Raises:
            SlackError: if Slack rejects the token.
        """
        async with self._exit_stack:
            await self._check()
            self._task = asyncio.create_task(self._monitor())
            try:
                yield self
            finally:
                self._task.cancel()
                await asyncio.wait({self._task})

    async def _monitor(self) -> None:
        """Check the connection regularly; while Slack is unavailable, retry with exponential backoff."""
        retry_delay = self._timeouts.slack_retry_min
        while True:
            await self._sleep(self._timeouts.slack_ping_interval if self.is_connected else retry_delay)
            try:
                await self._check()
            except SlackError as exc:
                # After the start, an error is only logged, because the HTTP service is running.
                self._log_transition(exc)
            retry_delay = (
                self._timeouts.slack_retry_min
                if self.is_connected
                else min(2 * retry_delay, self._timeouts.slack_ping_interval)
            )

    async def _sleep(self, seconds: float) -> None:
        if not self._bot:
            await asyncio.sleep(seconds)
            return
        await asyncio.wait({self._bot.task}, timeout=seconds)
        if self._bot.task.done():
            self._bot.task.result()
            await asyncio.Event().wait()  # it was stopped

    async def _check(self) -> None:
        """Check the connection, or start the bot if it is not running yet; log a change.

        Raises:
            SlackError: if Slack rejects the token.
        """
        seconds = self._timeouts.slack_ping_timeout
        try:
            async with asyncio.timeout(seconds):
                await self._ping()
        except SlackUnavailableError as exc:
            self._log_transition(exc)
        except TimeoutError:
            self._log_transition(SlackUnavailableError(f"no answer within {seconds:g} seconds"))
        else:
            self._log_transition(None)

    async def _ping(self) -> None:
        if self._bot:
            await self._bot.ping()
            return
        bot_context = run_bot(self._services, observer=self._observer, timeouts=self._timeouts)
        self._bot = await self._exit_stack.enter_async_context(bot_context)

    def _log_transition(self, error: SlackError | None) -> None:
        """Log a change of the connection, once, and store the new state."""
        message = str(error or "")
        if error and message != self._last_error:
            logger.warning("Slack is away, and is tried again: %s", message)
        elif not error and self._last_error:
            logger.warning("Slack is there again")
        self._last_error, self.is_connected = message, not error

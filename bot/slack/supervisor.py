"""Slack beside the service: at work while Slack can be reached, and no hindrance to anything else while it cannot."""

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
    workspace: Services, witness: AnswerObserver, patience: Timeouts
) -> AsyncIterator[SlackSupervisor | None]:
    """Run the bot inside the block, or nothing if its token or signing secret is not set.

    Raises:
        SlackError: if Slack refuses the token.
    """
    settings = workspace.settings
    if (
        not settings.slack_bot_token.get_secret_value()
        or not settings.slack_signing_secret.get_secret_value()
    ):
        yield None
        return
    async with SlackSupervisor(workspace, witness, patience).run() as slack:
        yield slack


class SlackSupervisor:
    """The bot, once it is at work, and how Slack stands."""

    def __init__(self, workspace: Services, witness: AnswerObserver, patience: Timeouts) -> None:
        self._workspace = workspace
        self._witness = witness
        self._patience = patience
        self._bot: Bot | None = None
        self._exits = contextlib.AsyncExitStack()
        self._ended: asyncio.Task[None] | None = None
        self._trouble = ""  # what was said of it last
        self.is_connected = False  # whether Slack answered when it was asked last

    @property
    def app(self) -> AsyncApp | None:
        """What takes in what Slack sends; None before Slack was reached for the first time."""
        return self._bot.app if self._bot else None

    @property
    def route(self) -> Route:
        """Return the route of Slack's requests."""
        return slack_route(lambda: self.app)

    @property
    def ended(self) -> asyncio.Task[None]:
        """What ends by an error alone, which it raises: the bot's."""
        assert self._ended
        return self._ended

    def queue(self) -> tuple[int, int]:
        """Return how many requests wait, on any machine, and how many are worked on here."""
        return self._bot.queue() if self._bot else (0, 0)

    async def stop(self) -> None:
        """Begin nothing more, and finish what is under way."""
        if self._bot:
            await self._bot.stop(self._patience.grace)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[SlackSupervisor]:
        """Have the bot at work while the block lasts, once Slack is there. Raises SlackError where it refuses us."""
        async with self._exits:
            await self._check()
            self._ended = asyncio.create_task(self._keep())
            try:
                yield self
            finally:
                self._ended.cancel()
                await asyncio.wait({self._ended})

    async def _keep(self) -> None:
        """Look again and again: often where Slack is away, and then ever less often."""
        pause = self._patience.slack_retry_min
        while True:
            await self._sleep(self._patience.slack_ping_interval if self.is_connected else pause)
            try:
                await self._check()
            except SlackError as exc:  # not at the start any more: whoever asks over HTTP is being answered
                self._log_transition(exc)
            pause = (
                self._patience.slack_retry_min
                if self.is_connected
                else min(2 * pause, self._patience.slack_ping_interval)
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
        """Try whether Slack is there. Raises SlackError where it refuses us."""
        seconds = self._patience.slack_ping_timeout
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
        at_work = run_bot(self._workspace, witness=self._witness, patience=self._patience)
        self._bot = await self._exits.enter_async_context(at_work)

    def _log_transition(self, trouble: SlackError | None) -> None:
        """Tell the log, once, what has changed."""
        said = str(trouble or "")
        if trouble and said != self._trouble:
            logger.warning("Slack is away, and is tried again: %s", said)
        elif not trouble and self._trouble:
            logger.warning("Slack is there again")
        self._trouble, self.is_connected = said, not trouble

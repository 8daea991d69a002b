"""Slack beside the service: at work while Slack can be reached, and no hindrance to anything else while it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bot.answering.observer import Witness
from bot.errors import SlackError, SlackTroubleError
from bot.server.timeouts import Patience
from bot.slack.app import Bot, working
from bot.slack.connections import slack_route

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from starlette.routing import Route

    from bot.services import Workspace

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def open_slack(
    workspace: Workspace, witness: Witness, patience: Patience
) -> AsyncIterator[Slack | None]:
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
    async with Slack(workspace, witness, patience).kept() as slack:
        yield slack


class Slack:
    """The bot, once it is at work, and how Slack stands."""

    def __init__(self, workspace: Workspace, witness: Witness, patience: Patience) -> None:
        self._workspace = workspace
        self._witness = witness
        self._patience = patience
        self._bot: Bot | None = None
        self._exits = contextlib.AsyncExitStack()
        self._ended: asyncio.Task[None] | None = None
        self._trouble = ""  # what was said of it last
        self.is_there = False  # whether Slack answered when it was asked last

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
    async def kept(self) -> AsyncIterator[Slack]:
        """Have the bot at work while the block lasts, once Slack is there. Raises SlackError where it refuses us."""
        async with self._exits:
            await self._look()
            self._ended = asyncio.create_task(self._keep())
            try:
                yield self
            finally:
                self._ended.cancel()
                await asyncio.wait({self._ended})

    async def _keep(self) -> None:
        """Look again and again: often where Slack is away, and then ever less often."""
        pause = self._patience.slack_away
        while True:
            await self._sleep(self._patience.slack_there if self.is_there else pause)
            try:
                await self._look()
            except SlackError as exc:  # not at the start any more: whoever asks over HTTP is being answered
                self._note(exc)
            pause = self._patience.slack_away if self.is_there else min(2 * pause, self._patience.slack_there)

    async def _sleep(self, seconds: float) -> None:
        if not self._bot:
            await asyncio.sleep(seconds)
            return
        await asyncio.wait({self._bot.working}, timeout=seconds)
        if self._bot.working.done():
            self._bot.working.result()
            await asyncio.Event().wait()  # it was stopped

    async def _look(self) -> None:
        """Try whether Slack is there. Raises SlackError where it refuses us."""
        seconds = self._patience.slack_answer
        try:
            async with asyncio.timeout(seconds):
                await self._greet()
        except SlackTroubleError as exc:
            self._note(exc)
        except TimeoutError:
            self._note(SlackTroubleError(f"no answer within {seconds:g} seconds"))
        else:
            self._note(None)

    async def _greet(self) -> None:
        if self._bot:
            await self._bot.greet()
            return
        at_work = working(self._workspace, witness=self._witness, patience=self._patience)
        self._bot = await self._exits.enter_async_context(at_work)

    def _note(self, trouble: SlackError | None) -> None:
        """Tell the log, once, what has changed."""
        said = str(trouble or "")
        if trouble and said != self._trouble:
            log.warning("Slack is away, and is tried again: %s", said)
        elif not trouble and self._trouble:
            log.warning("Slack is there again")
        self._trouble, self.is_there = said, not trouble

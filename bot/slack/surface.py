"""What one process says things with in Slack: its clients, who it is, and what the server was found not to have."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Coroutine
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import CitewireError, SlackRefusedError, SlackTroubleError
from bot.slack.web import told

log = logging.getLogger(__name__)

LAST_WORDS = 5.0  # seconds for each of the last things said before the end of the process
_NO_STREAMS = 30.0  # seconds without streams after Slack has refused one


class Surface:
    """What this process says things with: the client, who it is, and what the server was found not to have."""

    def __init__(
        self, client: AsyncWebClient, impatient: AsyncWebClient, me: str, *, team: str = "", helpers: bool
    ) -> None:
        """Speak as the bot user `me`, of one `team` or of many (""); `helpers`: a button of answers calls a person.

        After 429 `client` waits for as long as Slack says, and the `impatient` one does not: a stream that may not
        begin yet, or a status that may not be shown, is no reason to keep a whole answer back.
        """
        self.client = client
        self.impatient = impatient
        self.me = me
        self.team = team
        self.helpers = helpers
        self.lacks: set[str] = set()
        self._streams_from = 0.0  # by the monotonic clock
        self._said: set[asyncio.Task[None]] = set()

    def is_of(self, team: str | None) -> bool:
        """Say whether this is the team that the app is installed in, as far as that is known."""
        return not team or not self.team or team == self.team

    @property
    def streams(self) -> bool:
        """Whether a stream may be begun."""
        return time.monotonic() >= self._streams_from

    def no_streams(self, exc: SlackRefusedError) -> None:
        """Begin no stream for a while: Slack takes about 20 a minute, and some servers take none."""
        self._streams_from = math.inf if exc.missing else time.monotonic() + _NO_STREAMS

    def soon(self, said: Coroutine[Any, Any, None]) -> None:
        """Say something in the background."""
        task = asyncio.create_task(_logged(said))
        self._said.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(self._said.discard)

    async def close(self) -> None:
        """Give what is still being said a moment, and end."""
        if self._said:
            await asyncio.wait(self._said, timeout=LAST_WORDS)
        if self.client.session:
            await self.client.session.close()

    async def open_view(self, trigger: str, view: dict[str, Any]) -> str:
        """Open a modal and return its id, at once or not at all: what triggered it is good for three seconds."""
        opened = await told(self.impatient.views_open(trigger_id=trigger, view=view), "views.open")
        return str(opened["view"]["id"])

    async def attempt(self, method: str, call: str, **arguments: Any) -> None:
        """Make a call that nothing depends on, unless the server is known not to have it."""
        if method in self.lacks:
            return
        try:
            await told(getattr(self.impatient, call)(**arguments), method)
        except SlackRefusedError as exc:
            if exc.missing:
                self.lacks.add(method)
        except SlackTroubleError:
            pass


async def _logged(said: Coroutine[Any, Any, None]) -> None:
    try:
        await said
    except CitewireError as exc:
        log.warning("not said: %s", exc)
    except Exception as exc:  # noqa: BLE001 - its words may hold what somebody said
        log.error("not said: %s", type(exc).__name__)

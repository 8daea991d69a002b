"""The listeners: what Bolt calls for each thing that Slack sends. Each keeps what it must; only then Slack is told."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.slack import scopes
from bot.slack.events import message_text
from bot.slack.handlers.questions import SlackContext
from bot.slack.models import Kind, Request
from bot.slack.queue import REQUEST
from bot.slack.rendering.messages import not_allowed_message
from bot.slack.rendering.views import check_view
from bot.slack.routing import AccessDecision, MessageRouter, decide_access

logger = logging.getLogger(__name__)

Body = dict[str, Any]


class Listeners:
    """Hears questions, the slash command and the shortcut."""

    def __init__(self, desk: SlackContext, reception: MessageRouter) -> None:
        self._desk = desk
        self._reception = reception

    def register(self, app: AsyncApp) -> None:
        """Register what is heard, and what stands before all of it."""
        app.use(self._refuse_replays)
        app.error(log_error)
        app.event("message")(self.on_message)
        app.event("app_mention")(self.on_message)
        app.command(scopes.COMMAND)(self.command)
        app.shortcut(scopes.SHORTCUT)(self.shortcut)

    async def on_message(self, body: Body) -> None:
        """Take up a message, if it is for the bot."""
        await self._reception.on_event(body)

    async def command(self, ack: AsyncAck, command: Body, body: Body) -> None:
        """Take up `/cite question`."""
        channel, person, trigger = command["channel_id"], command["user_id"], command["trigger_id"]
        if self._is_denied(channel, person, command.get("team_id")):
            await ack(text=not_allowed_message().text)
            return
        details = {"response_url": command["response_url"]}
        request = self._ephemeral_request("command", channel, person, trigger, command.get("text"), details)
        await self._reception.enqueue(request)
        await ack()

    async def shortcut(self, ack: AsyncAck, shortcut: Body) -> None:
        """Open a modal at once, because its trigger lasts for three seconds, and check the message then."""
        channel, person = shortcut["channel"]["id"], shortcut["user"]["id"]
        message, trigger = shortcut["message"], shortcut["trigger_id"]
        if self._is_denied(channel, person, shortcut["user"].get("team_id")):
            await ack()
            return
        view_id = await self._desk.surface.open_view(trigger, check_view((), done=False))
        request = self._ephemeral_request(
            "check", channel, person, trigger, message.get("text"), {"view_id": view_id}
        )
        await self._reception.enqueue(request)
        await ack()

    def _ephemeral_request(
        self, kind: Kind, channel: str, person: str, trigger: str, said: str | None, details: Body
    ) -> Request:
        """Return a request whose answer its asker alone sees; its trigger is what tells it from others."""
        text = message_text(said or "", self._desk.surface.bot_user_id)
        about = {"thread": "", "target": trigger, "ts": trigger}
        return Request(kind=kind, channel=channel, person=person, text=text, details=details, **about)

    def _is_denied(self, channel: str, person: str, team: str | None) -> bool:
        """Say whether somebody gets no answer; another team's people only get one where their channel is named."""
        settings, external = self._desk.workspace.settings, not self._desk.surface.is_home_team(team)
        return decide_access(settings, channel, person, external=external) is not AccessDecision.ANSWERED

    async def _refuse_replays(self, req: AsyncBoltRequest, next_: Any) -> BoltResponse | None:
        """Take a signed request once: who has recorded one cannot send it again.

        Slack delivers events again, and says so; what that may be is told by what they hold. That it is a retry is
        not signed, and is not believed of anything else.
        """
        signature = (req.headers.get("x-slack-signature") or [""])[0]
        is_retry = req.headers.get("x-slack-retry-num") and req.body.get("type") == "event_callback"
        if req.mode == "http" and signature and not is_retry:
            inbox = self._desk.inbox
            if not await asyncio.to_thread(inbox.mark_seen, "", signature, REQUEST):
                return BoltResponse(status=401, body='{"error": "replayed request"}')
        response: BoltResponse | None = await next_()
        return response


async def log_error(error: Exception) -> BoltResponse:
    """Log where a listener failed, not with what words: they can hold what somebody said. Slack sends it again."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("a listener failed: %s\n%s", type(error).__name__, where)
    return BoltResponse(status=500)

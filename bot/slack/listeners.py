"""Bolt listeners for messages, `/cite` and the shortcut; requests are stored before they are acknowledged."""

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
from bot.slack.queue import REQUEST_KIND
from bot.slack.rendering.messages import not_allowed_message
from bot.slack.rendering.views import check_view
from bot.slack.routing import AccessDecision, MessageRouter, decide_access

logger = logging.getLogger(__name__)

Body = dict[str, Any]


class Listeners:
    """Listeners for messages, the slash command and the shortcut."""

    def __init__(self, desk: SlackContext, router: MessageRouter) -> None:
        self._desk = desk
        self._router = router

    def register(self, app: AsyncApp) -> None:
        """Register the listeners, and the middleware that rejects replayed requests."""
        app.use(self._reject_replays)
        app.error(log_error)
        app.event("message")(self.on_message)
        app.event("app_mention")(self.on_message)
        app.command(scopes.COMMAND)(self.on_command)
        app.shortcut(scopes.SHORTCUT)(self.on_shortcut)

    async def on_message(self, body: Body) -> None:
        """Enqueue a message if it is for the bot."""
        await self._router.on_event(body)

    async def on_command(self, ack: AsyncAck, command: Body, body: Body) -> None:
        """Enqueue a question asked with `/cite`."""
        channel, person, trigger = command["channel_id"], command["user_id"], command["trigger_id"]
        if self._is_denied(channel, person, command.get("team_id")):
            await ack(text=not_allowed_message().text)
            return
        details = {"response_url": command["response_url"]}
        request = self._build_ephemeral_request(
            "command", channel, person, trigger, command.get("text"), details
        )
        await self._router.enqueue(request)
        await ack()

    async def on_shortcut(self, ack: AsyncAck, shortcut: Body) -> None:
        """Open a modal immediately, because its trigger expires after three seconds; then enqueue the check."""
        channel, person = shortcut["channel"]["id"], shortcut["user"]["id"]
        message, trigger = shortcut["message"], shortcut["trigger_id"]
        if self._is_denied(channel, person, shortcut["user"].get("team_id")):
            await ack()
            return
        view_id = await self._desk.surface.open_view(trigger, check_view((), done=False))
        request = self._build_ephemeral_request(
            "check", channel, person, trigger, message.get("text"), {"view_id": view_id}
        )
        await self._router.enqueue(request)
        await ack()

    def _build_ephemeral_request(
        self, kind: Kind, channel: str, person: str, trigger: str, raw_text: str | None, details: Body
    ) -> Request:
        """Return a request with an ephemeral answer; its trigger id distinguishes it from other requests."""
        text = message_text(raw_text or "", self._desk.surface.bot_user_id)
        ids = {"thread": "", "target": trigger, "ts": trigger}
        return Request(kind=kind, channel=channel, person=person, text=text, details=details, **ids)

    def _is_denied(self, channel: str, person: str, team: str | None) -> bool:
        """Return True if the user is not answered.

        Users of other teams are only answered in channels that the settings list as external.
        """
        settings, external = self._desk.workspace.settings, not self._desk.surface.is_home_team(team)
        return decide_access(settings, channel, person, external=external) is not AccessDecision.ANSWER

    async def _reject_replays(self, req: AsyncBoltRequest, next_: Any) -> BoltResponse | None:
        """Reject a signed request that was received before, so that an attacker cannot replay a recorded one.

        Slack retries events and marks the retries; duplicate events are recognized by their content. The retry header
        is not signed, and is ignored for requests other than events.
        """
        signature = (req.headers.get("x-slack-signature") or [""])[0]
        is_retry = req.headers.get("x-slack-retry-num") and req.body.get("type") == "event_callback"
        if req.mode == "http" and signature and not is_retry:
            inbox = self._desk.inbox
            if not await asyncio.to_thread(inbox.mark_seen, "", signature, REQUEST_KIND):
                return BoltResponse(status=401, body='{"error": "replayed request"}')
        response: BoltResponse | None = await next_()
        return response


async def log_error(error: Exception) -> BoltResponse:
    """Log the traceback of a failed listener, without the error message, because it may contain text of a user.

    Slack sends the request again after the response 500.
    """
    location = "".join(traceback.format_tb(error.__traceback__))
    logger.error("a listener failed: %s\n%s", type(error).__name__, location)
    return BoltResponse(status=500)

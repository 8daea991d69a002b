"""The app's own place in Slack: the Home tab, the agent's pane, and what is set for each channel."""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack.handlers.questions import SlackContext
from bot.slack.rendering.messages import not_allowed_message, suggested_prompts
from bot.slack.rendering.views import channel_view, closed_view, home_view, outlet_options
from bot.slack.routing import AccessDecision, decide_access

logger = logging.getLogger(__name__)

Body = dict[str, Any]

_PROMPTS = 4  # as many as Slack shows
_OPTIONS = 100


class Home:
    """Hears that the app is opened, and what its administrators set."""

    def __init__(self, desk: SlackContext) -> None:
        self._desk = desk

    def register(self, app: AsyncApp) -> None:
        """Register the tabs, and the form in which a channel's outlets are chosen."""
        app.event("app_home_opened")(self.opened)
        app.action("set_channel")(self.ask_channel)
        app.options("outlets")(self.offer_outlets)
        app.view("channel_sources")(self.set_channel)

    async def opened(self, event: Body, body: Body) -> None:
        """Show the Home tab, or offer questions in a conversation that is opened, to those who are answered."""
        channel, person = event["channel"], event["user"]
        external = bool(body.get("is_ext_shared_channel"))
        admitted = decide_access(self._desk.workspace.settings, channel, person, external=external)
        if event.get("tab") == "home" and admitted is not AccessDecision.SILENCE:
            self._desk.surface.run_in_background(
                self._publish(person, known=admitted is AccessDecision.ANSWERED)
            )
        elif event.get("tab") == "messages" and admitted is AccessDecision.ANSWERED:
            self._desk.surface.run_in_background(self._offer_prompts(channel))

    async def ask_channel(self, ack: AsyncAck, body: Body) -> None:
        """Open the form, for those who may set something."""
        if self._is_admin(body["user"]["id"]):
            await self._desk.surface.open_view(body["trigger_id"], channel_view())
        await ack()

    async def offer_outlets(self, ack: AsyncAck, body: Body) -> None:
        """Offer the outlets whose names hold what is typed, to those who may choose one."""
        if not self._is_admin(body["user"]["id"]):
            await ack(options=[])
            return
        typed = str(body.get("value") or "").casefold()
        outlets = await asyncio.to_thread(self._desk.workspace.articles.sources)
        found = (outlet for outlet, _ in outlets if outlet and typed in outlet.casefold())
        await ack(options=outlet_options(list(islice(found, _OPTIONS))))

    async def set_channel(self, ack: AsyncAck, body: Body, view: Body) -> None:
        """Keep which outlets a channel is answered from."""
        person = body["user"]["id"]
        if self._is_admin(person):
            channel, outlets = _chosen(view)
            await asyncio.to_thread(self._desk.channels.set, channel, outlets, by=person)
            self._desk.surface.run_in_background(self._publish(person))
        await ack()

    # Within

    def _is_admin(self, person: str) -> bool:
        return person in self._desk.workspace.settings.slack_admins

    async def _publish(self, person: str, *, known: bool = True) -> None:
        """Show somebody their Home tab; who is not `known` sees nothing of the articles."""
        view = await asyncio.to_thread(self._view, person) if known else closed_view(not_allowed_message())
        await self._desk.surface.attempt("views.publish", "views_publish", user_id=person, view=view)

    def _view(self, person: str) -> Body:
        library = self._desk.workspace.articles
        channels = self._desk.channels.all() if self._is_admin(person) else None
        return home_view(library.totals(), library.newest(), channels=channels)

    async def _offer_prompts(self, channel: str) -> None:
        """Offer questions about the newest articles. Without a thread: in an agent's pane Slack ignores them there."""
        headlines = await asyncio.to_thread(
            lambda: list(islice(self._desk.workspace.articles.list_articles(), _PROMPTS))
        )
        await self._desk.surface.attempt(
            "assistant.threads.setSuggestedPrompts",
            "assistant_threads_setSuggestedPrompts",
            channel_id=channel,
            prompts=suggested_prompts(headlines),
        )


def _chosen(view: Body) -> tuple[str, tuple[str, ...]]:
    values = {name: value for block in view["state"]["values"].values() for name, value in block.items()}
    outlets = values["outlets"].get("selected_options") or ()
    return values["channel"]["selected_conversation"], tuple(option["value"] for option in outlets)

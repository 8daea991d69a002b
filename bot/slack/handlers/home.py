"""Home tab, assistant pane and channel settings form."""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack.handlers.questions import SlackContext
from bot.slack.rendering.messages import not_allowed_message, suggested_prompts
from bot.slack.rendering.views import access_denied_view, channel_settings_view, home_view, source_options
from bot.slack.routing import AccessDecision, decide_access

logger = logging.getLogger(__name__)

Body = dict[str, Any]

_MAX_PROMPTS = 4  # Slack shows no more
_MAX_OPTIONS = 100


class Home:
    """Listeners for opening the app and for its channel settings."""

    def __init__(self, desk: SlackContext) -> None:
        self._desk = desk

    def register(self, app: AsyncApp) -> None:
        """Register the listeners for the tabs and for the channel settings form."""
        app.event("app_home_opened")(self.on_app_open)
        app.action("set_channel")(self.open_channel_form)
        app.options("outlets")(self.suggest_sources)
        app.view("channel_sources")(self.save_channel_sources)

    async def on_app_open(self, event: Body, body: Body) -> None:
        """Publish the Home tab, or suggest prompts in the conversation opened, if the user is allowed to ask."""
        channel, person = event["channel"], event["user"]
        external = bool(body.get("is_ext_shared_channel"))
        admitted = decide_access(self._desk.workspace.settings, channel, person, external=external)
        if event.get("tab") == "home" and admitted is not AccessDecision.IGNORE:
            self._desk.surface.run_in_background(
                self._publish(person, known=admitted is AccessDecision.ANSWER)
            )
        elif event.get("tab") == "messages" and admitted is AccessDecision.ANSWER:
            self._desk.surface.run_in_background(self._offer_prompts(channel))

    async def open_channel_form(self, ack: AsyncAck, body: Body) -> None:
        """Open the channel settings form if the user is an administrator."""
        if self._is_admin(body["user"]["id"]):
            await self._desk.surface.open_view(body["trigger_id"], channel_settings_view())
        await ack()

    async def suggest_sources(self, ack: AsyncAck, body: Body) -> None:
        """Return the sources whose names contain the typed text, or none if the user is not an administrator."""
        if not self._is_admin(body["user"]["id"]):
            await ack(options=[])
            return
        typed = str(body.get("value") or "").casefold()
        sources = await asyncio.to_thread(self._desk.workspace.articles.sources)
        found = (source for source, _ in sources if source and typed in source.casefold())
        await ack(options=source_options(list(islice(found, _MAX_OPTIONS))))

    async def save_channel_sources(self, ack: AsyncAck, body: Body, view: Body) -> None:
        """Store the sources selected for a channel if the user is an administrator."""
        person = body["user"]["id"]
        if self._is_admin(person):
            channel, sources = _parse_form(view)
            await asyncio.to_thread(self._desk.channels.set, channel, sources, by=person)
            self._desk.surface.run_in_background(self._publish(person))
        await ack()

    # Internals

    def _is_admin(self, person: str) -> bool:
        return person in self._desk.workspace.settings.slack_admins

    async def _publish(self, person: str, *, known: bool = True) -> None:
        """Publish a user's Home tab.

        Args:
            known: False if the user is not allowed to ask; the tab then shows nothing about the articles.
        """
        view = (
            await asyncio.to_thread(self._build_view, person)
            if known
            else access_denied_view(not_allowed_message())
        )
        await self._desk.surface.attempt("views.publish", "views_publish", user_id=person, view=view)

    def _build_view(self, person: str) -> Body:
        library = self._desk.workspace.articles
        channels = self._desk.channels.all() if self._is_admin(person) else None
        return home_view(library.totals(), library.newest(), channels=channels)

    async def _offer_prompts(self, channel: str) -> None:
        """Suggest questions about the newest articles.

        The call has no thread: Slack ignores prompts for a thread in the assistant pane.
        """
        headlines = await asyncio.to_thread(
            lambda: list(islice(self._desk.workspace.articles.list_articles(), _MAX_PROMPTS))
        )
        await self._desk.surface.attempt(
            "assistant.threads.setSuggestedPrompts",
            "assistant_threads_setSuggestedPrompts",
            channel_id=channel,
            prompts=suggested_prompts(headlines),
        )


def _parse_form(view: Body) -> tuple[str, tuple[str, ...]]:
    """Return the channel and the sources selected in the channel settings form."""
    values = {name: value for block in view["state"]["values"].values() for name, value in block.items()}
    sources = values["outlets"].get("selected_options") or ()
    return values["channel"]["selected_conversation"], tuple(option["value"] for option in sources)

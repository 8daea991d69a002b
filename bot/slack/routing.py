"""The reception: decides what of all that is said in Slack the bot takes up, and keeps it before it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from bot.answering.query_rewriting import small_talk_reply
from bot.settings import Settings
from bot.slack.client import SlackClient, post_ephemeral
from bot.slack.events import Event, IncomingMessage, parse_event
from bot.slack.models import Request, is_direct
from bot.slack.queue import EnqueueResult, JobQueue
from bot.slack.rendering.answer import Message
from bot.slack.rendering.messages import busy_message, not_allowed_message

logger = logging.getLogger(__name__)

_BUSY = 10.0  # seconds within which somebody is told once that they ask too much
_TURNED_AWAY = 3_600.0  # and that they are not answered


class MessageRouter:
    """Takes requests in. What it says itself is said in the background, to the asker alone."""

    def __init__(
        self, settings: Settings, surface: SlackClient, inbox: JobQueue, *, on_new: Callable[[], None]
    ) -> None:
        """Call `on_new` for each request that is to be worked on."""
        self._settings = settings
        self._surface = surface
        self._inbox = inbox
        self._on_new = on_new

    async def on_event(self, body: Event) -> None:
        """Take up what an event says, if it is for the bot. Raises DatabaseError where it cannot be kept."""
        message = parse_event(body, self._surface.bot_user_id)
        if message is None:
            return
        request = message.request
        admitted = decide_access(self._settings, request.channel, request.person, external=message.external)
        if request.kind == "delete":  # what was said can be taken back by whoever said it
            admitted = AccessDecision.ANSWERED
        if admitted is AccessDecision.SILENCE:
            return
        if admitted is AccessDecision.TOLD:
            if message.addressed and request.kind == "question":
                await self._notify_denied(request)
            return
        if taken_up := await asyncio.to_thread(self._to_request, message):
            taken = await self.enqueue(taken_up, follow=taken_up.kind == "question")
            if (
                taken is EnqueueResult.SEEN and taken_up.kind != request.kind
            ):  # the question itself came in just now
                await self.enqueue(request)

    async def enqueue(self, request: Request, *, follow: bool = False) -> EnqueueResult:
        """Keep a request, and say so where it is one too many. Raises DatabaseError."""
        taken = await asyncio.to_thread(self._inbox.enqueue, request, follow=follow)
        if taken is EnqueueResult.NEW:
            self._on_new()
        elif taken is EnqueueResult.TOO_MANY:
            logger.info("%s has too many questions open", request.person)
            if request.kind == "command" or await self._should_notify(request, "busy", within=_BUSY):
                self._surface.run_in_background(
                    self._tell(request, busy_message(self._settings.slack_waiting))
                )
        return taken

    def _to_request(self, message: IncomingMessage) -> Request | None:
        """Return what a message asks of the bot, None for nothing; it may make the bot fall quiet in a thread."""
        request = message.request
        if request.kind != "question" and self._inbox.threads.has_question(request.channel, request.target):
            return request
        if request.kind == "delete":  # it can arrive before the question does, which is then not answered
            return request if message.addressed else None
        if message.addressed:  # an edit may be what makes a message a question to the bot
            return replace(request, kind="question", ts=request.target)
        in_thread = request.kind == "question" and request.thread != request.target
        return request if in_thread and self._continues_thread(message) else None

    def _continues_thread(self, message: IncomingMessage) -> bool:
        """Say whether a message in a thread goes on with the bot; people who talk to each other are left alone."""
        request = message.request
        partner = self._inbox.threads.active_user(request.channel, request.thread)
        if partner is None or small_talk_reply(request.text):
            return False
        if message.others or (request.person != partner and not message.is_question):
            self._inbox.threads.pause(request.channel, request.thread)
            return False
        return bool(request.text)

    async def _notify_denied(self, request: Request) -> None:
        """Tell somebody that they are not answered here, unless they were told just now."""
        logger.info("%s is not answered in %s", request.person, request.channel)
        if await self._should_notify(request, "turned away", within=_TURNED_AWAY):
            self._surface.run_in_background(self._tell(request, not_allowed_message()))

    async def _should_notify(self, request: Request, what: str, *, within: float) -> bool:
        """Say whether somebody was not told this yet within so many seconds: who floods is not flooded in return."""
        whom = f"{request.person}:{time.time() // within:.0f}"
        return await asyncio.to_thread(self._inbox.mark_seen, request.channel, whom, what)

    async def _tell(self, request: Request, message: Message) -> None:
        """Say something that only the asker sees."""
        if request.kind == "command":
            from bot.slack.handlers.commands import respond

            await respond(request.details["response_url"], message)
            return
        thread = request.thread if request.thread != request.target else ""
        await post_ephemeral(
            self._surface.client, message, channel=request.channel, person=request.person, thread=thread
        )


class AccessDecision(Enum):
    """Whether somebody is answered somewhere; where not, they are told so, unless it is another company's place."""

    ANSWERED = "answered"
    TOLD = "told"
    SILENCE = "silence"


def decide_access(settings: Settings, channel: str, person: str, *, external: bool) -> AccessDecision:
    """Say whether `person` is answered in `channel`; all are ids, for a name can be given to another channel."""
    if external and channel not in settings.slack_external_channels:
        return AccessDecision.SILENCE
    if settings.slack_users and person not in settings.slack_users:
        return AccessDecision.TOLD
    in_person = is_direct(channel)  # a direct conversation is in no list of channels: its person decides
    listed = {*settings.slack_channels, *settings.slack_external_channels}
    if settings.slack_channels and channel not in listed and not in_person:
        return AccessDecision.TOLD
    return AccessDecision.ANSWERED

"""Decides which messages to answer, and enqueues them before they are acknowledged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from bot.answering.query_rewriting import small_talk_reply
from bot.settings import Settings
from bot.slack.client import SlackClient, post_ephemeral, respond
from bot.slack.events import Event, IncomingMessage, parse_event
from bot.slack.models import Request, is_direct_channel
from bot.slack.queue import EnqueueResult, JobQueue
from bot.slack.rendering.answer import Message
from bot.slack.rendering.messages import busy_message, not_allowed_message

logger = logging.getLogger(__name__)

# In each interval, a user is notified once that they have too many open questions, or that they are not answered.
_BUSY_NOTICE_SECONDS = 10.0
_DENIED_NOTICE_SECONDS = 3_600.0


class MessageRouter:
    """Enqueues requests; its own notices are posted in the background, as ephemeral messages."""

    def __init__(
        self, settings: Settings, surface: SlackClient, inbox: JobQueue, *, on_new: Callable[[], None]
    ) -> None:
        """Create the router.

        Args:
            on_new: called after each request that is added to the queue.
        """
        self._settings = settings
        self._surface = surface
        self._inbox = inbox
        self._on_new = on_new

    async def on_event(self, body: Event) -> None:
        """Enqueue the message of an event if it is for the bot.

        Raises:
            DatabaseError: if it cannot be stored.
        """
        message = parse_event(body, self._surface.bot_user_id)
        if message is None:
            return
        request = message.request
        decision = decide_access(self._settings, request.channel, request.person, external=message.external)
        if request.kind == "delete":  # users can always delete their messages
            decision = AccessDecision.ANSWER
        if decision is AccessDecision.IGNORE:
            return
        if decision is AccessDecision.REJECT:
            if message.addressed and request.kind == "question":
                await self._notify_denial(request)
            return
        if queued := await asyncio.to_thread(self._to_request, message):
            result = await self.enqueue(queued, follow=queued.kind == "question")
            if result is EnqueueResult.DUPLICATE and queued.kind != request.kind:
                await self.enqueue(request)  # the question itself was enqueued in the meantime

    async def enqueue(self, request: Request, *, follow: bool = False) -> EnqueueResult:
        """Enqueue a request, and notify the user if they have too many open requests.

        Args:
            follow: keep answering this user in the thread without further mentions.

        Raises:
            DatabaseError: if it cannot be stored.
        """
        result = await asyncio.to_thread(self._inbox.enqueue, request, follow=follow)
        if result is EnqueueResult.NEW:
            self._on_new()
        elif result is EnqueueResult.TOO_MANY:
            logger.info("%s has too many questions open", request.person)
            if request.kind == "command" or await self._should_notify(
                request, "busy", interval=_BUSY_NOTICE_SECONDS
            ):
                self._surface.run_in_background(
                    self._notify(request, busy_message(self._settings.slack_waiting))
                )
        return result

    def _to_request(self, message: IncomingMessage) -> Request | None:
        """Return the request in a message, or None if it is not for the bot; this may pause the bot in the thread."""
        request = message.request
        if request.kind != "question" and self._inbox.threads.has_question(request.channel, request.target):
            return request
        if request.kind == "delete":  # it may arrive before the question, which is then not answered
            return request if message.addressed else None
        if message.addressed:  # an edit may turn a message into a question to the bot
            return replace(request, kind="question", ts=request.target)
        in_thread = request.kind == "question" and request.thread != request.target
        return request if in_thread and self._continues_thread(message) else None

    def _continues_thread(self, message: IncomingMessage) -> bool:
        """Return True if a message in a thread is for the bot.

        If users talk to each other instead, pause the bot in the thread.
        """
        request = message.request
        partner = self._inbox.threads.active_user(request.channel, request.thread)
        if partner is None or small_talk_reply(request.text):
            return False
        if message.others or (request.person != partner and not message.is_question):
            self._inbox.threads.pause(request.channel, request.thread)
            return False
        return bool(request.text)

    async def _notify_denial(self, request: Request) -> None:
        """Notify a user that they are not answered here, unless they were notified recently."""
        logger.info("%s is not answered in %s", request.person, request.channel)
        if await self._should_notify(request, "turned away", interval=_DENIED_NOTICE_SECONDS):
            self._surface.run_in_background(self._notify(request, not_allowed_message()))

    async def _should_notify(self, request: Request, kind: str, *, interval: float) -> bool:
        """Return True if the user was not notified yet in this interval, so that a flood causes no flood of notices.

        Args:
            kind: kind of the notice.
            interval: length of the intervals in seconds.
        """
        key = f"{request.person}:{time.time() // interval:.0f}"
        return await asyncio.to_thread(self._inbox.mark_seen, request.channel, key, kind)

    async def _notify(self, request: Request, message: Message) -> None:
        """Send a message that only the asker sees."""
        if request.kind == "command":
            await respond(request.details["response_url"], message)
            return
        thread = request.thread if request.thread != request.target else ""
        await post_ephemeral(
            self._surface.client, message, channel=request.channel, person=request.person, thread=thread
        )


class AccessDecision(Enum):
    """Decision about a message of a user.

    Attributes:
        ANSWER: answer the user.
        REJECT: notify the user that they are not answered.
        IGNORE: do not react, because the channel is shared with another company.
    """

    ANSWER = "answer"
    REJECT = "reject"
    IGNORE = "ignore"


def decide_access(settings: Settings, channel: str, person: str, *, external: bool) -> AccessDecision:
    """Decide how to react to a user in a channel.

    Args:
        channel: id of the channel. The settings contain ids as well, because a name can be reused for another channel.
        person: id of the user.
        external: True if the channel is shared with another company, or the user belongs to one.
    """
    if external and channel not in settings.slack_external_channels:
        return AccessDecision.IGNORE
    if settings.slack_users and person not in settings.slack_users:
        return AccessDecision.REJECT
    is_direct = is_direct_channel(channel)  # direct messages are allowed by user, not by channel
    channels = {*settings.slack_channels, *settings.slack_external_channels}
    if settings.slack_channels and channel not in channels and not is_direct:
        return AccessDecision.REJECT
    return AccessDecision.ANSWER

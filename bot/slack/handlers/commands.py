"""What only the asker sees: answers to the slash command, and what a shortcut's check has found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.answering.fact_check import Checked
from bot.answering.generation.output_parser import ClaimParser
from bot.answering.question import Trace
from bot.answering.streaming import batches
from bot.errors import SlackTroubleError
from bot.slack.client import post, told
from bot.slack.handlers.questions import Desk
from bot.slack.models import Job
from bot.slack.rendering.answer import Message, answer_message
from bot.slack.rendering.messages import help_message, no_articles_message
from bot.slack.rendering.views import check_view, notice_view
from bot.slack.reply import LostError

_RESPONSE_URL = 29 * 60.0  # seconds; Slack takes an answer at the address it gave for thirty minutes
_TIMEOUT = 10
_CHECKED = 20  # sentences: more than that is an article, for `citewire check`


class CommandSession:
    """Answers `/cite question`, seen by the asker alone until they share it."""

    def __init__(self, desk: Desk, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def work(self) -> None:
        """Answer at the address that came with the command."""
        if not self._job.text:
            await self.say(help_message())
            return
        if stored := await asyncio.to_thread(self._desk.stored, self._job):
            await self.say(answer_message(stored, private=True))
            return
        question = await asyncio.to_thread(self._desk.question, self._job)
        trace: Trace | None = None
        async for parts in batches(lambda: self._desk.workspace.chain.traced(question)):
            trace = parts[-1] if isinstance(parts[-1], Trace) else None
        assert trace
        if not await asyncio.to_thread(self._desk.keep, self._job, trace):
            await self.say(no_articles_message())
            return
        await self.say(answer_message(trace.answer, private=True))

    async def say(self, message: Message) -> None:
        """Say something to the asker alone; where the command's address is used up, in their direct messages."""
        if not await asyncio.to_thread(self._desk.inbox.about_to_post, self._job):
            raise LostError
        fresh = time.time() - self._job.received < _RESPONSE_URL
        if fresh and await respond(self._job.details["response_url"], message):
            return
        await post(self._desk.surface.client, message, channel=self._job.person)


async def respond(url: str, message: Message, *, public: bool = False) -> bool:
    """Send a message to the address that came with a command or a click; False where Slack takes none there.

    Raises SlackTroubleError.
    """
    webhook = AsyncWebhookClient(url, timeout=_TIMEOUT, retry_handlers=[AsyncRateLimitErrorRetryHandler()])
    sent = await told(
        webhook.send(
            text=message.text,
            blocks=list(message.blocks),
            response_type="in_channel" if public else "ephemeral",
            replace_original=False,
            unfurl_links=False,
            unfurl_media=False,
        ),
        "response_url",
    )
    if sent.status_code >= 500:
        raise SlackTroubleError(f"response_url: status {sent.status_code}")
    return bool(sent.status_code == 200)


class CheckSession:
    """Checks a colleague's message against the articles, in a modal that the shortcut has opened."""

    def __init__(self, desk: Desk, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def work(self) -> None:
        """Fill the modal sentence by sentence."""
        if await asyncio.to_thread(lambda: self._desk.is_empty):
            await self.say(no_articles_message())
            return
        checked: list[Checked] = []
        async for batch in batches(self._checks):
            checked += batch
            await self._show(check_view(checked, done=False))
        await self._show(check_view(checked, done=True))

    async def say(self, message: Message) -> None:
        """Say something in the modal."""
        await self._show(notice_view(message))

    def _checks(self) -> Iterator[Checked]:
        workspace = self._desk.workspace
        filters = self._desk.filters(self._job)
        checker = workspace.checker(filters)
        parser = ClaimParser(passages=0)
        claims = [*parser.feed(self._job.text), *parser.close()]
        for claim in claims[:_CHECKED]:
            yield checker.check(claim.text)

    async def _show(self, view: dict[str, object]) -> None:
        client, view_id = self._desk.surface.client, self._job.details["view_id"]
        await told(client.views_update(view_id=view_id, view=view), "views.update")

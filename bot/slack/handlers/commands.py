"""What only the asker sees: answers to the slash command, and what a shortcut's check has found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.answering.fact_check import CheckResult
from bot.answering.generation.output_parser import StreamingAnswerParser
from bot.answering.question import AnswerTrace
from bot.answering.streaming import stream_in_thread
from bot.errors import SlackUnavailableError
from bot.slack.client import call_api, post
from bot.slack.handlers.questions import SlackContext
from bot.slack.models import Job
from bot.slack.rendering.answer import Message, answer_message
from bot.slack.rendering.messages import help_message, no_articles_message
from bot.slack.rendering.views import check_view, notice_view
from bot.slack.reply import LeaseLostError

_RESPONSE_URL = 29 * 60.0  # seconds; Slack takes an answer at the address it gave for thirty minutes
_TIMEOUT = 10
_CHECKED = 20  # sentences: more than that is an article, for `citewire check`


class CommandHandler:
    """Answers `/cite question`, seen by the asker alone until they share it."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def run(self) -> None:
        """Answer at the address that came with the command."""
        if not self._job.text:
            await self.notify(help_message())
            return
        if stored := await asyncio.to_thread(self._desk.load_answer, self._job):
            await self.notify(answer_message(stored, private=True))
            return
        question = await asyncio.to_thread(self._desk.question, self._job)
        trace: AnswerTrace | None = None
        async for parts in stream_in_thread(lambda: self._desk.workspace.chain.stream_with_trace(question)):
            trace = parts[-1] if isinstance(parts[-1], AnswerTrace) else None
        assert trace
        if not await asyncio.to_thread(self._desk.save_answer, self._job, trace):
            await self.notify(no_articles_message())
            return
        await self.notify(answer_message(trace.answer, private=True))

    async def notify(self, message: Message) -> None:
        """Say something to the asker alone; where the command's address is used up, in their direct messages."""
        if not await asyncio.to_thread(self._desk.inbox.mark_posting, self._job):
            raise LeaseLostError
        fresh = time.time() - self._job.received < _RESPONSE_URL
        if fresh and await respond(self._job.details["response_url"], message):
            return
        await post(self._desk.surface.client, message, channel=self._job.person)


async def respond(url: str, message: Message, *, public: bool = False) -> bool:
    """Send a message to the address that came with a command or a click; False where Slack takes none there.

    Raises SlackUnavailableError.
    """
    webhook = AsyncWebhookClient(url, timeout=_TIMEOUT, retry_handlers=[AsyncRateLimitErrorRetryHandler()])
    sent = await call_api(
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
        raise SlackUnavailableError(f"response_url: status {sent.status_code}")
    return bool(sent.status_code == 200)


class CheckHandler:
    """Checks a colleague's message against the articles, in a modal that the shortcut has opened."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def run(self) -> None:
        """Fill the modal sentence by sentence."""
        if await asyncio.to_thread(lambda: self._desk.is_empty):
            await self.notify(no_articles_message())
            return
        checked: list[CheckResult] = []
        async for batch in stream_in_thread(self._checks):
            checked += batch
            await self._show(check_view(checked, done=False))
        await self._show(check_view(checked, done=True))

    async def notify(self, message: Message) -> None:
        """Say something in the modal."""
        await self._show(notice_view(message))

    def _checks(self) -> Iterator[CheckResult]:
        workspace = self._desk.workspace
        filters = self._desk.filters(self._job)
        checker = workspace.checker(filters)
        parser = StreamingAnswerParser(passages=0)
        claims = [*parser.feed(self._job.text), *parser.close()]
        for claim in claims[:_CHECKED]:
            yield checker.check(claim.text)

    async def _show(self, view: dict[str, object]) -> None:
        client, view_id = self._desk.surface.client, self._job.details["view_id"]
        await call_api(client.views_update(view_id=view_id, view=view), "views.update")

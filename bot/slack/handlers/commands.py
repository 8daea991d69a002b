"""Handlers for `/cite` and the message shortcut, whose results only the requesting user sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bot.answering.fact_check import CheckResult
from bot.answering.generation.output_parser import StreamingAnswerParser
from bot.answering.question import AnswerTrace
from bot.answering.streaming import stream_in_thread
from bot.slack.client import call_api, post, respond
from bot.slack.handlers.questions import SlackContext
from bot.slack.models import Job
from bot.slack.rendering.answer import Message, answer_message
from bot.slack.rendering.messages import help_message, no_articles_message
from bot.slack.rendering.views import check_view, notice_view
from bot.slack.reply import LeaseLostError

_RESPONSE_URL_SECONDS = 29 * 60.0  # Slack accepts responses at a response URL for thirty minutes
_MAX_CHECKED_SENTENCES = 20  # a longer text is an article: use `citewire check`


class CommandHandler:
    """Answers `/cite QUESTION`; only the user sees the answer until they share it."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def run(self) -> None:
        """Answer at the response URL of the command."""
        if not self._job.text:
            await self.notify(help_message())
            return
        if stored := await asyncio.to_thread(self._desk.load_answer, self._job):
            await self.notify(answer_message(stored, private=True))
            return
        question = await asyncio.to_thread(self._desk.build_question, self._job)
        trace: AnswerTrace | None = None
        async for parts in stream_in_thread(lambda: self._desk.workspace.chain.stream_with_trace(question)):
            trace = parts[-1] if isinstance(parts[-1], AnswerTrace) else None
        assert trace
        if not await asyncio.to_thread(self._desk.save_answer, self._job, trace):
            await self.notify(no_articles_message())
            return
        await self.notify(answer_message(trace.answer, private=True))

    async def notify(self, message: Message) -> None:
        """Send a message to the user alone, as a direct message if the response URL has expired.

        Raises:
            LeaseLostError: if another process has taken the job.
        """
        if not await asyncio.to_thread(self._desk.inbox.mark_posting, self._job):
            raise LeaseLostError
        is_fresh = time.time() - self._job.received < _RESPONSE_URL_SECONDS
        if is_fresh and await respond(self._job.details["response_url"], message):
            return
        await post(self._desk.surface.client, message, channel=self._job.person)


class CheckHandler:
    """Checks a Slack message against the articles and shows the results in the modal opened by the shortcut."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def run(self) -> None:
        """Check the message and update the modal after each sentence."""
        if await asyncio.to_thread(lambda: self._desk.is_empty):
            await self.notify(no_articles_message())
            return
        checked: list[CheckResult] = []
        async for batch in stream_in_thread(self._iter_checks):
            checked += batch
            await self._show(check_view(checked, done=False))
        await self._show(check_view(checked, done=True))

    async def notify(self, message: Message) -> None:
        """Show a message in the modal."""
        await self._show(notice_view(message))

    def _iter_checks(self) -> Iterator[CheckResult]:
        workspace = self._desk.workspace
        filters = self._desk.build_filters(self._job)
        checker = workspace.fact_checker(filters)
        parser = StreamingAnswerParser(passages=0)
        claims = [*parser.feed(self._job.text), *parser.close()]
        for claim in claims[:_MAX_CHECKED_SENTENCES]:
            yield checker.check(claim.text)

    async def _show(self, view: dict[str, object]) -> None:
        client, view_id = self._desk.surface.client, self._job.details["view_id"]
        await call_api(client.views_update(view_id=view_id, view=view), "views.update")

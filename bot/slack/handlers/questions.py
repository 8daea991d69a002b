"""Handlers for questions in channels, threads and direct messages: answers, edits and deletions."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from bot.answering.answer import Sentence
from bot.answering.observer import AnswerObserver
from bot.answering.query_rewriting import is_follow_up
from bot.answering.question import AnswerTrace, ConversationTurn, Notice, Question
from bot.answering.streaming import stream_in_thread
from bot.errors import SlackRejectedError, SlackUnavailableError
from bot.indexing.filters import SearchFilters
from bot.observability.tracing import get_context
from bot.slack.channel_settings import ChannelSettings
from bot.slack.client import SlackClient, call_api, iter_thread
from bot.slack.events import message_text
from bot.slack.models import Job
from bot.slack.queue import JobQueue
from bot.slack.rendering.answer import Message
from bot.slack.rendering.escaping import clip_and_neutralize
from bot.slack.rendering.messages import help_message, no_articles_message
from bot.slack.reply import Reply

if TYPE_CHECKING:
    from bot.answering.answer import Answer
    from bot.services import Services

_MAX_CONTEXT_MESSAGES = 3  # of a thread, before its first question, that a follow-up may refer to
_MAX_READ_MESSAGES = 1_000  # of a thread: in a longer one, a question is answered without context
_MAX_TITLE_CHARS = 80


class SlackContext:
    """Dependencies shared by all job handlers."""

    def __init__(
        self,
        workspace: Services,
        surface: SlackClient,
        inbox: JobQueue,
        channels: ChannelSettings,
        witness: AnswerObserver,
    ) -> None:
        self.workspace = workspace
        self.surface = surface
        self.inbox = inbox
        self.channels = channels
        self._witness = witness

    def build_question(self, job: Job, history: Sequence[ConversationTurn] = ()) -> Question:
        """Return the question of a job, with the filters of its channel."""
        self._witness.on_question("slack")
        asked = datetime.fromtimestamp(job.received).astimezone()
        answer_id = get_context().get("answer_id", "")
        return Question(job.text, tuple(history), self.build_filters(job), asked=asked, answer_id=answer_id)

    def build_filters(self, job: Job) -> SearchFilters:
        """Return the search filters of the channel of a job."""
        return SearchFilters(sources=self.channels.get(job.channel).sources)

    def save_answer(self, job: Job, trace: AnswerTrace) -> bool:
        """Store an answer before it is posted: feedback refers to the stored answer.

        Returns:
            False if it was not stored because there are no articles.
        """
        if trace.answer.status == "not_found" and self.is_empty:
            return False
        self.workspace.answers.save(trace)
        self.inbox.mark_answered(job, trace.answer.id)
        self._witness.on_answer(trace.answer, via="slack", seconds=time.time() - job.received)
        return True

    def load_answer(self, job: Job) -> Answer | None:
        """Return the answer that was stored before a crash, so that it is posted without another search, or None."""
        found = self.workspace.answers.load(job.answer_id) if job.answer_id else None
        return found[0] if found else None

    @property
    def is_empty(self) -> bool:
        """True if there are no articles."""
        return self.workspace.articles.is_empty()


class QuestionHandler:
    """Answers a question; the answer to an edited question replaces the first answer."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job
        self._reply = Reply(desk.surface, desk.inbox, job)

    async def run(self) -> None:
        """Post the answer in the thread, each part as soon as it is verified."""
        job, inbox = self._job, self._desk.inbox
        if await asyncio.to_thread(inbox.is_superseded, job):
            # The edit or deletion that follows handles a reply that was left by a crash.
            await self._reply.find_existing()
            return
        await self._reply.begin()
        if stored := await asyncio.to_thread(self._desk.load_answer, job):
            await self._reply.finish(stored)
            return
        history = await self._history()
        if not job.text and history:  # a mention without text refers to the message above it
            job = replace(job, text=history[-1].question)
            history = history[:-1]
        if not job.text:
            await self._reply.say(help_message())
            return
        await self._answer(job, history)

    async def notify(self, message: Message) -> None:
        """Post a message in place of the answer."""
        await self._reply.say(message)

    async def _answer(self, job: Job, history: Sequence[ConversationTurn]) -> None:
        question = await asyncio.to_thread(self._desk.build_question, job, history)
        trace: AnswerTrace | None = None
        pending: list[Notice | Sentence] = []
        async for parts in stream_in_thread(lambda: self._desk.workspace.chain.stream_with_trace(question)):
            pending += [part for part in parts if not isinstance(part, AnswerTrace)]
            if isinstance(parts[-1], AnswerTrace):
                trace = parts[-1]
            # The AnswerTrace follows quotes immediately, and its citations mark the words in them that answer.
            if pending and (trace or not _is_quote(pending[-1])):
                await self._reply.append(pending, trace.answer.citations if trace else ())
                pending = []
        assert trace
        if not await asyncio.to_thread(self._desk.save_answer, job, trace):
            await self._reply.say(no_articles_message())
            return
        await self._reply.finish(trace.answer)
        if job.is_direct_message and not history:
            await self._set_title(job)

    async def _set_title(self, job: Job) -> None:
        await self._desk.surface.attempt(
            "assistant.threads.setTitle",
            "assistant_threads_setTitle",
            channel_id=job.channel,
            thread_ts=job.thread,
            title=clip_and_neutralize(job.text, _MAX_TITLE_CHARS),
        )

    async def _history(self) -> tuple[ConversationTurn, ...]:
        """Return the conversation with the bot, or at the first question in a thread the messages before it.

        Those messages are read only for a mention without text or a follow-up.
        """
        job = self._job
        history = await asyncio.to_thread(self._desk.inbox.threads.history, job)
        if (
            history
            or job.is_direct_message
            or job.thread == job.target
            or (job.text and not is_follow_up(job.text))
        ):
            return history
        return await self._read_thread()

    async def _read_thread(self) -> tuple[ConversationTurn, ...]:
        job, surface = self._job, self._desk.surface
        texts: deque[str] = deque(maxlen=_MAX_CONTEXT_MESSAGES)
        read = 0
        try:
            async for message in iter_thread(surface.client, job.channel, job.thread, latest=job.target):
                read += 1
                if read > _MAX_READ_MESSAGES:
                    return ()
                is_ours = message.get("bot_id") or message.get("user") == surface.bot_user_id
                if not is_ours and message["ts"] < job.target:
                    texts.append(message_text(message.get("text") or "", surface.bot_user_id))
        except (SlackRejectedError, SlackUnavailableError):
            return ()  # the question is answered without context
        return tuple(ConversationTurn(text) for text in texts if text)


def _is_quote(part: Notice | Sentence) -> bool:
    return isinstance(part, Sentence) and part.support == "verbatim"


class DeletionHandler:
    """Deletes the answer to a question that was deleted."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def run(self) -> None:
        """Delete the answer if there is one."""
        job, inbox, client = self._job, self._desk.inbox, self._desk.surface.client
        reply = await asyncio.to_thread(inbox.threads.reply_to, job.channel, job.target)
        if reply:
            try:
                await call_api(client.chat_delete(channel=job.channel, ts=reply), "chat.delete")
            except SlackRejectedError as exc:
                if exc.reason != "message_not_found":
                    raise
        await asyncio.to_thread(inbox.threads.remove_question, job.channel, job.target)

    async def notify(self, message: Message) -> None:
        """Do nothing: no user waits for a message."""

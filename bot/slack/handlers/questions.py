"""Questions asked in a channel, a thread or a direct conversation: answered where they were asked."""

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
from bot.slack.rendering.escaping import clip_literal
from bot.slack.rendering.messages import help_message, no_articles_message
from bot.slack.reply import Reply

if TYPE_CHECKING:
    from bot.answering.answer import Answer
    from bot.services import Services

_HEARD = 3  # messages of a thread, before the bot was asked in it, that a question may lean on
_READ = 1_000  # messages of a thread: below more, a question stands by itself
_TITLE = 80


class SlackContext:
    """What every session needs: the chain and its journal, the inbox, and what is set for each channel."""

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

    def question(self, job: Job, history: Sequence[ConversationTurn] = ()) -> Question:
        """Return what a job asks, as it is asked in its channel."""
        self._witness.on_question("slack")
        asked = datetime.fromtimestamp(job.received).astimezone()
        answer_id = get_context().get("answer_id", "")
        return Question(job.text, tuple(history), self.filters(job), asked=asked, answer_id=answer_id)

    def filters(self, job: Job) -> SearchFilters:
        """Return from which articles a job's channel is answered."""
        return SearchFilters(sources=self.channels.get(job.channel).sources)

    def save_answer(self, job: Job, trace: AnswerTrace) -> bool:
        """Store an answer before it is shown: what people say of it needs it. False: there are no articles at all."""
        if trace.answer.status == "not_found" and self.is_empty:
            return False
        self.workspace.answers.save(trace)
        self.inbox.mark_answered(job, trace.answer.id)
        self._witness.on_answer(trace.answer, via="slack", seconds=time.time() - job.received)
        return True

    def load_answer(self, job: Job) -> Answer | None:
        """Return the answer that was found before a crash; it is told and not sought again."""
        found = self.workspace.answers.load(job.answer_id) if job.answer_id else None
        return found[0] if found else None

    @property
    def is_empty(self) -> bool:
        """Whether there are no articles at all."""
        return self.workspace.articles.is_empty()


class QuestionHandler:
    """Answers a question, or an edited one in the place of its first answer."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job
        self._reply = Reply(desk.surface, desk.inbox, job)

    async def run(self) -> None:
        """Answer in the thread, part by part as each is verified."""
        job, inbox = self._job, self._desk.inbox
        if await asyncio.to_thread(inbox.is_superseded, job):
            await (
                self._reply.find_existing()
            )  # what a crash left is for the edit or deletion, which comes next
            return
        await self._reply.begin()
        if stored := await asyncio.to_thread(self._desk.load_answer, job):
            await self._reply.finish(stored)
            return
        history = await self._history()
        if not job.text and history:  # only mentioned, below what somebody said
            job = replace(job, text=history[-1].question)
            history = history[:-1]
        if not job.text:
            await self._reply.say(help_message())
            return
        await self._answer(job, history)

    async def notify(self, message: Message) -> None:
        """Say something in the place of the answer."""
        await self._reply.say(message)

    async def _answer(self, job: Job, history: Sequence[ConversationTurn]) -> None:
        question = await asyncio.to_thread(self._desk.question, job, history)
        trace: AnswerTrace | None = None
        waiting: list[Notice | Sentence] = []
        async for parts in stream_in_thread(lambda: self._desk.workspace.chain.stream_with_trace(question)):
            waiting += [part for part in parts if not isinstance(part, AnswerTrace)]
            if isinstance(parts[-1], AnswerTrace):
                trace = parts[-1]
            # The Trace follows quotes at once, and its citations have the words of them that answer.
            if waiting and (trace or not _is_quote(waiting[-1])):
                await self._reply.append(waiting, trace.answer.citations if trace else ())
                waiting = []
        assert trace
        if not await asyncio.to_thread(self._desk.save_answer, job, trace):
            await self._reply.say(no_articles_message())
            return
        await self._reply.finish(trace.answer)
        if job.is_direct_message and not history:
            await self._title(job)

    async def _title(self, job: Job) -> None:
        await self._desk.surface.attempt(
            "assistant.threads.setTitle",
            "assistant_threads_setTitle",
            channel_id=job.channel,
            thread_ts=job.thread,
            title=clip_literal(job.text, _TITLE),
        )

    async def _history(self) -> tuple[ConversationTurn, ...]:
        """Return what was said before: to the bot, or else in the thread in which it is asked for the first time."""
        job = self._job
        said = await asyncio.to_thread(self._desk.inbox.threads.history, job)
        if (
            said
            or job.is_direct_message
            or job.thread == job.target
            or (job.text and not is_follow_up(job.text))
        ):
            return said
        return await self._overheard()

    async def _overheard(self) -> tuple[ConversationTurn, ...]:
        job, surface = self._job, self._desk.surface
        heard: deque[str] = deque(maxlen=_HEARD)
        read = 0
        try:
            async for message in iter_thread(surface.client, job.channel, job.thread, latest=job.target):
                read += 1
                if read > _READ:
                    return ()
                is_ours = message.get("bot_id") or message.get("user") == surface.bot_user_id
                if not is_ours and message["ts"] < job.target:
                    heard.append(message_text(message.get("text") or "", surface.bot_user_id))
        except (SlackRejectedError, SlackUnavailableError):
            return ()  # the question is answered by itself
        return tuple(ConversationTurn(text) for text in heard if text)


def _is_quote(part: Notice | Sentence) -> bool:
    return isinstance(part, Sentence) and part.support == "verbatim"


class DeletionHandler:
    """Takes back the answer to a question that was deleted."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def run(self) -> None:
        """Delete the answer, where there is one."""
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
        """Say nothing: nobody waits for a word."""

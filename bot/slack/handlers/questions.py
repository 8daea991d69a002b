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
from bot.answering.observer import Witness
from bot.answering.query_rewriting import leans
from bot.answering.question import Exchange, Notice, Question, Trace
from bot.answering.streaming import batches
from bot.errors import SlackRefusedError, SlackTroubleError
from bot.indexing.filters import Filters
from bot.observability.tracing import bound
from bot.slack.channel_settings import ChannelSettings
from bot.slack.client import Surface, replies, told
from bot.slack.events import words_of
from bot.slack.models import Job
from bot.slack.queue import Inbox
from bot.slack.rendering.answer import Message
from bot.slack.rendering.escaping import clip_literal
from bot.slack.rendering.messages import help_message, no_articles_message
from bot.slack.reply import Reply

if TYPE_CHECKING:
    from bot.answering.answer import Answer
    from bot.services import Workspace

_HEARD = 3  # messages of a thread, before the bot was asked in it, that a question may lean on
_READ = 1_000  # messages of a thread: below more, a question stands by itself
_TITLE = 80


class Desk:
    """What every session needs: the chain and its journal, the inbox, and what is set for each channel."""

    def __init__(
        self,
        workspace: Workspace,
        surface: Surface,
        inbox: Inbox,
        channels: ChannelSettings,
        witness: Witness,
    ) -> None:
        self.workspace = workspace
        self.surface = surface
        self.inbox = inbox
        self.channels = channels
        self._witness = witness

    def question(self, job: Job, history: Sequence[Exchange] = ()) -> Question:
        """Return what a job asks, as it is asked in its channel."""
        self._witness.asked("slack")
        asked = datetime.fromtimestamp(job.received).astimezone()
        answer_id = bound().get("answer_id", "")
        return Question(job.text, tuple(history), self.filters(job), asked=asked, answer_id=answer_id)

    def filters(self, job: Job) -> Filters:
        """Return from which articles a job's channel is answered."""
        return Filters(sources=self.channels.get(job.channel).sources)

    def keep(self, job: Job, trace: Trace) -> bool:
        """Store an answer before it is shown: what people say of it needs it. False: there are no articles at all."""
        if trace.answer.status == "not_found" and self.is_empty:
            return False
        self.workspace.journal.remember(trace)
        self.inbox.answered(job, trace.answer.id)
        self._witness.answered(trace.answer, via="slack", seconds=time.time() - job.received)
        return True

    def stored(self, job: Job) -> Answer | None:
        """Return the answer that was found before a crash; it is told and not sought again."""
        found = self.workspace.journal.recall(job.answer_id) if job.answer_id else None
        return found[0] if found else None

    @property
    def is_empty(self) -> bool:
        """Whether there are no articles at all."""
        return self.workspace.library.is_empty()


class QuestionSession:
    """Answers a question, or an edited one in the place of its first answer."""

    def __init__(self, desk: Desk, job: Job) -> None:
        self._desk = desk
        self._job = job
        self._reply = Reply(desk.surface, desk.inbox, job)

    async def work(self) -> None:
        """Answer in the thread, part by part as each is verified."""
        job, inbox = self._job, self._desk.inbox
        if await asyncio.to_thread(inbox.overtaken, job):
            await self._reply.seek()  # what a crash left is for the edit or deletion, which comes next
            return
        await self._reply.begin()
        if stored := await asyncio.to_thread(self._desk.stored, job):
            await self._reply.end(stored)
            return
        history = await self._history()
        if not job.text and history:  # only mentioned, below what somebody said
            job = replace(job, text=history[-1].question)
            history = history[:-1]
        if not job.text:
            await self._reply.say(help_message())
            return
        await self._answer(job, history)

    async def say(self, message: Message) -> None:
        """Say something in the place of the answer."""
        await self._reply.say(message)

    async def _answer(self, job: Job, history: Sequence[Exchange]) -> None:
        question = await asyncio.to_thread(self._desk.question, job, history)
        trace: Trace | None = None
        waiting: list[Notice | Sentence] = []
        async for parts in batches(lambda: self._desk.workspace.chain.traced(question)):
            waiting += [part for part in parts if not isinstance(part, Trace)]
            if isinstance(parts[-1], Trace):
                trace = parts[-1]
            # The Trace follows quotes at once, and its citations have the words of them that answer.
            if waiting and (trace or not _is_quote(waiting[-1])):
                await self._reply.add(waiting, trace.answer.citations if trace else ())
                waiting = []
        assert trace
        if not await asyncio.to_thread(self._desk.keep, job, trace):
            await self._reply.say(no_articles_message())
            return
        await self._reply.end(trace.answer)
        if job.direct and not history:
            await self._title(job)

    async def _title(self, job: Job) -> None:
        await self._desk.surface.attempt(
            "assistant.threads.setTitle",
            "assistant_threads_setTitle",
            channel_id=job.channel,
            thread_ts=job.thread,
            title=clip_literal(job.text, _TITLE),
        )

    async def _history(self) -> tuple[Exchange, ...]:
        """Return what was said before: to the bot, or else in the thread in which it is asked for the first time."""
        job = self._job
        said = await asyncio.to_thread(self._desk.inbox.said.history, job)
        if said or job.direct or job.thread == job.target or (job.text and not leans(job.text)):
            return said
        return await self._overheard()

    async def _overheard(self) -> tuple[Exchange, ...]:
        job, surface = self._job, self._desk.surface
        heard: deque[str] = deque(maxlen=_HEARD)
        read = 0
        try:
            async for message in replies(surface.client, job.channel, job.thread, latest=job.target):
                read += 1
                if read > _READ:
                    return ()
                is_ours = message.get("bot_id") or message.get("user") == surface.me
                if not is_ours and message["ts"] < job.target:
                    heard.append(words_of(message.get("text") or "", surface.me))
        except (SlackRefusedError, SlackTroubleError):
            return ()  # the question is answered by itself
        return tuple(Exchange(text) for text in heard if text)


def _is_quote(part: Notice | Sentence) -> bool:
    return isinstance(part, Sentence) and part.support == "verbatim"


class DeletionSession:
    """Takes back the answer to a question that was deleted."""

    def __init__(self, desk: Desk, job: Job) -> None:
        self._desk = desk
        self._job = job

    async def work(self) -> None:
        """Delete the answer, where there is one."""
        job, inbox, client = self._job, self._desk.inbox, self._desk.surface.client
        reply = await asyncio.to_thread(inbox.said.reply_to, job.channel, job.target)
        if reply:
            try:
                await told(client.chat_delete(channel=job.channel, ts=reply), "chat.delete")
            except SlackRefusedError as exc:
                if exc.reason != "message_not_found":
                    raise
        await asyncio.to_thread(inbox.said.withdraw, job.channel, job.target)

    async def say(self, message: Message) -> None:
        """Say nothing: nobody waits for a word."""

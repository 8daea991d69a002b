"""What was said in Slack and no longer stands: its citations are struck through, and its thread gets a note."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection

from sqlalchemy import select, update

from bot.answers.answer import Citation
from bot.answers.standing import Affected, Standings
from bot.articles.database import insert_new
from bot.articles.library import Library
from bot.articles.schema import TOLD, facts, slack_struck
from bot.errors import SlackRefusedError
from bot.slack.blocks import Message, answer_message
from bot.slack.inbox import Inbox
from bot.slack.jobs import Job, Request
from bot.slack.messages import correction_message
from bot.slack.questions import Desk
from bot.slack.reply import NOTE, LostError
from bot.slack.web import post, replies, told

log = logging.getLogger(__name__)

_AGAIN = 60.0  # seconds between two looks at the same generation
_SETTLED = 1_000.0  # seconds: longer than an answer may take; one that was begun before a change may be stored after it


class Struck:
    """Remembers which citations were struck through."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def new(self, affected: Affected) -> tuple[Citation, ...]:
        """Return the citations that no longer stand and are not struck through yet."""
        query = select(slack_struck.c.n).where(slack_struck.c.answer_id == affected.answer.id)
        with self._library.reading() as connection:
            known = set(connection.scalars(query))
        return tuple(citation for citation in affected.broken if citation.n not in known)

    def add(self, answer_id: str, citations: Collection[Citation]) -> None:
        """Note that these are struck through."""
        with self._library.changing() as connection:
            for citation in citations:
                insert_new(connection, slack_struck, {"answer_id": answer_id, "n": citation.n})


class Corrections:
    """Finds the answers that no longer stand, and makes a job of each. Several processes may look."""

    def __init__(
        self,
        library: Library,
        standings: Standings,
        inbox: Inbox,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._standings = standings
        self._inbox = inbox
        self._struck = Struck(library)
        self._clock = clock
        self._seen: deque[tuple[int, float]] = deque()  # generations, and when each was seen first
        self._looked = -_AGAIN

    def look(self) -> None:
        """Look at what has changed since people were told the last time."""
        generation, now = self._library.generation(), self._clock()
        told = self._told()
        is_new = not self._seen or self._seen[-1][0] < generation
        if is_new:
            self._seen.append((generation, now))
        if told < generation and (is_new or now - self._looked >= _AGAIN):
            self._looked = now
            self._make_jobs(self._standings.affected_ids(generation=told))
        self._settle(now)

    def _make_jobs(self, answer_ids: Collection[str]) -> None:
        for answer_id, job in self._inbox.said.told(answer_ids).items():
            affected = self._standings.of(answer_id)
            if affected and (new := self._struck.new(affected)):
                self._inbox.take(_request(job, answer_id, new))

    def _settle(self, now: float) -> None:
        """Note up to where all answers are known, so that it is not looked at again."""
        settled = None
        while self._seen and now - self._seen[0][1] >= _SETTLED:
            settled = self._seen.popleft()[0]
        if settled is not None and settled > self._told():
            with self._library.changing() as connection:
                connection.execute(update(facts).where(facts.c.key == TOLD).values(value=str(settled)))

    def _told(self) -> int:
        with self._library.reading() as connection:
            return int(connection.scalar(select(facts.c.value).where(facts.c.key == TOLD)) or 0)


def _request(job: Job, answer_id: str, broken: Collection[Citation]) -> Request:
    numbers = ",".join(str(citation.n) for citation in broken)
    return Request(
        kind="correction",
        channel=job.channel,
        thread=job.thread,
        target=answer_id,
        ts=f"{time.time():.6f}",  # behind everything that is open in its thread
        person="",
        team=job.team,
        text=numbers,
    )


class CorrectionSession:
    """Tells those who were given an answer which of its citations no longer stand."""

    def __init__(self, desk: Desk, job: Job) -> None:
        self._desk = desk
        self._job = job
        self._client = desk.surface.client
        self._struck = Struck(desk.workspace.library)

    async def work(self) -> None:
        """Strike the citations through where the answer stands, and say so below it, once."""
        answer_id = self._job.target
        affected = await asyncio.to_thread(self._desk.workspace.standings.of, answer_id)
        asked = (await asyncio.to_thread(self._desk.inbox.said.told, [answer_id])).get(answer_id)
        if affected is None or asked is None:  # its question was deleted, or has another answer by now
            return
        new = await asyncio.to_thread(self._struck.new, affected)
        if new and not await self._is_said():
            await (self._correct(affected, new, asked) if asked.reply else self._write(affected, new, asked))
        await asyncio.to_thread(self._struck.add, answer_id, new)

    async def say(self, message: Message) -> None:
        """Say nothing: nobody waits for a word."""

    async def _correct(self, affected: Affected, new: tuple[Citation, ...], asked: Job) -> None:
        message = answer_message(affected.answer, helpers=self._desk.surface.helpers)
        await self._fence()
        try:
            await told(
                self._client.chat_update(
                    channel=asked.channel, ts=asked.reply, text=message.text, blocks=list(message.blocks)
                ),
                "chat.update",
            )
        except SlackRefusedError as exc:
            if exc.reason == "message_not_found":
                return
            log.warning("%s: struck through in a note alone: %s", self._job.reference, exc)
        await self._post(correction_message(new), channel=asked.channel, thread_ts=asked.thread)

    async def _write(self, affected: Affected, new: tuple[Citation, ...], asked: Job) -> None:
        """Write to who alone has seen the answer: it cannot be changed any more."""
        if asked.kind == "command":
            question = affected.answer.question
            await self._fence()
            await self._post(correction_message(new, question=question), channel=asked.person)

    async def _post(self, message: Message, **place: str) -> None:
        note = {"event_type": NOTE, "event_payload": {"correction": self._job.reference}}
        await self._fence()
        await post(self._client, message, metadata=note, **place)

    async def _is_said(self) -> bool:
        """Say whether the note stands there already: it may, where the process that posted it could not note so."""
        job = self._job
        if not job.posting or not job.thread:
            return False
        async for message in replies(self._client, job.channel, job.thread, include_all_metadata="true"):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if message.get("user") == self._desk.surface.me and payload.get("correction") == job.reference:
                return True
        return False

    async def _fence(self) -> None:
        if not await asyncio.to_thread(self._desk.inbox.about_to_post, self._job):
            raise LostError

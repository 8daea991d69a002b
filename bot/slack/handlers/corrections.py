"""What was said in Slack and no longer stands: its citations are struck through, and its thread gets a note.

Where an article comes back with what was cited of it, that is taken back, and told once more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from sqlalchemy import delete, select, update

from bot.answering.answer import Citation
from bot.answering.citation_status import AffectedAnswer, CitationAudit
from bot.errors import SlackRejectedError
from bot.slack.client import call_api, iter_thread, post
from bot.slack.handlers.questions import SlackContext
from bot.slack.models import Job, Request
from bot.slack.queue import JobQueue
from bot.slack.rendering.answer import Message, answer_message
from bot.slack.rendering.messages import correction_message
from bot.slack.reply import METADATA_EVENT, LeaseLostError
from bot.storage.article_store import ArticleStore
from bot.storage.database import insert_if_absent
from bot.storage.schema import TOLD, facts, slack_struck

logger = logging.getLogger(__name__)

_AGAIN = 60.0  # seconds between two looks at the same generation
_SETTLED = 1_000.0  # seconds: longer than an answer may take; one that was begun before a change may be stored after it


class CitationChanges(NamedTuple):
    """What is to be told of an answer: citations that no longer stand, and struck ones that stand again."""

    broken: tuple[Citation, ...]
    restored: tuple[Citation, ...]


class PostedCorrections:
    """Remembers which citations are struck through."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def news(self, affected: AffectedAnswer) -> CitationChanges:
        """Compare what stands now with what is struck through."""
        query = select(slack_struck.c.n).where(slack_struck.c.answer_id == affected.answer.id)
        with self._library.connect() as connection:
            known = set(connection.scalars(query))
        struck = [citation for citation in affected.answer.citations if citation.n in known]
        return CitationChanges(
            broken=tuple(citation for citation in affected.broken if citation.n not in known),
            restored=tuple(citation for citation in struck if citation.standing == "stands"),
        )

    def note(self, answer_id: str, news: CitationChanges) -> None:
        """Note that it was told."""
        told = [citation.n for citation in news.restored]
        with self._library.transaction() as connection:
            for citation in news.broken:
                insert_if_absent(connection, slack_struck, {"answer_id": answer_id, "n": citation.n})
            connection.execute(
                delete(slack_struck).where(slack_struck.c.answer_id == answer_id, slack_struck.c.n.in_(told))
            )


class CorrectionScanner:
    """Finds the answers that no longer stand, and makes a job of each. Several processes may look."""

    def __init__(
        self,
        library: ArticleStore,
        standings: CitationAudit,
        inbox: JobQueue,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._standings = standings
        self._inbox = inbox
        self._struck = PostedCorrections(library)
        self._clock = clock
        self._seen: deque[tuple[int, float]] = deque()  # generations, and when each was seen first
        self._looked = -_AGAIN

    def scan(self) -> None:
        """Look at what has changed since people were told the last time."""
        generation, now = self._library.generation(), self._clock()
        told = self._told()
        is_new = not self._seen or self._seen[-1][0] < generation
        if is_new:
            self._seen.append((generation, now))
        if told < generation and (is_new or now - self._looked >= _AGAIN):
            self._looked = now
            self._make_jobs(self._standings.affected_ids(generation=told))
        self._advance_cursor(now)

    def _make_jobs(self, answer_ids: Collection[str]) -> None:
        for answer_id, job in self._inbox.threads.told(answer_ids).items():
            affected = self._standings.for_answer(answer_id)
            if affected and any(news := self._struck.news(affected)):
                self._inbox.enqueue(_request(job, affected, news))

    def _advance_cursor(self, now: float) -> None:
        """Note up to where all answers are known, so that it is not looked at again."""
        settled = None
        while self._seen and now - self._seen[0][1] >= _SETTLED:
            settled = self._seen.popleft()[0]
        if settled is not None and settled > self._told():
            with self._library.transaction() as connection:
                connection.execute(update(facts).where(facts.c.key == TOLD).values(value=str(settled)))

    def _told(self) -> int:
        with self._library.connect() as connection:
            return int(connection.scalar(select(facts.c.value).where(facts.c.key == TOLD)) or 0)


def _request(job: Job, affected: AffectedAnswer, news: CitationChanges) -> Request:
    """Return it, the same each time that it is found: by its citations, and when their articles changed last."""
    numbers = "/".join(",".join(str(citation.n) for citation in which) for which in news)
    changed = max((str(affected.since[one.n].changed or "") for which in news for one in which), default="")
    return Request(
        kind="correction",
        channel=job.channel,
        thread=job.thread or job.reply,
        target=affected.answer.id,
        ts=f"{time.time():.6f}",  # behind everything that is open in its thread
        person="",
        team=job.team,
        text=f"{numbers} {changed}",
    )


class CorrectionHandler:
    """Tells those who were given an answer which of its citations no longer stand, or stand again."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job
        self._client = desk.surface.client
        self._struck = PostedCorrections(desk.workspace.articles)

    async def run(self) -> None:
        """Strike the citations through where the answer stands, and say so below it, once."""
        answer_id = self._job.target
        affected = await asyncio.to_thread(self._desk.workspace.citation_audit.for_answer, answer_id)
        asked = (await asyncio.to_thread(self._desk.inbox.threads.told, [answer_id])).get(answer_id)
        if affected is None or asked is None:  # its question was deleted, or has another answer by now
            return
        news = await asyncio.to_thread(self._struck.news, affected)
        if any(news) and not await self._is_said():
            await self._tell(affected, news, asked)
        await asyncio.to_thread(self._struck.note, answer_id, news)

    async def notify(self, message: Message) -> None:
        """Say nothing: nobody waits for a word."""

    async def _tell(self, affected: AffectedAnswer, news: CitationChanges, asked: Job) -> None:
        """Tell whoever reads it; of a private answer all read the copy that was shared, its asker the other."""
        try:
            if asked.reply:
                await self._correct(affected, news, asked)
        except SlackRejectedError as exc:
            if asked.kind != "command":
                raise
            logger.warning("%s: a shared copy cannot be corrected: %s", self._job.reference, exc)
        if asked.kind == "command":
            await self._write(affected, news, asked)

    async def _correct(self, affected: AffectedAnswer, news: CitationChanges, asked: Job) -> None:
        """Change the answer where it stands; of one that was private that is the copy that its asker has shared."""
        shared_by = asked.person if asked.kind == "command" else ""
        message = answer_message(affected.answer, helpers=self._desk.surface.helpers, shared_by=shared_by)
        await self._require_lease()
        try:
            await call_api(
                self._client.chat_update(
                    channel=asked.channel, ts=asked.reply, text=message.text, blocks=list(message.blocks)
                ),
                "chat.update",
            )
        except SlackRejectedError as exc:
            if exc.reason == "message_not_found":
                return
            logger.warning("%s: struck through in a note alone: %s", self._job.reference, exc)
        thread = asked.thread or asked.reply
        await self._post(correction_message(*news), channel=asked.channel, thread_ts=thread)

    async def _write(self, affected: AffectedAnswer, news: CitationChanges, asked: Job) -> None:
        """Write to whom a private answer was given: it cannot be changed any more."""
        await self._require_lease()
        await self._post(correction_message(*news, question=affected.answer.question), channel=asked.person)

    async def _post(self, message: Message, **place: str) -> None:
        note = {"event_type": METADATA_EVENT, "event_payload": {"correction": self._job.reference}}
        await self._require_lease()
        await post(self._client, message, metadata=note, **place)

    async def _is_said(self) -> bool:
        """Say whether the note stands there already: it may, where the process that posted it could not note so."""
        job = self._job
        if not job.posting or not job.thread:
            return False
        async for message in iter_thread(self._client, job.channel, job.thread, include_all_metadata="true"):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if (
                message.get("user") == self._desk.surface.bot_user_id
                and payload.get("correction") == job.reference
            ):
                return True
        return False

    async def _require_lease(self) -> None:
        if not await asyncio.to_thread(self._desk.inbox.mark_posting, self._job):
            raise LeaseLostError

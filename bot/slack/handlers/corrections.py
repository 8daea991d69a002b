"""Correct answers in Slack after a cited article changes: strike through its citations and post a note in the thread.

If the article is restored with the cited text, remove the strikethrough and post another note.
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
from bot.storage.schema import CORRECTIONS_CURSOR, facts, slack_struck

logger = logging.getLogger(__name__)

_RESCAN_SECONDS = 60.0  # between two scans of the same generation
# Longer than an answer may take: an answer that was started before a change may be stored after it.
_SETTLE_SECONDS = 1_000.0


class CitationChanges(NamedTuple):
    """Citations of an answer that are no longer valid, and struck-through ones that are valid again."""

    broken: tuple[Citation, ...]
    restored: tuple[Citation, ...]


class PostedCorrections:
    """Store of the citations that are struck through in Slack."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def find_changes(self, affected: AffectedAnswer) -> CitationChanges:
        """Return the citations whose status differs from the one shown in Slack."""
        query = select(slack_struck.c.n).where(slack_struck.c.answer_id == affected.answer.id)
        with self._library.connect() as connection:
            struck = set(connection.scalars(query))
        corrected = [citation for citation in affected.answer.citations if citation.n in struck]
        return CitationChanges(
            broken=tuple(citation for citation in affected.invalid_citations if citation.n not in struck),
            restored=tuple(citation for citation in corrected if citation.standing == "stands"),
        )

    def record(self, answer_id: str, changes: CitationChanges) -> None:
        """Record that users were notified of these changes."""
        restored = [citation.n for citation in changes.restored]
        with self._library.transaction() as connection:
            for citation in changes.broken:
                insert_if_absent(connection, slack_struck, {"answer_id": answer_id, "n": citation.n})
            connection.execute(
                delete(slack_struck).where(
                    slack_struck.c.answer_id == answer_id, slack_struck.c.n.in_(restored)
                )
            )


class CorrectionScanner:
    """Finds answers whose citations have changed and enqueues a job for each. Several processes may scan."""

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
        self._posted = PostedCorrections(library)
        self._clock = clock
        self._seen: deque[tuple[int, float]] = deque()  # (generation, time when it was first seen)
        self._scanned = -_RESCAN_SECONDS

    def scan(self) -> None:
        """Enqueue a job for each answer affected by the changes since the last notified generation."""
        generation, now = self._library.generation(), self._clock()
        notified = self._read_cursor()
        is_new = not self._seen or self._seen[-1][0] < generation
        if is_new:
            self._seen.append((generation, now))
        if notified < generation and (is_new or now - self._scanned >= _RESCAN_SECONDS):
            self._scanned = now
            self._enqueue_jobs(self._standings.find_affected_ids(generation=notified))
        self._advance_cursor(now)

    def _enqueue_jobs(self, answer_ids: Collection[str]) -> None:
        for answer_id, job in self._inbox.threads.jobs_for_answers(answer_ids).items():
            affected = self._standings.for_answer(answer_id)
            if affected and any(changes := self._posted.find_changes(affected)):
                self._inbox.enqueue(_build_request(job, affected, changes))

    def _advance_cursor(self, now: float) -> None:
        """Store the generation up to which all affected answers are known, so that it is not scanned again."""
        settled = None
        while self._seen and now - self._seen[0][1] >= _SETTLE_SECONDS:
            settled = self._seen.popleft()[0]
        if settled is not None and settled > self._read_cursor():
            with self._library.transaction() as connection:
                connection.execute(
                    update(facts).where(facts.c.key == CORRECTIONS_CURSOR).values(value=str(settled))
                )

    def _read_cursor(self) -> int:
        with self._library.connect() as connection:
            return int(connection.scalar(select(facts.c.value).where(facts.c.key == CORRECTIONS_CURSOR)) or 0)


def _build_request(job: Job, affected: AffectedAnswer, changes: CitationChanges) -> Request:
    """Return the request for a correction.

    Its text, from the citations and the time of their articles' last change, is the same in every scan: the queue
    ignores duplicates.
    """
    numbers = "/".join(",".join(str(citation.n) for citation in group) for group in changes)
    changed = max(
        (str(affected.article_changes[one.n].changed or "") for group in changes for one in group), default=""
    )
    return Request(
        kind="correction",
        channel=job.channel,
        thread=job.thread or job.reply,
        target=affected.answer.id,
        ts=f"{time.time():.6f}",  # after all open jobs of its thread
        person="",
        team=job.team,
        text=f"{numbers} {changed}",
    )


class CorrectionHandler:
    """Notifies the readers of an answer which of its citations are no longer valid, or are valid again."""

    def __init__(self, desk: SlackContext, job: Job) -> None:
        self._desk = desk
        self._job = job
        self._client = desk.surface.client
        self._posted = PostedCorrections(desk.workspace.articles)

    async def run(self) -> None:
        """Strike through the citations in the answer, and post one note in its thread."""
        answer_id = self._job.target
        affected = await asyncio.to_thread(self._desk.workspace.citation_audit.for_answer, answer_id)
        jobs = await asyncio.to_thread(self._desk.inbox.threads.jobs_for_answers, [answer_id])
        answered = jobs.get(answer_id)
        if affected is None or answered is None:  # the question was deleted or has another answer
            return
        changes = await asyncio.to_thread(self._posted.find_changes, affected)
        if any(changes) and not await self._is_posted():
            await self._correct(affected, changes, answered)
        await asyncio.to_thread(self._posted.record, answer_id, changes)

    async def notify(self, message: Message) -> None:
        """Do nothing: no user waits for a message."""

    async def _correct(self, affected: AffectedAnswer, changes: CitationChanges, answered: Job) -> None:
        """Correct the posted answer.

        Of a private answer the shared copy is corrected, and the user who asked gets a direct message.
        """
        try:
            if answered.reply:
                await self._update_answer(affected, changes, answered)
        except SlackRejectedError as exc:
            if answered.kind != "command":
                raise
            logger.warning("%s: a shared copy cannot be corrected: %s", self._job.reference, exc)
        if answered.kind == "command":
            await self._notify_user(affected, changes, answered)

    async def _update_answer(self, affected: AffectedAnswer, changes: CitationChanges, answered: Job) -> None:
        """Edit the posted answer (of a private answer: the copy that the user shared) and post a note."""
        shared_by = answered.person if answered.kind == "command" else ""
        message = answer_message(affected.answer, helpers=self._desk.surface.helpers, shared_by=shared_by)
        await self._require_lease()
        try:
            await call_api(
                self._client.chat_update(
                    channel=answered.channel,
                    ts=answered.reply,
                    text=message.text,
                    blocks=list(message.blocks),
                ),
                "chat.update",
            )
        except SlackRejectedError as exc:
            if exc.reason == "message_not_found":
                return
            logger.warning("%s: struck through in a note alone: %s", self._job.reference, exc)
        thread = answered.thread or answered.reply
        await self._post(correction_message(*changes), channel=answered.channel, thread_ts=thread)

    async def _notify_user(self, affected: AffectedAnswer, changes: CitationChanges, answered: Job) -> None:
        """Send a direct message to the user who got a private answer: that answer can no longer be edited."""
        await self._require_lease()
        message = correction_message(*changes, question=affected.answer.question)
        await self._post(message, channel=answered.person)

    async def _post(self, message: Message, **place: str) -> None:
        metadata = {"event_type": METADATA_EVENT, "event_payload": {"correction": self._job.reference}}
        await self._require_lease()
        await post(self._client, message, metadata=metadata, **place)

    async def _is_posted(self) -> bool:
        """Return True if the thread contains the note: a process may have posted it and crashed before recording it."""
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

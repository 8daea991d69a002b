"""The inbox: what Slack sent, kept in the library before it is acknowledged, and handed out job by job.

Several processes may share it. A job belongs to the claim that took it until its lease is over; who still works
renews it. Jobs of one thread are handed out one after another, and those of different people in turn.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from bot.slack.models import Job, Request
from bot.slack.threads import JOB_COLUMNS, ThreadStore
from bot.storage.article_store import ArticleStore
from bot.storage.database import advisory_lock, insert_if_absent, upsert
from bot.storage.schema import slack_events, slack_jobs, slack_threads

LEASE = 20.0  # seconds: far longer than one call to Slack may take, so that nobody posts past its end
_OPEN = ("waiting", "working")
_UNLIMITED_KINDS = ("delete", "correction")  # what nobody can have too much of
REQUEST = "request"  # the kind of what is remembered of a signed request, whatever it asked
_SIGNED = 3_600.0  # seconds; a signature is good for five minutes
_REMEMBERED = 7 * 86_400.0  # seconds; Slack delivers an event again for some hours at most
_CLAIM_KEY = 0x6369746573  # PostgreSQL's advisory lock of the one claim at a time

_job = slack_jobs.c


class EnqueueResult(Enum):
    """What became of a request: it is new, was there already, or is one too many of that person's."""

    NEW = "new"
    SEEN = "seen"
    TOO_MANY = "too many"


class JobQueue:
    """Keeps requests, their order, and what was answered, in the library's database."""

    def __init__(
        self, library: ArticleStore, *, waiting: int, clock: Callable[[], float] = time.time
    ) -> None:
        """Let each person have `print_waiting_for_lock` requests open; the clock gives seconds since 1970."""
        self._library = library
        self.threads = ThreadStore(library)
        self._waiting = waiting
        self._clock = clock

    # Taking in

    def enqueue(self, request: Request, *, follow: bool = False) -> EnqueueResult:
        """Keep a request, once; with `follow` the bot goes on in its thread with that person.

        When this returns, the request survives a crash of this process.
        """
        with self._library.transaction() as connection:
            if not self._remember(connection, request):
                return EnqueueResult.SEEN
            if follow:
                self._follow(connection, request)
            if (
                request.kind not in _UNLIMITED_KINDS
                and self._others_open(connection, request) >= self._waiting
            ):
                return EnqueueResult.TOO_MANY
            connection.execute(insert(slack_jobs).values(self._row(request)))
            return EnqueueResult.NEW

    def mark_seen(self, channel: str, ts: str, kind: str, *, event_id: str = "") -> bool:
        """Say whether this happens for the first time, and remember that it has."""
        seen = {"channel": channel, "ts": ts, "kind": kind, "event_id": event_id or f"{channel}:{ts}:{kind}"}
        with self._library.transaction() as connection:
            return insert_if_absent(connection, slack_events, {**seen, "received": self._clock()})

    def prune(self) -> None:
        """Forget events that Slack will not send again, and requests whose signature is too old to be taken."""
        events, now = slack_events.c, self._clock()
        old_request = and_(events.kind == REQUEST, events.received < now - _SIGNED)
        with self._library.transaction() as connection:
            connection.execute(
                delete(slack_events).where(or_(events.received < now - _REMEMBERED, old_request))
            )

    def waiting(self) -> int:
        """Count the requests that wait to be worked on, on whatever machine."""
        query = select(func.count()).where(_job.state == "waiting")
        with self._library.connect() as connection:
            return connection.scalar(query) or 0

    # Handing out

    def claim(self) -> Job | None:
        """Return the next job, which is the claim's until its lease is over; None where nothing can be begun.

        Of each thread only the earliest open job can be claimed, and only while no other of it is worked on. A person
        with fewer jobs before it goes first.
        """
        if not self._has_due():  # most calls find nothing, and need not lock the database for that
            return None
        now = self._clock()
        candidate, other = slack_jobs.alias("candidate"), slack_jobs.alias("other")
        earlier = or_(
            other.c.ts < candidate.c.ts, and_(other.c.ts == candidate.c.ts, other.c.id < candidate.c.id)
        )
        worked_on = and_(other.c.state == "working", other.c.due > now, other.c.id != candidate.c.id)
        blocked = exists().where(
            other.c.lane == candidate.c.lane, other.c.state.in_(_OPEN), or_(earlier, worked_on)
        )
        before = (
            select(func.count())
            .where(
                other.c.person == candidate.c.person,
                other.c.state.in_(_OPEN),
                other.c.id != candidate.c.id,
                or_(other.c.id < candidate.c.id, other.c.state == "working"),
            )
            .scalar_subquery()
        )
        due = and_(candidate.c.state.in_(_OPEN), candidate.c.due <= now, ~blocked)
        chosen = select(candidate.c.id).where(due).order_by(before, candidate.c.id).limit(1)
        taken = {"state": "working", "owner": uuid.uuid4().hex, "due": now + LEASE, "tries": _job.tries + 1}
        query = update(slack_jobs).where(_job.id == chosen.scalar_subquery(), _job.due <= now).values(taken)
        with self._library.transaction() as connection:
            # Two claims side by side could each take a job of one thread.
            advisory_lock(connection, _CLAIM_KEY)
            row = connection.execute(query.returning(*JOB_COLUMNS)).first()
        return Job(**row._mapping) if row else None

    def renew(self, jobs: Iterable[Job]) -> None:
        """Renew the leases of jobs that are being worked on."""
        self._change(*jobs, due=self._clock() + LEASE)

    def mark_posting(self, job: Job) -> bool:
        """Note that a reply may stand in Slack from now on; False where the job is another claim's by now."""
        return self._change(job, posting=True, due=self._clock() + LEASE) == 1

    def mark_posted(self, job: Job, reply: str) -> None:
        """Note the message that answers."""
        self._change(job, reply=reply)

    def mark_answered(self, job: Job, answer_id: str) -> None:
        """Note the stored answer, which is then told and not sought again."""
        self._change(job, answer_id=answer_id)

    def close(self, job: Job, *, failed: bool = False) -> None:
        """Note that a job needs nothing more."""
        self._change(job, state="failed" if failed else "done")

    def release(self, job: Job, *, after: float = 0.0) -> None:
        """Give a job back, to be begun again by whoever is free, `after` seconds from now."""
        self._change(job, state="waiting", due=self._clock() + after)

    def is_superseded(self, job: Job) -> bool:
        """Say whether the question was changed or deleted by a later request, which decides."""
        query = select(_job.id).where(
            _job.channel == job.channel,
            _job.target == job.target,
            _job.kind.in_(("edit", "delete")),
            or_(_job.ts > job.ts, and_(_job.ts == job.ts, _job.id > job.id)),
        )
        with self._library.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    # Within

    def _remember(self, connection: Connection, request: Request) -> bool:
        about = {"channel": request.channel, "ts": request.target, "kind": request.dedup_key}
        event_id = request.event_id or ":".join(about.values())
        row = {**about, "event_id": event_id, "received": self._clock()}
        return insert_if_absent(connection, slack_events, row)

    def _others_open(self, connection: Connection, request: Request) -> int:
        """Count what a person has open about other messages: of one that is edited again the last wording counts."""
        is_this = and_(_job.channel == request.channel, _job.target == request.target)
        query = select(func.count()).where(_job.person == request.person, _job.state.in_(_OPEN), ~is_this)
        return connection.scalar(query) or 0

    def _row(self, request: Request) -> dict[str, Any]:
        asked = ("kind", "channel", "thread", "target", "ts", "person", "team", "text", "details")
        now = self._clock()
        begun = {
            "lane": request.ordering_key,
            "received": now,
            "state": "waiting",
            "due": now,
            "owner": "",
            "tries": 0,
        }
        none_yet = {"posting": False, "reply": "", "answer_id": ""}
        return {**{name: getattr(request, name) for name in asked}, **begun, **none_yet}

    def _follow(self, connection: Connection, request: Request) -> None:
        row = {"channel": request.channel, "thread": request.thread, "person": request.person, "quiet": False}
        upsert(connection, slack_threads, row, key=("channel", "thread"))

    def _has_due(self) -> bool:
        query = select(_job.id).where(_job.state.in_(_OPEN), _job.due <= self._clock()).limit(1)
        with self._library.connect() as connection:
            return connection.execute(query).first() is not None

    def _change(self, *jobs: Job, **values: object) -> int:
        """Change jobs that are still their claim's; return how many were."""
        theirs = and_(_job.owner.in_([job.owner for job in jobs]), _job.state == "working")
        ids = [job.id for job in jobs]
        with self._library.transaction() as connection:
            return connection.execute(
                update(slack_jobs).where(_job.id.in_(ids), theirs).values(values)
            ).rowcount

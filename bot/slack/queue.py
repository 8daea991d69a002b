"""Durable job queue with leases and deduplication, in the database of the article store.

Requests are stored before they are acknowledged. Several processes may share the queue. A job belongs to its claim
until the lease expires; a process renews the leases of the jobs in flight. Jobs of one thread are processed one after
another, and those of different users in turn.
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

# Twice the timeout of a call to Slack, so that no message is posted after the lease has expired.
LEASE_SECONDS = 20.0
_OPEN_STATES = ("waiting", "working")
_UNLIMITED_KINDS = ("delete", "correction")  # not counted against the limit of a user
REQUEST_KIND = "request"  # event kind under which signatures of requests are stored
_REQUEST_RETENTION_SECONDS = 3_600.0  # a signature is valid for five minutes
_EVENT_RETENTION_SECONDS = 7 * 86_400.0  # Slack retries an event for a few hours at most
_CLAIM_LOCK_KEY = 0x6369746573  # of the PostgreSQL advisory lock that serializes claims

_job = slack_jobs.c


class EnqueueResult(Enum):
    """Result of enqueuing a request: new, a duplicate, or too many open requests of this user."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_MANY = "too many"


class JobQueue:
    """Durable queue of requests and their replies in the database of the article store."""

    def __init__(self, store: ArticleStore, *, waiting: int, clock: Callable[[], float] = time.time) -> None:
        """Open the queue.

        Args:
            store: article store whose database contains the queue.
            waiting: maximum number of open requests per user.
            clock: returns the time in seconds since 1970.
        """
        self._store = store
        self.threads = ThreadStore(store)
        self._max_open = waiting
        self._clock = clock

    # Enqueue

    def enqueue(self, request: Request, *, follow: bool = False) -> EnqueueResult:
        """Enqueue a request durably, ignoring duplicates.

        When this returns, the request survives a crash of this process.

        Args:
            follow: keep answering this user in the thread without further mentions.
        """
        with self._store.transaction() as connection:
            if not self._insert_event(connection, request):
                return EnqueueResult.DUPLICATE
            if follow:
                self._follow(connection, request)
            if (
                request.kind not in _UNLIMITED_KINDS
                and self._count_other_open_jobs(connection, request) >= self._max_open
            ):
                return EnqueueResult.TOO_MANY
            connection.execute(insert(slack_jobs).values(self._build_row(request)))
            return EnqueueResult.NEW

    def mark_seen(self, channel: str, ts: str, kind: str, *, event_id: str = "") -> bool:
        """Record an event; return True if it was not recorded before."""
        seen = {"channel": channel, "ts": ts, "kind": kind, "event_id": event_id or f"{channel}:{ts}:{kind}"}
        with self._store.transaction() as connection:
            return insert_if_absent(connection, slack_events, {**seen, "received": self._clock()})

    def prune(self) -> None:
        """Delete events that Slack no longer retries, and requests with expired signatures."""
        events, now = slack_events.c, self._clock()
        old_request = and_(events.kind == REQUEST_KIND, events.received < now - _REQUEST_RETENTION_SECONDS)
        with self._store.transaction() as connection:
            connection.execute(
                delete(slack_events).where(or_(events.received < now - _EVENT_RETENTION_SECONDS, old_request))
            )

    def waiting(self) -> int:
        """Return the number of requests that wait for a worker on any machine."""
        query = select(func.count()).where(_job.state == "waiting")
        with self._store.connect() as connection:
            return connection.scalar(query) or 0

    # Claim and process

    def claim(self) -> Job | None:
        """Claim the next job, or return None if there is none to start.

        In each thread, only the earliest open job can be claimed, and only while no other job of the thread is in
        progress. Jobs of users with fewer earlier jobs come first.
        """
        if not self._has_due_job():  # most calls find no job, and need not lock the database
            return None
        now = self._clock()
        candidate, other = slack_jobs.alias("candidate"), slack_jobs.alias("other")
        earlier = or_(
            other.c.ts < candidate.c.ts, and_(other.c.ts == candidate.c.ts, other.c.id < candidate.c.id)
        )
        worked_on = and_(other.c.state == "working", other.c.due > now, other.c.id != candidate.c.id)
        blocked = exists().where(
            other.c.lane == candidate.c.lane, other.c.state.in_(_OPEN_STATES), or_(earlier, worked_on)
        )
        rank = (
            select(func.count())
            .where(
                other.c.person == candidate.c.person,
                other.c.state.in_(_OPEN_STATES),
                other.c.id != candidate.c.id,
                or_(other.c.id < candidate.c.id, other.c.state == "working"),
            )
            .scalar_subquery()
        )
        due = and_(candidate.c.state.in_(_OPEN_STATES), candidate.c.due <= now, ~blocked)
        chosen = select(candidate.c.id).where(due).order_by(rank, candidate.c.id).limit(1)
        claimed = {
            "state": "working",
            "owner": uuid.uuid4().hex,
            "due": now + LEASE_SECONDS,
            "tries": _job.tries + 1,
        }
        query = update(slack_jobs).where(_job.id == chosen.scalar_subquery(), _job.due <= now).values(claimed)
        with self._store.transaction() as connection:
            # Two concurrent claims could each claim a job of the same thread.
            advisory_lock(connection, _CLAIM_LOCK_KEY)
            row = connection.execute(query.returning(*JOB_COLUMNS)).first()
        return Job(**row._mapping) if row else None

    def renew(self, jobs: Iterable[Job]) -> None:
        """Renew the leases of jobs in flight."""
        self._update_owned_jobs(*jobs, due=self._clock() + LEASE_SECONDS)

    def mark_posting(self, job: Job) -> bool:
        """Record that a reply may exist in Slack from now on; return False if the job belongs to another claim."""
        return self._update_owned_jobs(job, posting=True, due=self._clock() + LEASE_SECONDS) == 1

    def mark_posted(self, job: Job, reply: str) -> None:
        """Record the ts of the reply."""
        self._update_owned_jobs(job, reply=reply)

    def mark_answered(self, job: Job, answer_id: str) -> None:
        """Record the id of the stored answer, so that a later claim posts it instead of answering again."""
        self._update_owned_jobs(job, answer_id=answer_id)

    def close(self, job: Job, *, failed: bool = False) -> None:
        """Mark a job as done or failed."""
        self._update_owned_jobs(job, state="failed" if failed else "done")

    def release(self, job: Job, *, after: float = 0.0) -> None:
        """Return a job to the queue; any worker can claim it after `after` seconds."""
        self._update_owned_jobs(job, state="waiting", due=self._clock() + after)

    def is_superseded(self, job: Job) -> bool:
        """Return True if a later request edits or deletes the question of the job."""
        query = select(_job.id).where(
            _job.channel == job.channel,
            _job.target == job.target,
            _job.kind.in_(("edit", "delete")),
            or_(_job.ts > job.ts, and_(_job.ts == job.ts, _job.id > job.id)),
        )
        with self._store.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    # Internal

    def _insert_event(self, connection: Connection, request: Request) -> bool:
        key = {"channel": request.channel, "ts": request.target, "kind": request.dedup_key}
        event_id = request.event_id or ":".join(key.values())
        row = {**key, "event_id": event_id, "received": self._clock()}
        return insert_if_absent(connection, slack_events, row)

    def _count_other_open_jobs(self, connection: Connection, request: Request) -> int:
        """Count the open requests of a user about other messages; repeated edits of one message count once."""
        is_this = and_(_job.channel == request.channel, _job.target == request.target)
        query = select(func.count()).where(
            _job.person == request.person, _job.state.in_(_OPEN_STATES), ~is_this
        )
        return connection.scalar(query) or 0

    def _build_row(self, request: Request) -> dict[str, Any]:
        copied = ("kind", "channel", "thread", "target", "ts", "person", "team", "text", "details")
        now = self._clock()
        initial = {
            "lane": request.ordering_key,
            "received": now,
            "state": "waiting",
            "due": now,
            "owner": "",
            "tries": 0,
        }
        no_reply = {"posting": False, "reply": "", "answer_id": ""}
        return {**{name: getattr(request, name) for name in copied}, **initial, **no_reply}

    def _follow(self, connection: Connection, request: Request) -> None:
        row = {"channel": request.channel, "thread": request.thread, "person": request.person, "quiet": False}
        upsert(connection, slack_threads, row, key=("channel", "thread"))

    def _has_due_job(self) -> bool:
        query = select(_job.id).where(_job.state.in_(_OPEN_STATES), _job.due <= self._clock()).limit(1)
        with self._store.connect() as connection:
            return connection.execute(query).first() is not None

    def _update_owned_jobs(self, *jobs: Job, **values: object) -> int:
        """Update the jobs that still belong to their claim; return their number."""
        is_owned = and_(_job.owner.in_([job.owner for job in jobs]), _job.state == "working")
        ids = [job.id for job in jobs]
        with self._store.transaction() as connection:
            return connection.execute(
                update(slack_jobs).where(_job.id.in_(ids), is_owned).values(values)
            ).rowcount

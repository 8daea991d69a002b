"""What was said where: the threads that the bot takes part in, their questions, and the messages that answer them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from sqlalchemy import exists, select, update

from bot.answering.question import ConversationTurn
from bot.slack.models import Job
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks
from bot.storage.schema import answers, slack_jobs, slack_threads

_DIRECT_MEMORY = 3_600.0  # seconds: an hour later, a direct message begins a new conversation
_HISTORY = 20  # exchanges; the chain's own memory is shorter

_job = slack_jobs.c
JOB_COLUMNS = [_job[field.name] for field in fields(Job)]


class ThreadStore:
    """Reads what the inbox has kept."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def has_question(self, channel: str, target: str) -> bool:
        """Say whether this message was taken for a question."""
        query = select(_job.id).where(_job.channel == channel, _job.target == target, _job.kind == "question")
        with self._library.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def active_user(self, channel: str, thread: str) -> str | None:
        """Return with whom the bot last spoke in a thread in which it goes on unasked; None in any other."""
        threads = slack_threads.c
        query = select(threads.person).where(
            threads.channel == channel, threads.thread == thread, threads.quiet.is_(False)
        )
        with self._library.connect() as connection:
            return connection.scalar(query)

    def pause(self, channel: str, thread: str) -> None:
        """Go on in this thread only when mentioned again: people talk to each other."""
        threads = slack_threads.c
        with self._library.transaction() as connection:
            connection.execute(
                update(slack_threads)
                .where(threads.channel == channel, threads.thread == thread)
                .values(quiet=True)
            )

    def reply_to(self, channel: str, target: str) -> str:
        """Return the message that answers this question, "" where none does."""
        query = select(_job.reply).where(_job.channel == channel, _job.target == target, _job.reply != "")
        with self._library.connect() as connection:
            return connection.scalar(query.order_by(_job.id.desc()).limit(1)) or ""

    def told(self, answer_ids: Iterable[str]) -> dict[str, Job]:
        """Return those of these answers that were given in Slack, or are about to be, each with the job it answers.

        One whose question was deleted is not among them, nor one whose message shows the answer to a newer wording.
        """
        newer = slack_jobs.alias("newer")
        replaced = exists().where(
            newer.c.channel == _job.channel,
            newer.c.reply == _job.reply,
            newer.c.reply != "",
            newer.c.answer_id != "",
            newer.c.id > _job.id,
        )
        query = select(*JOB_COLUMNS).where(_job.state.not_in(("failed", "withdrawn")), ~replaced)
        with self._library.connect() as connection:
            rows = [
                connection.execute(query.where(_job.answer_id.in_(chunk))).all()
                for chunk in chunks(answer_ids)
            ]
        return {row.answer_id: Job(**row._mapping) for found in rows for row in found}

    def shared(self, channel: str, answer_id: str, ts: str) -> None:
        """Note the message that shows a private answer to the channel it was asked in."""
        asked = (_job.kind == "command", _job.channel == channel, _job.answer_id == answer_id)
        with self._library.transaction() as connection:
            connection.execute(update(slack_jobs).where(*asked).values(reply=ts))

    def remove_question(self, channel: str, target: str) -> None:
        """Take a deleted question and its answers out of the conversation."""
        with self._library.transaction() as connection:
            connection.execute(
                update(slack_jobs)
                .where(_job.channel == channel, _job.target == target, _job.state.in_(("done", "failed")))
                .values(state="withdrawn", reply="")
            )

    def replies(self, channel: str, thread: str) -> frozenset[str]:
        """Return all replies that are known in a thread."""
        query = select(_job.reply).where(_job.channel == channel, _job.thread == thread, _job.reply != "")
        with self._library.connect() as connection:
            return frozenset(connection.scalars(query))

    def history(self, job: Job) -> tuple[ConversationTurn, ...]:
        """Return what was asked and answered before in this thread, oldest first.

        A direct message outside any thread goes on from what was said there within the last hour.
        """
        here = _job.thread == job.thread
        if job.is_direct_message and job.thread == job.target:
            here = _job.received > job.received - _DIRECT_MEMORY
        query = (
            select(_job.target, answers.c.answer)
            .join(answers, answers.c.id == _job.answer_id)
            .where(_job.channel == job.channel, here, _job.target < job.target, _job.state == "done")
            .order_by(_job.target.desc(), _job.id.desc())
            .limit(_HISTORY)
        )
        with self._library.connect() as connection:
            said = {row.target: row.answer for row in reversed(connection.execute(query).all())}
        return tuple(
            ConversationTurn(answer["question"], answer["text"] if answer["status"] == "answered" else "")
            for _, answer in sorted(said.items())
        )

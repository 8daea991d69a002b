"""Threads of the bot: history, questions and replies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from sqlalchemy import exists, select, update

from bot.answering.question import ConversationTurn
from bot.slack.models import Job
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks
from bot.storage.schema import answers, slack_jobs, slack_threads

_DIRECT_HISTORY_SECONDS = 3_600.0  # after an hour, a direct message starts a new conversation
_MAX_HISTORY_TURNS = 20  # the pipeline uses fewer

_job = slack_jobs.c
JOB_COLUMNS = [_job[field.name] for field in fields(Job)]


class ThreadStore:
    """Store of the threads, questions and replies, in the tables of the job queue."""

    def __init__(self, store: ArticleStore) -> None:
        self._store = store

    def has_question(self, channel: str, target: str) -> bool:
        """Return True if the message was enqueued as a question."""
        query = select(_job.id).where(_job.channel == channel, _job.target == target, _job.kind == "question")
        with self._store.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def active_user(self, channel: str, thread: str) -> str | None:
        """Return the user whom the bot answers in a thread without further mentions, or None if there is none."""
        threads = slack_threads.c
        query = select(threads.person).where(
            threads.channel == channel, threads.thread == thread, threads.quiet.is_(False)
        )
        with self._store.connect() as connection:
            return connection.scalar(query)

    def pause(self, channel: str, thread: str) -> None:
        """Stop answering in a thread until the bot is mentioned again, because users talk to each other."""
        threads = slack_threads.c
        with self._store.transaction() as connection:
            connection.execute(
                update(slack_threads)
                .where(threads.channel == channel, threads.thread == thread)
                .values(quiet=True)
            )

    def reply_to(self, channel: str, target: str) -> str:
        """Return the ts of the reply to a question, or an empty string if there is none."""
        query = select(_job.reply).where(_job.channel == channel, _job.target == target, _job.reply != "")
        with self._store.connect() as connection:
            return connection.scalar(query.order_by(_job.id.desc()).limit(1)) or ""

    def jobs_for_answers(self, answer_ids: Iterable[str]) -> dict[str, Job]:
        """Return the jobs of the answers that were or will be posted in Slack, by answer id.

        Answers are left out if their question was deleted, or if their message shows the answer to a later edit.
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
        with self._store.connect() as connection:
            rows = [
                connection.execute(query.where(_job.answer_id.in_(chunk))).all()
                for chunk in chunks(answer_ids)
            ]
        return {row.answer_id: Job(**row._mapping) for found in rows for row in found}

    def save_shared_reply(self, channel: str, answer_id: str, ts: str) -> None:
        """Record the message that shows an ephemeral answer to the channel in which the question was asked."""
        conditions = (_job.kind == "command", _job.channel == channel, _job.answer_id == answer_id)
        with self._store.transaction() as connection:
            connection.execute(update(slack_jobs).where(*conditions).values(reply=ts))

    def remove_question(self, channel: str, target: str) -> None:
        """Remove a deleted question and its answers from the history."""
        with self._store.transaction() as connection:
            connection.execute(
                update(slack_jobs)
                .where(_job.channel == channel, _job.target == target, _job.state.in_(("done", "failed")))
                .values(state="withdrawn", reply="")
            )

    def replies(self, channel: str, thread: str) -> frozenset[str]:
        """Return the ts of all recorded replies in a thread."""
        query = select(_job.reply).where(_job.channel == channel, _job.thread == thread, _job.reply != "")
        with self._store.connect() as connection:
            return frozenset(connection.scalars(query))

    def history(self, job: Job) -> tuple[ConversationTurn, ...]:
        """Return the earlier questions and answers of the thread, oldest first.

        For a direct message outside a thread, return those of the last hour in the channel.
        """
        in_conversation = _job.thread == job.thread
        if job.is_direct_message and job.thread == job.target:
            in_conversation = _job.received > job.received - _DIRECT_HISTORY_SECONDS
        query = (
            select(_job.target, answers.c.answer)
            .join(answers, answers.c.id == _job.answer_id)
            .where(
                _job.channel == job.channel, in_conversation, _job.target < job.target, _job.state == "done"
            )
            .order_by(_job.target.desc(), _job.id.desc())
            .limit(_MAX_HISTORY_TURNS)
        )
        with self._store.connect() as connection:
            answers_by_question = {
                row.target: row.answer for row in reversed(connection.execute(query).all())
            }
        return tuple(
            ConversationTurn(answer["question"], answer["text"] if answer["status"] == "answered" else "")
            for _, answer in sorted(answers_by_question.items())
        )

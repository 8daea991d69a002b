"""Store answers, traces and user feedback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from sqlalchemy import Row, select, text

from bot import __version__
from bot.answering.answer import Answer
from bot.articles.article import clean_text
from bot.errors import QuestionError
from bot.indexing.filters import TimeWindow
from bot.storage.article_store import ArticleStore
from bot.storage.database import upsert
from bot.storage.schema import answers, build_cited_rows, cited, feedback, traces

if TYPE_CHECKING:
    from bot.answering.question import AnswerTrace
    from bot.retrieval.models import Hit

_FEEDBACK_KEY = ("answer_id", "person", "citation")  # a user has one verdict per answer and citation


@dataclass(frozen=True, slots=True)
class Feedback:
    """Feedback of a user on an answer or on one of its citations.

    Args:
        answer: the answer.
        given: time of the answer.
        verdict: "right" or "wrong".
        note: reason, in the user's words.
        said: time of the feedback.
        person: id of the user, or an empty string for users of the command line.
        citation: number of the citation, or 0 for the answer as a whole.
    """

    answer: Answer
    given: datetime
    verdict: str
    note: str
    said: datetime
    person: str = ""
    citation: int = 0


class AnswerStore:
    """Stores answers and feedback in the database of the article store."""

    def __init__(self, store: ArticleStore) -> None:
        self._store = store

    def save(self, trace: AnswerTrace) -> None:
        """Store an answer with its trace, unless it is small talk."""
        answer = trace.answer
        if answer.status == "small_talk":
            return
        row: dict[str, Any] = {"id": answer.id, "given": _now(), "answer": answer.model_dump(mode="json")}
        with self._store.transaction() as connection:
            connection.execute(answers.insert().values(row))
            if citations := build_cited_rows(answer.id, row["answer"]):
                connection.execute(cited.insert(), citations)
            connection.execute(traces.insert().values(answer_id=answer.id, trace=trace_to_dict(trace)))

    def load(self, answer_id: str) -> tuple[Answer, dict[str, Any]] | None:
        """Return an answer and its trace by id, or None if there is no answer with this id.

        The trace is empty for answers of Citewire versions that stored no traces.
        """
        query = select(answers.c.answer, traces.c.trace).join(
            traces, traces.c.answer_id == answers.c.id, isouter=True
        )
        with self._store.connect() as connection:
            row = connection.execute(query.where(answers.c.id == answer_id)).first()
        return (Answer.model_validate(row.answer), row.trace or {}) if row else None

    def add_feedback(
        self, answer_id: str, verdict: str, note: str = "", *, person: str = "", citation: int = 0
    ) -> None:
        """Store feedback on a stored answer or on one of its citations.

        New feedback of a user replaces their earlier feedback on the same answer or citation. Without `person`,
        all feedback is stored.

        Args:
            answer_id: id of the answer.
            verdict: "right" or "wrong".
            note: reason, in the user's words.
            person: id of the user.
            citation: number of the citation, or 0 for the answer as a whole.

        Raises:
            QuestionError: if there is no such answer or citation.
        """
        self._check_exists(answer_id, citation)
        row = {
            "answer_id": answer_id,
            "verdict": verdict,
            "note": clean_text(note),
            "said": _now(),
            "person": person,
            "citation": citation,
        }
        with self._store.transaction() as connection:
            upsert(connection, feedback, row, key=_FEEDBACK_KEY, where=text("person != ''"))

    def iter_feedback(self) -> Iterator[Feedback]:
        """Yield all feedback, oldest first, ordered by the time of its last change."""
        query = select(answers.c.answer, answers.c.given, feedback)
        query = query.join(answers, answers.c.id == feedback.c.answer_id)
        with self._store.connect() as connection:
            for row in connection.execute(query.order_by(feedback.c.said, feedback.c.id)):
                yield _build_feedback(row)

    def _check_exists(self, answer_id: str, citation: int) -> None:
        found = self.load(answer_id)
        if found is None:
            raise QuestionError(f"no answer {answer_id!r} is stored that could be judged")
        if citation and citation not in {cited.n for cited in found[0].citations}:
            raise QuestionError(f"answer {answer_id!r} has no citation {citation} that could be judged")


def _build_feedback(row: Row[Any]) -> Feedback:
    return Feedback(
        answer=Answer.model_validate(row.answer),
        given=datetime.fromisoformat(row.given),
        verdict=row.verdict,
        note=row.note,
        said=datetime.fromisoformat(row.said),
        person=row.person,
        citation=row.citation,
    )


def trace_to_dict(trace: AnswerTrace) -> dict[str, Any]:
    """Return the trace as JSON data: everything needed to repeat the question and compare the answers."""
    filters = trace.filters
    return {
        "citewire": __version__,
        "asked": trace.asked.isoformat(),
        "k": trace.question.k,
        "history": [turn._asdict() for turn in trace.question.turns],
        "window": TypeAdapter(TimeWindow | None).dump_python(filters.window, mode="json"),
        "sources": list(filters.sources),
        "tags": list(filters.tags),
        "hits": [_hit_to_dict(hit) for hit in trace.hits],
        "prompt_sha256": trace.prompt_hash,
    }


def _hit_to_dict(hit: Hit) -> dict[str, Any]:
    return {
        "passage_id": hit.passage.id,
        "article_id": hit.passage.article_id,
        "version": hit.headline.version,
        "start": hit.passage.start,
        "end": hit.passage.end,
        "title": hit.headline.title,
        "score": round(hit.score, 4),
        "ranks": hit.ranks,
        "scores": {index: round(float(score), 4) for index, score in hit.scores.items()},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")

"""The journal: every answer given, what it came from, and what readers said of it."""

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
from bot.storage.schema import answers, cited, cited_rows, feedback, traces

if TYPE_CHECKING:
    from bot.answering.question import AnswerTrace
    from bot.retrieval.models import Hit

_ONCE = ("answer_id", "person", "citation")  # what a person has one judgement of


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader said of an answer: "right" or "wrong", and in their own words why.

    `person` is "" for the terminal's readers; `citation` is the number of the one that is meant, 0 for the
    answer as a whole.
    """

    answer: Answer
    given: datetime
    verdict: str
    note: str
    said: datetime
    person: str = ""
    citation: int = 0


class AnswerStore:
    """Keeps answers and judgements in the library's database."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def save(self, trace: AnswerTrace) -> None:
        """Keep an answer and what it came from; small talk is not worth keeping."""
        answer = trace.answer
        if answer.status == "small_talk":
            return
        row: dict[str, Any] = {"id": answer.id, "given": _now(), "answer": answer.model_dump(mode="json")}
        with self._library.transaction() as connection:
            connection.execute(answers.insert().values(row))
            if citations := cited_rows(answer.id, row["answer"]):
                connection.execute(cited.insert(), citations)
            connection.execute(traces.insert().values(answer_id=answer.id, trace=trace_to_dict(trace)))

    def load(self, answer_id: str) -> tuple[Answer, dict[str, Any]] | None:
        """Return an answer with the record of its trace, by its id; None where there is none.

        The record is empty for an answer of a Citewire that kept no traces.
        """
        query = select(answers.c.answer, traces.c.trace).join(
            traces, traces.c.answer_id == answers.c.id, isouter=True
        )
        with self._library.connect() as connection:
            row = connection.execute(query.where(answers.c.id == answer_id)).first()
        return (Answer.model_validate(row.answer), row.trace or {}) if row else None

    def add_feedback(
        self, answer_id: str, verdict: str, note: str = "", *, person: str = "", citation: int = 0
    ) -> None:
        """Keep what a reader said of an answer that was remembered, or of one of its citations.

        A person's newer judgement of the same takes the older one's place; where `person` is "" each is kept.
        Raises QuestionError where there is no such answer or citation.
        """
        self._check_known(answer_id, citation)
        row = {
            "answer_id": answer_id,
            "verdict": verdict,
            "note": clean_text(note),
            "said": _now(),
            "person": person,
            "citation": citation,
        }
        with self._library.transaction() as connection:
            upsert(connection, feedback, row, key=_ONCE, where=text("person != ''"))

    def judgements(self) -> Iterator[Feedback]:
        """Yield every judgement, oldest first; one that was changed stands where it was changed."""
        query = select(answers.c.answer, answers.c.given, feedback)
        query = query.join(answers, answers.c.id == feedback.c.answer_id)
        with self._library.connect() as connection:
            for row in connection.execute(query.order_by(feedback.c.said, feedback.c.id)):
                yield _judgement(row)

    def _check_known(self, answer_id: str, citation: int) -> None:
        found = self.load(answer_id)
        if found is None:
            raise QuestionError(f"no answer {answer_id!r} is stored that could be judged")
        if citation and citation not in {cited.n for cited in found[0].citations}:
            raise QuestionError(f"answer {answer_id!r} has no citation {citation} that could be judged")


def _judgement(row: Row[Any]) -> Feedback:
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
    """Return for JSON what an answer came from: all that is needed to ask the same again and to compare."""
    filters = trace.filters
    return {
        "citewire": __version__,
        "asked": trace.asked.isoformat(),
        "k": trace.question.k,
        "history": [exchange._asdict() for exchange in trace.question.exchanges],
        "window": TypeAdapter(TimeWindow | None).dump_python(filters.window, mode="json"),
        "sources": list(filters.sources),
        "tags": list(filters.tags),
        "hits": [_hit(hit) for hit in trace.hits],
        "prompt_sha256": trace.prompt_hash,
    }


def _hit(hit: Hit) -> dict[str, Any]:
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

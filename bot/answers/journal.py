"""The journal: every answer given, and what readers said of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from bot.answers.answer import Answer
from bot.articles.library import Library
from bot.articles.schema import answers, feedback


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reader said of an answer: "right" or "wrong", and in their own words why."""

    answer: Answer
    verdict: str
    note: str
    said: datetime


class Journal:
    """Keeps answers and judgements in the library's database."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def remember(self, answer: Answer) -> None:
        """Keep an answer; small talk is not worth keeping."""
        if answer.status == "small_talk":
            return
        row = {"id": answer.id, "given": _now(), "answer": answer.model_dump(mode="json")}
        with self._library.changing() as connection:
            connection.execute(answers.insert().values(row))

    def judge(self, answer_id: str, verdict: str, note: str = "") -> None:
        """Keep what a reader said of an answer that was remembered."""
        row = {"answer_id": answer_id, "verdict": verdict, "note": note, "said": _now()}
        with self._library.changing() as connection:
            connection.execute(feedback.insert().values(row))

    def judgements(self) -> Iterator[Judgement]:
        """Yield every judgement, oldest first."""
        query = select(answers.c.answer, feedback).join(answers, answers.c.id == feedback.c.answer_id)
        with self._library.reading() as connection:
            for row in connection.execute(query.order_by(feedback.c.id)):
                answer = Answer.model_validate(row.answer)
                yield Judgement(answer, row.verdict, row.note, datetime.fromisoformat(row.said))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

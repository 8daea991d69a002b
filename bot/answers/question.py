"""What is asked: the words, the conversation before them, when, and where to look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from bot.answers.answer import new_answer_id
from bot.articles.article import clean_line
from bot.errors import QuestionError
from bot.retrieval.filters import Filters
from bot.retrieval.retriever import DEFAULT_K

MAX_QUESTION = 2_000  # characters: what a model reads of a question, and more than anyone asks


class Exchange(NamedTuple):
    """A question asked earlier in the conversation, and what was answered; "" where that is not known."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `asked` is in the asker's time zone; None means now and here.

    `answer_id` is the id that its answer gets, where that is known before; "" for one of its own.

    `history` may also hold plain questions, which are taken for exchanges whose answers are not known.
    """

    text: str
    history: tuple[Exchange | str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    k: int = DEFAULT_K
    asked: datetime | None = None
    answer_id: str = ""

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The history, each entry with question and answer."""
        return tuple(Exchange(entry) if isinstance(entry, str) else entry for entry in self.history)


def as_question(asked: Any) -> Question:
    """Read any of the chain's inputs: a string, a mapping with "question" and "history", or a Question.

    A history holds questions, (question, answer) pairs or LangChain messages. Raises QuestionError for an
    empty or overlong question.
    """
    if isinstance(asked, Question):
        question = asked
    elif isinstance(asked, Mapping):
        question = Question(str(asked.get("question", "")), tuple(_exchanges(asked.get("history") or ())))
    else:
        question = Question(str(asked))
    text = clean_line(question.text)
    if not text:
        raise QuestionError("the question is empty")
    if len(text) > MAX_QUESTION:
        raise QuestionError(
            f"the question has {len(text):,} characters; at most {MAX_QUESTION:,} can be answered"
        )
    history = (Exchange(clean_line(said.question), clean_line(said.answer)) for said in question.exchanges)
    answer_id = question.answer_id or new_answer_id()
    return replace(question, text=text, history=tuple(history), answer_id=answer_id)


def _exchanges(history: Iterable[Any]) -> Iterator[Exchange]:
    asked: str | None = None
    for entry in history:
        # A LangChain message is known by its type's name: importing LangChain takes longer than a question may.
        kind = None if isinstance(entry, str | tuple | list) else getattr(entry, "type", None)
        if kind == "human":
            if asked is not None:
                yield Exchange(asked)
            asked = str(entry.text)
        elif kind == "ai":
            if asked is not None:
                yield Exchange(asked, str(entry.text))
            asked = None
        elif isinstance(entry, str):
            yield Exchange(entry)
        elif kind is None:  # a system message is nothing that was asked
            yield Exchange(*map(str, entry))
    if asked is not None:
        yield Exchange(asked)

"""The question, the pipeline state and the trace of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.answering.answer import Answer, ArticleRef, new_answer_id
from bot.answering.citations import article_fields
from bot.articles.article import clean_line
from bot.errors import QuestionError
from bot.indexing.filters import SearchFilters, TimeWindow
from bot.retrieval.models import Hit
from bot.retrieval.retriever import DEFAULT_K
from bot.storage.models import ArticleSummary

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

MAX_QUESTION_CHARS = 2_000  # a model reads no more of a question, and no real question is longer
_MAX_RELATED_ARTICLES = 3
_MAX_PRESENT_AGE = timedelta(days=7)  # an answer about the present that is older states its date


class ConversationTurn(NamedTuple):
    """An earlier question of the conversation with its answer, or an empty string if the answer is unknown."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its conversation and search options.

    Args:
        text: the question.
        history: earlier turns, oldest first; a string is a question whose answer is unknown.
        filters: limits on the articles to search.
        k: number of passages to retrieve.
        asked: time of the question in the user's time zone; None means now, in the local time zone.
        answer_id: id for the answer; an empty string means a new id.
    """

    text: str
    history: tuple[ConversationTurn | str, ...] = ()
    filters: SearchFilters = field(default_factory=SearchFilters)
    k: int = DEFAULT_K
    asked: datetime | None = None
    answer_id: str = ""

    @property
    def turns(self) -> tuple[ConversationTurn, ...]:
        """The history with each entry as a turn."""
        return tuple(ConversationTurn(entry) if isinstance(entry, str) else entry for entry in self.history)


def parse_question(value: Any) -> Question:
    """Parse any input of the chain.

    Args:
        value: a string, a Question, or a mapping with "question" and "history"; the history contains questions,
            (question, answer) pairs or LangChain messages.

    Raises:
        QuestionError: if the question is empty or too long.
    """
    if isinstance(value, Question):
        question = value
    elif isinstance(value, Mapping):
        question = Question(str(value.get("question", "")), tuple(_parse_history(value.get("history") or ())))
    else:
        question = Question(str(value))
    text = clean_line(question.text)
    if not text:
        raise QuestionError("the question is empty")
    if len(text) > MAX_QUESTION_CHARS:
        raise QuestionError(
            f"the question has {len(text):,} characters; at most {MAX_QUESTION_CHARS:,} can be answered"
        )
    history = (
        ConversationTurn(clean_line(turn.question), clean_line(turn.answer)) for turn in question.turns
    )
    answer_id = question.answer_id or new_answer_id()
    return replace(question, text=text, history=tuple(history), answer_id=answer_id)


def _parse_history(history: Iterable[Any]) -> Iterator[ConversationTurn]:
    question: str | None = None
    for entry in history:
        # Recognize LangChain messages by the name of their type: importing LangChain is slower than an answer may be.
        kind = None if isinstance(entry, str | tuple | list) else getattr(entry, "type", None)
        if kind == "human":
            if question is not None:
                yield ConversationTurn(question)
            question = str(entry.text)
        elif kind == "ai":
            if question is not None:
                yield ConversationTurn(question, str(entry.text))
            question = None
        elif isinstance(entry, str):
            yield ConversationTurn(entry)
        elif kind is None:  # a system message is not a question
            yield ConversationTurn(*map(str, entry))
    if question is not None:
        yield ConversationTurn(question)


class Notice(str):
    """Text that the user must see before the sentences of a streamed answer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AnswerTrace:
    """An answer with the inputs that produced it.

    Args:
        answer: the answer.
        question: the question.
        asked: time of the question.
        filters: search filters that were used, with the period read from the question.
        hits: retrieved passages, best first.
        prompt_hash: SHA-256 of the prompt, or an empty string if no chat model was called.
    """

    answer: Answer
    question: Question
    asked: datetime
    filters: SearchFilters
    hits: tuple[Hit, ...] = ()
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class PipelineState:
    """State of a question in the pipeline.

    Args:
        question: the question.
        standalone: the question, rewritten so that it needs no conversation.
        now: time of the question.
        small_talk: reply to small talk; None if this is a question.
        filters: filters of the question, with the period read from its words.
        asks_about_present: True if the question is about the present.
        scope_notice: notice that the hits are not from the requested period.
        hits: retrieved passages, best first.
        llm_calls: for each call of the chat model, the estimated tokens of its prompt and the response.
        timings: milliseconds by step.
    """

    question: Question
    standalone: str
    now: datetime
    small_talk: str | None = None
    filters: SearchFilters = field(default_factory=SearchFilters)
    asks_about_present: bool = False
    scope_notice: str = ""
    hits: tuple[Hit, ...] = ()
    llm_calls: tuple[tuple[int, BaseMessage | None], ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def inferred_window(self) -> TimeWindow | None:
        """The period that was read from the words of the question, or None if there is none."""
        return self.filters.window if self.filters != self.question.filters else None

    @property
    def is_past_window(self) -> bool:
        """True if the period that was read from the question has ended."""
        return bool(
            self.inferred_window and self.inferred_window.until and self.inferred_window.until < self.now
        )

    @property
    def search_query(self) -> str:
        """The search query: the question without the words that already limit the search by date."""
        words = self.inferred_window.words if self.inferred_window else ""
        rest = self.standalone.replace(words, " ") if words else ""
        return rest if re.search(r"\w", rest) else self.standalone

    def notice(self, as_of: datetime | None) -> str:
        """Return the notice for an answer, or an empty string if there is none.

        Args:
            as_of: date of the newest cited article.
        """
        if self.scope_notice:
            return self.scope_notice
        if self.asks_about_present and as_of and self.now - as_of > _MAX_PRESENT_AGE:
            return f"As of {as_of.day} {as_of:%B %Y}:"
        return ""


def related_articles(hits: Sequence[Hit]) -> tuple[ArticleRef, ...]:
    """Return the first articles of these hits without duplicates."""
    by_article: dict[str, ArticleSummary] = {}
    for hit in hits:
        by_article.setdefault(hit.headline.article_id, hit.headline)
    return tuple(
        ArticleRef(**article_fields(headline))
        for headline in list(by_article.values())[:_MAX_RELATED_ARTICLES]
    )

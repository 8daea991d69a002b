"""What is asked: the words, the conversation before them, when, and where to look."""

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

MAX_QUESTION = 2_000  # characters: what a model reads of a question, and more than anyone asks
_NEAREST = 3
_STILL_NOW = timedelta(days=7)  # older than that, an answer about the present says how old it is


class ConversationTurn(NamedTuple):
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
    history: tuple[ConversationTurn | str, ...] = ()
    filters: SearchFilters = field(default_factory=SearchFilters)
    k: int = DEFAULT_K
    asked: datetime | None = None
    answer_id: str = ""

    @property
    def exchanges(self) -> tuple[ConversationTurn, ...]:
        """The history, each entry with question and answer."""
        return tuple(ConversationTurn(entry) if isinstance(entry, str) else entry for entry in self.history)


def parse_question(asked: Any) -> Question:
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
    history = (
        ConversationTurn(clean_line(said.question), clean_line(said.answer)) for said in question.exchanges
    )
    answer_id = question.answer_id or new_answer_id()
    return replace(question, text=text, history=tuple(history), answer_id=answer_id)


def _exchanges(history: Iterable[Any]) -> Iterator[ConversationTurn]:
    asked: str | None = None
    for entry in history:
        # A LangChain message is known by its type's name: importing LangChain takes longer than a question may.
        kind = None if isinstance(entry, str | tuple | list) else getattr(entry, "type", None)
        if kind == "human":
            if asked is not None:
                yield ConversationTurn(asked)
            asked = str(entry.text)
        elif kind == "ai":
            if asked is not None:
                yield ConversationTurn(asked, str(entry.text))
            asked = None
        elif isinstance(entry, str):
            yield ConversationTurn(entry)
        elif kind is None:  # a system message is nothing that was asked
            yield ConversationTurn(*map(str, entry))
    if asked is not None:
        yield ConversationTurn(asked)


class Notice(str):
    """What a reader must know before the sentences of an answer that is still being written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AnswerTrace:
    """An answer with all that it came from: `hits` are the passages it was found among, best first.

    `prompt_hash` is that of the prompt its chat model was given, "" where none was asked.
    """

    answer: Answer
    question: Question
    asked: datetime
    filters: SearchFilters
    hits: tuple[Hit, ...] = ()
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class PipelineState:
    """A question on its way. `filters` are its own with the time that was read from its words.

    `spent` holds what its chat model was asked so far: the tokens of each prompt, and what was said.
    """

    question: Question
    standalone: str
    now: datetime
    small_talk: str | None = None
    filters: SearchFilters = field(default_factory=SearchFilters)
    asks_about_present: bool = False
    scope_notice: str = ""  # what to say of hits that are not from the time asked about
    hits: tuple[Hit, ...] = ()
    llm_calls: tuple[tuple[int, BaseMessage | None], ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def inferred_window(self) -> TimeWindow | None:
        """The window that was read from the question's words, if one was."""
        return self.filters.window if self.filters != self.question.filters else None

    @property
    def is_past_window(self) -> bool:
        """Whether the window that was read from the question lies in the past."""
        return bool(
            self.inferred_window and self.inferred_window.until and self.inferred_window.until < self.now
        )

    @property
    def search_query(self) -> str:
        """What is searched for: without the words that already narrow the search by date."""
        words = self.inferred_window.words if self.inferred_window else ""
        rest = self.standalone.replace(words, " ") if words else ""
        return rest if re.search(r"\w", rest) else self.standalone

    def notice(self, as_of: datetime | None) -> str:
        """Return what a reader must know before an answer whose newest article is of that date."""
        if self.scope_notice:
            return self.scope_notice
        if self.asks_about_present and as_of and self.now - as_of > _STILL_NOW:
            return f"As of {as_of.day} {as_of:%B %Y}:"
        return ""


def related_articles(hits: Sequence[Hit]) -> tuple[ArticleRef, ...]:
    """Return the first articles of these hits, each once."""
    by_article: dict[str, ArticleSummary] = {}
    for hit in hits:
        by_article.setdefault(hit.headline.article_id, hit.headline)
    return tuple(ArticleRef(**article_fields(headline)) for headline in list(by_article.values())[:_NEAREST])

"""The chain: a question and its history in, an Answer out, as a LangChain Runnable."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from bot.answers.answer import Answer, Citation, Nearest, Sentence
from bot.answers.conversation import small_talk_reply, standalone_question
from bot.answers.extractive import ExtractiveAnswerer, Finding, Quote
from bot.answers.links import quote_link
from bot.articles.article import clean_line
from bot.articles.library import Library
from bot.articles.records import Headline
from bot.errors import QuestionError
from bot.retrieval.filters import Filters
from bot.retrieval.retriever import DEFAULT_K, Hit, Retriever
from bot.retrieval.window import Window, asks_for_now, read_window
from bot.retrieval.words import WordIndex

MAX_QUESTION = 2_000  # characters: what a model reads of a question, and more than anyone asks
_NEAREST = 3
_STILL_NOW = timedelta(days=7)  # older than that, an answer about the present says how old it is


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the words, the questions before it in the conversation, when, and where to look.

    `asked` is in the asker's time zone; None means now and here.
    """

    text: str
    history: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    k: int = DEFAULT_K
    asked: datetime | None = None


class Trace(NamedTuple):
    """An answer with the passages it was found among, best first."""

    answer: Answer
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Turn:
    """A question on its way through the chain."""

    question: Question
    standalone: str
    now: datetime
    small_talk: str | None = None
    filters: Filters = field(default_factory=Filters)
    about_now: bool = False
    caution: str = ""  # what to say of hits that are not from the time asked about
    hits: tuple[Hit, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def time_read(self) -> Window | None:
        """The window that was read from the question's words, if one was."""
        return self.filters.window if self.filters != self.question.filters else None

    @property
    def time_is_over(self) -> bool:
        """Whether the window that was read from the question lies in the past."""
        return bool(self.time_read and self.time_read.until and self.time_read.until < self.now)

    @property
    def sought(self) -> str:
        """What is searched for: without the words that already narrow the search by date."""
        words = self.time_read.words if self.time_read else ""
        rest = self.standalone.replace(words, " ") if words else ""
        return rest if re.search(r"\w", rest) else self.standalone


class AnswerChain(Runnable[Any, Answer]):
    """From a question (a string, a mapping with "question" and "history", or a Question) to an Answer.

    `invoke`, `ainvoke`, `batch` and `abatch` return the Answer; `stream` and `astream` yield its sentences
    and then the Answer. Each step is a Runnable of its own, so that callbacks and tracers see them all.
    """

    def __init__(
        self, library: Library, retriever: Retriever, words: WordIndex, *, min_confidence: float = 0.55
    ) -> None:
        """Answer from `library`; below `min_confidence` the articles are taken not to say."""
        self._library = library
        self._retriever = retriever
        self._min_confidence = min_confidence
        self.answerer = ExtractiveAnswerer(retriever, words)
        self._steps: Runnable[Any, Trace] = (
            RunnableLambda(self._understand, name="understand")
            | RunnableLambda(self._retrieve, name="retrieve")
            | RunnableLambda(self._answer, name="answer")
        )

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Answer:  # noqa: A002
        """Answer one question. Raises QuestionError for an empty or overlong one."""
        return self.trace(input, config).answer

    def trace(self, asked: Any, config: RunnableConfig | None = None) -> Trace:
        """Answer one question and return the passages found as well. Raises QuestionError."""
        return self._steps.invoke(asked, config)

    def stream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Iterator[Any]:  # noqa: A002
        """Yield each sentence of the answer, then the Answer itself."""
        answer = self.invoke(input, config)
        yield from answer.sentences
        yield answer

    async def astream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> AsyncIterator[Any]:  # noqa: A002
        """Yield each sentence of the answer, then the Answer itself."""
        answer = await self.ainvoke(input, config)
        for sentence in answer.sentences:
            yield sentence
        yield answer

    def find(self, asked: Any) -> Finding:
        """Return what was found to answer this and how much speaks for it. Raises QuestionError."""
        turn = self._retrieve(self._understand(asked))
        return self.answerer.find(turn.sought, turn.hits)

    def search(self, asked: Any) -> tuple[Hit, ...]:
        """Return the passages that would be read to answer this, best first. Raises QuestionError."""
        return self._retrieve(self._understand(asked)).hits

    def _understand(self, asked: Any) -> _Turn:
        question = _as_question(asked)
        reply = small_talk_reply(question.text)
        standalone = question.text if reply else standalone_question(question.text, question.history)
        now = question.asked or datetime.now().astimezone()
        filters = question.filters
        if filters.window is None:
            filters = replace(filters, window=self._window(question.text, standalone, now))
        return _Turn(question, standalone, now, reply, filters, about_now=asks_for_now(question.text))

    def _window(self, text: str, standalone: str, now: datetime) -> Window | None:
        """Read the time asked about; one before every article tells of an event, not of when it was reported."""
        window = read_window(text, now) or read_window(standalone, now)
        if window is None or window.until is None:
            return window
        oldest = self._library.oldest()
        return window if oldest and oldest < window.until else None

    def _retrieve(self, turn: _Turn) -> _Turn:
        if turn.small_talk:
            return turn
        begun = time.perf_counter()
        turn = replace(turn, hits=self._search(turn, turn.filters))
        if not turn.hits and turn.time_read:
            caution = f"No article is from the time asked about ({turn.time_read.named}); this is from another time."
            turn = replace(turn, hits=self._search(turn, turn.question.filters), caution=caution)
        return replace(turn, timings={"retrieve": _since(begun)})

    def _search(self, turn: _Turn, filters: Filters) -> tuple[Hit, ...]:
        hits = self._retriever.search(
            turn.sought, k=turn.question.k, filters=filters, now=turn.now, latest=turn.about_now
        )
        return tuple(hits)

    def _answer(self, turn: _Turn) -> Trace:
        if turn.small_talk:
            sentences = (Sentence(text=turn.small_talk, citations=()),)
            return self._outcome(turn, status="small_talk", sentences=sentences, confidence=1.0)
        begun = time.perf_counter()
        finding = self.answerer.find(turn.sought, turn.hits)
        if not self._is_sure(finding) and turn.time_is_over and not turn.caution:
            turn, finding = self._look_later(turn, finding)
        parts = self._cited(turn, finding) if self._is_sure(finding) else self._not_found(turn)
        took = _since(begun)
        timings = {**turn.timings, "answer": took, "total": turn.timings["retrieve"] + took}
        return self._outcome(replace(turn, timings=timings), confidence=finding.confidence, **parts)

    def _is_sure(self, finding: Finding) -> bool:
        return finding.confidence >= self._min_confidence and bool(finding.quotes)

    def _look_later(self, turn: _Turn, finding: Finding) -> tuple[_Turn, Finding]:
        """Look at articles from after the time asked about: they may look back on it."""
        window = turn.time_read
        assert window
        filters = replace(turn.filters, window=replace(window, until=None))
        hits = self._search(turn, filters)
        later = self.answerer.find(turn.sought, hits)
        if not self._is_sure(later):
            return turn, finding
        caution = f"The articles of the time asked about ({window.named}) do not say; a later one does."
        return replace(turn, hits=hits, caution=caution), later

    def _not_found(self, turn: _Turn) -> dict[str, Any]:
        """Say what came near: of another time, where the time asked about does not say."""
        hits = turn.hits
        if turn.time_read and not turn.caution:
            hits = self._search(turn, turn.question.filters)
        return {"status": "not_found", "notice": _notice(turn, None), "nearest": _nearest(hits)}

    def _cited(self, turn: _Turn, finding: Finding) -> dict[str, Any]:
        citations = tuple(self._cite(n, quote) for n, quote in enumerate(finding.quotes, start=1))
        as_of = max((cited.published for cited in citations if cited.published), default=None)
        return {
            "status": "answered",
            "notice": _notice(turn, as_of),
            "sentences": tuple(Sentence(text=cited.quote, citations=(cited.n,)) for cited in citations),
            "citations": citations,
            "as_of": as_of,
        }

    def _cite(self, n: int, quote: Quote) -> Citation:
        headline = quote.hit.headline
        return Citation(
            n=n,
            passage_id=quote.hit.passage.id,
            version=headline.version,
            start=quote.start,
            end=quote.end,
            quote=quote.text,
            link=self._link(quote),
            copies=tuple(Nearest(**_named(copy)) for copy in quote.hit.copies),
            **_named(headline),
        )

    def _link(self, quote: Quote) -> str | None:
        headline = quote.hit.headline
        # By version: in the text of a correction that came in since, the offsets mean other words.
        article = self._library.article(headline.article_id, headline.version)
        text = article.text if article else ""
        return quote_link(headline.url, title=headline.title, text=text, start=quote.start, end=quote.end)

    def _outcome(self, turn: _Turn, **parts: Any) -> Trace:
        answer = Answer(
            question=turn.question.text,
            standalone_question=turn.standalone,
            window=turn.filters.window,
            answerer=self.answerer.name,
            timings={step: round(milliseconds, 1) for step, milliseconds in turn.timings.items()},
            **parts,
        )
        return Trace(answer, turn.hits)


def _as_question(asked: Any) -> Question:
    """Read any of the chain's inputs. Raises QuestionError for an empty or overlong question."""
    if isinstance(asked, Question):
        question = asked
    elif isinstance(asked, Mapping):
        question = Question(str(asked.get("question", "")), tuple(asked.get("history") or ()))
    else:
        question = Question(str(asked))
    text = clean_line(question.text)
    if not text:
        raise QuestionError("the question is empty")
    if len(text) > MAX_QUESTION:
        raise QuestionError(
            f"the question has {len(text):,} characters; at most {MAX_QUESTION:,} can be answered"
        )
    return replace(question, text=text, history=tuple(clean_line(line) for line in question.history))


def _notice(turn: _Turn, as_of: datetime | None) -> str:
    if turn.caution:
        return turn.caution
    if turn.about_now and as_of and turn.now - as_of > _STILL_NOW:
        return f"As of {as_of.day} {as_of:%B %Y}:"
    return ""


def _nearest(hits: Sequence[Hit]) -> tuple[Nearest, ...]:
    by_article: dict[str, Headline] = {}
    for hit in hits:
        by_article.setdefault(hit.headline.article_id, hit.headline)
    return tuple(Nearest(**_named(headline)) for headline in list(by_article.values())[:_NEAREST])


def _named(headline: Headline) -> dict[str, Any]:
    return {
        "article_id": headline.article_id,
        "title": headline.title,
        "source": headline.source,
        "published": headline.published,
        "url": headline.url,
    }


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000

"""The chain: a question and its history in, an Answer out, as a LangChain Runnable."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from bot.retrieval.retriever import DEFAULT_K, Hit, Retriever
from bot.retrieval.window import Filters
from bot.retrieval.words import WordIndex

MAX_QUESTION = 2_000  # characters: what a model reads of a question, and more than anyone asks
MIN_CONFIDENCE = 0.5  # below it the articles are taken not to say
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the words, the questions before it in the conversation, and where to look."""

    text: str
    history: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    k: int = DEFAULT_K


class Trace(NamedTuple):
    """An answer with the passages it was found among, best first."""

    answer: Answer
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Turn:
    """A question on its way through the chain."""

    question: Question
    standalone: str
    small_talk: str | None = None
    hits: tuple[Hit, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)


class AnswerChain(Runnable[Any, Answer]):
    """From a question (a string, a mapping with "question" and "history", or a Question) to an Answer.

    `invoke`, `ainvoke`, `batch` and `abatch` return the Answer; `stream` and `astream` yield its sentences
    and then the Answer. Each step is a Runnable of its own, so that callbacks and tracers see them all.
    """

    def __init__(self, library: Library, retriever: Retriever, words: WordIndex) -> None:
        self._library = library
        self._retriever = retriever
        self.answerer = ExtractiveAnswerer(retriever.embedder, words)
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

    def standalone(self, asked: Any) -> str:
        """Return what is searched for when this is asked. Raises QuestionError."""
        return self._understand(asked).standalone

    def _understand(self, asked: Any) -> _Turn:
        question = _as_question(asked)
        reply = small_talk_reply(question.text)
        standalone = question.text if reply else standalone_question(question.text, question.history)
        return _Turn(question, standalone, reply)

    def _retrieve(self, turn: _Turn) -> _Turn:
        if turn.small_talk:
            return turn
        begun = time.perf_counter()
        hits = self._retriever.search(turn.standalone, k=turn.question.k, filters=turn.question.filters)
        return replace(turn, hits=tuple(hits), timings={"retrieve": _since(begun)})

    def _answer(self, turn: _Turn) -> Trace:
        if turn.small_talk:
            sentences = (Sentence(text=turn.small_talk, citations=()),)
            return self._outcome(turn, status="small_talk", sentences=sentences, confidence=1.0)
        begun = time.perf_counter()
        finding = self.answerer.find(turn.standalone, turn.hits)
        answered = finding.confidence >= MIN_CONFIDENCE
        parts = self._cited(finding) if answered else {"status": "not_found", "nearest": _nearest(turn.hits)}
        took = _since(begun)
        timings = {**turn.timings, "answer": took, "total": turn.timings["retrieve"] + took}
        return self._outcome(replace(turn, timings=timings), confidence=finding.confidence, **parts)

    def _cited(self, finding: Finding) -> dict[str, Any]:
        citations = tuple(self._cite(n, quote) for n, quote in enumerate(finding.quotes, start=1))
        return {
            "status": "answered",
            "sentences": tuple(Sentence(text=cited.quote, citations=(cited.n,)) for cited in citations),
            "citations": citations,
            "as_of": max((cited.published for cited in citations if cited.published), default=None),
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
            window=turn.question.filters.window,
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

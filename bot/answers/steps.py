"""The steps from a question to an answer: understand it, find passages, and say what they say.

They are plain functions, so that a question from the command line need not wait for LangChain to be imported; to other
programs the chain offers them as one Runnable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.answers.answer import Answer, Citation, Sentence
from bot.answers.chatmodel import Pricing
from bot.answers.citing import Bibliography
from bot.answers.conversation import Rewriting, small_talk_reply, standalone_question
from bot.answers.extractive import ExtractiveAnswerer, Finding, with_context
from bot.answers.orders import reported
from bot.answers.question import Question, as_question
from bot.answers.sealed import SealedLinks
from bot.answers.turn import Notice, Trace, Turn, nearest
from bot.articles.library import Library
from bot.observing import span
from bot.retrieval.filters import Filters
from bot.retrieval.hits import Hit
from bot.retrieval.retriever import Retriever
from bot.retrieval.window import Window, asks_for_now, read_window
from bot.retrieval.words import WordIndex

if TYPE_CHECKING:
    from bot.answers.generative import Composer, Composition
    from bot.reader.reader import Reader


class Steps:
    """From a question to an Answer, step by step."""

    def __init__(
        self,
        library: Library,
        retriever: Retriever,
        words: WordIndex,
        reader: Reader,
        *,
        min_confidence: float = 0.4,
        closest_confidence: float = 0.1,
        composer: Composer | None = None,
        pricing: Pricing | None = None,
        sealed: SealedLinks | None = None,
    ) -> None:
        """Answer from `library`.

        Args:
            library: the articles.
            retriever: finds the passages of a question.
            words: the word index of the same articles.
            reader: finds the words of a passage that answer.
            min_confidence: the confidence from which a question is answered with quotes.
            closest_confidence: the confidence from which the closest passage is shown if it is not answered.
            composer: its chat model writes the answers; without one they are quotes.
            pricing: prices of the chat model.
            sealed: links to articles without an address on the web.
        """
        self._library = library
        self._retriever = retriever
        self._min_confidence = min_confidence
        self._closest_confidence = closest_confidence
        self._composer = composer
        self._pricing = pricing or Pricing()
        self._sealed = sealed
        self._extractive = ExtractiveAnswerer(retriever, words, reader)

    def traced(self, asked: Any) -> Iterator[Notice | Sentence | Trace]:
        """Yield each sentence of the answer as it is ready, then the Trace. Raises QuestionError.

        A notice that has to stand before the sentences comes before them.
        """
        yield from self.answer(self.retrieve(self.understand(asked)))

    def find(self, asked: Any) -> Finding:
        """Return what was found to answer this and how much speaks for it. Raises QuestionError."""
        turn = self.retrieve(self.understand(asked))
        return self._extractive.find(turn.sought, turn.hits)

    def search(self, asked: Any) -> tuple[Hit, ...]:
        """Return the passages that would be read to answer this, best first. Raises QuestionError."""
        return self.retrieve(self.understand(asked)).hits

    def understand(self, asked: Any) -> Turn:
        """Read what is asked: small talk, or a question that stands alone and its time. Raises QuestionError."""
        with span("understand"):
            return self._understood(asked)

    def _understood(self, asked: Any) -> Turn:
        begun = time.perf_counter()
        question = as_question(asked)
        now = question.asked or datetime.now().astimezone()
        if reply := small_talk_reply(question.text):
            return Turn(question, question.text, now, reply, question.filters)
        rewriting = self._standalone(question)
        filters = question.filters
        if filters.window is None:
            filters = replace(filters, window=self._window(question.text, rewriting.question, now))
        return Turn(
            question,
            reported(rewriting.question) or rewriting.question,  # an order behind a question is no part of it
            now,
            filters=filters,
            about_now=asks_for_now(question.text),
            spent=((rewriting.prompt_tokens, rewriting.message),) if rewriting.message else (),
            timings={"understand": _since(begun)},
        )

    def _standalone(self, question: Question) -> Rewriting:
        if self._composer is None:
            return Rewriting(standalone_question(question.text, question.exchanges))
        return self._composer.rewritten(question.text, question.exchanges)

    def _window(self, text: str, standalone: str, now: datetime) -> Window | None:
        """Read the time asked about; one before every article tells of an event, not of when it was reported."""
        window = read_window(text, now) or read_window(standalone, now)
        if window is None or window.until is None:
            return window
        oldest = self._library.oldest()
        return window if oldest and oldest < window.until else None

    def retrieve(self, turn: Turn) -> Turn:
        """Find the passages for it; where the time asked about has none, those of any time."""
        if turn.small_talk:
            return turn
        with span("retrieve"):
            return self._retrieved(turn)

    def _retrieved(self, turn: Turn) -> Turn:
        begun = time.perf_counter()
        turn = replace(turn, hits=self._search(turn, turn.filters))
        if not turn.hits and turn.time_read:
            caution = f"No article is from the time asked about ({turn.time_read.named}); this is from another time."
            turn = replace(turn, hits=self._search(turn, turn.question.filters), caution=caution)
        return replace(turn, timings={**turn.timings, "retrieve": _since(begun)})

    def _search(self, turn: Turn, filters: Filters, question: str = "") -> tuple[Hit, ...]:
        hits = self._retriever.search(
            question or turn.sought, k=turn.question.k, filters=filters, now=turn.now, latest=turn.about_now
        )
        return tuple(hits)

    def answer(self, turn: Turn) -> Iterator[Notice | Sentence | Trace]:
        """Say what the passages say, or that they do not."""
        if turn.small_talk:
            sentences = (Sentence(text=turn.small_talk, citations=()),)
            yield from sentences
            yield self._trace(turn, 0.0, status="small_talk", sentences=sentences, confidence=1.0)
            return
        begun = time.perf_counter()
        finding = self._extractive.find(turn.sought, turn.hits)
        if not self._is_sure(finding) and turn.time_is_over and not turn.caution:
            turn, finding = self._look_later(turn, finding)
        if (
            self._composer and turn.hits
        ):  # the model reads whatever was found: its reading is better than ours
            yield from self._composed(turn, finding, begun)
        elif self._is_sure(finding):
            yield from self._quoted(turn, finding, begun)
        else:
            yield self._trace(turn, begun, confidence=finding.confidence, **self._not_found(turn, finding))

    def _is_sure(self, finding: Finding) -> bool:
        return finding.confidence >= self._min_confidence and bool(finding.quotes)

    def _look_later(self, turn: Turn, finding: Finding) -> tuple[Turn, Finding]:
        """Look at articles from after the time asked about: they may look back on it.

        They are searched and read with the whole question: the time in it is what they have to tell of.
        """
        window = turn.time_read
        assert window
        filters = replace(turn.filters, window=replace(window, until=None))
        hits = self._search(turn, filters, turn.standalone)
        later = self._extractive.find(turn.standalone, hits)
        if not self._is_sure(later):
            return turn, finding
        caution = f"The articles of the time asked about ({window.named}) do not say; a later one does."
        return replace(turn, hits=hits, caution=caution), later

    def _not_found(self, turn: Turn, finding: Finding) -> dict[str, Any]:
        """Return the fields of an answer that is not given: the closest passage, and the nearest articles."""
        hits = turn.hits
        if turn.time_read and not turn.caution:
            hits = self._search(turn, turn.question.filters)
        notice = f"{turn.caution.partition(';')[0]}." if turn.caution else ""  # nothing is from another time
        closest: tuple[Citation, ...] = ()
        if finding.quotes and finding.confidence >= self._closest_confidence:
            bibliography = Bibliography(self._library, self._sealed)
            bibliography.cite_quote(with_context(finding.quotes[0]))
            closest = bibliography.citations
        return {"status": "not_found", "notice": notice, "closest": closest, "nearest": nearest(hits)}

    def _composed(self, turn: Turn, finding: Finding, begun: float) -> Iterator[Notice | Sentence | Trace]:
        """Answer with what a chat model writes; where nothing of it can be used, with quotes."""
        assert self._composer
        told = ""
        for part in self._written(turn, self._composer):
            if isinstance(part, Notice | Sentence):
                told = str(part) if isinstance(part, Notice) else told
                yield part
            else:
                composition = part
        turn = replace(turn, spent=(*turn.spent, (composition.prompt_tokens, composition.message)))
        of_model: dict[str, Any] = {
            "dropped": composition.dropped,
            "usage": self._pricing.usage(turn.spent),
            "prompt_hash": composition.prompt_hash,
        }
        if composition.sentences:
            answered = _answered(turn, composition.sentences, composition.citations, composition.caveat)
            of_model |= {"answerer": self._composer.name, "confidence": finding.confidence}
            yield self._trace(turn, begun, **of_model, **answered)
        elif composition.refused and not composition.failure:
            # The model has read all passages: what it does not find in them is not shown as close either.
            refused = min(finding.confidence, 1 - finding.confidence)
            of_model |= {"answerer": self._composer.name, "confidence": refused}
            yield self._trace(turn, begun, **of_model, **self._not_found(turn, Finding(())))
        elif self._is_sure(finding):
            because = composition.why_quotes
            yield from self._quoted(turn, finding, begun, because=because, told=told, **of_model)
        else:
            not_found = self._not_found(turn, finding)
            if composition.failure:
                trouble = f"The chat model could not answer ({composition.failure})."
                not_found["notice"] = " ".join(filter(None, (not_found["notice"], trouble)))
            yield self._trace(turn, begun, confidence=finding.confidence, **of_model, **not_found)

    def _written(self, turn: Turn, composer: Composer) -> Iterator[Notice | Sentence | Composition]:
        parts = composer.compose(turn.standalone, turn.hits, asked=turn.now)
        if turn.about_now:  # how old the answer is opens it, and is known last
            *sentences, composition = parts
            assert not isinstance(composition, Sentence)
            if sentences and (notice := turn.notice(_as_of(composition.citations))):
                yield Notice(notice)
            parts = iter([*sentences, composition])
        elif turn.caution:
            yield Notice(turn.notice(None))
        yield from parts

    def _quoted(
        self, turn: Turn, finding: Finding, begun: float, *, because: str = "", told: str = "", **more: Any
    ) -> Iterator[Notice | Sentence | Trace]:
        """Answer with quotes; what of the notice was `told` already is not told again."""
        bibliography = Bibliography(self._library, self._sealed)
        sentences = tuple(
            Sentence(text=quote.text, citations=(bibliography.cite_quote(quote),)) for quote in finding.quotes
        )
        answered = _answered(turn, sentences, bibliography.citations, because)
        if notice := answered["notice"].removeprefix(told).strip():
            yield Notice(notice)
        yield from sentences
        answered["short_answer"] = finding.quotes[0].short_answer
        yield self._trace(turn, begun, confidence=finding.confidence, **more, **answered)

    def _trace(self, turn: Turn, begun: float, *, prompt_hash: str = "", **parts: Any) -> Trace:
        timings = {**turn.timings, **({"answer": _since(begun)} if begun else {})}
        timings["total"] = sum(timings.values())
        answer = Answer(
            **{
                "id": turn.question.answer_id,
                "question": turn.question.text,
                "standalone_question": turn.standalone,
                "window": turn.filters.window,
                "answerer": self._extractive.name,
                "timings": {step: round(milliseconds, 1) for step, milliseconds in timings.items()},
                **parts,
            }
        )
        return Trace(answer, turn.question, turn.now, turn.filters, turn.hits, prompt_hash)


def _answered(
    turn: Turn, sentences: Sequence[Sentence], citations: Sequence[Citation], more: str
) -> dict[str, Any]:
    as_of = _as_of(citations)
    return {
        "status": "answered",
        "notice": " ".join(filter(None, (turn.notice(as_of), more))),
        "sentences": tuple(sentences),
        "citations": tuple(citations),
        "as_of": as_of,
    }


def _as_of(citations: Sequence[Citation]) -> datetime | None:
    return max((cited.published for cited in citations if cited.published), default=None)


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000

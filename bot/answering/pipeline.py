"""The question answering pipeline: understand the question, retrieve passages, answer.

The steps are plain methods, so that the command line does not have to import LangChain; `bot.answering.langchain`
combines them into a Runnable for other programs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.answering.answer import Answer, Citation, Pricing, Sentence
from bot.answering.citations import CitationBuilder
from bot.answering.extractive import ExtractiveAnswerer, ExtractiveResult, add_context
from bot.answering.query_rewriting import (
    RewrittenQuestion,
    rewrite_question,
    small_talk_reply,
    standalone_question,
)
from bot.answering.question import (
    AnswerTrace,
    Notice,
    PipelineState,
    Question,
    parse_question,
    related_articles,
)
from bot.answering.signed_links import SignedLinks
from bot.indexing.bm25_index import Bm25Index
from bot.indexing.filters import SearchFilters, TimeWindow
from bot.observability.tracing import span
from bot.retrieval.models import Hit
from bot.retrieval.retriever import Retriever
from bot.retrieval.time_filter import asks_about_present, extract_window
from bot.storage.article_store import ArticleStore
from bot.verification.prompt_injection import truncate_at_injection

if TYPE_CHECKING:
    from bot.answering.generation.generator import GenerationResult, GenerativeAnswerer
    from bot.reader.reader import Reader


class AnswerPipeline:
    """The steps from a question to an answer."""

    def __init__(
        self,
        store: ArticleStore,
        retriever: Retriever,
        bm25: Bm25Index,
        reader: Reader,
        *,
        min_confidence: float = 0.4,
        closest_confidence: float = 0.1,
        generative: GenerativeAnswerer | None = None,
        pricing: Pricing | None = None,
        signed_links: SignedLinks | None = None,
    ) -> None:
        """Create a pipeline.

        Args:
            store: the articles.
            retriever: retrieves passages.
            bm25: BM25 index of the same articles.
            reader: finds the words of a passage that answer a question.
            min_confidence: minimum confidence to answer with quotes.
            closest_confidence: minimum confidence to show the closest passage if the question is not answered.
            generative: writes the answers with a chat model; without it, answers are quotes.
            pricing: prices of the chat model.
            signed_links: builds links to articles without a web URL.
        """
        self._store = store
        self._retriever = retriever
        self._min_confidence = min_confidence
        self._closest_confidence = closest_confidence
        self._generative = generative
        self._pricing = pricing or Pricing()
        self._signed_links = signed_links
        self._extractive = ExtractiveAnswerer(retriever, bm25, reader)

    def run(self, question: Any) -> Iterator[Notice | Sentence | AnswerTrace]:
        """Answer a question: yield a notice, if there is one, each sentence as soon as it is ready, and then the trace.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        yield from self.answer(self.retrieve(self.understand(question)))

    def find(self, question: Any) -> ExtractiveResult:
        """Return the quotes that answer a question, with their confidence.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        state = self.retrieve(self.understand(question))
        return self._extractive.select_quotes(state.search_query, state.hits)

    def search(self, question: Any) -> tuple[Hit, ...]:
        """Return the passages that are retrieved for a question, best first.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        return self.retrieve(self.understand(question)).hits

    def understand(self, question: Any) -> PipelineState:
        """Detect small talk, rewrite a follow-up into a standalone question, and read the period it asks about.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        with span("understand"):
            return self._understand(question)

    def _understand(self, value: Any) -> PipelineState:
        started = time.perf_counter()
        question = parse_question(value)
        now = question.asked or datetime.now().astimezone()
        if reply := small_talk_reply(question.text):
            return PipelineState(question, question.text, now, reply, question.filters)
        rewritten = self._rewrite(question)
        filters = question.filters
        if filters.window is None:
            filters = replace(filters, window=self._infer_window(question.text, rewritten.question, now))
        return PipelineState(
            question,
            # Cut off a prompt injection after the question.
            truncate_at_injection(rewritten.question) or rewritten.question,
            now,
            filters=filters,
            asks_about_present=asks_about_present(question.text),
            llm_calls=((rewritten.prompt_tokens, rewritten.message),) if rewritten.message else (),
            timings={"understand": _elapsed_ms(started)},
        )

    def _rewrite(self, question: Question) -> RewrittenQuestion:
        if self._generative is None:
            return RewrittenQuestion(standalone_question(question.text, question.turns))
        return rewrite_question(self._generative.model, question.text, question.turns)

    def _infer_window(self, text: str, standalone: str, now: datetime) -> TimeWindow | None:
        """Return the period that a question asks about, if any.

        A period before the oldest article is the time of an event, not of its publication, and is ignored.
        """
        window = extract_window(text, now) or extract_window(standalone, now)
        if window is None or window.until is None:
            return window
        oldest = self._store.oldest()
        return window if oldest and oldest < window.until else None

    def retrieve(self, state: PipelineState) -> PipelineState:
        """Retrieve passages; if there are none from the requested period, search all times."""
        if state.small_talk:
            return state
        with span("retrieve"):
            return self._retrieve(state)

    def _retrieve(self, state: PipelineState) -> PipelineState:
        started = time.perf_counter()
        state = replace(state, hits=self._search(state, state.filters))
        if not state.hits and state.inferred_window:
            period = state.inferred_window.label
            notice = f"No article is from the time asked about ({period}); this is from another time."
            state = replace(state, hits=self._search(state, state.question.filters), scope_notice=notice)
        return replace(state, timings={**state.timings, "retrieve": _elapsed_ms(started)})

    def _search(self, state: PipelineState, filters: SearchFilters, question: str = "") -> tuple[Hit, ...]:
        hits = self._retriever.search(
            question or state.search_query,
            k=state.question.k,
            filters=filters,
            now=state.now,
            latest=state.asks_about_present,
        )
        return tuple(hits)

    def answer(self, state: PipelineState) -> Iterator[Notice | Sentence | AnswerTrace]:
        """Answer from the retrieved passages: yield a notice, if there is one, the sentences, and then the trace."""
        if state.small_talk:
            sentences = (Sentence(text=state.small_talk, citations=()),)
            yield from sentences
            yield self._build_trace(state, 0.0, status="small_talk", sentences=sentences, confidence=1.0)
            return
        started = time.perf_counter()
        extracted = self._extractive.select_quotes(state.search_query, state.hits)
        if not self._is_confident(extracted) and state.is_past_window and not state.scope_notice:
            state, extracted = self._search_later_articles(state, extracted)
        if self._generative and state.hits:
            # Whatever the confidence: the model reads the passages better than the reader does.
            yield from self._answer_with_model(state, extracted, started)
        elif self._is_confident(extracted):
            yield from self._answer_with_quotes(state, extracted, started)
        else:
            yield self._build_trace(
                state,
                started,
                confidence=extracted.confidence,
                **self._build_not_found_fields(state, extracted),
            )

    def _is_confident(self, extracted: ExtractiveResult) -> bool:
        return extracted.confidence >= self._min_confidence and bool(extracted.quotes)

    def _search_later_articles(
        self, state: PipelineState, extracted: ExtractiveResult
    ) -> tuple[PipelineState, ExtractiveResult]:
        """Search articles published after the requested period, which may look back on it.

        The query is the whole question, with its date: these articles have to mention it.

        Returns:
            The new state and result, or the given ones if the later articles do not answer confidently.
        """
        window = state.inferred_window
        assert window
        filters = replace(state.filters, window=replace(window, until=None))
        hits = self._search(state, filters, state.standalone)
        later = self._extractive.select_quotes(state.standalone, hits)
        if not self._is_confident(later):
            return state, extracted
        notice = f"The articles of the time asked about ({window.label}) do not say; a later one does."
        return replace(state, hits=hits, scope_notice=notice), later

    def _build_not_found_fields(self, state: PipelineState, extracted: ExtractiveResult) -> dict[str, Any]:
        """Build the fields of an answer with the status "not_found": the closest passage and related articles."""
        hits = state.hits
        if state.inferred_window and not state.scope_notice:
            hits = self._search(state, state.question.filters)
        # Drop the part of the notice about another time: nothing is shown from it.
        notice = f"{state.scope_notice.partition(';')[0]}." if state.scope_notice else ""
        closest: tuple[Citation, ...] = ()
        if extracted.quotes and extracted.confidence >= self._closest_confidence:
            builder = CitationBuilder(self._store, self._signed_links)
            builder.cite_quote(add_context(extracted.quotes[0]))
            closest = builder.citations
        return {
            "status": "not_found",
            "notice": notice,
            "closest": closest,
            "nearest": related_articles(hits),
        }

    def _answer_with_model(
        self, state: PipelineState, extracted: ExtractiveResult, started: float
    ) -> Iterator[Notice | Sentence | AnswerTrace]:
        """Answer with the chat model; fall back to quotes if none of its sentences can be used."""
        assert self._generative
        shown_notice = ""
        for part in self._stream_generation(state, self._generative):
            if isinstance(part, Notice | Sentence):
                shown_notice = str(part) if isinstance(part, Notice) else shown_notice
                yield part
            else:
                generated = part
        state = replace(state, llm_calls=(*state.llm_calls, (generated.prompt_tokens, generated.message)))
        model_fields: dict[str, Any] = {
            "dropped": generated.dropped,
            "usage": self._pricing.compute_usage(state.llm_calls),
            "prompt_hash": generated.prompt_hash,
        }
        if generated.sentences:
            fields = _build_answered_fields(state, generated.sentences, generated.citations, generated.caveat)
            model_fields |= {"answerer": self._generative.name, "confidence": extracted.confidence}
            yield self._build_trace(state, started, **model_fields, **fields)
        elif generated.refused and not generated.failure:
            # The model has read all passages and found no answer, so none of them is shown as the closest.
            refused = min(extracted.confidence, 1 - extracted.confidence)
            model_fields |= {"answerer": self._generative.name, "confidence": refused}
            yield self._build_trace(
                state, started, **model_fields, **self._build_not_found_fields(state, ExtractiveResult(()))
            )
        elif self._is_confident(extracted):
            reason = generated.fallback_reason
            yield from self._answer_with_quotes(
                state, extracted, started, reason=reason, shown_notice=shown_notice, **model_fields
            )
        else:
            not_found = self._build_not_found_fields(state, extracted)
            if generated.failure:
                failure = f"The chat model could not answer ({generated.failure})."
                not_found["notice"] = " ".join(filter(None, (not_found["notice"], failure)))
            yield self._build_trace(
                state, started, confidence=extracted.confidence, **model_fields, **not_found
            )

    def _stream_generation(
        self, state: PipelineState, generative: GenerativeAnswerer
    ) -> Iterator[Notice | Sentence | GenerationResult]:
        parts = generative.generate(state.standalone, state.hits, asked=state.now)
        if state.asks_about_present:  # the notice about the age of the answer comes first, but is known last
            *sentences, generated = parts
            assert not isinstance(generated, Sentence)
            if sentences and (notice := state.notice(_newest_date(generated.citations))):
                yield Notice(notice)
            parts = iter([*sentences, generated])
        elif state.scope_notice:
            yield Notice(state.notice(None))
        yield from parts

    def _answer_with_quotes(
        self,
        state: PipelineState,
        extracted: ExtractiveResult,
        started: float,
        *,
        reason: str = "",
        shown_notice: str = "",
        **extra_fields: Any,
    ) -> Iterator[Notice | Sentence | AnswerTrace]:
        """Answer with quotes.

        Args:
            state: state of the question.
            extracted: the quotes.
            started: start of the step, from `time.perf_counter`.
            reason: why the answer has quotes although there is a chat model.
            shown_notice: notice that was yielded already, and is not repeated.
            extra_fields: further fields of the answer.
        """
        builder = CitationBuilder(self._store, self._signed_links)
        sentences = tuple(
            Sentence(text=quote.text, citations=(builder.cite_quote(quote),)) for quote in extracted.quotes
        )
        fields = _build_answered_fields(state, sentences, builder.citations, reason)
        if notice := fields["notice"].removeprefix(shown_notice).strip():
            yield Notice(notice)
        yield from sentences
        fields["short_answer"] = extracted.quotes[0].short_answer
        yield self._build_trace(state, started, confidence=extracted.confidence, **extra_fields, **fields)

    def _build_trace(
        self, state: PipelineState, started: float, *, prompt_hash: str = "", **parts: Any
    ) -> AnswerTrace:
        timings = {**state.timings, **({"answer": _elapsed_ms(started)} if started else {})}
        timings["total"] = sum(timings.values())
        answer = Answer(
            **{
                "id": state.question.answer_id,
                "question": state.question.text,
                "standalone_question": state.standalone,
                "window": state.filters.window,
                "answerer": self._extractive.name,
                "timings": {step: round(milliseconds, 1) for step, milliseconds in timings.items()},
                **parts,
            }
        )
        return AnswerTrace(answer, state.question, state.now, state.filters, state.hits, prompt_hash)


def _build_answered_fields(
    state: PipelineState, sentences: Sequence[Sentence], citations: Sequence[Citation], caveat: str
) -> dict[str, Any]:
    as_of = _newest_date(citations)
    return {
        "status": "answered",
        "notice": " ".join(filter(None, (state.notice(as_of), caveat))),
        "sentences": tuple(sentences),
        "citations": tuple(citations),
        "as_of": as_of,
    }


def _newest_date(citations: Sequence[Citation]) -> datetime | None:
    return max((cited.published for cited in citations if cited.published), default=None)


def _elapsed_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000

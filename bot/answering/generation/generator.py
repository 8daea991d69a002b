"""Generated answers: each sentence of the chat model is verified before it is emitted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from bot.answering.answer import Citation, DroppedSentence, Sentence
from bot.answering.citations import CitationBuilder
from bot.answering.generation.output_parser import CitedSentence, StreamingAnswerParser
from bot.answering.generation.prompt import (
    build_answer_prompt,
    count_tokens,
    fit_to_budget,
    number_passages,
    prompt_hash,
)
from bot.answering.generation.sanitizer import contains_link_or_mention
from bot.answering.signed_links import SignedLinks
from bot.llm import describe_error
from bot.observability.tracing import generator_span, span
from bot.retrieval.models import Hit, NumberedPassage
from bot.storage.article_store import ArticleStore
from bot.verification.attribution import Attributor
from bot.verification.verifier import SupportResult, Verifier

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_NOUN = r"(?:articles?|passages?|texts?|sources?|context|documents?|excerpts?)"
_VERB = (
    r"(?:sa(?:y|id)|stated?|mention(?:ed)?|contain(?:ed)?|provided?|specif(?:y|ied)|included?|answer|address|tell|given?|"
    r"report|available|indicated?|reveal|found)"
)
_REFUSAL = re.compile(
    r"^(?:sorry|unfortunately|i(?:'m| am) (?:sorry|unable|not able)|"
    r"i (?:can(?:no|')t|could not|do(?:n't| not) (?:know|have|see|find)))\b"
    rf"|\b{_NOUN}\b[^.]{{0,40}}\b(?:do|does|did|is|are)(?:n't| not)\b[^.]{{0,20}}\b{_VERB}\b"
    rf"|\b(?:not|nothing|no (?:information|mention|details?))\b[^.]{{0,40}}\b(?:{_VERB}|in)\b[^.]{{0,20}}\b{_NOUN}\b",
    re.IGNORECASE,
)
# Finish reasons of truncated answers at all providers; an empty one means that the connection was closed.
_TRUNCATION_REASONS = {
    **dict.fromkeys(("length", "max_tokens", "MAX_TOKENS", "max_output_tokens"), "it reached its budget of tokens"),
    **dict.fromkeys(("content_filter", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "refusal"),
                    "its provider filtered the rest"),
    "": "",
}  # fmt: skip


_MAX_SENTENCES = 12  # a model that copies whole articles is stopped
_DUPLICATE, _MAX_DUPLICATES = "it was said already", 3  # a model that repeats itself this often is in a loop


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """The result of a generation.

    Args:
        sentences: supported sentences, in order.
        citations: citations of these sentences.
        dropped: sentences that were dropped.
        refused: True if the model states that the passages do not answer the question.
        failure: why the answer is missing or incomplete, or an empty string.
        prompt_hash: SHA-256 of the prompt.
        prompt_tokens: estimated tokens of the prompt.
        message: response of the model, which contains its own token counts if the server sends them.
    """

    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    dropped: tuple[DroppedSentence, ...]
    refused: bool
    failure: str
    prompt_hash: str
    prompt_tokens: int
    message: BaseMessage | None

    @property
    def caveat(self) -> str:
        """Notice for an incomplete answer, or an empty string."""
        if self.failure:
            return f"The chat model did not finish ({self.failure}): this is what it had written."
        return "The articles say only part of what was asked." if self.refused else ""

    @property
    def fallback_reason(self) -> str:
        """Notice that says why quotes replace the output of the model."""
        if self.failure:
            return f"The chat model could not answer ({self.failure}): these are quotes."
        if not self.dropped:
            return "The chat model wrote nothing: these are quotes."
        return "Nothing that the chat model wrote is supported by the articles: these are quotes."


@dataclass(slots=True)
class _GenerationState:
    """Mutable state of a generation in progress."""

    passages: tuple[NumberedPassage, ...]
    prompt: list[BaseMessage]
    builder: CitationBuilder
    sentences: list[Sentence] = field(default_factory=list)
    dropped: list[DroppedSentence] = field(default_factory=list)
    refused: bool = False
    # True if the rest of the stream is not needed. LangChain reads a stream to its end for tracers, even if a step
    # stops reading.
    is_over: bool = False
    failure: str = ""
    message: AIMessageChunk | None = None

    def to_result(self) -> GenerationResult:
        return GenerationResult(
            sentences=tuple(self.sentences),
            citations=self.builder.citations,
            dropped=tuple(self.dropped),
            refused=self.refused,
            failure=self.failure,
            prompt_hash=prompt_hash(self.prompt),
            prompt_tokens=count_tokens(self.prompt),
            message=self.message,
        )


class GenerativeAnswerer:
    """Generates answers with a chat model, and emits only sentences that the passages support."""

    def __init__(
        self,
        model: BaseChatModel,
        verifier: Verifier,
        store: ArticleStore,
        *,
        name: str,
        max_prompt_tokens: int,
        signed_links: SignedLinks | None = None,
    ) -> None:
        """Create an answerer.

        Args:
            model: the chat model.
            verifier: verifies the sentences.
            store: the articles.
            name: id of the model in the settings.
            max_prompt_tokens: maximum number of tokens of a prompt.
            signed_links: builds links to articles without a web URL.
        """
        self.model = model
        self.name = name
        self._attributor = Attributor(verifier)
        self._store = store
        self._max_prompt_tokens = max_prompt_tokens
        self._signed_links = signed_links

    def generate(
        self, question: str, hits: Sequence[Hit], *, asked: datetime
    ) -> Iterator[Sentence | GenerationResult]:
        """Yield each supported sentence as soon as it is written, and then the result.

        Exceptions of the model or its server are not raised but reported in the result.

        Args:
            question: the standalone question.
            hits: retrieved passages, best first.
            asked: time of the question.
        """
        passages = fit_to_budget(question, asked, number_passages(hits), self._max_prompt_tokens)
        state = _GenerationState(
            passages,
            build_answer_prompt(question, asked, passages),
            CitationBuilder(self._store, self._signed_links),
        )
        parts = self._build_chain(state).stream(question) if passages else iter(())
        try:
            with generator_span("compose", model=self.name):
                for sentence in parts:  # noqa: UP028 - `yield from` would close the chain before `is_over` is set
                    yield sentence
        except GeneratorExit:
            state.is_over = True
            raise
        except Exception as exc:  # noqa: BLE001 - each provider has its own errors; all mean that there is no answer
            state.failure = describe_error(exc)
        yield state.to_result()

    def _build_chain(self, state: _GenerationState) -> Runnable[Any, Sentence]:
        """Build the chain of prompt, sentences (which calls the model) and verification; tracers see all of them."""

        def build_prompt(_: str) -> list[BaseMessage]:
            return state.prompt

        def write_sentences(prompts: Iterator[list[BaseMessage]]) -> Iterator[CitedSentence]:
            for prompt in prompts:
                yield from self._stream_claims(prompt, state)

        def verify_claims(claims: Iterator[CitedSentence]) -> Iterator[Sentence]:
            for claim in claims:
                with span("verify"):
                    sentence = self._verify(claim, state)
                if sentence:
                    state.sentences.append(sentence)
                    yield sentence
                duplicates = sum(dropped.reason == _DUPLICATE for dropped in state.dropped)
                if duplicates >= _MAX_DUPLICATES or len(state.sentences) >= _MAX_SENTENCES:
                    state.is_over = True  # it would continue like this until its budget is used up
                    return

        # RunnableGenerator is typed for iterators of one type only.
        sentences: Runnable[Any, Any] = RunnableGenerator(cast("Any", write_sentences), name="sentences")
        verify: Runnable[Any, Sentence] = RunnableGenerator(cast("Any", verify_claims), name="verify")
        return RunnableLambda(build_prompt, name="prompt") | sentences | verify

    def _stream_claims(self, prompt: list[BaseMessage], state: _GenerationState) -> Iterator[CitedSentence]:
        """Stream the model and parse its sentences, including those before an interruption."""
        parser = StreamingAnswerParser(len(state.passages))
        try:
            for chunk in self.model.stream(prompt):
                if state.is_over:
                    return
                state.message = chunk if state.message is None else state.message + chunk
                yield from parser.feed(chunk.text)
        except Exception:  # `generate` reports the reason
            yield from parser.close(cut=True)
            raise
        finish_reason = _finish_reason(state.message) if state.message else ""
        state.failure = _TRUNCATION_REASONS.get(finish_reason, "")
        yield from parser.close(cut=finish_reason in _TRUNCATION_REASONS)

    def _verify(self, claim: CitedSentence, state: _GenerationState) -> Sentence | None:
        if reason := _reject_reason(claim, state):  # cheaper than a verification
            state.dropped.append(DroppedSentence(text=claim.text, reason=reason, cited=claim.cited))
            return None
        cited = [source for source in state.passages if source.n in claim.cited]
        support, supporting = self._attributor.attribute(claim.text, cited, state.passages)
        if not supporting:
            reason, score = (
                _drop_reason(claim, cited, support, state),
                round(support.score, 3) if support else None,
            )
            state.dropped.append(
                DroppedSentence(text=claim.text, reason=reason, cited=claim.cited, score=score)
            )
            return None
        numbers = [state.builder.cite(place.source.hit, place.in_article) for place in supporting]
        return Sentence(
            text=claim.text,
            citations=tuple(dict.fromkeys(numbers)),
            support="weak" if support and support.verdict == "weak" else "supported",
        )


def _finish_reason(message: BaseMessage) -> str:
    said = message.response_metadata
    return str(said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason") or "")


def _reject_reason(claim: CitedSentence, state: _GenerationState) -> str:
    """Return why a sentence is rejected even if it is supported, or an empty string if it is accepted."""
    if claim.text in {
        *(sentence.text for sentence in state.sentences),
        *(dropped.text for dropped in state.dropped),
    }:
        return _DUPLICATE
    if not claim.complete:
        return "it was cut off"
    if claim.text.endswith(("?", ":")):
        return "it asks or introduces, and says nothing"
    if contains_link_or_mention(claim.text, "\n".join(source.text for source in state.passages)):
        return "it holds an address"
    return ""


def _drop_reason(
    claim: CitedSentence,
    cited: Sequence[NumberedPassage],
    support: SupportResult | None,
    state: _GenerationState,
) -> str:
    if _REFUSAL.search(claim.text):
        state.refused = True
        return "it says that the passages do not answer"
    if support:
        return support.reason
    if claim.cited and not cited:
        return "there is no passage of that number, and none carries it"
    return "it cites no passage, and none carries it"

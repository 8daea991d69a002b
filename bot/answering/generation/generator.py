"""Answers composed by a chat model: each sentence is checked against the passages it cites before anyone sees it."""

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
    answer_prompt,
    count_tokens,
    fit_to_budget,
    number_passages,
    prompt_hash,
)
from bot.answering.generation.sanitizer import contains_link_or_mention
from bot.answering.query_rewriting import RewrittenQuestion, rewrite_question
from bot.answering.question import ConversationTurn
from bot.answering.signed_links import SignedLinks
from bot.llm import describe_error
from bot.observability.tracing import generator_span, span
from bot.retrieval.models import Hit, NumberedPassage
from bot.storage.article_store import ArticleStore
from bot.verification.attribution import Attributor
from bot.verification.verifier import SupportResult, Verifier

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_READ = r"(?:articles?|passages?|texts?|sources?|context|documents?|excerpts?)"
_TOLD = (
    r"(?:sa(?:y|id)|stated?|mention(?:ed)?|contain(?:ed)?|provided?|specif(?:y|ied)|included?|answer|address|tell|given?|"
    r"report|available|indicated?|reveal|found)"
)
_REFUSES = re.compile(
    r"^(?:sorry|unfortunately|i(?:'m| am) (?:sorry|unable|not able)|"
    r"i (?:can(?:no|')t|could not|do(?:n't| not) (?:know|have|see|find)))\b"
    rf"|\b{_READ}\b[^.]{{0,40}}\b(?:do|does|did|is|are)(?:n't| not)\b[^.]{{0,20}}\b{_TOLD}\b"
    rf"|\b(?:not|nothing|no (?:information|mention|details?))\b[^.]{{0,40}}\b(?:{_TOLD}|in)\b[^.]{{0,20}}\b{_READ}\b",
    re.IGNORECASE,
)
# How providers say why an answer ended before its end; "" is what is left of a connection that closed.
_ENDED_EARLY = {
    **dict.fromkeys(("length", "max_tokens", "MAX_TOKENS", "max_output_tokens"), "it reached its budget of tokens"),
    **dict.fromkeys(("content_filter", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "refusal"),
                    "its provider filtered the rest"),
    "": "",
}  # fmt: skip


_MOST = 12  # sentences: a model that copies whole articles is stopped
_DUPLICATE, _LOOPING = "it was said already", 3  # a model that repeats itself so often does nothing else


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What a model's answer came to. `failure` says why there is less of it than there should be.

    `error_response`: the model says that the passages do not answer; `prompt_tokens` were counted here, `message` holds
    the model's own count where it gives one.
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
        """What a reader must know of an answer that is less than what was asked."""
        if self.failure:
            return f"The chat model did not finish ({self.failure}): this is what it had written."
        return "The articles say only part of what was asked." if self.refused else ""

    @property
    def fallback_reason(self) -> str:
        """Why quotes stand in for what the model wrote."""
        if self.failure:
            return f"The chat model could not answer ({self.failure}): these are quotes."
        if not self.dropped:
            return "The chat model wrote nothing: these are quotes."
        return "Nothing that the chat model wrote is supported by the articles: these are quotes."


@dataclass(slots=True)
class _GenerationState:
    """An answer in the making."""

    found: tuple[NumberedPassage, ...]
    prompt: list[BaseMessage]
    bibliography: CitationBuilder
    kept: list[Sentence] = field(default_factory=list)
    dropped: list[DroppedSentence] = field(default_factory=list)
    refused: bool = False
    over: bool = (
        False  # the rest is of no use; steps that merely stop reading still have it read, for tracers
    )
    failure: str = ""
    message: AIMessageChunk | None = None

    def finished(self) -> GenerationResult:
        return GenerationResult(
            sentences=tuple(self.kept),
            citations=self.bibliography.citations,
            dropped=tuple(self.dropped),
            refused=self.refused,
            failure=self.failure,
            prompt_hash=prompt_hash(self.prompt),
            prompt_tokens=count_tokens(self.prompt),
            message=self.message,
        )


class GenerativeAnswerer:
    """Asks a chat model for an answer and lets through what its passages support."""

    def __init__(
        self,
        model: BaseChatModel,
        verifier: Verifier,
        library: ArticleStore,
        *,
        name: str,
        room: int,
        sealed: SignedLinks | None = None,
    ) -> None:
        """`parse_id` is the model's, as set; `room`: tokens that a prompt may have; `sealed` as for a Bibliography."""
        self.model = model
        self.name = name
        self._attributor = Attributor(verifier)
        self._library = library
        self._room = room
        self._sealed = sealed

    def rewritten(self, question: str, history: Sequence[ConversationTurn]) -> RewrittenQuestion:
        """Return a follow-up as it stands alone, in the model's words where those can be used."""
        return rewrite_question(self.model, question, history)

    def generate(
        self, question: str, hits: Sequence[Hit], *, asked: datetime
    ) -> Iterator[Sentence | GenerationResult]:
        """Yield each sentence that is supported as soon as it is written, and at last the Composition.

        Never raises what the model or its server raises: the Composition tells.
        """
        found = fit_to_budget(question, asked, number_passages(hits), self._room)
        draft = _GenerationState(
            found, answer_prompt(question, asked, found), CitationBuilder(self._library, self._sealed)
        )
        steps = self._steps(draft).stream(question) if found else iter(())
        try:
            with generator_span("compose", model=self.name):
                for sentence in steps:  # noqa: UP028 - `yield from` would close the steps before they know it is over
                    yield sentence
        except GeneratorExit:
            draft.over = True
            raise
        except Exception as exc:  # noqa: BLE001 - each provider has errors of its own; all mean that it has not answered
            draft.failure = describe_error(exc)
        yield draft.finished()

    def _steps(self, draft: _GenerationState) -> Runnable[Any, Sentence]:
        """Return prompt, sentences (which ask the model) and verification as Runnables: tracers see them all."""

        def prompted(_: str) -> list[BaseMessage]:
            return draft.prompt

        def written(prompts: Iterator[list[BaseMessage]]) -> Iterator[CitedSentence]:
            for prompt in prompts:
                yield from self._claims(prompt, draft)

        def verified(claims: Iterator[CitedSentence]) -> Iterator[Sentence]:
            for claim in claims:
                with span("verify"):
                    sentence = self._verified(claim, draft)
                if sentence:
                    draft.kept.append(sentence)
                    yield sentence
                repeated = sum(dropped.reason == _DUPLICATE for dropped in draft.dropped)
                if repeated >= _LOOPING or len(draft.kept) >= _MOST:
                    draft.over = True  # it would go on so until its budget is used up
                    return

        # RunnableGenerator's own types know iterators of one type only.
        sentences: Runnable[Any, Any] = RunnableGenerator(cast("Any", written), name="sentences")
        verify: Runnable[Any, Sentence] = RunnableGenerator(cast("Any", verified), name="verify")
        return RunnableLambda(prompted, name="prompt") | sentences | verify

    def _claims(self, prompt: list[BaseMessage], draft: _GenerationState) -> Iterator[CitedSentence]:
        """Read the model's stream; what it wrote before it broke off is read too."""
        parser = StreamingAnswerParser(len(draft.found))
        try:
            for chunk in self.model.stream(prompt):
                if draft.over:
                    return
                draft.message = chunk if draft.message is None else draft.message + chunk
                yield from parser.feed(chunk.text)
        except Exception:  # whatever ended the stream, `compose` tells it
            yield from parser.close(cut=True)
            raise
        ended = _finish(draft.message) if draft.message else ""
        draft.failure = _ENDED_EARLY.get(ended, "")
        yield from parser.close(cut=ended in _ENDED_EARLY)

    def _verified(self, claim: CitedSentence, draft: _GenerationState) -> Sentence | None:
        if unfit := _reject_reason(claim, draft):  # before any passage is read for it
            draft.dropped.append(DroppedSentence(text=claim.text, reason=unfit, cited=claim.cited))
            return None
        cited = [source for source in draft.found if source.n in claim.cited]
        support, stands_on = self._attributor.attribute(claim.text, cited, draft.found)
        if not stands_on:
            reason, score = (
                _reason(claim, cited, support, draft),
                round(support.score, 3) if support else None,
            )
            draft.dropped.append(
                DroppedSentence(text=claim.text, reason=reason, cited=claim.cited, score=score)
            )
            return None
        numbers = [draft.bibliography.cite(place.source.hit, place.in_article) for place in stands_on]
        return Sentence(
            text=claim.text,
            citations=tuple(dict.fromkeys(numbers)),
            support="weak" if support and support.verdict == "weak" else "supported",
        )


def _finish(message: BaseMessage) -> str:
    said = message.response_metadata
    return str(said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason") or "")


def _reject_reason(claim: CitedSentence, draft: _GenerationState) -> str:
    """Say what keeps a sentence from the reader whether it is supported or not; nothing where nothing does."""
    if claim.text in {*(kept.text for kept in draft.kept), *(dropped.text for dropped in draft.dropped)}:
        return _DUPLICATE
    if not claim.complete:
        return "it was cut off"
    if claim.text.endswith(("?", ":")):
        return "it asks or introduces, and says nothing"
    if contains_link_or_mention(claim.text, "\n".join(source.text for source in draft.found)):
        return "it holds an address"
    return ""


def _reason(
    claim: CitedSentence,
    cited: Sequence[NumberedPassage],
    support: SupportResult | None,
    draft: _GenerationState,
) -> str:
    if _REFUSES.search(claim.text):
        draft.refused = True
        return "it says that the passages do not answer"
    if support:
        return support.reason
    if claim.cited and not cited:
        return "there is no passage of that number, and none carries it"
    return "it cites no passage, and none carries it"

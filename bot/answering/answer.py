"""Public result types: Answer, Sentence, Citation and their parts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from bot.indexing.filters import TimeWindow

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


Status = Literal["answered", "not_found", "small_talk", "error"]
# `"stands"`: the article is unchanged, or its newest version still contains the quote; `"changed"`: the newest
# version no longer contains the quote; `"withdrawn"`: the article was deleted.
CitationStatus = Literal["stands", "changed", "withdrawn"]

NOT_FOUND = "The articles do not say."
NOT_SURE = "I am not sure the articles answer this. The closest passage:"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sentence(_Frozen):
    """One sentence of an answer, with the numbers of the citations that support it.

    Args:
        text: the sentence.
        citations: numbers of citations of the answer.
        support: "verbatim" for a quote; "supported" for a model's sentence that passed verification; "weak" if the
            citations support it, but not clearly (users see this); "lost" if a stored answer is shown again and none
            of the sentence's citations is still valid.
    """

    text: str
    citations: tuple[int, ...]
    support: Literal["verbatim", "supported", "weak", "lost"] = "verbatim"


class DroppedSentence(_Frozen):
    """A sentence that the chat model wrote but the user does not see, with the reason.

    Args:
        text: the sentence.
        reason: why it was dropped.
        cited: passages that the model cited, by their numbers in its prompt.
        score: score of the verifier, higher for less support; None if none was computed.
    """

    text: str
    reason: str
    cited: tuple[int, ...] = ()
    score: float | None = None


class ArticleRef(_Frozen):
    """Reference to an article: a related one if no article answers, or a syndicated copy of a cited one."""

    article_id: str
    title: str
    source: str
    published: datetime | None
    url: str | None


class Citation(_Frozen):
    """A quote from a version of an article that supports a sentence: `article.text[start:end] == quote`.

    Args:
        n: number of the citation in its answer, from 1.
        passage_id: passage that the quote was taken from.
        article_id: article of the quote.
        version: version of the article.
        start: offset of the quote in the text of the article, in characters.
        end: end of the quote, exclusive.
        quote: the quote, verbatim.
        title: title of the article.
        source: publisher of the article.
        published: time of publication, if known.
        url: URL of the article, if it has one.
        link: the URL with a fragment that selects the quote or its page, or the plain URL if no fragment can. For an
            article without a web URL, the service's page of that version, if the service has a public URL.
        copies: articles of other sources with the same story that contain the quote too.
        page: page on which the quote begins, if the article has pages.
        answer_start: offset in the article of the words that answer the question; None if the reader found none.
        answer_end: end of these words, exclusive.
        standing: `"stands"` in a new answer; the current status if a stored answer is shown again.
    """

    n: int
    passage_id: str
    article_id: str
    version: int
    start: int
    end: int
    quote: str
    title: str
    source: str
    published: datetime | None
    url: str | None
    link: str | None
    copies: tuple[ArticleRef, ...] = ()
    page: int | None = None
    answer_start: int | None = None
    answer_end: int | None = None
    standing: CitationStatus = "stands"

    @property
    def answer_span(self) -> tuple[int, int] | None:
        """Offsets in the quote of the words that answer the question, or None if the reader found none."""
        if self.answer_start is None or self.answer_end is None:
            return None
        return self.answer_start - self.start, self.answer_end - self.start


class Usage(_Frozen):
    """Tokens that the chat model used for an answer, and their cost.

    Args:
        input_tokens: tokens of all prompts.
        output_tokens: tokens that the model wrote.
        cost: in dollars; None if no prices are set.
        estimated: True if the model's server did not report usage and the tokens were estimated from text length.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    estimated: bool = False


def new_answer_id() -> str:
    """Return a new random answer id."""
    return uuid.uuid4().hex[:12]


class Answer(_Frozen):
    """An answer as it is shown, stored and evaluated.

    Args:
        id: id of the answer.
        question: the question as the user asked it.
        standalone_question: the question, rewritten so that it needs no conversation.
        status: outcome; "not_found" if the articles do not answer.
        notice: text that the user must see before the sentences: that there are no articles from the requested period,
            how old the newest ones are, or that the model's output could not be used.
        sentences: the sentences, in order.
        citations: the citations, numbered by first use.
        short_answer: words of the first quote that answer the question, or an empty string if the reader found none.
        closest: the closest passage if the confidence is too low to answer; the status is then "not_found", and there
            are no citations.
        nearest: related articles, if the status is "not_found".
        as_of: newest publication date of the cited articles.
        window: period that the search was limited to.
        confidence: probability that the articles answer the question, 0 to 1.
        answerer: "extractive", or the id of the chat model.
        dropped: sentences that failed verification.
        usage: usage of the chat model, if one was called.
        timings: milliseconds by step.
    """

    id: str = Field(default_factory=new_answer_id)
    question: str
    standalone_question: str
    status: Status
    notice: str = ""
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    short_answer: str = ""
    closest: tuple[Citation, ...] = ()
    nearest: tuple[ArticleRef, ...] = ()
    as_of: datetime | None = None
    window: TimeWindow | None = None
    confidence: float = 0.0
    answerer: str
    dropped: tuple[DroppedSentence, ...] = ()
    usage: Usage | None = None
    timings: dict[str, float] = Field(default_factory=dict)

    @computed_field  # type: ignore[prop-decorator]  # mypy does not support decorated properties (pydantic's docs)
    @property
    def text(self) -> str:
        """The answer as one text, without citation markers."""
        if self.status == "not_found":
            return (
                " ".join((NOT_SURE, *(f"“{near.quote}”" for near in self.closest)))
                if self.closest
                else NOT_FOUND
            )
        return " ".join(sentence.text for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices in dollars per million tokens; 0 if unknown."""

    input_price: float = 0.0
    output_price: float = 0.0

    def compute_usage(self, calls: Iterable[tuple[int, BaseMessage | None]]) -> Usage:
        """Return the total usage of some model calls.

        Args:
            calls: for each call, the estimated tokens of its prompt and the response, which reports its own token
                counts if the server sends them.
        """
        tokens_read = tokens_written = 0
        estimated = False
        for prompt, message in calls:
            counts = getattr(message, "usage_metadata", None) or {}
            estimated |= not counts
            tokens_read += counts.get("input_tokens", prompt)
            tokens_written += counts.get("output_tokens", len(message.text) // 4 if message else 0)
        dollars = (tokens_read * self.input_price + tokens_written * self.output_price) / 1_000_000
        return Usage(
            input_tokens=tokens_read,
            output_tokens=tokens_written,
            cost=round(dollars, 6) if self.input_price or self.output_price else None,
            estimated=estimated,
        )

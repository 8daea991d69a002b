"""What an answer is: sentences, the citations they stand on, and what a reader needs to judge them."""

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
# What has become of a citation since: its article is as it was, or its newest version still holds the quote; or that
# no longer does; or the article is gone.
CitationStatus = Literal["stands", "changed", "withdrawn"]

NOT_FOUND = "The articles do not say."
NOT_SURE = "I am not sure the articles answer this. The closest passage:"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sentence(_Frozen):
    """One sentence of an answer, with the numbers of the citations that support it.

    `support` is "verbatim" for a quote, "supported" for a model's words that were verified, and "weak" where the
    citations carry them, but not plainly; a reader is told. It is "lost" where an answer that was given earlier is
    shown again and none of the sentence's citations stands any more.
    """

    text: str
    citations: tuple[int, ...]
    support: Literal["verbatim", "supported", "weak", "lost"] = "verbatim"


class DroppedSentence(_Frozen):
    """A sentence that a model wrote and that did not reach the reader, and why.

    `cited` are the passages that the model named, by their numbers in its prompt; `score` is the verifier's,
    higher for less supported, where one was computed.
    """

    text: str
    reason: str
    cited: tuple[int, ...] = ()
    score: float | None = None


class ArticleRef(_Frozen):
    """An article by its name: one that came near when none answered, or that has the same text as a cited one."""

    article_id: str
    title: str
    source: str
    published: datetime | None
    url: str | None


class Citation(_Frozen):
    """The place in an article's version that a sentence stands on: `article.text[start:end] == quote`.

    `link` is the URL with a fragment that finds the quote, or its page, where one can, else the plain URL; for an
    article without a web address it is the service's page of that version, where the service has an address. `copies`
    are other outlets' articles that carry the same story and say what is quoted. `page` is where the quote begins, for
    what has pages. `standing` is "stands" when the answer is given, and what has become of the citation since where it
    is shown again. `answer_start` and `answer_end` are the offsets in the article of the words in the quote that answer
    the question, if the reader found them.
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
        """Offsets in the quote of the words that answer the question; None if the reader found none."""
        if self.answer_start is None or self.answer_end is None:
            return None
        return self.answer_start - self.start, self.answer_end - self.start


class Usage(_Frozen):
    """What an answer took of its chat model: tokens, and dollars where the prices are set.

    `estimated` where the model's server did not say and the tokens were counted by length.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    estimated: bool = False


def new_answer_id() -> str:
    """Return an id that no answer has yet."""
    return uuid.uuid4().hex[:12]


class Answer(_Frozen):
    """An answer as it is shown, stored and evaluated.

    `notice` is what a reader must know before the text: that the time asked about has no articles, how old
    the newest are, or that the model's words could not be used. `citations` are numbered by first use. `as_of` is
    the newest cited date, `short_answer` the words of the first quote that answer, "" if the reader found none.
    `closest` is what was nearest to an answer if it is not sure that the articles answer: then the status is
    "not_found", and nothing is cited. `confidence` lies in 0..1, `dropped` holds sentences that failed verification,
    `timings` are milliseconds by step.
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

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties (pydantic's docs)
    @property
    def text(self) -> str:
        """The answer as one text, without citation marks."""
        if self.status == "not_found":
            return (
                " ".join((NOT_SURE, *(f"“{near.quote}”" for near in self.closest)))
                if self.closest
                else NOT_FOUND
            )
        return " ".join(sentence.text for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a million tokens cost in dollars; 0 where that is not known."""

    read: float = 0.0
    written: float = 0.0

    def usage(self, spent: Iterable[tuple[int, BaseMessage | None]]) -> Usage:
        """Add up: of each answer the prompt's tokens as counted here, and the message with its model's count."""
        tokens_read = tokens_written = 0
        estimated = False
        for prompt, message in spent:
            said = getattr(message, "usage_metadata", None) or {}
            estimated |= not said
            tokens_read += said.get("input_tokens", prompt)
            tokens_written += said.get("output_tokens", len(message.text) // 4 if message else 0)
        dollars = (tokens_read * self.read + tokens_written * self.written) / 1_000_000
        return Usage(
            input_tokens=tokens_read,
            output_tokens=tokens_written,
            cost=round(dollars, 6) if self.read or self.written else None,
            estimated=estimated,
        )

"""What an answer is: sentences, the citations they stand on, and what a reader needs to judge them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from bot.retrieval.window import Window

Status = Literal["answered", "not_found", "small_talk", "error"]

NOT_FOUND = "The articles do not say."


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sentence(_Frozen):
    """One sentence of an answer, with the numbers of the citations that support it."""

    text: str
    citations: tuple[int, ...]


class Citation(_Frozen):
    """The place in an article's version that a sentence stands on: `article.text[start:end] == quote`.

    `link` is the URL with a text fragment that finds the quote where one can, else the plain URL.
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


class Nearest(_Frozen):
    """An article that came near when none answered."""

    article_id: str
    title: str
    source: str
    published: datetime | None
    url: str | None


class Answer(_Frozen):
    """An answer as it is shown, stored and evaluated.

    `citations` are numbered by first use. `as_of` is the newest cited date, `confidence` lies in 0..1,
    `dropped` holds sentences that failed verification, `timings` are milliseconds by step.
    """

    id: str = Field(default_factory=lambda: uuid.uuid4().hex[:12])
    question: str
    standalone_question: str
    status: Status
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    as_of: datetime | None = None
    window: Window | None = None
    confidence: float = 0.0
    answerer: str
    dropped: tuple[str, ...] = ()
    timings: dict[str, float] = Field(default_factory=dict)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties (pydantic's docs)
    @property
    def text(self) -> str:
        """The answer as one text, without citation marks."""
        if self.status == "not_found":
            return NOT_FOUND
        return " ".join(sentence.text for sentence in self.sentences)

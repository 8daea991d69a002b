"""Rank the sentences of retrieved passages by how likely they answer the question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from bot.articles.chunking import Span, split_sentences
from bot.reader.onnx_reader import Window
from bot.reader.windows import split_windows
from bot.retrieval.models import Hit
from bot.text.shingles import DATELINE
from bot.verification.prompt_injection import truncate_at_injection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot.indexing.embeddings import Embedder
    from bot.reader.predictions import Reading
    from bot.reader.reader import Reader

_WORDS = (4, 90)  # shorter texts are headings, longer ones are tables without line breaks
_ENDS = re.compile(r"[.!…][\"'”’)\]]*$")  # a question is not an answer, least of all the question of a quiz
# Boilerplate around an article: it refers to the page, the newsletter or the picture.
_FURNITURE = re.compile(
    r"^\W*(?:read more|read the full|sign up|subscribe|click|follow us|follow @|watch:|listen:|related:|more:|"
    r"advertisement|"
    r"editor.?s note|contributing:|photo(?:graph)?s?(?: by|:| credit)|image(?: source|:| credit)|picture:|©|copyright|"
    r"this (?:story|article|page|post) (?:has been|was|is) (?:updated|corrected|published|part)|"
    r"a version of this (?:story|article)|by using this (?:site|website)|we use cookies|"
    r"(?:please )?(?:enable|accept|manage) (?:javascript|cookies)|all rights reserved|"
    r"by [A-Z][\w.’'-]+ [A-Z][\w.’'-]+(?:,| and| \|)|see the recall notice)|"
    r"\bgetty images\b|\bshutterstock\b|\bap photo\b|[\w)]/(?:ap|afp|epa|reuters)\b|\b(?:ap|afp|epa)/\w|"
    r"\b(?:sign up (?:here )?(?:for|to) (?:get |our |the |receive )|weekly newsletter\b|cookie policy|privacy policy|"
    r"(?:read|see|find) more (?:here|at|on)\b|in your inbox|delivered to your inbox)",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"^\W*(?:he|she|it|they|his|her|hers|its|their|theirs|him|them|this(?! (?:week|month|year|summer|season)\b)|"
    r"that|these|those|such|both|neither|"
    r"but|and|so|however|meanwhile|instead|also|then|therefore|moreover|the former|the latter)\b",
    re.IGNORECASE,
)
_READ = 6  # hits: the sentences of further ones are hardly ever the best
_UNREAD = -20.0  # logits of a sentence that lies beyond the reader's room
_COMPARED = 8  # the sentences that the reader likes best are compared with the question by meaning as well


@dataclass(frozen=True, slots=True)
class CandidateSentence:
    """A sentence of a hit that can be quoted.

    Args:
        hit: the passage.
        span: the sentence, in offsets of the passage's text.
        before: the preceding sentence; None if there is none that can be quoted.
    """

    hit: Hit
    span: Span
    before: Span | None

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.hit.passage.text[self.span.start : self.span.end]

    @property
    def starts_with_anaphor(self) -> bool:
        """True if the sentence starts with a word that refers to the preceding text."""
        return _starts_with_anaphor(self.text)

    @property
    def has_unresolved_anaphor(self) -> bool:
        """True if the sentence starts with an anaphor that the preceding sentence does not resolve either."""
        text, before = self.hit.passage.text, self.before
        return self.starts_with_anaphor and (
            before is None or _starts_with_anaphor(text[before.start : before.end])
        )

    @property
    def readable_span(self) -> Span:
        """The span to show: includes the preceding sentence if the beginning refers to it."""
        if not self.starts_with_anaphor or self.before is None:
            return self.span
        return Span(self.before.start, self.span.end)


def iter_candidates(hits: Sequence[Hit]) -> Iterator[CandidateSentence]:
    """Yield every sentence of these hits that can be quoted, in the order of the hits and the text."""
    for hit in hits:
        for span, before in quotable_sentences(hit.passage.text):
            yield CandidateSentence(hit, span, before)


@lru_cache(maxsize=4_096)  # passages: a team asks about the news of the day and retrieves the same ones often
def quotable_sentences(text: str) -> tuple[tuple[Span, Span | None], ...]:
    """Return the sentences of a passage that can be quoted, each with the preceding one."""
    found: list[tuple[Span, Span | None]] = []
    before = None
    for whole in split_sentences(truncate_at_injection(text)):
        dateline = DATELINE.match(text, whole.start, whole.end)
        span = Span(dateline.end(), whole.end) if dateline else whole
        quotable = is_quotable(text[span.start : span.end])
        if quotable:
            found.append((span, before))
        before = span if quotable else None
    return tuple(found)


def is_quotable(text: str) -> bool:
    """Return True if a text is a complete article sentence, not a heading, caption, byline or page notice."""
    few, many = _WORDS
    return few <= len(text.split()) <= many and bool(_ENDS.search(text)) and not _FURNITURE.search(text)


def _starts_with_anaphor(text: str) -> bool:
    return _POINTS_BACK.match(text) is not None


class Features(NamedTuple):
    """Features of a conditional logistic model that compares the sentences of one question.

    Args:
        margin: score of the best span over "no answer", in logits.
        mass: score of all spans together over "no answer", in logits.
        cosine: cosine similarity of the question and the sentence with its title.
        passage: retrieval score of the passage, divided by that of the best passage.
    """

    margin: float
    mass: float
    cosine: float
    passage: float

    @property
    def score(self) -> float:
        """The weighted sum, fitted by training/fit_answers.py; comparable only within one question."""
        return sum(weight * value for weight, value in zip(_WEIGHTS, self, strict=True))


_WEIGHTS = Features(margin=0.112, mass=0.116, cosine=8.274, passage=5.894)


@dataclass(frozen=True, slots=True)
class ReadSentence:
    """A sentence with the results of the reader.

    Args:
        candidate: the sentence.
        answer: best answer span, in offsets of the passage's text.
        features: features of the ranking model.
    """

    candidate: CandidateSentence
    answer: Span | None
    features: Features

    @property
    def score(self) -> float:
        """The ranking score; comparable only within one question."""
        return self.features.score


def read_sentences(
    question: str, hits: Sequence[Hit], reader: Reader, embedder: Embedder, vector: NDArray[np.float32]
) -> list[ReadSentence]:
    """Return the best sentences of the hits that can be quoted, best first.

    Args:
        question: the question.
        hits: retrieved passages, best first.
        reader: finds the answer spans.
        embedder: embeds the sentences.
        vector: embedding of the question.
    """
    found = list(_read_hits(question, hits[:_READ], reader))
    best = sorted(found, key=lambda sentence: -sentence.score)[:_COMPARED]
    cosines = embedder.encode_query([_with_title(sentence.candidate) for sentence in best]) @ vector
    compared = [
        ReadSentence(s.candidate, s.answer, s.features._replace(cosine=float(cosine)))
        for s, cosine in zip(best, cosines, strict=True)
    ]
    return sorted(compared, key=lambda sentence: -sentence.score)


def _with_title(candidate: CandidateSentence) -> str:
    title = candidate.hit.headline.title
    return f"{title}. {candidate.text}" if title else candidate.text


def _read_hits(question: str, hits: Sequence[Hit], reader: Reader) -> Iterator[ReadSentence]:
    """Yield the sentences with the results of the reader; their cosine is still 0."""
    spans = [
        (i, span)
        for i, hit in enumerate(hits)
        for span in split_windows(truncate_at_injection(hit.passage.text))
    ]
    windows = [
        Window(hits[i].headline.title, hits[i].passage.text[span.start : span.end]) for i, span in spans
    ]
    read = list(zip(spans, reader.read(question, windows), strict=True))
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    for i, hit in enumerate(hits):
        readings = [(span, reading) for (n, span), reading in read if n == i]
        for candidate in iter_candidates([hit]):
            answer, margin, mass = _score_sentence(candidate.span, readings)
            features = Features(
                margin=margin,
                mass=mass,
                cosine=0.0,
                passage=hit.score / best,
            )
            yield ReadSentence(candidate, answer, features)


def _score_sentence(
    sentence: Span, readings: Sequence[tuple[Span, Reading]]
) -> tuple[Span | None, float, float]:
    """Return the best answer span of a sentence, its margin, and the mass of all its spans, in logits."""
    for window, reading in readings:
        if window.start <= sentence.start and sentence.end <= window.end:
            within = Span(sentence.start - window.start, sentence.end - window.start)
            if answer := reading.best_answer(within):
                span = Span(answer.span.start + window.start, answer.span.end + window.start)
                return span, answer.margin, reading.mass(within)
    return None, _UNREAD, _UNREAD

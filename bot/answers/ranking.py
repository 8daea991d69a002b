"""Ranks the sentences of found passages by how likely each of them answers the question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bot.answers.orders import reported
from bot.answers.sentences import Candidate, candidates
from bot.articles.passages import Span
from bot.reader.model import Window
from bot.reader.windows import split_windows
from bot.retrieval.hits import Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot.reader.reader import Reader
    from bot.reader.reading import Reading
    from bot.retrieval.embeddings import Embedder

_READ = 6  # hits: the sentences of further ones are hardly ever the best
_UNREAD = -20.0  # logits of a sentence that lies beyond the reader's room
_COMPARED = 8  # the sentences that the reader likes best are compared with the question by meaning as well


class Features(NamedTuple):
    """Numbers that a conditional logistic model weighs against those of the question's other sentences.

    Args:
        margin: the best span's score over "no answer", in logits.
        mass: the same of all spans together.
        cosine: of the question and the sentence below its title.
        passage: the passage's retrieval score, as a share of the best passage's.
    """

    margin: float
    mass: float
    cosine: float
    passage: float

    @property
    def score(self) -> float:
        """The weighted sum, fitted by training/fit_answers.py; only differences within a question mean something."""
        return sum(weight * value for weight, value in zip(_WEIGHTS, self, strict=True))


_WEIGHTS = Features(margin=0.112, mass=0.116, cosine=8.274, passage=5.894)


@dataclass(frozen=True, slots=True)
class ReadSentence:
    """A sentence as the reader sees it; `answer` is its best span, in characters of the passage."""

    candidate: Candidate
    answer: Span | None
    features: Features

    @property
    def score(self) -> float:
        """How well it answers; comparable within one question."""
        return self.features.score


def read_sentences(
    question: str, hits: Sequence[Hit], reader: Reader, embedder: Embedder, vector: NDArray[np.float32]
) -> list[ReadSentence]:
    """Return every sentence of the hits that can be quoted and that is worth comparing, best first.

    Args:
        question: in words; `vector` is its embedding.
        hits: in the order of their ranks.
    """
    found = list(_read_hits(question, hits[:_READ], reader))
    best = sorted(found, key=lambda sentence: -sentence.score)[:_COMPARED]
    cosines = embedder.encode_query([_with_title(sentence.candidate) for sentence in best]) @ vector
    compared = [
        ReadSentence(s.candidate, s.answer, s.features._replace(cosine=float(cosine)))
        for s, cosine in zip(best, cosines, strict=True)
    ]
    return sorted(compared, key=lambda sentence: -sentence.score)


def _with_title(candidate: Candidate) -> str:
    title = candidate.hit.headline.title
    return f"{title}. {candidate.text}" if title else candidate.text


def _read_hits(question: str, hits: Sequence[Hit], reader: Reader) -> Iterator[ReadSentence]:
    """Yield the sentences with what the reader says of them; their cosine is not known yet."""
    spans = [(i, span) for i, hit in enumerate(hits) for span in split_windows(reported(hit.passage.text))]
    windows = [
        Window(hits[i].headline.title, hits[i].passage.text[span.start : span.end]) for i, span in spans
    ]
    read = list(zip(spans, reader.read(question, windows), strict=True))
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    for i, hit in enumerate(hits):
        readings = [(span, reading) for (n, span), reading in read if n == i]
        for candidate in candidates([hit]):
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
    """Return the sentence's best answer span, its margin, and the mass of all its spans."""
    for window, reading in readings:
        if window.start <= sentence.start and sentence.end <= window.end:
            within = Span(sentence.start - window.start, sentence.end - window.start)
            if answer := reading.best_answer(within):
                span = Span(answer.span.start + window.start, answer.span.end + window.start)
                return span, answer.margin, reading.mass(within)
    return None, _UNREAD, _UNREAD

"""Answers in the articles' own words: picks the sentences that answer a question, or finds that none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bot.answers.evidence import Evidence, Read, weigh
from bot.answers.expected import offers
from bot.answers.sentences import Candidate, candidates
from bot.retrieval.hits import Hit
from bot.retrieval.retriever import Retriever
from bot.retrieval.words import WordIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_QUOTES = 3
MAX_WORDS = 90  # in all quotes together: what a reader takes in at a glance
_ENOUGH = 0.8  # a further quote must score this share of the best one
_SAME = 0.7  # share of stems from which two sentences say the same

# What a sentence is worth: the question's rare words in it, its passage's score, whether its article is the one
# found first, whether it has the kind of thing that is asked for; less where it points back at what was said before
# it, and still less where a reader would not see that.
_OVERLAP, _PASSAGE, _FIRST, _OFFERS, _POINTS_BACK, _DANGLES = 0.5, 1.0, 0.1, 0.2, 0.05, 0.2
# And its meaning, for the few that are best so far: encoding all sentences takes fifteen times as long and finds
# nothing more.
_COSINE, _ENCODED = 0.5, 4


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of a passage, by its offsets in the article."""

    hit: Hit
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The quotes that answer best, in the order to read them, and what speaks for their answering at all."""

    quotes: tuple[Quote, ...]
    evidence: Evidence | None = None

    @property
    def confidence(self) -> float:
        """The probability that the articles answer; 0 where nothing was found."""
        return self.evidence.confidence if self.evidence else 0.0


class ExtractiveAnswerer:
    """Chooses sentences from the hits. Needs no language model and no network."""

    name = "extractive"

    def __init__(self, retriever: Retriever, words: WordIndex) -> None:
        self._retriever = retriever
        self._words = words

    def find(self, question: str, hits: Sequence[Hit]) -> Finding:
        """Choose up to three sentences from these hits, which are in the order of their ranks."""
        found = list(candidates(hits))
        if not found:
            return Finding(())
        rarities = {term: self._words.rarity(term) for term in self._words.terms(question)}
        stems = [frozenset(self._words.analyze(candidate.text)) for candidate in found]
        scores = _worded(question, found, stems, rarities)
        best = np.argsort(-scores, kind="stable")[:_ENCODED]
        cosines = self._cosines(question, [found[i].text for i in best])
        scores[best] += _COSINE * cosines
        best = best[np.argsort(-scores[best], kind="stable")]
        read = Read(float(cosines.max()), offers(question, found[best[0]].text), [stems[i] for i in best])
        return Finding(
            _choose(found, stems, scores, best), weigh(question, hits, self._words, rarities, read)
        )

    def _cosines(self, question: str, sentences: Sequence[str]) -> NDArray[np.float32]:
        vectors = self._retriever.embedder.encode_query(sentences)
        cosines: NDArray[np.float32] = vectors @ self._retriever.vector(question)
        return cosines


def _worded(
    question: str,
    found: Sequence[Candidate],
    stems: Sequence[frozenset[str]],
    rarities: dict[str, float],
) -> NDArray[np.float64]:
    total = sum(rarities.values()) or 1.0
    best = max(candidate.hit.score for candidate in found) or 1.0
    first = found[0].hit.passage.article_id
    return np.array(
        [
            _OVERLAP * sum(rarities.get(stem, 0.0) for stem in words) / total
            + _PASSAGE * candidate.hit.score / best
            + _FIRST * (candidate.hit.passage.article_id == first)
            + _OFFERS * offers(question, candidate.text)
            - _POINTS_BACK * candidate.points_back
            - _DANGLES * candidate.dangles
            for candidate, words in zip(found, stems, strict=True)
        ]
    )


def _choose(
    found: Sequence[Candidate],
    stems: Sequence[frozenset[str]],
    scores: NDArray[np.float64],
    best: NDArray[np.intp],
) -> tuple[Quote, ...]:
    """Take the best sentence, and further ones that are nearly as good and say something else."""
    chosen: list[int] = []
    budget = MAX_WORDS
    for i in best:
        if len(chosen) == MAX_QUOTES or scores[i] < _ENOUGH * scores[best[0]]:
            break
        words = len(_slice(found[i]).split())
        if words <= budget and not any(_alike(stems[i], stems[other]) for other in chosen):
            chosen.append(int(i))
            budget -= words
    return _in_order([_quote(found[i], float(scores[i])) for i in chosen])


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    return len(a & b) / (min(len(a), len(b)) or 1) >= _SAME


def _slice(candidate: Candidate) -> str:
    return candidate.hit.passage.text[candidate.clear.start : candidate.clear.end]


def _quote(candidate: Candidate, score: float) -> Quote:
    at, span = candidate.hit.passage.start, candidate.clear
    return Quote(candidate.hit, at + span.start, at + span.end, _slice(candidate), score)


def _in_order(quotes: Sequence[Quote]) -> tuple[Quote, ...]:
    """Put each article's quotes together, as they stand there, the best quote's article first.

    What stands within another quote (the sentence before it, shown to explain it) is left out.
    """
    articles = list(dict.fromkeys(quote.hit.passage.article_id for quote in quotes))
    ordered = sorted(quotes, key=lambda q: (articles.index(q.hit.passage.article_id), q.start, -q.end))
    kept: list[Quote] = []
    for quote in ordered:
        last = kept[-1] if kept else None
        same = last is not None and last.hit.passage.article_id == quote.hit.passage.article_id
        if last is None or not same or quote.start >= last.end:
            kept.append(quote)
        elif quote.end > last.end:
            kept[-1] = _joined(last, quote)
    return tuple(kept)


def _joined(a: Quote, b: Quote) -> Quote:
    """Return one quote for two that overlap: both begin and end with a sentence of the same passage."""
    return Quote(a.hit, a.start, b.end, a.text + b.text[a.end - b.start :], max(a.score, b.score))

"""Answers in the articles' own words: picks the sentences that answer a question, or finds that none does."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bot.articles.passages import Span, split_sentences
from bot.retrieval.embeddings import Embedder
from bot.retrieval.retriever import Hit
from bot.retrieval.words import WordIndex, analyze

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_QUOTES = 3
MAX_WORDS = 90  # in all quotes together: what a reader takes in at a glance
_READ = 8  # passages whose sentences are weighed
_ENOUGH = 0.85  # a further quote must score this share of the best one
_SAME = 0.7  # share of stems from which two sentences say the same

# What a sentence is worth: its meaning, the question's rare words in it, and its passage's rank.
_COSINE, _OVERLAP, _PASSAGE = 1.0, 0.5, 0.3

_CONSIDERED = 3  # passages in which a name of the question has to stand
_WEIGHTS, _BIAS = (8.1, 6.13, -4.61), -10.89  # of the evidence, in the order of its fields

_WORD = re.compile(r"\w+")
_OPENING = re.compile(r"(^|[.?!]\s)\W*$")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage, by its offsets in the article."""

    hit: Hit
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells whether the articles answer a question at all.

    `cosine`: of the passage nearest to the question; `sentence`: the score of the best sentence; `missing`:
    the rarity, 0..1, of the rarest name or number in the question that the best passages nowhere have.
    """

    cosine: float
    sentence: float
    missing: float

    @property
    def confidence(self) -> float:
        """The probability that the articles answer: logistic, fitted by tests/bench/fit_confidence.py."""
        logit = sum(weight * value for weight, value in zip(_WEIGHTS, self.values, strict=True)) + _BIAS
        return 1 / (1 + math.exp(-logit))

    @property
    def values(self) -> tuple[float, float, float]:
        """The evidence in the order of its weights."""
        return (self.cosine, self.sentence, self.missing)


@dataclass(frozen=True, slots=True)
class Finding:
    """The quotes that answer best, best first, and what speaks for their answering at all."""

    quotes: tuple[Quote, ...]
    evidence: Evidence | None = None

    @property
    def confidence(self) -> float:
        """The probability that the articles answer the question."""
        return self.evidence.confidence if self.evidence else 0.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    span: Span
    text: str
    stems: frozenset[str]


class ExtractiveAnswerer:
    """Needs no language model: every sentence of its answers stands verbatim in an article."""

    name = "extractive"

    def __init__(self, embedder: Embedder, words: WordIndex) -> None:
        self._embedder = embedder
        self._words = words

    def find(self, question: str, hits: Sequence[Hit]) -> Finding:
        """Choose up to three sentences from these hits, which are in the order of their ranks."""
        candidates = _candidates(hits[:_READ])
        if not candidates:
            return Finding(())
        rarities = {term: self._words.rarity(term) for term in self._words.terms(question)}
        vectors = self._embedder.encode([question, *(candidate.text for candidate in candidates)])
        cosines = vectors[1:] @ vectors[0]
        scores = _scores(candidates, cosines, rarities, hits)
        order = sorted(range(len(candidates)), key=lambda i: -scores[i])
        quotes = _choose([(candidates[i], float(scores[i])) for i in order])
        evidence = Evidence(
            cosine=max(hit.scores.get("vectors", 0.0) for hit in hits),
            sentence=float(scores.max()),
            missing=self._missing(question, hits),
        )
        return Finding(quotes, evidence)

    def _missing(self, question: str, hits: Sequence[Hit]) -> float:
        """A question that names what no passage names ("When did Norway join the EU?") is not answered by it."""
        best = analyze(" ".join(f"{hit.headline.title}\n{hit.passage.text}" for hit in hits[:_CONSIDERED]))
        absent = [self._words.rarity(term) for term in names_and_numbers(question) if term not in best]
        return max(absent, default=0.0) / self._words.rarity("")


def names_and_numbers(question: str) -> set[str]:
    """Return the stems of words that begin with a digit or a capital; the one that opens a sentence may be any word."""
    words = [
        match[0]
        for match in _WORD.finditer(question)
        if match[0][0].isdigit() or (match[0][0].isupper() and not _OPENING.search(question[: match.start()]))
    ]
    return {stem for word in words for stem in analyze(word)}


def _candidates(hits: Sequence[Hit]) -> list[_Candidate]:
    found = []
    for hit in hits:
        for span in split_sentences(hit.passage.text):
            text = hit.passage.text[span.start : span.end]
            if _is_sentence(text):
                found.append(_Candidate(hit, span, text, frozenset(analyze(text))))
    return found


def _is_sentence(text: str) -> bool:
    """Headings, captions and menu lines quote badly: a sentence has some words and ends like one."""
    words = len(text.split())
    return 4 <= words <= MAX_WORDS and _SENTENCE_END.search(text) is not None


def _scores(
    candidates: Sequence[_Candidate],
    cosines: NDArray[np.float32],
    rarities: dict[str, float],
    hits: Sequence[Hit],
) -> NDArray[np.float64]:
    total = sum(rarities.values()) or 1.0
    best = hits[0].score or 1.0
    overlap = [sum(rarities.get(stem, 0.0) for stem in c.stems) / total for c in candidates]
    passage = [c.hit.score / best for c in candidates]
    return _COSINE * cosines + _OVERLAP * np.array(overlap) + _PASSAGE * np.array(passage)


def _choose(ranked: Sequence[tuple[_Candidate, float]]) -> tuple[Quote, ...]:
    """Take the best sentence, and further ones that are nearly as good and say something else."""
    chosen: list[tuple[_Candidate, float]] = []
    budget = MAX_WORDS
    for candidate, score in ranked:
        words = len(candidate.text.split())
        if len(chosen) == MAX_QUOTES or (chosen and score < _ENOUGH * chosen[0][1]):
            break
        if words <= budget and not any(_alike(candidate, other) for other, _ in chosen):
            chosen.append((candidate, score))
            budget -= words
    return tuple(_quote(candidate, score) for candidate, score in chosen)


def _alike(a: _Candidate, b: _Candidate) -> bool:
    smaller = min(len(a.stems), len(b.stems)) or 1
    return len(a.stems & b.stems) / smaller >= _SAME


def _quote(candidate: _Candidate, score: float) -> Quote:
    at = candidate.hit.passage.start
    return Quote(candidate.hit, at + candidate.span.start, at + candidate.span.end, candidate.text, score)

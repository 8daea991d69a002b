"""Lexical coverage and alignment of a sentence with its sources: shared words, their proximity and their order."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import NamedTuple, TypeVar

from bot.articles.chunking import Span, split_sentences
from bot.indexing.bm25_index import analyze

_WINDOW_SENTENCES = 3  # consecutive source sentences that may support a sentence together
_MAX_CANDIDATES = 5  # source sentences that are compared word by word
_MAX_STEM_DISTANCE = 3  # in the text, between two stems that are adjacent in the sentence
_MIN_COMMON_STEMS, _MIN_COMMON_SHARE = 4, 0.6  # stems in the same order, and their share, in a close match
_MAX_STEM_WEIGHT = 9  # a stem is weighted by its letters, up to this number
_WORD = re.compile(r"\w+(?:['’]\w+)*")

_T = TypeVar("_T")
Pair = tuple[str, str]


class Coverage(NamedTuple):
    """Shares (0..1) of a sentence that its sources contain: features of a logistic model.

    Args:
        stems: share of the stems found in three consecutive source sentences, weighted by their letters.
        near: share of the pairs of adjacent stems that are close together in the text.
        together: share of the pairs of stems in the text that occur within one source sentence.
        phrases: share of the sequences of three words.
    """

    stems: float
    near: float
    together: float
    phrases: float


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence of a source.

    Args:
        source: index of the source.
        span: character span in the source.
        text: the sentence.
        stems: its stems in order.
        words: the set of its stems.
        pairs: pairs of stems at most three stems apart, in order.
    """

    source: int
    span: Span
    text: str
    stems: tuple[str, ...]
    words: frozenset[str]
    pairs: frozenset[Pair]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Result of `align`.

    Args:
        best: the source sentence that the sentence follows most closely, or None if the sources are empty.
        close_matches: source sentences followed so closely that one changed word changes the meaning.
        coverage: coverage of the sentence by all sources.
    """

    best: SourceSentence | None
    close_matches: tuple[SourceSentence, ...]
    coverage: Coverage


def align(sentence: str, sources: Sequence[str]) -> Alignment:
    """Align `sentence` with the sentences of `sources`."""
    stems = tuple(analyze(sentence))
    every = [SourceSentence(at, *piece) for at, source in enumerate(sources) for piece in _sentences(source)]
    lengths = _rank_matches(stems, every)
    best = max(lengths, key=lambda one: one[0], default=(0, None))[1]
    parallel = tuple(other for length, other in lengths if _is_close_match(length, stems, other.stems))
    return Alignment(best, parallel, _coverage(sentence, stems, sources, every))


def _rank_matches(stems: Sequence[str], every: Sequence[SourceSentence]) -> list[tuple[int, SourceSentence]]:
    """Return the source sentences with most of `stems`, each with the length of the longest common subsequence."""
    wanted = frozenset(stems)
    near = sorted(every, key=lambda other: (-len(wanted & other.words), len(other.words)))[:_MAX_CANDIDATES]
    return [(lcs_length(stems, other.stems), other) for other in near]


def _is_close_match(length: int, one: Sequence[str], other: Sequence[str]) -> bool:
    """Return True if the common subsequence covers most of the shorter sequence: half of a merged one matches."""
    return length >= _MIN_COMMON_STEMS and length >= _MIN_COMMON_SHARE * min(len(one), len(other))


def _coverage(
    sentence: str, stems: Sequence[str], sources: Sequence[str], every: Sequence[SourceSentence]
) -> Coverage:
    share = _best_window_coverage({stem: min(len(stem), _MAX_STEM_WEIGHT) for stem in stems}, every)
    following = frozenset(pairwise(stems))
    near = _union(following & other.pairs for other in every)
    phrases = _ngrams(sentence)
    return Coverage(
        stems=share,
        near=len(near) / len(following) if following else share,
        together=_cooccurrence(frozenset(stems), every),
        phrases=len(phrases & _union(map(_ngrams, sources))) / len(phrases) if phrases else 0.0,
    )


def _best_window_coverage(letters: dict[str, int], every: Sequence[SourceSentence]) -> float:
    windows = _windows(frozenset(letters), every)
    best = max((sum(letters[stem] for stem in window) for window in windows), default=0)
    return best / max(sum(letters.values()), 1)


def _cooccurrence(stems: frozenset[str], every: Sequence[SourceSentence]) -> float:
    shared = [sorted(other.words & stems) for other in every]
    there = sorted({stem for some in shared for stem in some})
    pairs = {pair for some in shared for pair in combinations(some, 2)}
    return len(pairs) / math.comb(len(there), 2) if len(there) > 1 else 0.0


@lru_cache(maxsize=512)  # the same passage is cited by several sentences
def _sentences(source: str) -> tuple[tuple[Span, str, tuple[str, ...], frozenset[str], frozenset[Pair]], ...]:
    texts = [(span, source[span.start : span.end]) for span in split_sentences(source)]
    stemmed = [(span, text, tuple(analyze(text))) for span, text in texts]
    return tuple(
        (span, text, stems, frozenset(stems), frozenset(_pairs_in_reach(stems)))
        for span, text, stems in stemmed
    )


def with_neighbors(source: str, span: Span) -> str:
    """Return a sentence of `source` together with the previous and the next one."""
    spans = [piece[0] for piece in _sentences(source)]
    at = spans.index(span)
    return source[spans[max(0, at - 1)].start : spans[min(at + 1, len(spans) - 1)].end]


def all_stems(source: str) -> frozenset[str]:
    """Return the set of stems of a source."""
    return _union(words for _, _, _, words, _ in _sentences(source))


def _pairs_in_reach(stems: Sequence[str]) -> Iterator[Pair]:
    for at, stem in enumerate(stems):
        yield from ((stem, other) for other in stems[at + 1 : at + 1 + _MAX_STEM_DISTANCE])


@lru_cache(maxsize=512)
def _ngrams(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def _windows(wanted: frozenset[str], every: Sequence[SourceSentence]) -> Iterator[frozenset[str]]:
    for at, first in enumerate(every):
        window = every[at : at + _WINDOW_SENTENCES]
        yield _union(wanted & other.words for other in window if other.source == first.source)


def _union(sets: Iterable[frozenset[_T]]) -> frozenset[_T]:
    return frozenset(member for one in sets for member in one)


def lcs_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for stem in one:
        before = 0
        for at, against in enumerate(other, start=1):
            before, row[at] = row[at], before + 1 if stem == against else max(row[at], row[at - 1])
    return row[-1]

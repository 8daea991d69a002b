"""How a sentence lies on a text: which of its words the text has, how close together and in what order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.articles.passages import Span, split_sentences
from bot.retrieval.words import analyze

_WINDOW = 3  # sentences in a row that may together carry one
_CLOSEST = 5  # sentences that are compared word by word


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence of a source: which source, where in it, and its stems."""

    source: int
    span: Span
    stems: tuple[str, ...]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Alignment:
    """What `align` found. `closest` are the source sentences that share most with the sentence, best first."""

    stems: tuple[str, ...]
    closest: tuple[SourceSentence, ...]
    cov3: float
    lcs: float


def align(sentence: str, sources: Sequence[str]) -> Alignment:
    """Lay `sentence` on the sentences of `sources`."""
    stems = tuple(analyze(sentence))
    wanted = frozenset(stems)
    every = [SourceSentence(at, *piece) for at, source in enumerate(sources) for piece in prepare(source)]
    closest = sorted(every, key=lambda other: (-len(wanted & other.words), len(other.words)))[:_CLOSEST]
    cov3 = max((len(wanted & window) for window in _windows(every)), default=0) / max(len(wanted), 1)
    longest = max((common(stems, other.stems) for other in closest), default=0)
    return Alignment(stems, tuple(closest), cov3, longest / max(len(stems), 1))


@lru_cache(maxsize=512)  # a passage is cited by one sentence after the other
def prepare(source: str) -> tuple[tuple[Span, tuple[str, ...], frozenset[str]], ...]:
    """Return the sentences of `source` with their stems."""
    spans = split_sentences(source)
    stems = [tuple(analyze(source[span.start : span.end])) for span in spans]
    return tuple((span, words, frozenset(words)) for span, words in zip(spans, stems, strict=True))


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for stem in one:
        before = 0
        for at, against in enumerate(other, start=1):
            before, row[at] = row[at], before + 1 if stem == against else max(row[at], row[at - 1])
    return row[-1]


def _windows(every: Sequence[SourceSentence]) -> Iterator[frozenset[str]]:
    for at, first in enumerate(every):
        window = [other.words for other in every[at : at + _WINDOW] if other.source == first.source]
        yield frozenset().union(*window)

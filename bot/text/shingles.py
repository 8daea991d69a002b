"""Shingling, MinHash sketches and containment of near-duplicate text.

A shingle is a sequence of three words. The sketch of a text is a sixteenth of its shingles, selected by hash: a MinHash
that grows with the text, so that it can show that a text is part of a longer one, which a sketch of fixed size hardly
can. The hashes are the same on every machine.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bot.text.numerals import NUMBER_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHINGLE_WORDS = 3
# A sketch has one of 16 shingles, but a larger share of a short text and a smaller share of a long one.
_SAMPLING_RATE, _MIN_SKETCH_SIZE, _MAX_SKETCH_SIZE = 16, 8, 40
CONTAINMENT_THRESHOLD = 0.6  # share of a sentence's shingles: one or two words may differ
SHORT_SENTENCE = 4  # words: a shorter sentence is a heading, and claims nothing on its own
_NEGATIONS = frozenset(
    ("no", "not", "t", "never", "nor", "neither", "none", "nobody", "nothing", "without", "cannot")
)
_WORD = re.compile(r"\w+")

_FACTORS = tuple(np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_MIX, _SHIFT, _SIGN = np.uint64(0xFF51AFD7ED558CCD), np.uint64(33), np.uint64(1)
# "PARIS (AP) — ", "(CNN) " and "BOGOTA, Colombia — ".
_AGENCY = "AP|AFP|ANI|ANSA|BBC|Bloomberg|CNN(?: Business)?|DPA|dpa|EFE|IANS|Kyodo|PTI|Reuters|TASS|UPI|Xinhua"
DATELINE = re.compile(
    rf"(?:(?:[A-Z][\w.,’'/ -]{{1,40}} )?\((?:{_AGENCY})\) ?(?:[-–—]+ ?)?|"
    r"[A-Z][A-Z.’'/ -]+[A-Z](?:, [A-Z][\w. ]{1,20}?)? [-–—]+ )(?=[A-Z“\"‘])"
)


def words(text: str) -> frozenset[str]:
    """Return the case-folded words of a text."""
    return frozenset(_WORD.findall(text.casefold()))


def shingles(text: str) -> NDArray[np.uint64]:
    """Return the sorted, unique hashes of a text's shingles; empty for fewer than three words."""
    found = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in _WORD.findall(text.casefold())]
    codes = np.array(found, dtype=np.uint64)
    if len(codes) < _SHINGLE_WORDS:
        return codes[:0]
    last = len(codes) - _SHINGLE_WORDS + 1
    mixed = sum((codes[at : at + last] * factor for at, factor in enumerate(_FACTORS)), np.uint64(0))
    mixed = (mixed ^ (mixed >> _SHIFT)) * _MIX
    return np.unique(mixed ^ (mixed >> _SHIFT))


def sketch(hashes: NDArray[np.uint64]) -> list[int]:
    """Return the sketch of a text's shingles, as integers that fit into a SQL column (63 bits)."""
    picked = hashes[hashes % np.uint64(_SAMPLING_RATE) == 0]
    if len(picked) < _MIN_SKETCH_SIZE:
        picked = np.union1d(picked, hashes[:_MIN_SKETCH_SIZE])
    return [int(one) for one in picked[:_MAX_SKETCH_SIZE] >> _SIGN]


def containment(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Return the share (0..1) of the shorter text's shingles that the other text contains."""
    shorter = min(len(one), len(other))
    return len(np.intersect1d(one, other, assume_unique=True)) / shorter if shorter else 0.0


def contains_sentence(text: str, sentence: str) -> bool:
    """Return True if a text contains this sentence up to a word or two; numbers, names and negations must be equal."""
    if sentence in text:
        return True
    dateline = DATELINE.match(sentence)
    said = _WORD.findall(sentence[dateline.end() :] if dateline else sentence)
    if len(said) < SHORT_SENTENCE:
        return True
    there = _text_word_runs(text)
    found = [run in there for run in _hash_word_runs(said)]
    if sum(found) < CONTAINMENT_THRESHOLD * len(found):
        return False
    around = (found[max(0, at - _SHINGLE_WORDS + 1) : at + 1] for at in range(len(said)))
    return all(any(near) for at, near in enumerate(around) if _is_significant(said[at], first=not at))


def negations(text: str) -> frozenset[str]:
    """Return the negating words of a text."""
    return words(text) & _NEGATIONS


def overlap(text: str, sentence: str) -> int:
    """Return the number of a sentence's shingles that a text contains."""
    there = _text_word_runs(text)
    return sum(run in there for run in _hash_word_runs(_WORD.findall(sentence)))


def _is_significant(word: str, *, first: bool) -> bool:
    """Return True if replacing the word would change the claim: a name, a number or a negation."""
    name = word[0].isupper() and not first
    return (
        name
        or word.casefold() in _NEGATIONS
        or word.casefold() in NUMBER_WORDS
        or any(map(str.isdigit, word))
    )


@lru_cache(maxsize=128)  # articles: questions about the day's news retrieve the same ones repeatedly
def _text_word_runs(text: str) -> frozenset[int]:
    return frozenset(_hash_word_runs(_WORD.findall(text)))


def _hash_word_runs(words: list[str]) -> list[int]:
    folded = [word.casefold() for word in words]
    return [hash(tuple(folded[at : at + _SHINGLE_WORDS])) for at in range(len(folded) - _SHINGLE_WORDS + 1)]

"""Shingles: the runs of three words in a text, by which two texts tell how much of one stands in the other.

A sixteenth of a text's shingles, those of the lowest hashes, is its sketch: a MinHash that grows with the text, so that
it shows a part in a whole, which one of a fixed size hardly does. Hashes are the same on every machine.
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

_WORDS = 3
_SAMPLE, _LEAST, _MOST = (
    16,
    8,
    40,
)  # one of so many shingles, but more of a short text, and fewer of a long one
CONTAINMENT_THRESHOLD = 0.6  # share of a sentence's shingles: one or two words may differ
SHORT_SENTENCE = 4  # words: a shorter sentence is a heading, and says nothing by itself
_DENIALS = frozenset(
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
    """Return the words of a text, in lower case."""
    return frozenset(_WORD.findall(text.casefold()))


def shingles(text: str) -> NDArray[np.uint64]:
    """Return the hashes of a text's shingles, each once, in order; none for less than three words."""
    found = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in _WORD.findall(text.casefold())]
    codes = np.array(found, dtype=np.uint64)
    if len(codes) < _WORDS:
        return codes[:0]
    last = len(codes) - _WORDS + 1
    mixed = sum((codes[at : at + last] * factor for at, factor in enumerate(_FACTORS)), np.uint64(0))
    mixed = (mixed ^ (mixed >> _SHIFT)) * _MIX
    return np.unique(mixed ^ (mixed >> _SHIFT))


def sketch(hashes: NDArray[np.uint64]) -> list[int]:
    """Return the sample of a text's shingles, as numbers that SQL can hold."""
    picked = hashes[hashes % np.uint64(_SAMPLE) == 0]
    if len(picked) < _LEAST:
        picked = np.union1d(picked, hashes[:_LEAST])
    return [int(one) for one in picked[:_MOST] >> _SIGN]


def containment(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Return how much of the shorter text stands in the other, 0..1."""
    shorter = min(len(one), len(other))
    return len(np.intersect1d(one, other, assume_unique=True)) / shorter if shorter else 0.0


def contains_sentence(text: str, sentence: str) -> bool:
    """Say whether a text says this sentence, a word or two aside: but no number, name or denial may differ."""
    if sentence in text:
        return True
    dateline = DATELINE.match(sentence)
    said = _WORD.findall(sentence[dateline.end() :] if dateline else sentence)
    if len(said) < SHORT_SENTENCE:
        return True
    there = _runs(text)
    found = [run in there for run in _runs_in(said)]
    if sum(found) < CONTAINMENT_THRESHOLD * len(found):
        return False
    around = (found[max(0, at - _WORDS + 1) : at + 1] for at in range(len(said)))
    return all(any(near) for at, near in enumerate(around) if _is_significant(said[at], first=not at))


def negations(text: str) -> frozenset[str]:
    """Return the words of a text that deny."""
    return words(text) & _DENIALS


def overlap(text: str, sentence: str) -> int:
    """Return how many shingles of a sentence a text has."""
    there = _runs(text)
    return sum(run in there for run in _runs_in(_WORD.findall(sentence)))


def _is_significant(word: str, *, first: bool) -> bool:
    """Say whether another word in its place would make another claim."""
    name = word[0].isupper() and not first
    return (
        name or word.casefold() in _DENIALS or word.casefold() in NUMBER_WORDS or any(map(str.isdigit, word))
    )


@lru_cache(maxsize=128)  # articles: a team asks of the day's news, and finds the same ones again and again
def _runs(text: str) -> frozenset[int]:
    return frozenset(_runs_in(_WORD.findall(text)))


def _runs_in(words: list[str]) -> list[int]:
    folded = [word.casefold() for word in words]
    return [hash(tuple(folded[at : at + _WORDS])) for at in range(len(folded) - _WORDS + 1)]

"""Canonical form of numbers in digits or words: "two hundred thousand", "200 thousand" and "200,000" are "200000"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

# As powers of ten. A separate "m" is as likely meters, and "k" and "b" are letters: these count only as a suffix of
# digits.
_LARGE = {"thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "bn": 9, "trillion": 12}
_SCALES = {"hundred": 2} | _LARGE
SUFFIX_SCALES = _LARGE | {"k": 3, "m": 6, "mn": 6, "mln": 6, "b": 9, "tn": 12, "trn": 12}
_DIGITS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NOT_IN_NUMBERS = re.compile("[^0-9.]")


class Merged(NamedTuple):
    """The token that replaces `words` consecutive words."""

    text: str
    words: int


class _Number(NamedTuple):
    """A number written in words; `stop` is the index of the word after it."""

    value: int
    stop: int
    ordinal: bool = False


def _map_to_values(words: str, start: int, step: int = 1) -> dict[str, int]:
    return {word: start + step * place for place, word in enumerate(words.split())}


_UNITS = _map_to_values("one two three four five six seven eight nine", 1)
_TEENS = _map_to_values("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10)
_TENS = _map_to_values("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_CARDINALS = {"zero": 0} | _UNITS | _TEENS | _TENS
_UNIT_ORDINALS = _map_to_values("first second third fourth fifth sixth seventh eighth ninth", 1)
_ORDINALS = (
    _UNIT_ORDINALS
    | _map_to_values(
        "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth", 10
    )
    | _map_to_values("nineteenth twentieth", 19)
    | _map_to_values("thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth hundredth", 30, 10)
)


# Words that are numbers; "one" and "second" mostly are not.
NUMBER_WORDS = (_CARDINALS.keys() | _ORDINALS.keys() | _SCALES.keys()) - {"one", "second", "b", "m"}


def canonical(number: str, zeros: int = 0) -> str:
    """Return the canonical form of a number times 10 to the power of `zeros`: "1.20" and 1 give "12".

    The result is exact: no floating-point arithmetic is used.

    Args:
        number: digits, with or without grouping characters.
        zeros: the exponent.
    """
    whole, _, part = _NOT_IN_NUMBERS.sub("", number).partition(".")
    whole = (whole + part[:zeros].ljust(zeros, "0")).lstrip("0") or "0"
    part = part[zeros:].rstrip("0")
    return f"{whole}.{part}" if part else whole


def ordinal(number: str) -> str:
    """Return the canonical form of the ordinal of `number`: "1th" for both "1st" and "first"."""
    return f"{canonical(number)}th"


def merge(words: Sequence[str]) -> list[Merged]:
    """Merge the words of each number, and "per cent", into one token.

    A number includes every word that may belong to it and does not depend on the words before it. The words after
    it are read only up to the end of the next number.

    Args:
        words: lower-case words that are separated only by spaces or hyphens in the text.
    """
    numbers = _parse_all(words)
    merged, at = [], 0
    while at < len(words):
        merged.append(_merge_at(words, at, numbers[at]))
        at += merged[-1].words
    return merged


def _merge_at(words: Sequence[str], at: int, number: _Number | None) -> Merged:
    if number is not None:
        text = str(number.value)
        return Merged(ordinal(text) if number.ordinal else text, number.stop - at)
    if words[at] == "pct":
        return Merged("percent", 1)
    if words[at] == "per" and _word_at(words, at + 1) == "cent":
        return Merged("percent", 2)
    if _DIGITS.fullmatch(words[at]):
        scales = 0
        while _word_at(words, at + 1 + scales) in _SCALES:
            scales += 1
        zeros = sum(_SCALES[word] for word in words[at + 1 : at + 1 + scales])
        return Merged(canonical(words[at], zeros), 1 + scales)
    return Merged(words[at], 1)


def _word_at(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _parse_all(words: Sequence[str]) -> list[_Number | None]:
    """Return for each word the number that starts with it; parse backward so that no number is parsed twice."""
    numbers: list[_Number | None] = [None] * len(words)
    for at in range(len(words) - 1, -1, -1):
        numbers[at] = _parse_number(words, at, numbers)
    return numbers


def _parse_number(words: Sequence[str], at: int, later: Sequence[_Number | None]) -> _Number | None:
    """Parse "two million three hundred thousand": a number after a scale is added only if it is smaller."""
    if words[at] == "half" and _word_at(words, at + 1) == "a" and _word_at(words, at + 2) in _SCALES:
        return _Number(10 ** _SCALES[words[at + 2]] // 2, at + 3)
    found = _parse_below_1000(words, at)
    if found is None or found.ordinal or _word_at(words, found.stop) not in _LARGE:
        return found
    value, stop, limit = found.value, found.stop, 1
    while _word_at(words, stop) in _LARGE:
        limit = 10 ** _LARGE[words[stop]]
        value, stop = value * limit, stop + 1
    linked = _word_at(words, stop) == "and"
    rest = later[stop + linked] if stop + linked < len(words) else None
    if rest is None or rest.value >= limit or (rest.ordinal and not linked):
        return _Number(value, stop)
    return _Number(value + rest.value, rest.stop, rest.ordinal)


def _parse_below_1000(words: Sequence[str], at: int) -> _Number | None:
    """Parse "a hundred", "two hundred and five" or "twenty-one"; "a" is a number only before a scale."""
    if words[at] == "a" and _word_at(words, at + 1) in _SCALES:
        found: _Number | None = _Number(1, at + 1)
    else:
        found = _parse_below_100(words, at)
    if found is None or found.ordinal or _word_at(words, found.stop) != "hundred":
        return found
    value, stop = 100 * found.value, found.stop + 1
    linked = _word_at(words, stop) == "and"
    rest = _parse_below_100(words, stop + linked)
    if rest is None or (not linked if rest.ordinal else _word_at(words, rest.stop) == "hundred"):
        return _Number(value, stop)  # "between one hundred and two hundred", "two hundred first responders"
    return _Number(value + rest.value, rest.stop, rest.ordinal)


def _parse_below_100(words: Sequence[str], at: int) -> _Number | None:
    word, after = _word_at(words, at), _word_at(words, at + 1)
    if word in _TENS and after in _UNITS:
        return _Number(_TENS[word] + _UNITS[after], at + 2)
    if word in _TENS and after in _UNIT_ORDINALS:
        return _Number(_TENS[word] + _UNIT_ORDINALS[after], at + 2, ordinal=True)
    if word in _CARDINALS:
        return _Number(_CARDINALS[word], at + 1)
    return _Number(_ORDINALS[word], at + 1, ordinal=True) if word in _ORDINALS else None

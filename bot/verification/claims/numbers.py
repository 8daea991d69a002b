"""Number matching: find the numbers of a sentence that its source lacks, in any notation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from bot.indexing.bm25_index import analyze
from bot.text import numerals
from bot.text.tokens import Token, tokens
from bot.verification.claims.names import CAPITALIZED_NON_NAMES

_NUMERAL = re.compile(r"\d+(?:\.\d+)?")
_HAS_DIGIT = re.compile(r"\d")
_CURRENCY_SIGN = re.compile(r"(?:[$£€¥₹])\s?$")
_CURRENCIES = {"dollar": "$", "dollars": "$", "pound": "£", "pounds": "£", "euro": "€", "euros": "€", "yen": "¥",
               "rupee": "₹", "rupees": "₹"}  # fmt: skip
_SHORT_YEAR = re.compile(r"\b(1[5-9]|20)\d\d[-–/]$")
_MAX_PERCENT_DISTANCE = 4  # tokens: "5.25 to 5.5 percent"

_BETWEEN = frozenset({"to", "and", "or", "percent"})  # the counted noun follows the other end of the range
# As in "men 40 and older".
_PEOPLE = frozenset({"children", "kids", "adults", "people", "women", "men", "girls", "boys"})
_MAX_SMALL_DIGITS = 2  # digits: longer numbers rarely match by chance

# Words that imply a number.
_IMPLIED_VALUES = {
    "both": "2", "pair": "2", "couple": "2", "twice": "2", "double": "2", "doubled": "2", "doubling": "2", "duo": "2",
    "twin": "2", "twins": "2", "brace": "2", "thrice": "3", "triple": "3", "tripled": "3", "trio": "3", "quartet": "4",
    "decade": "10", "dozen": "12", "century": "100", "centuries": "100", "single": "1", "sole": "1", "once": "1",
    "goalless": "0", "scoreless": "0", "nil": "0", "debut": "1th", "inaugural": "1th",
}  # fmt: skip
# Those that the text must support if a sentence uses them; the others are rarely meant as numbers.
_COUNTING_WORDS = frozenset(
    {"twice", "thrice", "triple", "tripled", "trio", "quartet", "dozen", "decade", "century"}
)
_IMPLIED_PERCENTAGES = {"half": "50", "halved": "50", "quarter": "25"}

_HEDGES_ABOUT = frozenset(
    {"about", "around", "approximately", "roughly", "some", "circa", "estimated", "approx"}
)
_HEDGES_ABOVE = frozenset({"more", "over", "least", "exceeding", "exceeded", "above", "upwards"})
_HEDGES_BELOW = frozenset({"nearly", "almost", "under", "less", "fewer", "below", "most"})
# Relative tolerances between a rounded number and the number in the text.
_ABOUT_TOLERANCE, _BOUND_TOLERANCE = 0.05, 0.18


class Number(NamedTuple):
    """A normalized number ("12", "3th", "1990s") with its surroundings.

    Args:
        value: the normalized number.
        scaled: the alternative reading of the 5 in "5 to 6 million", else equal to `value`.
        unit: "%", a currency sign, or an empty string.
        shown: the number as written.
        hedge: the word before it that makes it a round number, or an empty string.
        noun: the stem of the word after it, or an empty string.
        between: the number is followed by the rest of a range.
        label: the stem of the word before it if that word identifies the counted thing ("Game 3", "men 40 and
            older"), or an empty string.
    """

    value: str
    scaled: str
    unit: str
    shown: str
    hedge: str
    noun: str
    between: bool
    label: str


def missing_numbers(sentence: str, text: str) -> list[str]:
    """Return the numbers of `sentence`, as written, that `text` does not contain."""
    stated = numbers(text)
    by_value: dict[str, set[str]] = {}
    for value, unit in [
        *_iter_values(stated),
        *_iter_implied_numbers(text),
        *((value, "") for value, _ in _iter_counting_words(text)),
    ]:
        by_value.setdefault(value, set()).add(unit)
    lacked = [number.shown for number in numbers(sentence) if not _is_stated(number, stated, by_value)]
    return [*lacked, *(shown for value, shown in _iter_counting_words(sentence) if value not in by_value)]


def _iter_counting_words(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield the values of words such as "twice" and signs such as "③", each with its text as written."""
    read = tokens(sentence)
    for at, token in enumerate(read):
        if token.text == "dozen" and at and read[at - 1].text.isdigit():
            yield str(12 * int(read[at - 1].text)), token.text
        elif token.text in _COUNTING_WORDS:
            yield _IMPLIED_VALUES[token.text], token.text
        elif unicodedata.category(token.text[0]) in ("No", "Nl"):
            yield unicodedata.normalize("NFKC", token.text), token.text


@lru_cache(maxsize=512)
def numbers(text: str) -> tuple[Number, ...]:
    """Return the numbers of `text` in order."""
    read = tokens(text)
    return tuple(_build_number(text, read, at) for at in range(len(read)) if _HAS_DIGIT.search(read[at].text))


def _iter_values(stated: Sequence[Number]) -> Iterator[tuple[str, str]]:
    for number in stated:
        yield number.value, number.unit
        yield number.scaled, number.unit


def _build_number(text: str, read: Sequence[Token], at: int) -> Number:
    token = read[at]
    if len(token.text) == 2 and (year := _SHORT_YEAR.search(text[max(0, token.start - 5) : token.start])):
        token = token._replace(text=year[1] + token.text)  # 2018–19
    words = [other.text for other in read[max(0, at - 3) : at]]
    hedge = next(
        (word for word in reversed(words) if word in _HEDGES_ABOUT | _HEDGES_ABOVE | _HEDGES_BELOW), ""
    )
    after = read[at + 1].text if at + 1 < len(read) else ""
    noun = "".join(analyze(after)[:1]) if after.isalpha() else ""
    scale = _infer_range_scale(read, at)
    return Number(
        value=token.text,
        scaled=numerals.canonical(token.text, scale) if scale else token.text,
        unit=_find_unit(text, read, at),
        shown=text[token.start : token.end],
        hedge=hedge,
        noun=noun,
        label=_find_label(text, read, at),
        between=after in _BETWEEN or _HAS_DIGIT.search(after) is not None,
    )


def _find_label(text: str, read: Sequence[Token], at: int) -> str:
    """Return the stem of the word before a number if it is what the number identifies, or the people it refers to."""
    if not at or text[read[at - 1].end : read[at].start] != " ":
        return ""
    word = read[at - 1].text
    if word in _PEOPLE or (text[read[at - 1].start].isupper() and word not in CAPITALIZED_NON_NAMES):
        return "".join(analyze(word)[:1])
    return ""


def _find_unit(text: str, read: Sequence[Token], at: int) -> str:
    if sign := _CURRENCY_SIGN.search(text, max(0, read[at].start - 2), read[at].start):
        return sign[0].strip()
    following = [token.text for token in read[at + 1 : at + 1 + _MAX_PERCENT_DISTANCE]]
    if "percent" in following or "percentage" in following:
        return "%"
    return next((_CURRENCIES[word] for word in following[:1] if word in _CURRENCIES), "")


def _infer_range_scale(read: Sequence[Token], at: int) -> int:
    """Return the number of zeros that "5" inherits from the other end of "5 to 6 million"."""
    if at + 1 >= len(read) or not _NUMERAL.fullmatch(read[at].text):
        return 0
    end = at + 2 if read[at + 1].text in {"to", "and", "or"} else at + 1
    if end >= len(read) or not _NUMERAL.fullmatch(read[end].text):
        return 0
    zeros = len(read[end].text) - len(read[end].text.rstrip("0"))
    return next((scale for scale in (12, 9, 6) if zeros >= scale - 2 and len(read[end].text) > scale), 0)


def _iter_implied_numbers(text: str) -> Iterator[tuple[str, str]]:
    read = tokens(text)
    for at, token in enumerate(read):
        if token.text in _IMPLIED_VALUES:
            yield _IMPLIED_VALUES[token.text], ""
        if token.text in _IMPLIED_PERCENTAGES:
            yield _IMPLIED_PERCENTAGES[token.text], "%"
        if token.text == "dozen" and at and read[at - 1].text.isdigit():
            yield str(12 * int(read[at - 1].text)), ""


def _is_stated(number: Number, stated: Sequence[Number], by_value: dict[str, set[str]]) -> bool:
    units = by_value.get(number.value, set()) | by_value.get(number.scaled, set())
    if units:
        return (not number.unit or number.unit in units) and not _counts_other_things(number, stated)
    if number.value in {"1", "1th"} and not number.shown[:1].isdigit():
        # "one" and "first" are rarely counts
        return not any(number.noun and other.noun == number.noun for other in stated)
    if number.value.endswith("s") and any(value.endswith(number.value[-3:]) for value in by_value):
        return True  # the 1990s, the 90s
    return bool(number.hedge) and any(_is_rounded_form(number, other) for other in stated)


def _counts_other_things(number: Number, stated: Sequence[Number]) -> bool:
    """Return True if the text has a small number only for other things, and another number for the same things."""
    if len(number.value) > _MAX_SMALL_DIGITS:
        return False
    same = [other for other in stated if number.value in {other.value, other.scaled}]
    if number.label and any(other.label == number.label for other in stated):
        return all(other.label != number.label for other in same)
    if not number.noun or any(other.noun in {number.noun, ""} or other.between for other in same):
        return False
    return any(other.noun == number.noun for other in stated)


def _is_rounded_form(number: Number, other: Number) -> bool:
    """Return True if the hedged `number` is a rounded form of `other` and counts the same things."""
    if (
        not (_NUMERAL.fullmatch(number.value) and _NUMERAL.fullmatch(other.value))
        or number.unit != other.unit
    ):
        return False
    if (
        _count_significant_digits(number.value) >= _count_significant_digits(other.value)
        or float(other.value) == 0
    ):
        return False  # a rounded number has fewer significant digits
    off = float(number.value) / float(other.value) - 1
    if number.noun != other.noun and (not number.unit or abs(off) > _ABOUT_TOLERANCE):
        return False
    if number.hedge in _HEDGES_ABOUT:
        return abs(off) <= _ABOUT_TOLERANCE
    return -_BOUND_TOLERANCE <= off <= 0 if number.hedge in _HEDGES_ABOVE else 0 <= off <= _BOUND_TOLERANCE


def _count_significant_digits(value: str) -> int:
    return len(value.replace(".", "").strip("0"))

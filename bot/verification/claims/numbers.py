"""Numbers: which of a sentence's numbers no text has, however either of them writes it."""

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
_SIGN = re.compile(r"(?:[$£€¥₹])\s?$")
_CURRENCIES = {"dollar": "$", "dollars": "$", "pound": "£", "pounds": "£", "euro": "€", "euros": "€", "yen": "¥",
               "rupee": "₹", "rupees": "₹"}  # fmt: skip
_SHORT_YEAR = re.compile(r"\b(1[5-9]|20)\d\d[-–/]$")
_PERCENT_WITHIN = 4  # tokens: "5.25 to 5.5 percent"

_BETWEEN = frozenset({"to", "and", "or", "percent"})  # the things counted follow the range's other end
_PEOPLE = frozenset(
    {"children", "kids", "adults", "people", "women", "men", "girls", "boys"}
)  # "men 40 and older"
_SMALL = 2  # digits: longer numbers do not meet by chance

# What says a number without being one.
_SAYS = {
    "both": "2", "pair": "2", "couple": "2", "twice": "2", "double": "2", "doubled": "2", "doubling": "2", "duo": "2",
    "twin": "2", "twins": "2", "brace": "2", "thrice": "3", "triple": "3", "tripled": "3", "trio": "3", "quartet": "4",
    "decade": "10", "dozen": "12", "century": "100", "centuries": "100", "single": "1", "sole": "1", "once": "1",
    "goalless": "0", "scoreless": "0", "nil": "0", "debut": "1th", "inaugural": "1th",
}  # fmt: skip
# Those of them that a sentence may say only of a text that says so too; the others are seldom meant as numbers.
_COUNTS = frozenset({"twice", "thrice", "triple", "tripled", "trio", "quartet", "dozen", "decade", "century"})
_SHARES = {"half": "50", "halved": "50", "quarter": "25"}

_ABOUT = frozenset({"about", "around", "approximately", "roughly", "some", "circa", "estimated", "approx"})
_ABOVE = frozenset({"more", "over", "least", "exceeding", "exceeded", "above", "upwards"})
_BELOW = frozenset({"nearly", "almost", "under", "less", "fewer", "below", "most"})
_NEAR, _WIDE = 0.05, 0.18  # how far a rounded number may lie from the text's


class Number(NamedTuple):
    """A number as it is compared ("12", "3th", "1990s"), with what stands around it.

    `scaled` is what the 5 of "5 to 6 million" may mean too; `unit` is "%", a currency sign or ""; `printable_path` is the
    number as it was written, `hedge` the word before it that makes it a round one, `noun` the stem after it; `between`
    says that a range goes on there, `label` is the stem of the word before it where that says of what it is ("Game 3",
    "men 40 and older").
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
    """Return the numbers of `sentence`, as it writes them, that `text` does not have."""
    stated = numbers(text)
    by_value: dict[str, set[str]] = {}
    for value, unit in [
        *_read(stated),
        *_implied_numbers(text),
        *((value, "") for value, _ in _counts(text)),
    ]:
        by_value.setdefault(value, set()).add(unit)
    lacked = [number.shown for number in numbers(sentence) if not _is_stated(number, stated, by_value)]
    return [*lacked, *(shown for value, shown in _counts(sentence) if value not in by_value)]


def _counts(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield what words such as "twice" and signs such as "③" count, and how they are written."""
    read = tokens(sentence)
    for at, token in enumerate(read):
        if token.text == "dozen" and at and read[at - 1].text.isdigit():
            yield str(12 * int(read[at - 1].text)), token.text
        elif token.text in _COUNTS:
            yield _SAYS[token.text], token.text
        elif unicodedata.category(token.text[0]) in ("No", "Nl"):
            yield unicodedata.normalize("NFKC", token.text), token.text


@lru_cache(maxsize=512)
def numbers(text: str) -> tuple[Number, ...]:
    """Return the numbers of `text` in order."""
    read = tokens(text)
    return tuple(_number(text, read, at) for at in range(len(read)) if _HAS_DIGIT.search(read[at].text))


def _read(stated: Sequence[Number]) -> Iterator[tuple[str, str]]:
    for number in stated:
        yield number.value, number.unit
        yield number.scaled, number.unit


def _number(text: str, read: Sequence[Token], at: int) -> Number:
    token = read[at]
    if len(token.text) == 2 and (year := _SHORT_YEAR.search(text[max(0, token.start - 5) : token.start])):
        token = token._replace(text=year[1] + token.text)  # 2018–19
    words = [other.text for other in read[max(0, at - 3) : at]]
    hedge = next((word for word in reversed(words) if word in _ABOUT | _ABOVE | _BELOW), "")
    after = read[at + 1].text if at + 1 < len(read) else ""
    noun = "".join(analyze(after)[:1]) if after.isalpha() else ""
    scale = _scale_of_range(read, at)
    return Number(
        value=token.text,
        scaled=numerals.canonical(token.text, scale) if scale else token.text,
        unit=_unit(text, read, at),
        shown=text[token.start : token.end],
        hedge=hedge,
        noun=noun,
        label=_label(text, read, at),
        between=after in _BETWEEN or _HAS_DIGIT.search(after) is not None,
    )


def _label(text: str, read: Sequence[Token], at: int) -> str:
    """Return the stem of the word right before a number that it numbers, or that says of whom it is."""
    if not at or text[read[at - 1].end : read[at].start] != " ":
        return ""
    word = read[at - 1].text
    if word in _PEOPLE or (text[read[at - 1].start].isupper() and word not in CAPITALIZED_NON_NAMES):
        return "".join(analyze(word)[:1])
    return ""


def _unit(text: str, read: Sequence[Token], at: int) -> str:
    if sign := _SIGN.search(text, max(0, read[at].start - 2), read[at].start):
        return sign[0].strip()
    following = [token.text for token in read[at + 1 : at + 1 + _PERCENT_WITHIN]]
    if "percent" in following or "percentage" in following:
        return "%"
    return next((_CURRENCIES[word] for word in following[:1] if word in _CURRENCIES), "")


def _scale_of_range(read: Sequence[Token], at: int) -> int:
    """Return the zeros that "5" takes from the other end of "5 to 6 million"."""
    if at + 1 >= len(read) or not _NUMERAL.fullmatch(read[at].text):
        return 0
    end = at + 2 if read[at + 1].text in {"to", "and", "or"} else at + 1
    if end >= len(read) or not _NUMERAL.fullmatch(read[end].text):
        return 0
    zeros = len(read[end].text) - len(read[end].text.rstrip("0"))
    return next((scale for scale in (12, 9, 6) if zeros >= scale - 2 and len(read[end].text) > scale), 0)


def _implied_numbers(text: str) -> Iterator[tuple[str, str]]:
    read = tokens(text)
    for at, token in enumerate(read):
        if token.text in _SAYS:
            yield _SAYS[token.text], ""
        if token.text in _SHARES:
            yield _SHARES[token.text], "%"
        if token.text == "dozen" and at and read[at - 1].text.isdigit():
            yield str(12 * int(read[at - 1].text)), ""


def _is_stated(number: Number, stated: Sequence[Number], by_value: dict[str, set[str]]) -> bool:
    units = by_value.get(number.value, set()) | by_value.get(number.scaled, set())
    if units:
        return (not number.unit or number.unit in units) and not _counts_other_things(number, stated)
    if number.value in {"1", "1th"} and not number.shown[:1].isdigit():
        return not any(
            number.noun and other.noun == number.noun for other in stated
        )  # "one" and "first" are seldom counts
    if number.value.endswith("s") and any(value.endswith(number.value[-3:]) for value in by_value):
        return True  # the 1990s, the 90s
    return bool(number.hedge) and any(_rounds(number, other) for other in stated)


def _counts_other_things(number: Number, stated: Sequence[Number]) -> bool:
    """Say whether the text has another number of the same things, and this one, small, only of other things."""
    if len(number.value) > _SMALL:
        return False
    same = [other for other in stated if number.value in {other.value, other.scaled}]
    if number.label and any(other.label == number.label for other in stated):
        return all(other.label != number.label for other in same)
    if not number.noun or any(other.noun in {number.noun, ""} or other.between for other in same):
        return False
    return any(other.noun == number.noun for other in stated)


def _rounds(number: Number, other: Number) -> bool:
    """Say whether `number`, hedged, is a round form of `other`, which counts the same things."""
    if (
        not (_NUMERAL.fullmatch(number.value) and _NUMERAL.fullmatch(other.value))
        or number.unit != other.unit
    ):
        return False
    if _digits(number.value) >= _digits(other.value) or float(other.value) == 0:
        return False  # only what is rounder can be a rounding
    off = float(number.value) / float(other.value) - 1
    if number.noun != other.noun and (not number.unit or abs(off) > _NEAR):
        return False
    if number.hedge in _ABOUT:
        return abs(off) <= _NEAR
    return -_WIDE <= off <= 0 if number.hedge in _ABOVE else 0 <= off <= _WIDE


def _digits(value: str) -> int:
    return len(value.replace(".", "").strip("0"))

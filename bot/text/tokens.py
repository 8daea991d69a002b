"""Finding an answer in a text: by token sequence, with numbers known, so that "9" is not in "90"."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from bot.text import numerals

_ARTICLES = frozenset({"a", "an", "the"})
# Combining marks belong to their letter, soft hyphens and joiners to their word; `\w` knows neither.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M")
_INVISIBLE = "\u00ad\u200c\u200d\u2060"
_APOSTROPHES = "'’‘"
_LETTER = r"[^\W_]"  # or a digit
_SUFFIX = "|".join([*numerals.SUFFIX_SCALES, "st", "nd", "rd", "th"])
_UNIT = "am|pm|km|kg|cm|mm|kph|mph|ft|lb|lbs|gb|mb|tb|kw|mw|gw"
# A slice of whole tokens has to come out as the same tokens, so nothing here looks back beyond a decimal point's
# neighbour or ahead into another token.
_PIECE = re.compile(
    rf"""
    (?: (?P<dotted> [0-9]+ (?:\.[0-9]+){{2,}} )                                 # 3.11.7, 12.06.2022
      | (?P<mixed> (?>[0-9]+) (?! (?:{_SUFFIX}|{_UNIT}) (?!{_LETTER}) )
                   {_LETTER} (?:{_LETTER}|[{_MARKS}])* )                        # 5G, 1990s
      | (?P<number> (?> [0-9]{{1,2}} (?:,[0-9]{{2}}){{1,5}} ,[0-9]{{3}} (?![0-9]) # 1,00,000
                      | [0-9]{{1,3}} (?P<by>[,'’\u00a0\u2009\u202f]) [0-9]{{3}} (?:(?P=by)[0-9]{{3}})* (?![0-9])
                      | [0-9]{{1,3}} (?:[ ][0-9]{{3}}){{,4}} [ ]000 (?![0-9])   # 10 000
                      | [0-9]+ ) (?>\.[0-9]+)?
                    | (?<![\w.{_MARKS}]) \.[0-9]+ )
        (?: (?P<suffix>{_SUFFIX}) (?!{_LETTER}) )?                              # 1.2m, 1st
      | (?P<currency> [A-Z]{{1,2}}\$ (?=[ ]?[0-9]) )                             # US$, A$
      | (?P<percent> % )
      | (?P<ampersand> & )
      | (?P<acronym> [^\W\d_][{_MARKS}]* (?:\.[^\W\d_][{_MARKS}]*)+ (?!{_LETTER}|[{_MARKS}]) )  # U.S., a.m.
      | (?P<word> {_LETTER}
          (?: {_LETTER} | [{_MARKS}{_INVISIBLE}] | [{_APOSTROPHES}] (?!s(?!{_LETTER})) (?={_LETTER}) )* )
    )
    (?: \.? [{_APOSTROPHES}]s (?!{_LETTER}) )?                                  # a possessive is in no token
    """,
    re.VERBOSE | re.IGNORECASE,
)
_IGNORED = re.compile(f"[{_APOSTROPHES}ʼ{_INVISIBLE}.]")
_JOINT = re.compile(r"[^\S\n]*\n?[^\S\n]*|[-‐‑]")


class Token(NamedTuple):
    """A token as it is compared, and where it stands: `start` and `end` are offsets into the original."""

    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text` as they are compared.

    Case, punctuation, quotes, possessive 's and currency signs are gone, accents stay. A number is one token
    however it is written: "$1.2 million", "1.2m" and "1,200,000" are "1200000", "first" and "1st" are "1th".
    Articles are left out unless there is nothing else.
    """
    every = _every_token(text)
    return [token for token in every if token.text not in _ARTICLES] or list(every)


def contains_answer(text: str, answer: str) -> bool:
    """Tell whether the token sequence of `answer` stands in `text`; an answer without tokens stands nowhere."""
    return find_answer(text, answer) is not None


def find_answer(text: str, answer: str) -> tuple[int, int] | None:
    """Return the span of characters in `text` of the first place where the token sequence of `answer` stands."""
    wanted = tokens(answer)
    if not wanted:
        return None
    every = _every_token(answer)
    if wanted[0].text in _ARTICLES:  # the answer "A" is not every "a" of a sentence: letter for letter
        return _place(_as_written(text, _every_token(text)), _as_written(answer, wanted))
    if every[-1].text in _ARTICLES:  # "Serie A" is not every Serie: at the end it is no article
        return _place(_every_token(text), [token for token in every if token.start >= wanted[0].start])
    return _place(tokens(text), wanted)


def _place(inside: Sequence[Token], wanted: Sequence[Token]) -> tuple[int, int] | None:
    words, sought = [token.text for token in inside], [token.text for token in wanted]
    for first in range(len(words) - len(sought) + 1):
        if words[first] == sought[0] and words[first : first + len(sought)] == sought:
            return inside[first].start, inside[first + len(sought) - 1].end
    return None


def _as_written(text: str, found: Sequence[Token]) -> list[Token]:
    return [token._replace(text=text[token.start : token.end]) for token in found]


@lru_cache(maxsize=512)  # a passage is searched for one gold answer after the other
def _every_token(text: str) -> tuple[Token, ...]:
    return tuple(token for chain in _number_runs(text) for token in _merged(chain))


def _merged(chain: Sequence[Token]) -> Iterator[Token]:
    at = 0
    for merged in numerals.merge([piece.text for piece in chain]):
        yield Token(merged.text, chain[at].start, chain[at + merged.words - 1].end)
        at += merged.words


def _number_runs(text: str) -> Iterator[list[Token]]:
    """Yield the pieces of `text` in runs with only a space or a hyphen between them: no number is longer."""
    chain: list[Token] = []
    for match in _PIECE.finditer(text):
        piece = _piece(match)
        if not piece.text:
            continue
        if chain and not _JOINT.fullmatch(text, chain[-1].end, piece.start):
            yield chain
            chain = []
        chain.append(piece)
    if chain:
        yield chain


def _piece(match: re.Match[str]) -> Token:
    kind, (start, end) = _kind(match)
    if kind == "percent":
        return Token("percent", start, end)
    if kind == "currency":
        return Token("", start, end)
    if kind == "ampersand":
        return Token("and", start, end)
    if kind == "number":
        return Token(_number(match["number"], match["suffix"] or ""), start, max(end, match.end("suffix")))
    return Token(match[kind] if kind == "dotted" else _folded(match[kind]), start, end)


def _kind(match: re.Match[str]) -> tuple[str, tuple[int, int]]:
    kinds = ("word", "number", "currency", "percent", "ampersand", "acronym", "mixed", "dotted")
    kind = next(kind for kind in kinds if match[kind] is not None)
    return kind, match.span(kind)


def _number(digits: str, suffix: str) -> str:
    scale = suffix.casefold()
    if scale in {"st", "nd", "rd", "th"}:
        return numerals.ordinal(digits)
    return numerals.canonical(digits, numerals.SUFFIX_SCALES.get(scale, 0))


def _folded(word: str) -> str:
    folded = unicodedata.normalize("NFC", word).casefold().replace("i\u0307", "i")  # of a capital İ
    return unicodedata.normalize("NFC", _IGNORED.sub("", folded))

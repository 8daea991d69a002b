"""Tokenization and normalization for string matching, with whole numbers as tokens: "9" is not in "90"."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from bot.text import numerals

_ARTICLES = frozenset({"a", "an", "the"})
# Combining marks belong to their letter, soft hyphens and joiners to their word; `\w` matches neither.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M")
_INVISIBLE = "\u00ad\u200c\u200d\u2060"
_APOSTROPHES = "'’‘"
_LETTER = r"[^\W_]"  # or a digit
_SUFFIX = "|".join([*numerals.SUFFIX_SCALES, "st", "nd", "rd", "th"])
_UNIT = "am|pm|km|kg|cm|mm|kph|mph|ft|lb|lbs|gb|mb|tb|kw|mw|gw"
# A slice of whole tokens must yield the same tokens, so no pattern looks back beyond the neighbor of a decimal point
# or ahead into another token.
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
    """A normalized token; `start` and `end` are its character offsets in the original text."""

    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the normalized tokens of `text`.

    Case, punctuation, quotes, possessive 's and currency signs are removed; accents remain. A number is one token in
    any notation: "$1.2 million", "1.2m" and "1,200,000" are "1200000", "first" and "1st" are "1th". Articles (a, an,
    the) are omitted unless the text has no other tokens.
    """
    every = _all_tokens(text)
    return [token for token in every if token.text not in _ARTICLES] or list(every)


def contains_answer(text: str, answer: str) -> bool:
    """Return True if `text` contains the token sequence of `answer`; False for an answer without tokens."""
    return find_answer(text, answer) is not None


def find_answer(text: str, answer: str) -> tuple[int, int] | None:
    """Return the character span of the first occurrence of the tokens of `answer` in `text`, or None."""
    wanted = tokens(answer)
    if not wanted:
        return None
    every = _all_tokens(answer)
    if wanted[0].text in _ARTICLES:  # the answer "A" must not match every "a": compare letter for letter
        return _find_span(_with_original_text(text, _all_tokens(text)), _with_original_text(answer, wanted))
    if every[-1].text in _ARTICLES:  # "Serie A" must not match every "Serie": a final "A" is not an article
        return _find_span(_all_tokens(text), [token for token in every if token.start >= wanted[0].start])
    return _find_span(tokens(text), wanted)


def _find_span(inside: Sequence[Token], wanted: Sequence[Token]) -> tuple[int, int] | None:
    words, sought = [token.text for token in inside], [token.text for token in wanted]
    for first in range(len(words) - len(sought) + 1):
        if words[first] == sought[0] and words[first : first + len(sought)] == sought:
            return inside[first].start, inside[first + len(sought) - 1].end
    return None


def _with_original_text(text: str, found: Sequence[Token]) -> list[Token]:
    return [token._replace(text=text[token.start : token.end]) for token in found]


@lru_cache(maxsize=512)  # the same passage is searched for several gold answers
def _all_tokens(text: str) -> tuple[Token, ...]:
    return tuple(token for chain in _number_runs(text) for token in _merge_numbers(chain))


def _merge_numbers(chain: Sequence[Token]) -> Iterator[Token]:
    at = 0
    for merged in numerals.merge([piece.text for piece in chain]):
        yield Token(merged.text, chain[at].start, chain[at + merged.words - 1].end)
        at += merged.words


def _number_runs(text: str) -> Iterator[list[Token]]:
    """Yield the sequences of tokens separated only by a space or a hyphen: no number is longer than such a sequence."""
    chain: list[Token] = []
    for match in _PIECE.finditer(text):
        piece = _normalize_piece(match)
        if not piece.text:
            continue
        if chain and not _JOINT.fullmatch(text, chain[-1].end, piece.start):
            yield chain
            chain = []
        chain.append(piece)
    if chain:
        yield chain


def _normalize_piece(match: re.Match[str]) -> Token:
    kind, (start, end) = _match_kind(match)
    if kind == "percent":
        return Token("percent", start, end)
    if kind == "currency":
        return Token("", start, end)
    if kind == "ampersand":
        return Token("and", start, end)
    if kind == "number":
        return Token(
            _normalize_number(match["number"], match["suffix"] or ""), start, max(end, match.end("suffix"))
        )
    return Token(match[kind] if kind == "dotted" else _fold_word(match[kind]), start, end)


def _match_kind(match: re.Match[str]) -> tuple[str, tuple[int, int]]:
    kinds = ("word", "number", "currency", "percent", "ampersand", "acronym", "mixed", "dotted")
    kind = next(kind for kind in kinds if match[kind] is not None)
    return kind, match.span(kind)


def _normalize_number(digits: str, suffix: str) -> str:
    scale = suffix.casefold()
    if scale in {"st", "nd", "rd", "th"}:
        return numerals.ordinal(digits)
    return numerals.canonical(digits, numerals.SUFFIX_SCALES.get(scale, 0))


def _fold_word(word: str) -> str:
    folded = unicodedata.normalize("NFC", word).casefold().replace("i\u0307", "i")  # from a capital İ
    return unicodedata.normalize("NFC", _IGNORED.sub("", folded))

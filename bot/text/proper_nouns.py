"""Find the names and numbers of a text by their capital letters and digits."""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"\w+")
_SENTENCE_START = re.compile(r"(?:^|[.?!:]\s|[“\"‘(]\s*)\W*$")  # in these positions any word is capitalized


def names(text: str) -> list[str]:
    """Return the words that are capitalized although they do not start a sentence."""
    return [
        match[0]
        for match in _WORD.finditer(text)
        if match[0][0].isupper() and not _SENTENCE_START.search(text[: match.start()])
    ]


def full_names(text: str) -> list[tuple[str, str]]:
    """Return the pairs of adjacent words in multi-word names: ("Suez", "Canal") for "the Suez Canal"."""
    capitals = [match for match in _WORD.finditer(text) if match[0][0].isupper()]
    inside = set(names(text))
    return [
        (one[0], two[0])
        for one, two in pairwise(capitals)
        if text[one.end() : two.start()] == " " and {one[0], two[0]} <= inside
    ]


def names_and_numbers(question: str) -> list[str]:
    """Return the words of a question that no other word can replace: names, and words that start with a digit."""
    numbers = [match[0] for match in _WORD.finditer(question) if match[0][0].isdigit()]
    return [*names(question), *numbers]

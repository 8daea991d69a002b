"""Finds the names and numbers of a text by their capital letters and digits."""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"\w+")
_BEFORE_A_CAPITAL = re.compile(r"(?:^|[.?!:]\s|[“\"‘(]\s*)\W*$")  # where any word begins with one


def names(text: str) -> list[str]:
    """Return the words that begin with a capital though no sentence begins there."""
    return [
        match[0]
        for match in _WORD.finditer(text)
        if match[0][0].isupper() and not _BEFORE_A_CAPITAL.search(text[: match.start()])
    ]


def full_names(text: str) -> list[tuple[str, str]]:
    """Return the neighbours in names of several words: ("Suez", "Canal") of "the Suez Canal"."""
    capitals = [match for match in _WORD.finditer(text) if match[0][0].isupper()]
    inside = set(names(text))
    return [
        (one[0], two[0])
        for one, two in pairwise(capitals)
        if text[one.end() : two.start()] == " " and {one[0], two[0]} <= inside
    ]


def names_and_numbers(question: str) -> list[str]:
    """Return the words of a question that nothing can stand in for: names, and what begins with a digit."""
    numbers = [match[0] for match in _WORD.finditer(question) if match[0][0].isdigit()]
    return [*names(question), *numbers]

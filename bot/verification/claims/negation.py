"""Negation and modality mismatch: a sentence denies its source, or reports as done what the source only expects."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from functools import lru_cache

from bot.indexing.bm25_index import analyze

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_MAX_SCOPE_WORDS = 3  # words after a negation that it can negate
_NEGATIONS = frozenset(
    {
        "not",
        "no",
        "never",
        "none",
        "nobody",
        "nothing",
        "neither",
        "nor",
        "without",
        "cannot",
        "hardly",
        "rarely",
    }
)
_NEGATING = frozenset({"fail", "unabl", "deni", "refus"})  # stems that can themselves be negated
_DENIES_ALL = re.compile(
    r"\b(?:false|untrue|not true|incorrect|wrong|an? (?:lie|myth|hoax|rumou?r)) that\b", re.IGNORECASE
)
_AUXILIARIES = frozenset(
    {"have", "has", "had", "been", "do", "does", "did", "also", "even", "ever", "yet", "so", "he"}
)
_EXPECTATIONS = frozenset(
    {"may", "might", "could", "would", "should", "will", "plan", "plans", "planned", "planning", "proposed"}
    | {"expected", "expects", "hopes", "hoping", "aims", "intends", "considering", "likely", "possibly", "if"}
)


def has_negation_mismatch(sentence: str, text: str) -> bool:
    """Return True if `sentence` negates a word that `text` does not negate, or vice versa."""
    if bool(_DENIES_ALL.search(sentence)) != bool(_DENIES_ALL.search(text)):
        return True
    here, there = _scope_of(sentence, _is_negation, _NEGATING), _scope_of(text, _is_negation, _NEGATING)
    return any(_differ(said, there[stem]) for stem, said in here.items() if stem in there)


def has_modality_mismatch(sentence: str, text: str) -> bool:
    """Return True if `sentence` reports as done what `text` only reports as planned, expected or possible."""
    here, there = _scope_of(sentence, _is_expectation), _scope_of(text, _is_expectation)
    return any(all(there[stem]) and not any(said) for stem, said in here.items() if stem in there)


def _differ(here: list[bool], there: list[bool]) -> bool:
    """Return True if two texts differ in how often they govern a word.

    The counts are compared if the word occurs equally often in both texts; otherwise, always is compared with never.
    """
    if len(here) == len(there):
        return sum(here) != sum(there)
    return all(here) != all(there) and any(here) != any(there)


def _scope_of(text: str, governs: Callable[[str], bool], verbs: Container[str] = ()) -> dict[str, list[bool]]:
    """Return for each stem a list of flags, one per occurrence: True if a governing word affects the occurrence.

    Args:
        text: the text.
        governs: returns True for a governing word, which affects the first content word within its reach.
        verbs: stems that govern as well.
    """
    found: dict[str, list[bool]] = {}
    left = 0
    for match in _WORD.finditer(text.lower()):
        word = match[0]
        if governs(word):
            left = _MAX_SCOPE_WORDS
        elif (stem := _stem(word)) and word not in _AUXILIARIES:
            found.setdefault(stem, []).append(left > 0)
            left = _MAX_SCOPE_WORDS if stem in verbs else 0
        else:
            left -= 1
    return found


def _is_expectation(word: str) -> bool:
    return word in _EXPECTATIONS or word.endswith(("'ll", "’ll"))


def _is_negation(word: str) -> bool:
    return word in _NEGATIONS or word.endswith(("n't", "n’t"))


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    return next(iter(analyze(word)), "")

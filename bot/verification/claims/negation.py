"""Polarity: whether a sentence denies what its text says, or says as done what its text only expects."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from functools import lru_cache

from bot.indexing.bm25_index import analyze

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_REACH = 3  # words within which a negation finds what it negates
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
_NEGATING = frozenset({"fail", "unabl", "deni", "refus"})  # stems, which may be negated themselves
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
    """Say whether `sentence` denies a word that `text` does not, or the other way round."""
    if bool(_DENIES_ALL.search(sentence)) != bool(_DENIES_ALL.search(text)):
        return True
    here, there = _scope_of(sentence, _is_negation, _NEGATING), _scope_of(text, _is_negation, _NEGATING)
    return any(_differ(said, there[stem]) for stem, said in here.items() if stem in there)


def has_modality_mismatch(sentence: str, text: str) -> bool:
    """Say whether `sentence` says as done what `text` always says is planned, expected or possible."""
    here, there = _scope_of(sentence, _is_expectation), _scope_of(text, _is_expectation)
    return any(all(there[stem]) and not any(said) for stem, said in here.items() if stem in there)


def _differ(here: list[bool], there: list[bool]) -> bool:
    """Say whether two texts differ in how often they govern a word, occurrence for occurrence or in all of them."""
    if len(here) == len(there):
        return sum(here) != sum(there)
    return all(here) != all(there) and any(here) != any(there)


def _scope_of(text: str, governs: Callable[[str], bool], verbs: Container[str] = ()) -> dict[str, list[bool]]:
    """Return for each stem, occurrence by occurrence, whether it comes first after what governs it.

    That is a word that `governs`, or a stem of `verbs`.
    """
    found: dict[str, list[bool]] = {}
    left = 0
    for match in _WORD.finditer(text.lower()):
        word = match[0]
        if governs(word):
            left = _REACH
        elif (stem := _stem(word)) and word not in _AUXILIARIES:
            found.setdefault(stem, []).append(left > 0)
            left = _REACH if stem in verbs else 0
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

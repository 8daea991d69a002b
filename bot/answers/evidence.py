"""What tells whether the articles answer a question at all, and how sure that makes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bot.answers.expected import names_and_numbers
from bot.retrieval.retriever import Hit
from bot.retrieval.words import WordIndex

_CONSIDERED = 3  # passages in which the question's words have to stand
_VERY_RARE = 10.0  # the rarity of a word that one passage in 20,000 has
_LONGEST_ACRONYM = 5
_WORD = re.compile(r"\w+")


class Evidence(NamedTuple):
    """Six numbers that a logistic model weighs.

    `sentence`: the highest cosine of a sentence to the question; `passage`: that of the first hit;
    `missing`: the rarity, 0..1, of the rarest word of the question that the best passages nowhere have;
    `absent`: the same of its names and numbers alone, against the rarest there is in this collection;
    `share`: how much of the question's rarity is missing; `terms`: the logarithm of how many words it has.
    """

    sentence: float
    passage: float
    missing: float
    absent: float
    share: float
    terms: float

    @property
    def confidence(self) -> float:
        """The probability that the articles answer: logistic, fitted by tests/bench/fit_confidence.py."""
        return 1 / (1 + math.exp(-float(np.dot(self, _WEIGHTS)) - _BIAS))


_WEIGHTS, _BIAS = Evidence(6.32, 6.14, -2.55, -4.72, -1.64, 1.82), -8.7


def weigh(
    question: str, hits: Sequence[Hit], words: WordIndex, rarities: dict[str, float], *, sentence: float
) -> Evidence:
    """Return the evidence of these hits, best first; `rarities` are those of the question's stems.

    A question that names what no passage names ("When did Norway join the EU?") is not answered by it.
    """
    there = _there(hits[:_CONSIDERED], words)
    named = {stem: word for word in names_and_numbers(question) for stem in words.analyze(word)}
    missing = {
        stem: rarity
        for stem, rarity in rarities.items()
        if stem not in there and named.get(stem, "").casefold() not in there
    }
    absent = max((rarity for stem, rarity in missing.items() if stem in named), default=0.0)
    return Evidence(
        sentence=sentence,
        passage=hits[0].scores.get("vectors", 0.0),
        missing=min(max(missing.values(), default=0.0) / _VERY_RARE, 1.0),
        absent=absent / words.rarity(""),
        share=sum(missing.values()) / (sum(rarities.values()) or 1.0),
        terms=math.log(len(rarities) + 1),
    )


def _there(hits: Sequence[Hit], words: WordIndex) -> set[str]:
    """Return the stems that hits have in text, title or date, and what their names shorten to."""
    text = " ".join(f"{hit.headline.title}\n{hit.passage.text}" for hit in hits)
    dates = (f"{hit.headline.published:%A %d %B %Y}" for hit in hits if hit.headline.published)
    return {*words.analyze(f"{text} {' '.join(dates)}"), *_acronyms(text)}


def _acronyms(text: str) -> Iterator[str]:
    """Yield "svb" for Silicon Valley Bank: the first letters of capitalised words in a row."""
    initials = [word[0] if word[0].isupper() else " " for word in _WORD.findall(text)]
    for start in range(len(initials)):
        run = "".join(initials[start : start + _LONGEST_ACRONYM]).partition(" ")[0]
        for length in range(2, len(run) + 1):
            yield run[:length].casefold()

"""What tells whether the articles answer a question at all, and how sure that makes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bot.answers.expected import full_names, names_and_numbers
from bot.articles.passages import split_sentences
from bot.retrieval.hits import Hit
from bot.retrieval.words import WordIndex

_CONSIDERED = 3  # passages in which the question's words have to stand
_LONGEST_ACRONYM = 5
_WORD = re.compile(r"\w+")


class Evidence(NamedTuple):
    """Seven numbers that a logistic model weighs.

    `sentence`: the highest cosine of a sentence to the question; `passage`: that of the first hit;
    `asked`: of what the question asks beyond the first headline's subject, the share that one sentence has;
    `offers`: 1 if the best sentence has the kind of thing that is asked for; `absent`: the rarity, 0..1, of
    the rarest name or number of the question that the best passages nowhere have; `share`: how much of the
    question's rarity is missing there; `terms`: the logarithm of how many words it has.
    """

    sentence: float
    passage: float
    asked: float
    offers: float
    absent: float
    share: float
    terms: float

    @property
    def confidence(self) -> float:
        """The probability that the articles answer: logistic, fitted by tests/bench/fit_confidence.py."""
        return 1 / (1 + math.exp(-float(np.dot(self, _WEIGHTS)) - _BIAS))


_WEIGHTS, _BIAS = Evidence(5.99, 6.12, 2.34, 1.01, -4.08, -2.22, 1.09), -9.06


@dataclass(frozen=True, slots=True)
class Read:
    """What the sentences say that were read closely: the best one's kind, and each one's stems.

    `cosine` is the highest of theirs to the question.
    """

    cosine: float
    offers: bool
    stems: Sequence[frozenset[str]]


def weigh(
    question: str, hits: Sequence[Hit], words: WordIndex, rarities: Mapping[str, float], read: Read
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
    absent = {stem for stem in missing if stem in named} | _torn(question, hits[:_CONSIDERED], words)
    subject = frozenset(words.analyze(hits[0].headline.title))
    return Evidence(
        sentence=read.cosine,
        passage=hits[0].scores.get("vectors", 0.0),
        asked=_asked(rarities, subject, read.stems),
        offers=float(read.offers),
        absent=max((rarities.get(stem, 0.0) for stem in absent), default=0.0) / words.rarity(""),
        share=sum(missing.values()) / (sum(rarities.values()) or 1.0),
        terms=math.log(len(rarities) + 1),
    )


def _asked(
    rarities: Mapping[str, float], subject: frozenset[str], sentences: Sequence[frozenset[str]]
) -> float:
    rest = {stem: rarity for stem, rarity in rarities.items() if stem not in subject}
    total = sum(rest.values())
    return max(sum(rest.get(stem, 0.0) for stem in s) for s in sentences) / total if total else 1.0


def _torn(question: str, hits: Sequence[Hit], words: WordIndex) -> set[str]:
    """Return the stems of names that no sentence has together: of the Panama Canal, where both are elsewhere."""
    pairs = [{*words.analyze(one), *words.analyze(two)} for one, two in full_names(question)]
    if not pairs:
        return set()
    texts = [text for hit in hits for text in (hit.headline.title, *_sentences(hit.passage.text))]
    sentences = [set(words.analyze(text)) for text in texts]
    return {stem for pair in pairs if not any(pair <= stems for stems in sentences) for stem in pair}


def _sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in split_sentences(text)]


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

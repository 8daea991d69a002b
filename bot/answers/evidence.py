"""Weighs the evidence that the articles answer a question at all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bot.answers.expected import full_names, names_and_numbers
from bot.answers.ranking import ReadSentence
from bot.articles.passages import split_sentences
from bot.retrieval.hits import Hit
from bot.retrieval.words import WordIndex

_CONSIDERED = 3  # passages in which the question's words are looked for
_LONGEST_ACRONYM = 5
_WORD = re.compile(r"\w+")


class Evidence(NamedTuple):
    """Numbers that a logistic model weighs.

    Args:
        score: the ranking score of the best sentence.
        mass: the reader's margin of all its spans, in logits.
        passage: the cosine of the question and the passage found first.
        asked: of what the question asks beyond the first headline's subject, the share, by rarity, that one of the
            sentences read has.
        absent: the rarity, 0..1, of the rarest name or number of the question that the best passages nowhere have.
        share: the share of the question's rarity that is missing there.
        terms: the logarithm of how many words the question has.
    """

    score: float
    mass: float
    passage: float
    asked: float
    absent: float
    share: float
    terms: float

    @property
    def confidence(self) -> float:
        """The probability that the articles answer."""
        return 1 / (1 + math.exp(-float(np.dot(self, _WEIGHTS)) - _BIAS))


# Two models together. `score` and `mass` have the weighted mean (.3 and .7) of two fits by training/fit_answers.py on
# natural questions, without and with `mass`; there the words in common tell next to nothing. The others have three
# tenths of the weights that a model of words alone had for quiz questions, which reuse the articles' words, but
# `absent`: a name that no article has refutes most false premises, and natural questions hardly ever have one.
_WEIGHTS = Evidence(score=0.264, mass=0.0735, passage=1.84, asked=0.70, absent=-2.25, share=-0.67, terms=0.33)
_BIAS = (
    -4.02
)  # with which the mean confidence on the held-out questions is about their share of answerable ones


def weigh(question: str, hits: Sequence[Hit], words: WordIndex, read: Sequence[ReadSentence]) -> Evidence:
    """Return the evidence that the first of the sentences that were read answers.

    A question that names what no passage names ("When did Norway join the EU?") is less likely to be answered.
    """
    rarities = {term: words.rarity(term) for term in words.terms(question)}
    there = _there(hits[:_CONSIDERED], words)
    named = {stem: word for word in names_and_numbers(question) for stem in words.analyze(word)}
    missing = {
        stem: rarity
        for stem, rarity in rarities.items()
        if stem not in there and named.get(stem, "").casefold() not in there
    }
    absent = {stem for stem in missing if stem in named} | _torn(question, hits[:_CONSIDERED], words)
    return Evidence(
        score=read[0].score,
        mass=read[0].features.mass,
        passage=hits[0].scores.get("vectors", 0.0),
        asked=_share_asked(rarities, hits[0].headline.title, read, words),
        absent=max((rarities.get(stem, 0.0) for stem in absent), default=0.0) / words.rarity(""),
        share=sum(missing.values()) / (sum(rarities.values()) or 1.0),
        terms=math.log(len(rarities) + 1),
    )


def _share_asked(
    rarities: Mapping[str, float], headline: str, read: Sequence[ReadSentence], words: WordIndex
) -> float:
    subject = set(words.analyze(headline))
    rest = {stem: rarity for stem, rarity in rarities.items() if stem not in subject}
    total = sum(rest.values())
    if not total:
        return 1.0
    sentences = (set(words.analyze(sentence.candidate.text)) for sentence in read)
    return max(sum(rest.get(stem, 0.0) for stem in stems) for stems in sentences) / total


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

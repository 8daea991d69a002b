"""Estimate the calibrated probability that the articles answer a question."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bot.answering.quote_ranking import ReadSentence
from bot.articles.chunking import split_sentences
from bot.indexing.bm25_index import Bm25Index
from bot.retrieval.models import Hit
from bot.text.proper_nouns import full_names, names_and_numbers

_CONSIDERED = 3  # passages in which the question's words are looked for
_LONGEST_ACRONYM = 5
_WORD = re.compile(r"\w+")
_BIAS = -4.02  # the mean confidence on the held-out questions is about their share of answerable ones


class AnswerabilityFeatures(NamedTuple):
    """Features of a logistic model for answerability.

    Args:
        score: ranking score of the best sentence.
        mass: margin of all spans of that sentence over "no answer" according to the reader, in logits.
        passage: cosine similarity of the question and the first passage.
        asked: IDF-weighted share of the question's words, without those in the first headline, that a single ranked
            sentence contains at most.
        absent: IDF, scaled to 0..1, of the rarest name or number of the question that the best passages do not
            contain.
        share: IDF-weighted share of the question's words that the best passages do not contain.
        terms: logarithm of the number of distinct words of the question plus one.
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
        """The probability that the articles answer the question."""
        return 1 / (1 + math.exp(-float(np.dot(self, _WEIGHTS)) - _BIAS))


# A mixture of two models. The weights of `score` and `mass` are the weighted mean (.3 and .7) of two fits by
# training/fit_answers.py on natural questions, without and with `mass`; for these questions, shared words carry
# almost no information. The other weights are three tenths of those of a model of words alone, fitted on quiz
# questions, which reuse the words of the articles. `absent` is the exception: a name that no article contains reveals
# most false premises, and natural questions hardly ever contain one.
_WEIGHTS = AnswerabilityFeatures(
    score=0.264, mass=0.0735, passage=1.84, asked=0.70, absent=-2.25, share=-0.67, terms=0.33
)


def extract_features(
    question: str, hits: Sequence[Hit], words: Bm25Index, read: Sequence[ReadSentence]
) -> AnswerabilityFeatures:
    """Return the features of the probability that the best sentence answers the question.

    A question with a name that no passage contains ("When did Norway join the EU?") is less likely to be answerable.

    Args:
        question: the question.
        hits: retrieved passages, best first.
        words: BM25 index, for stems and IDF.
        read: sentences of the hits, best first; at least one.
    """
    rarities = {term: words.idf(term) for term in words.terms(question)}
    there = _covered_stems(hits[:_CONSIDERED], words)
    named = {stem: word for word in names_and_numbers(question) for stem in words.analyze(word)}
    missing = {
        stem: rarity
        for stem, rarity in rarities.items()
        if stem not in there and named.get(stem, "").casefold() not in there
    }
    absent = {stem for stem in missing if stem in named} | _split_names(question, hits[:_CONSIDERED], words)
    return AnswerabilityFeatures(
        score=read[0].score,
        mass=read[0].features.mass,
        passage=hits[0].scores.get("vectors", 0.0),
        asked=_question_coverage(rarities, hits[0].headline.title, read, words),
        absent=max((rarities.get(stem, 0.0) for stem in absent), default=0.0) / words.idf(""),
        share=sum(missing.values()) / (sum(rarities.values()) or 1.0),
        terms=math.log(len(rarities) + 1),
    )


def _question_coverage(
    rarities: Mapping[str, float], headline: str, read: Sequence[ReadSentence], words: Bm25Index
) -> float:
    subject = set(words.analyze(headline))
    rest = {stem: rarity for stem, rarity in rarities.items() if stem not in subject}
    total = sum(rest.values())
    if not total:
        return 1.0
    sentences = (set(words.analyze(sentence.candidate.text)) for sentence in read)
    return max(sum(rest.get(stem, 0.0) for stem in stems) for stems in sentences) / total


def _split_names(question: str, hits: Sequence[Hit], words: Bm25Index) -> set[str]:
    """Return the stems of names whose parts occur only in different sentences, such as "Panama" and "Canal"."""
    pairs = [{*words.analyze(one), *words.analyze(two)} for one, two in full_names(question)]
    if not pairs:
        return set()
    texts = [text for hit in hits for text in (hit.headline.title, *_split_into_sentences(hit.passage.text))]
    sentences = [set(words.analyze(text)) for text in texts]
    return {stem for pair in pairs if not any(pair <= stems for stems in sentences) for stem in pair}


def _split_into_sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in split_sentences(text)]


def _covered_stems(hits: Sequence[Hit], words: Bm25Index) -> set[str]:
    """Return the stems of the texts, titles and dates of hits, and the acronyms of their names."""
    text = " ".join(f"{hit.headline.title}\n{hit.passage.text}" for hit in hits)
    dates = (f"{hit.headline.published:%A %d %B %Y}" for hit in hits if hit.headline.published)
    return {*words.analyze(f"{text} {' '.join(dates)}"), *_acronyms(text)}


def _acronyms(text: str) -> Iterator[str]:
    """Yield acronyms: the initials of consecutive capitalized words, such as "svb" for Silicon Valley Bank."""
    initials = [word[0] if word[0].isupper() else " " for word in _WORD.findall(text)]
    for start in range(len(initials)):
        run = "".join(initials[start : start + _LONGEST_ACRONYM]).partition(" ")[0]
        for length in range(2, len(run) + 1):
            yield run[:length].casefold()

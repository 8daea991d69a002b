"""Answers in the articles' own words: picks the sentences that answer a question, or finds that none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from bot.answers.evidence import Evidence, weigh
from bot.answers.ranking import ReadSentence, read_sentences
from bot.articles.passages import Span, split_sentences
from bot.retrieval.hits import Hit
from bot.retrieval.retriever import Retriever
from bot.retrieval.words import WordIndex

if TYPE_CHECKING:
    from bot.reader.reader import Reader

MAX_QUOTES = 3
MAX_WORDS = 90  # in all quotes together: what a person takes in at a glance
_ENOUGH = 2.5  # a further quote's score may be this much below the best one's, in logits
_CONTEXT_WORDS = 70  # in a closest passage: a person has to judge by it whether it answers
_SAME = 0.7  # share of stems from which two sentences say the same


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of a passage and the words in it that answer, by their offsets in the article."""

    hit: Hit
    start: int
    end: int
    text: str
    score: float
    answer: Span | None = None

    @property
    def short_answer(self) -> str:
        """The words that answer; "" if the reader found none."""
        return self.text[self.answer.start - self.start : self.answer.end - self.start] if self.answer else ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The quotes that answer, best first, and the evidence that they answer at all."""

    quotes: tuple[Quote, ...]
    evidence: Evidence | None = None

    @property
    def confidence(self) -> float:
        """The probability that the articles answer; 0 if nothing was found."""
        return self.evidence.confidence if self.evidence else 0.0


class ExtractiveAnswerer:
    """Chooses sentences from the hits. Needs no language model and no network."""

    name = "extractive"

    def __init__(self, retriever: Retriever, words: WordIndex, reader: Reader) -> None:
        self._retriever = retriever
        self._words = words
        self._reader = reader

    def find(self, question: str, hits: Sequence[Hit]) -> Finding:
        """Choose up to three sentences from these hits, which are in the order of their ranks. Raises ReaderError."""
        retriever = self._retriever
        read = read_sentences(question, hits, self._reader, retriever.embedder, retriever.vector(question))
        if not read:
            return Finding(())
        return Finding(self._choose(read), weigh(question, hits, self._words, read))

    def _choose(self, read: Sequence[ReadSentence]) -> tuple[Quote, ...]:
        """Take the best sentence, and further ones that are nearly as good and say something else."""
        chosen: list[Quote] = []
        budget = MAX_WORDS
        for sentence in read:
            if len(chosen) == MAX_QUOTES or sentence.score < read[0].score - _ENOUGH:
                break
            quote = _quote(sentence)
            words = len(quote.text.split())
            if not chosen or (words <= budget and not self._is_known(quote, chosen)):
                chosen.append(quote)
                budget -= words
        return _merge(chosen)

    def _is_known(self, quote: Quote, chosen: Sequence[Quote]) -> bool:
        stems = set(self._words.analyze(quote.text))
        for other in chosen:
            known = set(self._words.analyze(other.text))
            if len(stems & known) / (min(len(stems), len(known)) or 1) >= _SAME:
                return True
        return False


def with_context(quote: Quote) -> Quote:
    """Return a quote together with the sentences around it in its passage, as many as there is room for."""
    passage = quote.hit.passage
    start, end = quote.start - passage.start, quote.end - passage.start
    sentences = split_sentences(passage.text)
    after = [span.end for span in sentences if span.start >= end]
    before = [span.start for span in reversed(sentences) if span.end <= start]
    for edge in (edge for pair in zip_longest(after, before) for edge in pair if edge is not None):
        wider = min(start, edge), max(end, edge)
        if len(passage.text[slice(*wider)].split()) > _CONTEXT_WORDS:
            break
        start, end = wider
    text = passage.text[start:end]
    return replace(quote, start=passage.start + start, end=passage.start + end, text=text)


def _quote(sentence: ReadSentence) -> Quote:
    """Return a sentence as a quote, with the sentence before it if that explains its beginning."""
    passage, span = sentence.candidate.hit.passage, sentence.candidate.clear
    answer = sentence.answer
    if answer and not any(map(str.isalnum, passage.text[answer.start : answer.end])):
        answer = None  # punctuation alone answers nothing
    return Quote(
        sentence.candidate.hit,
        passage.start + span.start,
        passage.start + span.end,
        passage.text[span.start : span.end],
        sentence.score,
        Span(passage.start + answer.start, passage.start + answer.end) if answer else None,
    )


def _merge(quotes: Sequence[Quote]) -> tuple[Quote, ...]:
    """Return the quotes in their order, those that overlap as one in the place of the better one."""
    merged: list[Quote] = []
    for quote in quotes:
        for i, better in enumerate(merged):
            same = better.hit.passage.id == quote.hit.passage.id
            if same and quote.start < better.end and better.start < quote.end:
                merged[i] = _join(better, quote)
                break
        else:
            merged.append(quote)
    return tuple(merged)


def _join(better: Quote, other: Quote) -> Quote:
    passage = better.hit.passage
    start, end = min(better.start, other.start), max(better.end, other.end)
    text = passage.text[start - passage.start : end - passage.start]
    return Quote(better.hit, start, end, text, better.score, better.answer)

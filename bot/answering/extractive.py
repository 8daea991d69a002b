"""Extractive answers: select verbatim sentences from the retrieved passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from bot.answering.answerability import AnswerabilityFeatures, extract_features
from bot.answering.quote_ranking import ReadSentence, quotable_sentences, read_sentences
from bot.articles.chunking import Span
from bot.indexing.bm25_index import Bm25Index
from bot.retrieval.models import Hit
from bot.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from bot.reader.reader import Reader

MAX_QUOTES = 3
MAX_WORDS = 90  # of all quotes together: what a user can read at a glance
_ENOUGH = 3.0  # a further quote's score may be this much below the best one's, in logits
# Of the closest passage: a user decides by it whether it answers the question.
_MAX_CONTEXT_CHARS = 450
_SAME = 0.7  # share of stems from which two sentences say the same


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim quote from a passage.

    Args:
        hit: the passage.
        start: offset of the quote in the text of the article, in characters.
        end: end of the quote, exclusive.
        text: the quote.
        score: ranking score, in logits.
        answer: the words that answer the question, in offsets of the article's text; None if the reader found none.
    """

    hit: Hit
    start: int
    end: int
    text: str
    score: float
    answer: Span | None = None

    @property
    def short_answer(self) -> str:
        """The words that answer the question, or an empty string if the reader found none."""
        return self.text[self.answer.start - self.start : self.answer.end - self.start] if self.answer else ""


@dataclass(frozen=True, slots=True)
class ExtractiveResult:
    """Selected quotes, best first, and the features of their answerability."""

    quotes: tuple[Quote, ...]
    evidence: AnswerabilityFeatures | None = None

    @property
    def confidence(self) -> float:
        """The probability that the articles answer the question; 0 if there are no sentences to quote."""
        return self.evidence.confidence if self.evidence else 0.0


class ExtractiveAnswerer:
    """Selects sentences from the hits, without a language model or network access."""

    name = "extractive"

    def __init__(self, retriever: Retriever, words: Bm25Index, reader: Reader) -> None:
        self._retriever = retriever
        self._words = words
        self._reader = reader

    def select_quotes(self, question: str, hits: Sequence[Hit]) -> ExtractiveResult:
        """Select up to three sentences that answer a question.

        Args:
            question: the question.
            hits: retrieved passages, best first.

        Raises:
            ReaderError: if the reader fails.
        """
        retriever = self._retriever
        read = read_sentences(question, hits, self._reader, retriever.embedder, retriever.vector(question))
        if not read:
            return ExtractiveResult(())
        return ExtractiveResult(self._choose(read), extract_features(question, hits, self._words, read))

    def _choose(self, read: Sequence[ReadSentence]) -> tuple[Quote, ...]:
        """Choose the best sentence, and further ones that are nearly as good and not redundant."""
        chosen: list[Quote] = []
        budget = MAX_WORDS
        for sentence in read:
            if len(chosen) == MAX_QUOTES or sentence.score < read[0].score - _ENOUGH:
                break
            quote = _build_quote(sentence)
            words = len(quote.text.split())
            if not chosen or (words <= budget and not self._is_redundant(quote, chosen)):
                chosen.append(quote)
                budget -= words
        return _merge(chosen)

    def _is_redundant(self, quote: Quote, chosen: Sequence[Quote]) -> bool:
        stems = set(self._words.analyze(quote.text))
        for other in chosen:
            known = set(self._words.analyze(other.text))
            if len(stems & known) / (min(len(stems), len(known)) or 1) >= _SAME:
                return True
        return False


def add_context(quote: Quote) -> Quote:
    """Return a quote with the quotable sentences around it in its passage, up to `_MAX_CONTEXT_CHARS` characters.

    A sentence that may not be quoted, such as one behind a prompt injection, ends the context on its side.
    """
    passage = quote.hit.passage
    start, end = quote.start - passage.start, quote.end - passage.start
    spans = [span for span, _ in quotable_sentences(passage.text)]
    after = [span for span in spans if span.start >= end]
    before = [span for span in reversed(spans) if span.end <= start]
    for span in (span for pair in zip_longest(after, before) for span in pair if span):
        wider = Span(min(start, span.start), max(end, span.end))
        between = passage.text[span.end : start] or passage.text[end : span.start]
        if not between.strip() and wider.end - wider.start <= _MAX_CONTEXT_CHARS:
            start, end = wider
    text = passage.text[start:end]
    return replace(quote, start=passage.start + start, end=passage.start + end, text=text)


def _build_quote(sentence: ReadSentence) -> Quote:
    """Build a quote from a sentence, with the preceding sentence if the beginning refers to it."""
    passage, span = sentence.candidate.hit.passage, sentence.candidate.readable_span
    answer = sentence.answer
    if answer and not any(map(str.isalnum, passage.text[answer.start : answer.end])):
        answer = None  # punctuation alone is not an answer
    return Quote(
        sentence.candidate.hit,
        passage.start + span.start,
        passage.start + span.end,
        passage.text[span.start : span.end],
        sentence.score,
        Span(passage.start + answer.start, passage.start + answer.end) if answer else None,
    )


def _merge(quotes: Sequence[Quote]) -> tuple[Quote, ...]:
    """Merge overlapping quotes, each at the position of its better one, and keep the order."""
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

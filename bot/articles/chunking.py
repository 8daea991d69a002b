"""Splits article text into sentences and passages with character offsets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_PASSAGE_CHARS = 800
_MAX_WRAPPED_LINE_CHARS = 120  # a text without longer lines was wrapped by an editor
_LINE = re.compile(r"[^\n]+")

# Places to split a sentence that is too long, best first: after a clause mark, then at any space.
_CLAUSE_END = re.compile(r"[;:,–—…)\]”\"'](?=\s)|[.!?](?=\s)|\n")
_SPACE = re.compile(r"\s")


class Span(NamedTuple):
    """A slice of an article's text, in characters: `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A slice of one version of an article: `article.text[start:end] == text`."""

    id: str
    article_id: str
    start: int
    end: int
    text: str


def split_passages(
    article_id: str, version: int, text: str, *, max_chars: int = MAX_PASSAGE_CHARS
) -> list[Passage]:
    """Split `text` into passages of whole sentences, in order and without overlap.

    Only whitespace is left out between passages, so the text can be rebuilt exactly from the passages and the gaps
    between their offsets.

    Args:
        article_id: id of the article.
        version: version of the article; part of the ids of its passages.
        text: the article's text.
        max_chars: maximum length of a passage.
    """
    return [
        Passage(
            passage_id(article_id, version, span),
            article_id,
            span.start,
            span.end,
            text[span.start : span.end],
        )
        for span in _pack(text, max_chars)
    ]


def passage_id(article_id: str, version: int, span: Span) -> str:
    """Return the id of a passage, which is the same on every machine and in every run."""
    key = f"{article_id}\n{version}\n{span.start}\n{span.end}"
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def split_sentences(text: str) -> list[Span]:
    """Return the sentences of `text` as spans without the surrounding whitespace.

    A line break ends a sentence, because headlines and list items have no full stop. In a text with hard-wrapped lines
    only an empty line does.
    """
    wrapped = max(map(len, text.split("\n"))) <= _MAX_WRAPPED_LINE_CHARS
    lines = [Span(0, len(text))] if wrapped else [Span(*line.span()) for line in _LINE.finditer(text)]
    return [sentence for line in lines for sentence in _find_sentences(text, line)]


def _find_sentences(text: str, part: Span) -> Iterator[Span]:
    from sentencex import get_sentence_boundaries

    for boundary in get_sentence_boundaries("en", text[part.start : part.end]):
        span = _strip(text, part.start + boundary["start_index"], part.start + boundary["end_index"])
        if span.end > span.start:
            yield span


def _pack(text: str, max_chars: int) -> Iterator[Span]:
    """Greedily merge adjacent sentences while they fit into one passage."""
    start = end = -1
    for sentence in split_sentences(text):
        for piece in _split_long(text, sentence, max_chars):
            if start >= 0 and piece.end - start > max_chars:
                yield Span(start, end)
                start = -1
            if start < 0:
                start = piece.start
            end = piece.end
    if start >= 0:
        yield Span(start, end)


def _split_long(text: str, sentence: Span, max_chars: int) -> Iterator[Span]:
    """Split a sentence longer than `max_chars` at a clause, else at a space, else at any character."""
    start, end = sentence
    while end - start > max_chars:
        cut = _find_cut(text, start, start + max_chars)
        piece = _strip(text, start, cut)
        if piece.end > piece.start:
            yield piece
        start = _strip(text, cut, end).start
    yield Span(start, end)


def _find_cut(text: str, start: int, limit: int) -> int:
    # Not in the first half, so that splitting at clauses does not produce tiny pieces.
    half = start + (limit - start) // 2
    for pattern in (_CLAUSE_END, _SPACE):
        ends = [match.end() for match in pattern.finditer(text, half, limit)]
        if ends:
            return ends[-1]
    return limit


def _strip(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)

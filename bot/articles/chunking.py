"""Cuts an article into passages: whole sentences, packed up to a length that one quote can be read in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_CHARS = 800
_WRAPPED_LINE = 120  # characters: a text whose every line is shorter has been wrapped by an editor
_LINE = re.compile(r"[^\n]+")

# Where a sentence that is too long may be cut, best first: after a clause mark, then at any space.
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


def split_passages(article_id: str, version: int, text: str, *, max_chars: int = MAX_CHARS) -> list[Passage]:
    """Cut `text` into passages of at most `max_chars`, in order, never overlapping.

    Only white space lies between two passages, so that the passages joined by the gaps between their
    offsets give back the text exactly.
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
    """Return the passage's id, the same on every machine and at every run."""
    key = f"{article_id}\n{version}\n{span.start}\n{span.end}"
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def split_sentences(text: str) -> list[Span]:
    """Return the sentences of `text` as spans without the white space around them.

    A line break ends a sentence, as a headline or a list item ends without a full stop, unless the text
    is wrapped: then only an empty line does.
    """
    wrapped = max(map(len, text.split("\n"))) <= _WRAPPED_LINE
    lines = [Span(0, len(text))] if wrapped else [Span(*line.span()) for line in _LINE.finditer(text)]
    return [sentence for line in lines for sentence in _sentences_within(text, line)]


def _sentences_within(text: str, part: Span) -> Iterator[Span]:
    from sentencex import get_sentence_boundaries

    for boundary in get_sentence_boundaries("en", text[part.start : part.end]):
        span = _strip(text, part.start + boundary["start_index"], part.start + boundary["end_index"])
        if span.end > span.start:
            yield span


def _pack(text: str, max_chars: int) -> Iterator[Span]:
    """Join neighbouring sentences greedily while they fit into one passage."""
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
    """Cut a sentence longer than `max_chars` at a clause, failing that at a space, failing that anywhere."""
    start, end = sentence
    while end - start > max_chars:
        cut = _cut_point(text, start, start + max_chars)
        piece = _strip(text, start, cut)
        if piece.end > piece.start:
            yield piece
        start = _strip(text, cut, end).start
    yield Span(start, end)


def _cut_point(text: str, start: int, limit: int) -> int:
    # The first half stays whole, so that cutting at clauses does not crumble a sentence.
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

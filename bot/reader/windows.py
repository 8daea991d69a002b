"""Splits a passage into windows of whole sentences for the reader, short enough for one forward pass."""

from __future__ import annotations

from bot.articles.chunking import Span, split_sentences

MAX_CHARS = 480  # about 110 tokens, in addition to the title and the question


def split_windows(text: str) -> list[Span]:
    """Split a passage into windows of whole sentences, all of about the same length.

    Args:
        text: a passage, of at most a few thousand characters.

    Returns:
        Non-overlapping spans in `text`, in order, that contain all sentences. A sentence longer than `MAX_CHARS` is a
        window of its own.
    """
    sentences = split_sentences(text)
    if not sentences:
        return []
    length = sentences[-1].end - sentences[0].start
    # Two windows of 300 characters rather than one of 480 and one of 120.
    target = length / -(-length // MAX_CHARS)
    windows = [sentences[0]]
    for sentence in sentences[1:]:
        last = windows[-1]
        is_full = last.end - last.start >= target - (sentence.end - sentence.start) / 2
        if is_full or sentence.end - last.start > MAX_CHARS:
            windows.append(sentence)
        else:
            windows[-1] = Span(last.start, sentence.end)
    return windows

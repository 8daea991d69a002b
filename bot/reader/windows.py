"""Cuts a passage into the windows that the reader sees: whole sentences, short enough for one forward pass."""

from __future__ import annotations

from bot.articles.chunking import Span, split_sentences

MAX_CHARS = 480  # about 110 tokens; the title and the question come on top


def split_windows(text: str) -> list[Span]:
    """Return windows of whole sentences of about equal length that cover all sentences of a passage.

    Args:
        text: a passage, of at most a few thousand characters.

    Returns:
        Spans in `text`, in order, without overlap. A sentence longer than `MAX_CHARS` is a window of its own.
    """
    sentences = split_sentences(text)
    if not sentences:
        return []
    length = sentences[-1].end - sentences[0].start
    target = length / -(
        -length // MAX_CHARS
    )  # two windows of 300 characters rather than one of 480 and one of 120
    windows = [sentences[0]]
    for sentence in sentences[1:]:
        last = windows[-1]
        is_full = last.end - last.start >= target - (sentence.end - sentence.start) / 2
        if is_full or sentence.end - last.start > MAX_CHARS:
            windows.append(sentence)
        else:
            windows[-1] = Span(last.start, sentence.end)
    return windows

"""Whether a sentence stands in its text word for word, whatever the quote marks and the white space."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from bot.articles.passages import Span, split_sentences

_FEWEST_WORDS = 4  # of a part of a sentence; a whole one may be shorter
_SPACES = re.compile(r"[\s\u00a0\u200b]+")
_MARKS = str.maketrans("“”„‟«»＂‘’‚‛´`–—‑‐", '"""""""\'\'\'\'\'\'----')
_END = ".!?… "
_CLAUSE = r"^|[,;:(\"'-] ?"  # where a part may begin: what stands before it might deny it


def verbatim(sentence: str, sources: Sequence[str]) -> tuple[int, Span] | None:
    """Return the source that has `sentence`, whole or as a clause, and the span of its sentence there.

    What is in truth two or three sentences, as a quote may be, is found as those in a row.
    """
    wanted = _folded(sentence).rstrip(_END)
    if not wanted:
        return None
    first = re.escape(wanted[0])
    words = re.compile(rf"(?:{_CLAUSE})(?i:{first}){re.escape(wanted[1:])}(?!\w)")
    for at, source in enumerate(sources):
        for span, text in _sentences(source):
            found = words.search(text)
            if found and (len(wanted.split()) >= _FEWEST_WORDS or found.span() == (0, len(text))):
                return at, span
        if in_a_row := _several(wanted, source):
            return at, in_a_row
    return None


def _several(wanted: str, source: str) -> Span | None:
    spans = [span for span, _ in _sentences(source)]
    for first, last in ((at, at + more) for more in (1, 2) for at in range(len(spans) - more)):
        whole = Span(spans[first].start, spans[last].end)
        if _folded(source[whole.start : whole.end]).rstrip(_END) == wanted:
            return whole
    return None


@lru_cache(maxsize=512)
def _sentences(source: str) -> tuple[tuple[Span, str], ...]:
    return tuple(
        (span, _folded(source[span.start : span.end]).rstrip(_END)) for span in split_sentences(source)
    )


def _folded(text: str) -> str:
    return _SPACES.sub(" ", text.translate(_MARKS)).strip()

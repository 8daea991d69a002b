"""Makes running text of printed pages: lines become paragraphs again, headers and page numbers go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from bot.articles.article import clean_text

_EDGE = 2  # lines at the top and at the bottom of a page among which running headers and footers are sought
# Share and number of pages that have a line there: left and right pages may differ.
_REPEATED, _LEAST = 0.4, 2
_FULL, _SHORT = 0.85, 0.5  # of the usual line's length
_BLANK = 0.4  # share of blank lines from which they stand between any two lines, and mean nothing
_STOP = re.compile(r"[.!?:][\"'”’)\]]*$")
_ITEM = re.compile(r"[•·▪◦‣*–—-] |\(?\d{1,3}(\.\d{1,3})*[.)] (?=[^\W\d_])|\d{1,2}(\.\d{1,2})+ (?=[A-Z])")
_PAGE_NUMBER = re.compile(r"\W*(page|p\.)?\W*(\d{1,4})(\W*(?:of|/)\W*\d{1,4})?\W*", re.I)
_BROKEN = re.compile(r"([^\W\d_]+)[-\u2010]$")
_LOWER = re.compile(r"(?=[^\W\d_])[a-zß-öø-ÿ][^\W\d_]*")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*(?!\w*-$)")
# What follows a hyphen that belongs to the word, where the text itself does not show it.
_SECOND_PARTS = frozenset(
    ("old", "based", "led", "backed", "owned", "run", "wide", "made", "time", "year", "term")
)
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xa0": " "}
)


class _Line(NamedTuple):
    page: int  # from 0
    text: str
    apart: bool  # an empty line stands before it


def reflow_pages(pages: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Return the text of these pages with an empty line between paragraphs, and where each page but the first begins.

    A sentence that runs over the end of a page goes on, and a word that was broken is whole again. A page without
    text begins where the next one does.
    """
    lines = [_lines(page) for page in pages]
    running = _running_headers(lines)
    body = [_without(page, number, running) for number, page in enumerate(lines)]
    return _joined(_mark_blank_lines(body), len(pages))


def _lines(page: str) -> list[str]:
    """Return a page's lines without blank ones at its ends."""
    text = clean_text(page.translate(_LIGATURES)).replace("\xad\n", "-\n").replace("\xad", "")
    lines = [" ".join(line.split()) for line in text.split("\n")]
    filled = [number for number, line in enumerate(lines) if line]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _running_headers(pages: Sequence[Sequence[str]]) -> set[str]:
    """Return the lines, digits aside, that stand at the top or the bottom of many pages."""
    counts = Counter(
        key for page in pages for key in {_key(line) for line in (*page[:_EDGE], *page[-_EDGE:])}
    )
    least = max(_LEAST, _REPEATED * len(pages))
    return {key for key, count in counts.items() if key and count >= least}


def _without(page: Sequence[str], number: int, running: set[str]) -> Sequence[str]:
    """Return a page's lines without those that run through its edges."""
    start, end = 0, len(page)
    while start < min(end, _EDGE) and _is_furniture(page[start], number, running):
        start += 1
    while end > max(start, len(page) - _EDGE) and _is_furniture(page[end - 1], number, running):
        end -= 1
    return page[start:end]


def _is_furniture(line: str, number: int, running: set[str]) -> bool:
    if not line or _key(line) in running:
        return True
    alone = _PAGE_NUMBER.fullmatch(line)
    return alone is not None and bool(alone[1] or alone[3] or int(alone[2]) == number + 1)


def _key(line: str) -> str:
    return re.sub(r"\d+", "#", line).casefold()


def _mark_blank_lines(pages: Sequence[Sequence[str]]) -> list[_Line]:
    """Return all lines that are not blank; where nearly every second one is, blank lines mean nothing."""
    blank, total = (sum(map(count, pages)) for count in (lambda page: list(page).count(""), len))
    meant = blank <= _BLANK * total
    found = []
    for number, page in enumerate(pages):
        for before, line in zip(("-", *page), page, strict=False):
            if line:
                found.append(_Line(number, line, apart=meant and not before))
    return found


def _joined(lines: Sequence[_Line], pages: int) -> tuple[str, tuple[int, ...]]:
    print_ = _LineMetrics(lines)
    parts: list[str] = []
    begins: list[int] = []
    length = 0
    for before, line in pairwise((None, *lines)):
        assert line
        if before:
            parts[-1], gap = print_.join_rule(before, line)
            parts.append(gap)
            length += len(parts[-2]) - len(before.text) + len(gap)
        begins += [length] * (line.page - len(begins))
        parts.append(line.text)
        length += len(line.text)
    begins += [length] * (pages - 1 - len(begins))
    return "".join(parts), tuple(begins)


class _LineMetrics:
    """How a text is set: how long its lines usually are, and which words it has."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        lengths = sorted(len(line.text) for line in lines)
        self._usual = lengths[len(lengths) * 4 // 5] if lengths else 0
        self._words = {word.casefold() for line in lines for word in _WORD.findall(line.text)}

    def join_rule(self, before: _Line, line: _Line) -> tuple[str, str]:
        """Return the earlier line as it stays, and what comes between the two."""
        text, following = before.text, line.text
        broken, rest = _BROKEN.search(text), _LOWER.match(following)
        if broken and rest:
            return (text[:-1] if self._is_one_word(broken[1], rest[0]) else text), ""
        return text, "\n\n" if self._ends_paragraph(before, line) else " "

    def _is_one_word(self, start: str, end: str) -> bool:
        """Say whether the hyphen only broke a word: not where the text has the same compound elsewhere."""
        if f"{start}{end}".casefold() in self._words:
            return True
        return f"{start}-{end}".casefold() not in self._words and end.casefold() not in _SECOND_PARTS

    def _ends_paragraph(self, before: _Line, line: _Line) -> bool:
        text, following = before.text, line.text
        if _ITEM.match(following):
            return True
        if following[0].islower():
            return False
        if line.apart or len(text) < _SHORT * self._usual:
            return True
        return bool(_STOP.search(text)) and len(text) < _FULL * self._usual

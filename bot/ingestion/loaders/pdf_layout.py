"""Reflows PDF lines: paragraphs, hyphenation, running headers and page numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from bot.articles.article import clean_text

_EDGE_LINES = 2  # at the top and bottom of a page, searched for running headers and footers
# Minimum share and number of pages with a running header; left and right pages may have different ones.
_MIN_REPEATED_SHARE, _MIN_REPEATED_PAGES = 0.4, 2
_FULL_LINE_SHARE, _SHORT_LINE_SHARE = 0.85, 0.5  # of the usual line length
_MAX_BLANK_SHARE = 0.4  # above this share, blank lines separate all lines and do not mark paragraphs
_SENTENCE_END = re.compile(r"[.!?:][\"'”’)\]]*$")
_LIST_ITEM = re.compile(r"[•·▪◦‣*–—-] |\(?\d{1,3}(\.\d{1,3})*[.)] (?=[^\W\d_])|\d{1,2}(\.\d{1,2})+ (?=[A-Z])")
_PAGE_NUMBER = re.compile(r"\W*(page|p\.)?\W*(\d{1,4})(\W*(?:of|/)\W*\d{1,4})?\W*", re.I)
_HYPHENATED_END = re.compile(r"([^\W\d_]+)[-\u2010]$")
_LOWERCASE_WORD = re.compile(r"(?=[^\W\d_])[a-zß-öø-ÿ][^\W\d_]*")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*(?!\w*-$)")
# Second parts of compounds that keep their hyphen, if the text has no example of the word.
_SECOND_PARTS = frozenset(
    ("old", "based", "led", "backed", "owned", "run", "wide", "made", "time", "year", "term")
)
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xa0": " "}
)


class _Line(NamedTuple):
    page: int  # from 0
    text: str
    after_blank: bool  # preceded by an empty line


def reflow_pages(pages: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Join the lines of all pages into paragraphs.

    Sentences that continue on the next page and hyphenated words are joined.

    Args:
        pages: text of each page, line by line.

    Returns:
        The text with an empty line between paragraphs, and the offset at which each page after the first starts. A
        page without text starts at the offset of the next one.
    """
    lines = [_split_lines(page) for page in pages]
    running = _find_running_headers(lines)
    body = [_strip_running_headers(page, number, running) for number, page in enumerate(lines)]
    return _join_lines(_mark_blank_lines(body), len(pages))


def _split_lines(page: str) -> list[str]:
    """Return the lines of a page without blank ones at its start and end."""
    text = clean_text(page.translate(_LIGATURES)).replace("\xad\n", "-\n").replace("\xad", "")
    lines = [" ".join(line.split()) for line in text.split("\n")]
    filled = [number for number, line in enumerate(lines) if line]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _find_running_headers(pages: Sequence[Sequence[str]]) -> set[str]:
    """Return the keys of lines that are, apart from digits, at the top or bottom of many pages."""
    counts = Counter(
        key
        for page in pages
        for key in {_line_key(line) for line in (*page[:_EDGE_LINES], *page[-_EDGE_LINES:])}
    )
    least = max(_MIN_REPEATED_PAGES, _MIN_REPEATED_SHARE * len(pages))
    return {key for key, count in counts.items() if key and count >= least}


def _strip_running_headers(page: Sequence[str], number: int, running: set[str]) -> Sequence[str]:
    """Return the lines of a page without running headers, footers and page numbers."""
    start, end = 0, len(page)
    while start < min(end, _EDGE_LINES) and _is_running_header(page[start], number, running):
        start += 1
    while end > max(start, len(page) - _EDGE_LINES) and _is_running_header(page[end - 1], number, running):
        end -= 1
    return page[start:end]


def _is_running_header(line: str, number: int, running: set[str]) -> bool:
    if not line or _line_key(line) in running:
        return True
    alone = _PAGE_NUMBER.fullmatch(line)
    return alone is not None and bool(alone[1] or alone[3] or int(alone[2]) == number + 1)


def _line_key(line: str) -> str:
    return re.sub(r"\d+", "#", line).casefold()


def _mark_blank_lines(pages: Sequence[Sequence[str]]) -> list[_Line]:
    """Return all lines that are not blank; blank lines are ignored if nearly every second line is blank."""
    blank, total = (sum(map(count, pages)) for count in (lambda page: list(page).count(""), len))
    meant = blank <= _MAX_BLANK_SHARE * total
    found = []
    for number, page in enumerate(pages):
        for before, line in zip(("-", *page), page, strict=False):
            if line:
                found.append(_Line(number, line, after_blank=meant and not before))
    return found


def _join_lines(lines: Sequence[_Line], pages: int) -> tuple[str, tuple[int, ...]]:
    metrics = _LineMetrics(lines)
    parts: list[str] = []
    page_starts: list[int] = []
    length = 0
    for before, line in pairwise((None, *lines)):
        assert line
        if before:
            parts[-1], gap = metrics.join_rule(before, line)
            parts.append(gap)
            length += len(parts[-2]) - len(before.text) + len(gap)
        page_starts += [length] * (line.page - len(page_starts))
        parts.append(line.text)
        length += len(line.text)
    page_starts += [length] * (pages - 1 - len(page_starts))
    return "".join(parts), tuple(page_starts)


class _LineMetrics:
    """Usual line length and vocabulary of a text."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        lengths = sorted(len(line.text) for line in lines)
        self._usual_length = lengths[len(lengths) * 4 // 5] if lengths else 0
        self._words = {word.casefold() for line in lines for word in _WORD.findall(line.text)}

    def join_rule(self, before: _Line, line: _Line) -> tuple[str, str]:
        """Return the first line, without its hyphen if that only breaks a word, and the separator of the lines."""
        text, following = before.text, line.text
        broken, rest = _HYPHENATED_END.search(text), _LOWERCASE_WORD.match(following)
        if broken and rest:
            return (text[:-1] if self._is_one_word(broken[1], rest[0]) else text), ""
        return text, "\n\n" if self._ends_paragraph(before, line) else " "

    def _is_one_word(self, start: str, end: str) -> bool:
        """Return True if the hyphen only breaks a word, and is not part of a compound found elsewhere in the text."""
        if f"{start}{end}".casefold() in self._words:
            return True
        return f"{start}-{end}".casefold() not in self._words and end.casefold() not in _SECOND_PARTS

    def _ends_paragraph(self, before: _Line, line: _Line) -> bool:
        text, following = before.text, line.text
        if _LIST_ITEM.match(following):
            return True
        if following[0].islower():
            return False
        if line.after_blank or len(text) < _SHORT_LINE_SHARE * self._usual_length:
            return True
        return bool(_SENTENCE_END.search(text)) and len(text) < _FULL_LINE_SHARE * self._usual_length

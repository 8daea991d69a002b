"""What the parts of the HTML report are made of: text that stays text, sections, tables, small drawings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bot.articles.article import clean_text

_LEFT, _WIDTH = 4.0, 112.0  # of the line from 0 to 1 in its box of 120


def text(value: object) -> str:
    """Return a value as HTML text: escaped, and without characters that a page cannot hold."""
    return escape(clean_text(str(value)))


def section(name: str, anchor: str, content: str) -> str:
    """Return a section with its heading; the menu leads to its anchor."""
    return f'<section id="{anchor}" class="{anchor}"><h2>{name}</h2>\n{content}</section>\n'


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table: columns as (HTML, class), rows of HTML cells, the first of which is the row's header."""
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in columns)
    body = "".join(_row(row, [kind for _, kind in columns]) for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>\n"


def chooser(filter_id: str, value: str, shown: str) -> str:
    """Return a button that sets one filter of the questions; dead until the script is there to obey it."""
    return (
        f'<button type="button" class="choose" data-filter="{filter_id}" data-value="{text(value)}" disabled>'
        f"{text(shown)}</button>"
    )


SCALE = '<span class="scale" aria-hidden="true"><span>0</span><span>1</span></span>'
"""The head of a column of `interval_line`s."""


def interval_line(drawn: tuple[float, float, float] | None) -> str:
    """Draw low end, value and high end on a line from 0 to 1."""
    if drawn is None:
        return ""
    low, value, high = (_LEFT + _WIDTH * min(1.0, max(0.0, part)) for part in drawn)
    return (
        '<svg class="range" viewBox="0 0 120 14" aria-hidden="true">'
        f'<line class="track" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="7" y2="7"/>'
        f'<line class="span" x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7"/>'
        f'<circle class="value" cx="{value:.1f}" cy="7" r="3.5"/></svg>'
    )


def bar(share: float, mood: str) -> str:
    """Draw a share as a bar."""
    return (
        f'<svg class="bar {mood}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * share:.1f}" height="10"/></svg>'
    )


def _row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    first = f'<th scope="row" class="{kinds[0]}">{cells[0]}</th>'
    pairs = zip(cells[1:], kinds[1:], strict=True)
    rest = "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in pairs)
    return f"<tr>{first}{rest}</tr>\n"

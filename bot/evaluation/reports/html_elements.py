"""Building blocks of the HTML report: escaped text, sections, tables and small SVG drawings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from bot.articles.article import clean_text
from bot.evaluation.models import Outcome
from bot.evaluation.reports.summary import RiskPoint, risk_coverage, risk_steps

_LEFT, _WIDTH = 4.0, 112.0  # of the line from 0 to 1 in its viewBox of 120
SCALE = '<span class="scale" aria-hidden="true"><span>0</span><span>1</span></span>'
"""The heading of a column of `interval_line`s."""

_CURVE_LEFT, _TOP, _CURVE_WIDTH, _HEIGHT = 44.0, 30.0, 336.0, 190.0
_CEILINGS: Final = (0.1, 0.25, 0.5, 1.0)
_TICKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


def text(value: object) -> str:
    """Return a value as escaped HTML, without characters that are invalid in a page."""
    return escape(clean_text(str(value)))


def section(name: str, anchor: str, content: str) -> str:
    """Return a section with a heading and an anchor for the menu."""
    return f'<section id="{anchor}" class="{anchor}"><h2>{name}</h2>\n{content}</section>\n'


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    Args:
        columns: heading (HTML) and class of each column.
        rows: HTML cells; the first cell is the row header.
    """
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in columns)
    body = "".join(_build_row(row, [kind for _, kind in columns]) for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>\n"


def filter_button(filter_id: str, value: str, shown: str) -> str:
    """Return a button that sets a filter of the questions; disabled until the script is loaded."""
    return (
        f'<button type="button" class="choose" data-filter="{filter_id}" data-value="{text(value)}" disabled>'
        f"{text(shown)}</button>"
    )


def interval_line(drawn: tuple[float, float, float] | None) -> str:
    """Draw the lower bound, value and upper bound on a line from 0 to 1."""
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


def _build_row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    first = f'<th scope="row" class="{kinds[0]}">{cells[0]}</th>'
    pairs = zip(cells[1:], kinds[1:], strict=True)
    rest = "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in pairs)
    return f"<tr>{first}{rest}</tr>\n"


def risk_coverage_svg(outcomes: Sequence[Outcome]) -> str:
    """Return the curve and a table of some of its points as HTML, or a message if there are no points."""
    points = risk_coverage(outcomes)
    if not points:
        return "<p>Nothing that can be judged was answered.</p>"
    return (
        "<figure><figcaption>Answering only from some confidence up: fewer questions answered, and fewer of those "
        f"answers wrong if confidence is worth anything. The dots are the rows below.</figcaption>{_draw_curve(points)}"
        f"</figure>{_points_table(points)}"
    )


def _draw_curve(points: Sequence[RiskPoint]) -> str:
    ceiling = next(top for top in _CEILINGS if top >= max(point.risk for point in points))
    line = " ".join(f"{_x(point.coverage):.1f},{_y(point.risk / ceiling):.1f}" for point in points)
    dots = "".join(
        f'<circle cx="{_x(point.coverage):.1f}" cy="{_y(point.risk / ceiling):.1f}" r="4"/>'
        for point in risk_steps(points)
    )
    last = points[-1]
    said = f"Of all questions {last.coverage:.0%} are answered; {last.risk:.0%} of those answers are wrong."
    return (
        f'<svg class="curve" viewBox="0 0 400 260" role="img" aria-label="Risk-coverage curve. {said}">'
        f"{_draw_grid(ceiling)}"
        f'<polyline points="{line}"/>{dots}</svg>'
    )


def _draw_grid(ceiling: float) -> str:
    across = "".join(
        f'<line x1="{_CURVE_LEFT}" x2="{_CURVE_LEFT + _CURVE_WIDTH}" y1="{_y(tick):.1f}" y2="{_y(tick):.1f}"/>'
        f'<text x="{_CURVE_LEFT - 6}" y="{_y(tick) + 4:.1f}" text-anchor="end">{_percent(tick * ceiling)}</text>'
        for tick in _TICKS
    )
    along = "".join(
        f'<text x="{_x(tick):.1f}" y="{_TOP + _HEIGHT + 17}" text-anchor="middle">{tick:.0%}</text>'
        for tick in _TICKS
    )
    return (
        f'{across}{along}<text x="0" y="14">of those answers, wrong</text>'
        f'<text x="{_CURVE_LEFT + _CURVE_WIDTH}" y="254" text-anchor="end">of all questions, answered</text>'
    )


def _points_table(points: Sequence[RiskPoint]) -> str:
    columns = [("From confidence", "num"), ("Answered", "num"), ("Of those, wrong", "num")]
    rows = (
        (f"{point.confidence:.2f}", f"{point.coverage:.0%}", f"{point.risk:.0%}")
        for point in risk_steps(points)
    )
    return table(columns, rows)


def _x(share: float) -> float:
    return _CURVE_LEFT + _CURVE_WIDTH * share


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"

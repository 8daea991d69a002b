"""The risk-coverage curve as SVG: what answering only from some confidence up would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.evaluation.records import Outcome
from bot.evaluation.report_figures import RiskPoint, risk_coverage, risk_steps
from bot.evaluation.report_parts import table

_LEFT, _TOP, _WIDTH, _HEIGHT = 44.0, 30.0, 336.0, 190.0
_CEILINGS: Final = (0.1, 0.25, 0.5, 1.0)
_TICKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


def curve(outcomes: Sequence[Outcome]) -> str:
    """Return the curve with a table of some of its points, as HTML; or that there is nothing to draw."""
    points = risk_coverage(outcomes)
    if not points:
        return "<p>Nothing that can be judged was answered.</p>"
    return (
        "<figure><figcaption>Answering only from some confidence up: fewer questions answered, and fewer of those "
        f"answers wrong if confidence is worth anything. The dots are the rows below.</figcaption>{_svg(points)}"
        f"</figure>{_steps(points)}"
    )


def _svg(points: Sequence[RiskPoint]) -> str:
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
        f"{_grid(ceiling)}"
        f'<polyline points="{line}"/>{dots}</svg>'
    )


def _grid(ceiling: float) -> str:
    across = "".join(
        f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{_y(tick):.1f}" y2="{_y(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(tick) + 4:.1f}" text-anchor="end">{_percent(tick * ceiling)}</text>'
        for tick in _TICKS
    )
    along = "".join(
        f'<text x="{_x(tick):.1f}" y="{_TOP + _HEIGHT + 17}" text-anchor="middle">{tick:.0%}</text>'
        for tick in _TICKS
    )
    return (
        f'{across}{along}<text x="0" y="14">of those answers, wrong</text>'
        f'<text x="{_LEFT + _WIDTH}" y="254" text-anchor="end">of all questions, answered</text>'
    )


def _steps(points: Sequence[RiskPoint]) -> str:
    columns = [("From confidence", "num"), ("Answered", "num"), ("Of those, wrong", "num")]
    rows = (
        (f"{point.confidence:.2f}", f"{point.coverage:.0%}", f"{point.risk:.0%}")
        for point in risk_steps(points)
    )
    return table(columns, rows)


def _x(share: float) -> float:
    return _LEFT + _WIDTH * share


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"

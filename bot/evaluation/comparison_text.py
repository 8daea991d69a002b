"""A comparison as a person reads it in a terminal: plain text, at most 110 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from bot.articles.article import clean_line
from bot.evaluation.comparison import Comparison, Detectable, Row, Setting

WIDTH = 110
_IDS = 20
_CELL = 40
_HEAD = ("metric", "A", "B", "B-A", "95 % interval", "p", "wins", "ties", "losses", "n", "")


def comparison_text(comparison: Comparison) -> str:
    """Return the comparison as text: settings, questions, metrics with regressions first, and what it can see."""
    parts = [
        "\n".join(_settings(comparison.settings)),
        "\n".join(_wrapped(line) for line in _questions(comparison)),
        "\n".join(_metrics(comparison.metrics)),
        "\n".join(_wrapped(line) for line in _conclusions(comparison)),
    ]
    return "\n\n".join(part for part in parts if part)


def _settings(settings: Sequence[Setting]) -> Iterator[str]:
    if not settings:
        yield "The settings are the same."
        return
    yield "Settings that differ:"
    cells = [("key", "A", "B"), *((s.key, _cell(s.a), _cell(s.b)) for s in settings)]
    key, first = (max(len(_short(row[column])) for row in cells) for column in (0, 1))
    for row in cells:
        yield f"  {_short(row[0]):<{key}}  {_short(row[1]):<{first}}  {_short(row[2])}".rstrip()


def _questions(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.paired:,} questions are in both runs and compared."
    left_over = (
        (comparison.only_a, "only in A"),
        (comparison.only_b, "only in B"),
        (comparison.changed, "with another content in B, not compared"),
    )
    for ids, where in left_over:
        if ids:
            more = f" and {len(ids) - _IDS:,} more (--json names all)" if len(ids) > _IDS else ""
            yield f"{len(ids):,} {where}: {', '.join(map(clean_line, ids[:_IDS]))}{more}"
    if any(comparison.failed):
        yield f"Failed, and counted as wrong: {comparison.failed[0]:,} in A, {comparison.failed[1]:,} in B."


def _metrics(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "No metric applies to both runs."
        return
    table = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD))]
    for cells in table:
        right = (f"{cell:>{width}}" for cell, width in zip(cells[1:-1], widths[1:-1], strict=True))
        yield "  ".join([f"{cells[0]:<{widths[0]}}", *right, cells[-1]]).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    counts = tuple("-" if count is None else str(count) for count in (row.wins, row.ties, row.losses))
    low, high = row.ci
    return (
        row.metric,
        _number(row.a),
        _number(row.b),
        _number(row.difference, sign="+"),
        f"[{_number(low, sign='+')}, {_number(high, sign='+')}]",
        "-" if row.p is None else "<0.001" if row.p < 0.001 else f"{row.p:.3f}",
        *counts,
        str(row.n),
        row.change or "",
    )


def _conclusions(comparison: Comparison) -> Iterator[str]:
    worse = ", ".join(row.metric for row in comparison.regressions)
    yield f"Significantly worse in B: {worse}." if worse else "Nothing is significantly worse in B."
    tested = sum(row.p is not None for row in comparison.metrics)
    if any(row.change for row in comparison.metrics):
        yield f"Each p stands alone: of {tested} metrics, one in twenty looks different at 5 % by chance."
    for row in comparison.metrics:
        if row.in_one:
            yield f"{row.metric}: {row.in_one:,} of its {row.n:,} questions have it in one run only."
    if comparison.metrics_in_one:
        yield f"In one run only, and not compared: {', '.join(comparison.metrics_in_one)}."
    yield _sight(comparison.detectable)


def _sight(seen: Detectable | None) -> str:
    if seen is None:
        return "How small a drop can be seen is not known: neither answer nor hit@1 is in both runs."
    if seen.drop is None:
        return f"{seen.n:,} questions are too few to see any drop of {seen.metric}."
    basis = (
        "as far as one run tells: as if the two were independent"
        if seen.identical
        else "by the spread of the paired differences"
    )
    power = f"{seen.n:,} questions, 80 % power at 5 %; {basis}"
    return f"A drop of {seen.metric} is seen from {seen.drop:.3f} up ({power})."


def _number(value: float, *, sign: str = "") -> str:
    decimals = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    rounded = round(value, decimals)
    return f"{rounded:{sign}.{decimals}f}" if rounded else f"{0:.{decimals}f}"  # zero has no sign


def _cell(value: object) -> str:
    return "-" if value is None else clean_line(str(value))


def _short(text: str) -> str:
    return text if len(text) <= _CELL - 8 else text[: _CELL - 9] + "…"


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)

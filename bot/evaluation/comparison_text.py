"""A comparison as a person reads it in a terminal: plain text that fits 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from bot.articles.article import clean_line
from bot.evaluation.comparison import Comparison, Detectable, Row, Setting

WIDTH = 80
_IDS = 20
_HEAD = ("metric", "A", "B", "B-A", "95 % interval", "p", "won", "tied", "lost", "n")
_GROUPS = {
    "worse": "Worse in B (p < 0.05):",
    "better": "Better in B (p < 0.05):",
    None: "Neither worse nor better, or not tested:",
}
_LEGEND = "n: questions with the metric; won, tied, lost: B is better, equal, worse"


def comparison_text(comparison: Comparison) -> str:
    """Return the comparison as text: settings, questions, metrics with regressions first, and what it can see."""
    parts = [
        "\n".join(_settings(comparison.settings)),
        "\n".join(_wrapped(line) for line in _questions(comparison)),
        "\n".join(_metrics(comparison.metrics)),
        "\n".join(_wrapped(line) for line in _conclusions(comparison)),
    ]
    return "\n\n".join(parts)


def _settings(settings: Sequence[Setting]) -> Iterator[str]:
    if not settings:
        yield "The settings are the same."
        return
    yield "Settings that differ:"
    cells = [("key", "A", "B"), *((clean_line(s.key), _cell(s.a), _cell(s.b)) for s in settings)]
    key = min(WIDTH // 2, max(len(row[0]) for row in cells))
    room = (WIDTH - key - 6) // 2
    first = min(room, max(len(row[1]) for row in cells))
    for name, a, b in cells:
        yield f"  {_short(name, key):<{key}}  {_short(a, room):<{first}}  {_short(b, room)}".rstrip()


def _questions(comparison: Comparison) -> Iterator[str]:
    yield f"Questions in both runs, and compared: {comparison.paired:,}."
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
    widths = [max(len(cells[column]) for cells in table) for column in range(len(_HEAD))]
    gap = "  " if sum(widths) + 2 * len(widths[1:]) <= WIDTH else " "
    head, *lines = (_line(cells, widths, gap) for cells in table)
    yield head
    for change, group in groupby(zip(rows, lines, strict=True), lambda pair: pair[0].change):
        yield _GROUPS[change]
        yield from (line for _, line in group)
    yield _LEGEND


def _line(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    right = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
    return gap.join([f"{cells[0]:<{widths[0]}}", *right])


def _cells(row: Row) -> tuple[str, ...]:
    counts = tuple("-" if count is None else str(count) for count in (row.wins, row.ties, row.losses))
    low, high = row.ci
    return (
        f"  {row.metric}",
        _number(row.a),
        _number(row.b),
        _number(row.difference, sign="+"),
        f"[{_number(low, sign='+')}, {_number(high, sign='+')}]",
        "-" if row.p is None else "<.001" if row.p < 0.001 else f"{row.p:.3f}",
        *counts,
        str(row.n),
    )


def _conclusions(comparison: Comparison) -> Iterator[str]:
    worse = ", ".join(row.metric for row in comparison.regressions)
    yield f"Significantly worse in B: {worse}." if worse else "Nothing is significantly worse in B."
    tested = sum(row.p is not None for row in comparison.metrics)
    if any(row.change for row in comparison.metrics):
        yield f"Each p stands alone: of {tested} tests, about one in twenty is below 0.05 by chance."
    if in_one := [f"{row.metric} {row.in_one:,} of {row.n:,}" for row in comparison.metrics if row.in_one]:
        yield f"Questions with a metric in one run only: {', '.join(in_one)}."
    if comparison.metrics_in_one:
        yield f"In one run only, and not compared: {', '.join(comparison.metrics_in_one)}."
    yield _sight(comparison.detectable)


def _sight(seen: Detectable | None) -> str:
    if seen is None:
        return "How small a drop can be seen is not known: neither answer nor hit@1 is in both runs."
    if seen.drop is None:
        return f"Too few questions ({seen.n:,}) to show any drop of {seen.metric}."
    line = f"These {seen.n:,} questions show a drop of {seen.metric} from {seen.drop:.3f} up (80 % power at 5 %)."
    return f"{line} Here A equals B, so it is reckoned for two independent runs." if seen.identical else line


def _number(value: float, *, sign: str = "") -> str:
    decimals = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    rounded = round(value, decimals)
    return f"{rounded:{sign}.{decimals}f}" if rounded else f"{0:.{decimals}f}"  # zero has no sign


def _cell(value: object) -> str:
    return "-" if value is None else clean_line(str(value))


def _short(text: str, room: int) -> str:
    """Cut a text in its middle: versions and dates stand at the end."""
    return text if len(text) <= room else f"{text[: room // 2]}…{text[room // 2 + 1 - room :]}"


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)

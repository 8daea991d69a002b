"""Markdown and CSV reports, and the comparison as terminal text."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from bot.answering.answer import NOT_SURE, Answer, Citation
from bot.answering.quotes import QuoteParts, bold_markdown, split_quote
from bot.articles.article import clean_line, clean_text
from bot.evaluation.comparison_result import Comparison, MinimumDetectableDrop, Row, Setting
from bot.evaluation.error_analysis import classify
from bot.evaluation.metrics import METRICS, run_observations
from bot.evaluation.models import Outcome, Run, Summary
from bot.evaluation.reports.summary import (
    RESULTS,
    by_tag,
    figures,
    missing_questions,
    result_counts,
    result_of,
    result_summary,
    settings_of,
)
from bot.text.formatting import format_date, format_page

if TYPE_CHECKING:
    from bot.evaluation.gates import Verdict

_COLUMNS = ("id", "question", "result", "status", "answer_text", "confidence", "gold_answers", "gold_articles",
            "cited_articles", "tags", "milliseconds", "error")  # fmt: skip
# Text that a spreadsheet would execute as a formula or split into cells.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")
_MARKUP = re.compile(r"[\\`*_\[\]<>|&~@#$!:]|(?<=www)\.", re.I)
_NUMERIC_COLUMNS = frozenset({"Value", "95 % interval", "n", "Questions", "Went wrong", "answer"})
_MAX_ROWS = 50  # of questions in Markdown: a pull request comment has a size limit
_MAX_CELL_CHARS = 300
_CONTEXT_CHARS = 100  # of a quote on each side of the words that answer
WIDTH = 80
_MAX_IDS = 20
_HEAD = ("metric", "A", "B", "B-A", "95 % interval", "p", "won", "tied", "lost", "n")
_GROUPS = {
    "worse": "Worse in B (p < 0.05):",
    "better": "Better in B (p < 0.05):",
    None: "Neither worse nor better, or not tested:",
}
_LEGEND = "n: questions with the metric; won, tied, lost: B is better, equal, worse"


class _Markdown(str):
    """A cell that is already Markdown."""

    __slots__ = ()


def format_csv(run: Run) -> str:
    """Return one CSV row (RFC 4180) per question with its mean for each metric; no text is a spreadsheet formula."""
    seen = run_observations(run.outcomes)
    names = [name for name in METRICS if any(name in found for found in seen)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, *names])
    for outcome, found in zip(run.outcomes, seen, strict=True):
        writer.writerow([*_csv_cells(outcome), *(_mean(found.get(name, ())) for name in names)])
    return buffer.getvalue()


def format_markdown(run: Run, summary: Summary, verdict: Verdict | None) -> str:
    """Return metrics, error categories, tags, settings and wrong questions as Markdown; untrusted text is escaped."""
    counts = result_counts(run.outcomes)
    missing = missing_questions(run)
    parts = [
        "# Evaluation\n",
        _format_cell(result_summary(run.outcomes))
        + (f" **Incomplete: {missing:,} still to be asked.**" if missing else "")
        + "\n",
        _gates(verdict),
        _table(
            "Figures",
            ("Metric", "Value", "95 % interval", "n"),
            ((f.name, f.value, f.interval, f.n) for f in figures(summary)),
        ),
        _table(
            "Where it went wrong",
            ("Result", "Questions", "What it means"),
            ((name, count, RESULTS[name]) for name, count in counts.items()),
        ),
        _table(
            "Results by tag",
            ("Tag", "Questions", "Went wrong", "answer", "95 % interval"),
            ((t.tag, t.questions, t.wrong, t.answer, t.interval) for t in by_tag(run.outcomes)),
        ),
        _wrong_questions(run.outcomes),
        _table("Settings and versions", ("Setting", "Value"), settings_of(run.header).items()),
    ]
    return "\n".join(part for part in parts if part)


def _csv_cells(outcome: Outcome) -> list[str | float]:
    case, answer = outcome.case, outcome.answer
    cited = dict.fromkeys(citation.article_id for citation in answer.citations) if answer else ()
    return [
        _escape_formula(case.id),
        _escape_formula(case.question),
        result_of(outcome),
        answer.status if answer else "",
        _escape_formula(answer.text if answer else ""),
        answer.confidence if answer else "",
        _escape_formula("|".join(case.answers)),
        _escape_formula("|".join(case.articles)),
        _escape_formula("|".join(cited)),
        _escape_formula("|".join(case.tags)),
        outcome.milliseconds,
        _escape_formula(outcome.error or ""),
    ]


def _escape_formula(value: str) -> str:
    """Return a text that no spreadsheet treats as a formula, with an apostrophe before text that starts like one."""
    value = clean_text(value)
    return f"'{value}" if _FORMULA.match(value) else value


def _mean(values: Sequence[float]) -> float | str:
    return sum(values) / len(values) if values else ""


def _gates(verdict: Verdict | None) -> str:
    results = verdict.results if verdict is not None else ()
    rows = (("pass" if gate.passed else "FAIL", gate.message) for gate in results)
    return _table("Gates", ("Verdict", "Gate"), rows)


def _wrong_questions(outcomes: Sequence[Outcome]) -> str:
    wrong = [outcome for outcome in outcomes if classify(outcome)]
    rows = (
        (
            o.case.id,
            o.case.question,
            result_of(o),
            o.error or (_format_answer(o.answer) if o.answer else ""),
            " or ".join(o.case.answers),
        )
        for o in wrong[:_MAX_ROWS]
    )
    table = _table("Questions that went wrong", ("Id", "Question", "Result", "Answer", "Gold"), rows)
    left_out = len(wrong) - _MAX_ROWS
    more = f"\n… and {left_out:,} more; the HTML and CSV reports hold all.\n" if left_out > 0 else ""
    return table + more


def _format_answer(answer: Answer) -> str:
    """Return the text of the answer, or the closest passage with its source, date and title."""
    if not answer.closest:
        return answer.text
    return _Markdown(" ".join((_format_cell(NOT_SURE), *map(_format_closest, answer.closest))))


def _format_closest(citation: Citation) -> str:
    named = (citation.source, format_date(citation.published), citation.title, format_page(citation.page))
    quote = bold_markdown(_shorten_context(split_quote(citation)), _escape_markdown)
    return f"“{quote}” {_format_cell(' · '.join(filter(None, named)))}"


def _shorten_context(quote: QuoteParts) -> QuoteParts:
    """Return the words that answer with a limited context."""
    before, words, after = quote
    if not words:
        return QuoteParts(_truncate(before), "", "")
    opening = before if len(before) <= _CONTEXT_CHARS else f"… {before[-_CONTEXT_CHARS:]}"
    ending = after if len(after) <= _CONTEXT_CHARS else f"{after[:_CONTEXT_CHARS]} …"
    return QuoteParts(opening, _truncate(words), ending)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = [f"| {' | '.join(_format_cell(cell) for cell in row)} |" for row in rows]
    if not body:
        return ""
    rule = "".join(" ---: |" if column in _NUMERIC_COLUMNS else " --- |" for column in columns)
    lines = (f"## {title}\n", f"| {' | '.join(columns)} |", f"|{rule}", *body)
    return "\n".join(lines) + "\n"


def _format_cell(value: object) -> str:
    return value if isinstance(value, _Markdown) else _escape_markdown(_truncate(clean_line(str(value))))


def _truncate(line: str) -> str:
    return line if len(line) <= _MAX_CELL_CHARS else f"{line[:_MAX_CELL_CHARS]} …"


def _escape_markdown(line: str) -> str:
    return _MARKUP.sub(lambda found: "\\" + found[0], clean_text(line))


def format_comparison(comparison: Comparison) -> str:
    """Return the comparison as text: settings, questions, metrics (regressions first) and the detectable drop."""
    parts = [
        "\n".join(_settings(comparison.settings)),
        "\n".join(_wrap(line) for line in _questions(comparison)),
        "\n".join(_metrics(comparison.metrics)),
        "\n".join(_wrap(line) for line in _conclusions(comparison)),
    ]
    return "\n\n".join(parts)


def _settings(settings: Sequence[Setting]) -> Iterator[str]:
    if not settings:
        yield "The settings are the same."
        return
    yield "Settings that differ:"
    cells = [
        ("key", "A", "B"),
        *((clean_line(s.key), _format_setting(s.a), _format_setting(s.b)) for s in settings),
    ]
    key = min(WIDTH // 2, max(len(row[0]) for row in cells))
    room = (WIDTH - key - 6) // 2
    first = min(room, max(len(row[1]) for row in cells))
    for name, a, b in cells:
        yield f"  {_shorten(name, key):<{key}}  {_shorten(a, room):<{first}}  {_shorten(b, room)}".rstrip()


def _questions(comparison: Comparison) -> Iterator[str]:
    yield f"Questions in both runs, and compared: {comparison.paired:,}."
    left_over = (
        (comparison.only_a, "only in A"),
        (comparison.only_b, "only in B"),
        (comparison.changed, "with another content in B, not compared"),
    )
    for ids, where in left_over:
        if ids:
            more = f" and {len(ids) - _MAX_IDS:,} more (--json names all)" if len(ids) > _MAX_IDS else ""
            yield f"{len(ids):,} {where}: {', '.join(map(clean_line, ids[:_MAX_IDS]))}{more}"
    if any(comparison.failed):
        yield f"Failed, and counted as wrong: {comparison.failed[0]:,} in A, {comparison.failed[1]:,} in B."


def _metrics(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "No metric applies to both runs."
        return
    table = [_HEAD, *(_comparison_cells(row) for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(_HEAD))]
    gap = "  " if sum(widths) + 2 * len(widths[1:]) <= WIDTH else " "
    head, *lines = (_format_line(cells, widths, gap) for cells in table)
    yield head
    for change, group in groupby(zip(rows, lines, strict=True), lambda pair: pair[0].change):
        yield _GROUPS[change]
        yield from (line for _, line in group)
    yield _LEGEND


def _format_line(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    right = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
    return gap.join([f"{cells[0]:<{widths[0]}}", *right])


def _comparison_cells(row: Row) -> tuple[str, ...]:
    counts = tuple("-" if count is None else str(count) for count in (row.wins, row.ties, row.losses))
    low, high = row.ci
    return (
        f"  {row.metric}",
        _format_number(row.a),
        _format_number(row.b),
        _format_number(row.difference, sign="+"),
        f"[{_format_number(low, sign='+')}, {_format_number(high, sign='+')}]",
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
    yield _format_detectable(comparison.detectable)


def _format_detectable(seen: MinimumDetectableDrop | None) -> str:
    if seen is None:
        return "How small a drop can be seen is not known: neither answer nor hit@1 is in both runs."
    if seen.drop is None:
        return f"Too few questions ({seen.n:,}) to show any drop of {seen.metric}."
    line = f"These {seen.n:,} questions show a drop of {seen.metric} from {seen.drop:.3f} up (80 % power at 5 %)."
    return f"{line} Here A equals B, so it is reckoned for two independent runs." if seen.identical else line


def _format_number(value: float, *, sign: str = "") -> str:
    decimals = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    rounded = round(value, decimals)
    return f"{rounded:{sign}.{decimals}f}" if rounded else f"{0:.{decimals}f}"  # no sign for zero


def _format_setting(value: object) -> str:
    return "-" if value is None else clean_line(str(value))


def _shorten(text: str, room: int) -> str:
    """Truncate a text in the middle, because versions and dates are at the end."""
    return text if len(text) <= room else f"{text[: room // 2]}…{text[room // 2 + 1 - room :]}"


def _wrap(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)

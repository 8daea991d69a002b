"""The reports for other programs and for a pull request: CSV and Markdown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bot.answers.answer import NOT_SURE, Answer, Citation
from bot.articles.article import clean_line, clean_text
from bot.evaluation.diagnosis import diagnose
from bot.evaluation.metrics import METRICS, observed
from bot.evaluation.records import Outcome, Run, Summary
from bot.evaluation.report_figures import (
    RESULTS,
    by_tag,
    figures,
    headline,
    missing_questions,
    result_counts,
    result_of,
    settings_of,
)
from bot.quotes import QuoteParts, bold_markdown, split_quote
from bot.terminal import day, page_of

if TYPE_CHECKING:
    from bot.evaluation.gates import Verdict

_COLUMNS = ("id", "question", "result", "status", "answer_text", "confidence", "gold_answers", "gold_articles",
            "cited_articles", "tags", "milliseconds", "error")  # fmt: skip
# What a spreadsheet would run, or take for a cell of its own.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")
_MARKUP = re.compile(r"[\\`*_\[\]<>|&~@#$!:]|(?<=www)\.", re.I)
_NUMBERS = frozenset({"Value", "95 % interval", "n", "Questions", "Went wrong", "answer"})
_MOST_ROWS = 50  # of questions in Markdown: a comment on a pull request holds no more
_MOST_CHARACTERS = 300
_BESIDE = 100  # characters of a quote on each side of the words that answer


class _Markdown(str):
    """A cell that is Markdown already."""

    __slots__ = ()


def csv_text(run: Run) -> str:
    """Return a row a question (RFC 4180), with what it adds to each metric; texts are safe in a spreadsheet."""
    seen = observed(run.outcomes)
    names = [name for name in METRICS if any(name in found for found in seen)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, *names])
    for outcome, found in zip(run.outcomes, seen, strict=True):
        writer.writerow([*_cells(outcome), *(_mean(found.get(name, ())) for name in names)])
    return buffer.getvalue()


def markdown(run: Run, summary: Summary, verdict: Verdict | None) -> str:
    """Return figures, faults, tags, settings and what went wrong; no text from outside becomes markup."""
    counts = result_counts(run.outcomes)
    missing = missing_questions(run)
    parts = [
        "# Evaluation\n",
        f"{_plain(headline(run.outcomes))}{f' **Incomplete: {missing:,} still to be asked.**' if missing else ''}\n",
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
        _wrong(run.outcomes),
        _table("Settings and versions", ("Setting", "Value"), settings_of(run.header).items()),
    ]
    return "\n".join(part for part in parts if part)


def _cells(outcome: Outcome) -> list[str | float]:
    case, answer = outcome.case, outcome.answer
    cited = dict.fromkeys(citation.article_id for citation in answer.citations) if answer else ()
    return [
        _defused(case.id),
        _defused(case.question),
        result_of(outcome),
        answer.status if answer else "",
        _defused(answer.text if answer else ""),
        answer.confidence if answer else "",
        _defused("|".join(case.answers)),
        _defused("|".join(case.articles)),
        _defused("|".join(cited)),
        _defused("|".join(case.tags)),
        outcome.milliseconds,
        _defused(outcome.error or ""),
    ]


def _defused(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before what begins like one."""
    value = clean_text(value)
    return f"'{value}" if _FORMULA.match(value) else value


def _mean(values: Sequence[float]) -> float | str:
    return sum(values) / len(values) if values else ""


def _gates(verdict: Verdict | None) -> str:
    results = verdict.results if verdict is not None else ()
    rows = (("pass" if gate.passed else "FAIL", gate.message) for gate in results)
    return _table("Gates", ("Verdict", "Gate"), rows)


def _wrong(outcomes: Sequence[Outcome]) -> str:
    wrong = [outcome for outcome in outcomes if diagnose(outcome)]
    rows = (
        (
            o.case.id,
            o.case.question,
            result_of(o),
            o.error or (_said(o.answer) if o.answer else ""),
            " or ".join(o.case.answers),
        )
        for o in wrong[:_MOST_ROWS]
    )
    table = _table("Questions that went wrong", ("Id", "Question", "Result", "Answer", "Gold"), rows)
    left_out = len(wrong) - _MOST_ROWS
    more = f"\n… and {left_out:,} more; the HTML and CSV reports hold all.\n" if left_out > 0 else ""
    return table + more


def _said(answer: Answer) -> str:
    """Return what was said: the text, or the closest passage with its outlet, date and title."""
    if not answer.closest:
        return answer.text
    return _Markdown(" ".join((_plain(NOT_SURE), *map(_closest, answer.closest))))


def _closest(citation: Citation) -> str:
    named = (citation.source, day(citation.published), citation.title, page_of(citation))
    quote = bold_markdown(_beside(split_quote(citation)), _escaped)
    return f"“{quote}” {_plain(' · '.join(filter(None, named)))}"


def _beside(quote: QuoteParts) -> QuoteParts:
    """Return the words that answer, and what is just beside them."""
    before, words, after = quote
    if not words:
        return QuoteParts(_shortened(before), "", "")
    opening = before if len(before) <= _BESIDE else f"… {before[-_BESIDE:]}"
    ending = after if len(after) <= _BESIDE else f"{after[:_BESIDE]} …"
    return QuoteParts(opening, _shortened(words), ending)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows]
    if not body:
        return ""
    rule = "".join(" ---: |" if column in _NUMBERS else " --- |" for column in columns)
    lines = (f"## {title}\n", f"| {' | '.join(columns)} |", f"|{rule}", *body)
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    return value if isinstance(value, _Markdown) else _escaped(_shortened(clean_line(str(value))))


def _shortened(line: str) -> str:
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …"


def _escaped(line: str) -> str:
    return _MARKUP.sub(lambda found: "\\" + found[0], clean_text(line))

"""The HTML report: one file that asks nothing of any other and shows every text as text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from bot.evaluation.records import Outcome, Run, Summary
from bot.evaluation.report_curve import curve
from bot.evaluation.report_figures import (
    RESULTS,
    RIGHT,
    Figure,
    by_tag,
    figures,
    missing_questions,
    result_counts,
    settings_of,
    tags_of,
)
from bot.evaluation.report_questions import question_row, text

if TYPE_CHECKING:
    from bot.evaluation.gates import Verdict

_MOST_TAGS = 50


def page(run: Run, summary: Summary, verdict: Verdict | None) -> str:
    """Return the report of a run as one HTML page; the style and the script are allowed by their hashes."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Evaluation of {_name(run)}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style></head>\n<body>\n"
        f"<header><h1>{text(title)}</h1>{_subtitle(run)}</header>\n"
        f"<main>{''.join(_sections(run, summary, verdict))}</main>\n"
        f"<script>{script}</script>\n</body></html>\n"
    )


def _sections(run: Run, summary: Summary, verdict: Verdict | None) -> Iterable[str]:
    if verdict is not None and verdict.results:
        yield _section("Gates", _gates(verdict))
    yield _section("Figures", _figures(figures(summary)))
    yield f'<div class="pair">{_section("Where it went wrong", _results(run.outcomes))}'
    yield f"{_section('What a stricter threshold would give', curve(run.outcomes))}</div>"
    if tags_of(run.outcomes):
        yield _section("Results by tag", _tags(run.outcomes))
    yield _section("Questions", _questions(run.outcomes))
    yield _section("Settings and versions", _settings(run))


def _section(name: str, content: str) -> str:
    return f"<section><h2>{name}</h2>\n{content}</section>\n"


def _table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table: columns as (name, class), rows of HTML cells, the first of which is the row's header."""
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in columns)
    body = "".join(_table_row(row, [kind for _, kind in columns]) for row in rows)
    title = f"<caption>{caption}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>\n"


def _table_row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    first = f'<th scope="row" class="{kinds[0]}">{cells[0]}</th>'
    pairs = zip(cells[1:], kinds[1:], strict=True)
    rest = "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in pairs)
    return f"<tr>{first}{rest}</tr>\n"


def _subtitle(run: Run) -> str:
    started = run.header.get("started")
    when = f", begun {text(started)}" if started else ""
    line = f'<p class="soft">{len(run.outcomes):,} questions{when}</p>'
    missing = missing_questions(run)
    if missing:
        line += f'<p class="warning">Incomplete: {missing:,} questions have not been asked yet.</p>'
    return line


def _gates(verdict: Verdict) -> str:
    rows = (
        ('<span class="good">pass</span>' if gate.passed else '<span class="bad">FAIL</span>',
         text(gate.message))
        for gate in verdict.results
    )  # fmt: skip
    return _table([("Verdict", "word"), ("Gate", "")], rows)


def _figures(shown: Sequence[Figure]) -> str:
    columns = [("Metric", "word"), ("Value", "num"), ("95 % interval", "num"), ("", "wide"), ("n", "num"),
               ("What it is", "wide")]  # fmt: skip
    rows = (
        (f"<code>{text(f.name)}</code>", f.value, f.interval, _range(f), f"{f.n:,}", text(f.meaning))
        for f in shown
    )
    return _table(columns, rows)


def _range(figure: Figure) -> str:
    """Draw value and interval on a line from 0 to 1."""
    if figure.drawn is None:
        return ""
    low, value, high = (4 + 112 * min(1.0, max(0.0, part)) for part in figure.drawn)
    return (
        '<svg class="range" viewBox="0 0 120 14" aria-hidden="true">'
        '<line class="track" x1="4" x2="116" y1="7" y2="7"/>'
        f'<line class="span" x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7"/>'
        f'<circle class="value" cx="{value:.1f}" cy="7" r="3.5"/></svg>'
    )


def _results(outcomes: Sequence[Outcome]) -> str:
    counts = result_counts(outcomes)
    rows = (
        (
            f'<button type="button" data-show="{name}" disabled>{name}</button>',
            RESULTS[name],
            f"{count:,}",
            f"{count / len(outcomes):.0%}" if outcomes else "–",
        )
        for name, count in counts.items()
        if count or name != RIGHT
    )
    columns = [("Result", ""), ("What it means", "wide"), ("Questions", "num"), ("Share", "num")]
    return _table(columns, rows, "Each question counts once, under the first that fits.")


def _tags(outcomes: Sequence[Outcome]) -> str:
    tagged = by_tag(outcomes)
    left_out = len(tagged) - _MOST_TAGS
    columns = [("Tag", ""), ("Questions", "num"), ("Went wrong", "num"), ("answer", "num"),
               ("95 % interval", "num")]  # fmt: skip
    rows = (
        (text(row.tag), f"{row.questions:,}", f"{row.wrong:,}", row.answer, row.interval)
        for row in tagged[:_MOST_TAGS]
    )
    more = f"{left_out:,} tags with fewer questions are left out here." if left_out > 0 else ""
    return _table(columns, rows, more)


def _questions(outcomes: Sequence[Outcome]) -> str:
    numbers = {tag: number for number, tag in enumerate(tags_of(outcomes))}
    rows = "".join(question_row(outcome, numbers) for outcome in outcomes)
    columns = (("Question", ""), ("Result", "c-result"), ("Confidence", "c-num num"), ("Time", "c-num num"))
    head = "".join(
        f'<th scope="col" role="columnheader" class="{kind}">{name}</th>' for name, kind in columns
    )
    return (
        f"{_filters(outcomes, numbers)}"
        '<table id="questions" role="table"><caption>Open a question to see its answer and passages.</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n<tbody role="rowgroup">{rows}</tbody></table>'
    )


def _filters(outcomes: Sequence[Outcome], tags: dict[str, int]) -> str:
    """Return the form above the table; hidden until the script is there to obey it."""
    found = [name for name, count in result_counts(outcomes).items() if count]
    by_result = _select("result", "Result", "all results", [(name, name) for name in found])
    by_tag_number = _select("tag", "Tag", "all tags", [(str(number), tag) for tag, number in tags.items()])
    return (
        '<form id="filters" hidden><label class="grow">Words in question, answer or gold'
        f'<input id="words" type="search" autocomplete="off"></label>{by_result}'
        f"{by_tag_number if tags else ''}"
        '<button type="reset">Show all</button></form>'
        '<p id="shown" class="soft" role="status" aria-live="polite"></p>'
    )


def _select(name: str, label: str, everything: str, options: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f'<option value="{text(value)}">{text(shown)}</option>' for value, shown in options)
    return f'<label>{label}<select id="{name}"><option value="">{everything}</option>{inner}</select></label>'


def _settings(run: Run) -> str:
    rows = ((text(key), text(value)) for key, value in settings_of(run.header).items())
    return f'<div class="settings">{_table([("Setting", ""), ("Value", "")], rows)}</div>'


def _name(run: Run) -> str:
    testset = run.header.get("testset")
    return str(testset.get("name", "a run")) if isinstance(testset, dict) else "a run"


def _asset(name: str) -> str:
    return resources.files("bot.evaluation").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

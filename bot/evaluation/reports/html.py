"""HTML report: a self-contained file that escapes all text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from bot.evaluation.models import Outcome, Run, Summary
from bot.evaluation.reports.html_details import build_questions
from bot.evaluation.reports.html_elements import (
    SCALE,
    bar,
    filter_button,
    interval_line,
    risk_coverage_svg,
    section,
    table,
    text,
)
from bot.evaluation.reports.summary import (
    RESULTS,
    Figure,
    TagRow,
    by_tag,
    figures,
    missing_questions,
    result_class,
    result_counts,
    result_summary,
    settings_of,
    tags_of,
)

if TYPE_CHECKING:
    from bot.evaluation.gates import Verdict

_MAX_VISIBLE_TAGS = 12


def build_page(run: Run, summary: Summary, verdict: Verdict | None) -> str:
    """Return the report of a run as one HTML page; its content security policy allows style and script by hash."""
    style, script = _read_asset("report.css"), _read_asset("report.js")
    policy = (
        f"default-src 'none'; style-src {_csp_hash(style)}; script-src {_csp_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Evaluation of {_testset_name(run)}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style></head>\n<body>\n"
        f"<header><h1>{text(title)}</h1>{_subtitle(run)}</header>\n"
        f"{_menu(run, verdict)}<main>{''.join(_sections(run, summary, verdict))}</main>\n"
        f"<script>{script}</script>\n</body></html>\n"
    )


def _sections(run: Run, summary: Summary, verdict: Verdict | None) -> Iterable[str]:
    if verdict is not None and verdict.results:
        yield section("Gates", "gates", _gates(verdict))
    yield f'<div class="pair">{section("Where it went wrong", "results", _results(run.outcomes))}'
    yield f"{section('What a stricter threshold would give', 'risk', risk_coverage_svg(run.outcomes))}</div>"
    yield section("Figures", "figures", _figures(figures(summary)))
    if tags_of(run.outcomes):
        yield section("Results by tag", "tags", _tags(by_tag(run.outcomes)))
    yield section("Questions", "all-questions", build_questions(run.outcomes))
    yield section("Settings and versions", "settings", _settings(run))


def _menu(run: Run, verdict: Verdict | None) -> str:
    """Return links to the sections: without them, the questions are far away for keyboard and touch users."""
    links = [("gates", "Gates"), ("results", "Where it went wrong"), ("figures", "Figures"), ("tags", "Tags"),
             ("all-questions", "Questions"), ("settings", "Settings")]  # fmt: skip
    absent = {
        "gates" if verdict is None or not verdict.results else "",
        "" if tags_of(run.outcomes) else "tags",
    }
    shown = [link for link in links if link[0] not in absent]
    items = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in shown)
    return f'<nav aria-label="Sections"><ul>{items}</ul></nav>\n'


def _subtitle(run: Run) -> str:
    started = str(run.header.get("started") or "").replace("T", " ").replace("+00:00", " UTC")
    begun = f'<p class="soft">Begun {text(started)}</p>' if started else ""
    missing = missing_questions(run)
    warning = f'<p class="warning">Incomplete: {missing:,} still to be asked.</p>' if missing else ""
    return f'<p class="lead">{text(result_summary(run.outcomes))}</p>{begun}{warning}'


def _gates(verdict: Verdict) -> str:
    rows = (
        ('<span class="good">pass</span>' if gate.passed else '<span class="bad">FAIL</span>',
         text(gate.message))
        for gate in verdict.results
    )  # fmt: skip
    return table([("Verdict", "word"), ("Gate", "")], rows)


def _figures(shown: Sequence[Figure]) -> str:
    columns = [("Metric", "word"), ("Value", "num"), ("95 % interval", "num"), (SCALE, "wide drawn"),
               ("n", "num"), ("What it is", "wide meaning")]  # fmt: skip
    rows = (
        (f"<code>{text(f.name)}</code>", f.value, f.interval, interval_line(f.drawn), f"{f.n:,}", _meaning(f))
        for f in shown
    )
    return table(columns, rows)


def _meaning(figure: Figure) -> str:
    over = f' <small class="over">over {text(figure.over)}</small>' if figure.over else ""
    return f"{text(figure.meaning)}{over}"


def _results(outcomes: Sequence[Outcome]) -> str:
    counts = result_counts(outcomes)
    most = max(1, *counts.values())
    rows = (
        (
            f"{_result_filter(name, count)}<br><small>{RESULTS[name]}</small>",
            bar(count / most, result_class(name)),
            f"{count:,}",
            f"{count / len(outcomes):.0%}" if outcomes else "–",
        )
        for name, count in counts.items()
    )
    return table([("Result", ""), ("", "wide drawn"), ("Questions", "num"), ("Share", "num")], rows)


def _result_filter(result: str, count: int) -> str:
    return filter_button("result", result, result) if count else f'<span class="none">{result}</span>'


def _tags(tagged: Sequence[TagRow]) -> str:
    first, more = tagged[:_MAX_VISIBLE_TAGS], tagged[_MAX_VISIBLE_TAGS:]
    if not more:
        return _tag_table(first, 0)
    rest = f"<details><summary>{len(more):,} more tags</summary>{_tag_table(more, len(first))}</details>"
    return f"{_tag_table(first, 0)}{rest}"


def _tag_table(tagged: Sequence[TagRow], first_number: int) -> str:
    columns = [("Tag", ""), ("Went wrong", "num"), ("<code>answer</code>", "num"), ("95 % interval", "num"),
               (SCALE, "wide drawn")]  # fmt: skip
    rows = (
        (
            filter_button("tag", str(number), row.tag),
            f"{row.wrong:,} of {row.questions:,}",
            row.answer,
            row.interval,
            interval_line(row.drawn),
        )
        for number, row in enumerate(tagged, start=first_number)
    )
    return table(columns, rows)


def _settings(run: Run) -> str:
    rows = ((text(key), text(value)) for key, value in settings_of(run.header).items())
    return table([("Setting", ""), ("Value", "")], rows)


def _testset_name(run: Run) -> str:
    testset = run.header.get("testset")
    return str(testset.get("name", "a run")) if isinstance(testset, dict) else "a run"


def _read_asset(name: str) -> str:
    return resources.files("bot.evaluation.reports").joinpath(name).read_text("utf-8")


def _csp_hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

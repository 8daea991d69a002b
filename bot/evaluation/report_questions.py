"""The questions of the HTML report: filters, and a row each, which opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.evaluation.diagnosis import diagnose
from bot.evaluation.records import Outcome
from bot.evaluation.report_figures import mood_of, result_counts, result_of, tags_of
from bot.evaluation.report_opened import opened
from bot.evaluation.report_parts import text

_COLUMNS = (("Question", ""), ("Result", "c-result"), ("Confidence", "c-num num"), ("Time", "c-num num"))


def questions(outcomes: Sequence[Outcome]) -> str:
    """Return the filters and the table of all questions."""
    numbers = {tag: number for number, tag in enumerate(tags_of(outcomes))}
    rows = "".join(_row(outcome, numbers) for outcome in outcomes)
    head = "".join(
        f'<th scope="col" role="columnheader" class="{kind}">{name}</th>' for name, kind in _COLUMNS
    )
    return (
        f"{_filters(outcomes, numbers)}"
        '<table id="questions" role="table"><caption>Open a question to see its answer and passages.</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n<tbody role="rowgroup">{rows}</tbody></table>'
    )


def _row(outcome: Outcome, tag_numbers: Mapping[str, int]) -> str:
    """Tags stand in it by number: their names are free text."""
    case, result = outcome.case, result_of(outcome)
    numbers = " ".join(str(tag_numbers[tag]) for tag in dict.fromkeys(case.tags))
    wrong = "" if diagnose(outcome) is None else ' data-wrong=""'
    confidence = f"{outcome.answer.confidence:.2f}" if outcome.answer else "–"
    return (
        f'<tr role="row" data-result="{text(result)}" data-tags="{numbers}"{wrong}><td role="cell">'
        f'<details><summary><code data-find="">{text(case.id)}</code> '
        f'<span data-find="" dir="auto">{text(case.question)}</span></summary>{opened(outcome)}</details></td>'
        f'<td role="cell" class="word {mood_of(result)}">{text(result)}</td>'
        f'<td role="cell" class="num confidence">{confidence}</td>'
        f'<td role="cell" class="num">{outcome.milliseconds:,.0f} ms</td></tr>\n'
    )


def _filters(outcomes: Sequence[Outcome], tags: Mapping[str, int]) -> str:
    """Return the form above the table; hidden until the script is there to obey it."""
    results = [(name, name) for name, count in result_counts(outcomes).items() if count]
    wrong = [("wrong", "all that went wrong")] if any(map(diagnose, outcomes)) else []
    by_result = _select("result", "Result", "all results", [*wrong, *results])
    by_tag = _select("tag", "Tag", "all tags", [(str(number), tag) for tag, number in tags.items()])
    return (
        '<form id="filters" autocomplete="off" hidden><label class="grow">Words in question, answer or gold'
        f'<input id="words" type="search"></label>{by_result}{by_tag if tags else ""}'
        '<button type="reset">Show all</button></form>'
        '<p id="shown" class="soft" role="status" aria-live="polite"></p>'
    )


def _select(name: str, label: str, everything: str, options: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f'<option value="{text(value)}">{text(shown)}</option>' for value, shown in options)
    return f'<label>{label}<select id="{name}"><option value="">{everything}</option>{inner}</select></label>'

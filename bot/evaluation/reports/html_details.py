"""Details of each question in the HTML report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.answering.answer import NOT_SURE, Answer, Citation
from bot.answering.quotes import answer_span
from bot.evaluation.error_analysis import classify
from bot.evaluation.models import Outcome, RetrievedPassage
from bot.evaluation.reports.html_elements import text
from bot.evaluation.reports.summary import RESULTS, result_class, result_counts, result_of, tags_of
from bot.text.formatting import format_date, format_page
from bot.text.tokens import find_answer

_MAX_PASSAGES = 10
_PASSAGE_CHARS = 280  # of a passage: a report with a thousand questions must remain usable
_QUOTE_CHARS = 600
_GAP_SEARCH_CHARS = 20  # an excerpt ends at a space within this distance

Span = tuple[int, int]
_COLUMNS = (("Question", ""), ("Result", "c-result"), ("Confidence", "c-num num"), ("Time", "c-num num"))


def question_details(outcome: Outcome) -> str:
    """Return gold data, answer and quotes in one list, and the retrieved passages in a second list next to it."""
    passages = outcome.passages[:_MAX_PASSAGES]
    ranked = _part("Ranked passages", _items("ol", (_passage(hit, outcome) for hit in passages)))
    passage_list = f'<dl class="passages">{ranked}</dl>' if ranked else ""
    return f'<div class="opened"><dl>{"".join(_iter_parts(outcome))}</dl>{passage_list}</div>'


def highlight(
    value: str, span: Span | None, start: int = 0, end: int | None = None, *, bold: Span | None = None
) -> str:
    """Return `value[start:end]` as HTML, with the part in `span` marked and the part in `bold` in bold."""
    end = len(value) if end is None else end
    if bold and (first := max(bold[0], start)) < (last := min(bold[1], end)):
        before, after = highlight(value, span, start, first), highlight(value, span, last, end)
        return f"{before}<b>{highlight(value, span, first, last)}</b>{after}"
    low, high = (max(span[0], start), min(span[1], end)) if span else (end, end)
    if low >= high:
        return text(value[start:end])
    return f"{text(value[start:low])}<mark>{text(value[low:high])}</mark>{text(value[high:end])}"


def excerpt(value: str, span: Span | None, length: int, *, bold: Span | None = None) -> str:
    """Return about `length` characters as HTML, cut between words.

    The excerpt is around `span`, else around `bold`, else at the start of the text.
    """
    low, high = span or bold or (0, 0)
    room = max(0, length - (high - low)) // 2
    start = max(0, min(low - room, len(value) - length))
    end = min(len(value), max(high, start + length))
    if start:
        start = 1 + max(start - 1, value.find(" ", start - 1, min(low, start + _GAP_SEARCH_CHARS)))
    if end < len(value) and (gap := value.rfind(" ", max(high, end - _GAP_SEARCH_CHARS), end + 1)) > 0:
        end = gap
    shown = highlight(value, span, start, end, bold=bold)
    return f"{'… ' if start else ''}{shown}{' …' if end < len(value) else ''}"


def find_gold(value: str, golds: Iterable[str]) -> Span | None:
    """Return the span of the first gold answer that a text contains, or None."""
    return next((span for gold in golds if (span := find_answer(value, gold))), None)


def _iter_parts(outcome: Outcome) -> Iterable[str]:
    case, answer = outcome.case, outcome.answer
    result = result_of(outcome)
    yield _part("Result", f'<span class="{result_class(result)}">{result}</span>: {RESULTS[result]}')
    yield _part("Error", text(outcome.error or ""))
    yield _part("Earlier questions", _items("ol", map(text, case.history)))
    yield _part("Gold answer", _gold(outcome))
    if answer:
        yield _part(f"Answer ({text(answer.status)}, by {text(answer.answerer)})", _answer(answer, outcome))
        yield _part("Closest passage", _items("ul", (_quote(near, outcome) for near in answer.closest)))
        yield _part("Quotes", _items("ol", _quotes(answer, outcome)))
        yield _part("Dropped by verification", _items("ul", map(text, answer.dropped)))
    yield _part("Long gold answer", _items("ul", map(text, case.long_answers)))
    yield _part("Gold articles", _items("ul", map(text, case.articles)))
    yield _part("Asked on", text(case.asked or ""))
    yield _part("Tags", " ".join(f'<span class="tag">{text(tag)}</span>' for tag in case.tags))


def _part(name: str, content: str) -> str:
    return f"<dt>{name}</dt><dd>{content}</dd>" if content else ""


def _items(kind: str, items: Iterable[str]) -> str:
    inner = "".join(f'<li dir="auto">{item}</li>' for item in items)
    return f"<{kind}>{inner}</{kind}>" if inner else ""


def _gold(outcome: Outcome) -> str:
    if outcome.case.answerable is False:
        return "none: the articles do not say"
    golds = " <b>or</b> ".join(map(text, outcome.case.answers))
    return f'<span data-find="" dir="auto">{golds}</span>' if golds else ""


def _answer(answer: Answer, outcome: Outcome) -> str:
    """Return the sentences of an answer with their citations, and with the gold answer marked across sentences."""
    whole = NOT_SURE if answer.closest else answer.text
    span = find_gold(whole, outcome.case.answers)
    pieces: list[str] = []
    place = 0
    for index, sentence in enumerate(answer.sentences if answer.status != "not_found" else ()):
        start = whole.find(sentence.text, place)
        place = start + len(sentence.text)
        notes = "".join(f"[{number}]" for number in sentence.citations)
        pieces.append(
            f"{highlight(whole, span, start, place)} <small>{notes}</small>{_unsupported_label(outcome, index)}"
        )
    return f'<span data-find="" dir="auto">{" ".join(pieces) or text(whole)}</span>'


def _unsupported_label(outcome: Outcome, index: int) -> str:
    unsupported = index < len(outcome.supported) and not outcome.supported[index]
    return ' <span class="label bad">unsupported</span>' if unsupported else ""


def _quotes(answer: Answer, outcome: Outcome) -> Iterable[str]:
    for index, citation in enumerate(answer.citations):
        broken = index < len(outcome.quotes_valid) and not outcome.quotes_valid[index]
        yield _quote(citation, outcome) + (' <span class="label bad">not verbatim</span>' if broken else "")


def _quote(citation: Citation, outcome: Outcome) -> str:
    span = find_gold(citation.quote, outcome.case.answers)
    named = " · ".join(
        filter(
            None,
            (citation.source, format_date(citation.published), citation.title, format_page(citation.page)),
        )
    )
    return (
        f"<blockquote>“{excerpt(citation.quote, span, _QUOTE_CHARS, bold=answer_span(citation))}”</blockquote>"
        f"<small>{text(named)}</small>{_gold_label(citation.article_id, outcome.gold)}"
    )


def _passage(hit: RetrievedPassage, outcome: Outcome) -> str:
    span = find_gold(hit.text, outcome.case.answers)
    return (
        f"<b>{text(hit.title or hit.article_id)}</b>{_gold_label(hit.article_id, outcome.gold)} "
        f"<small>{hit.score:.3f}</small><br>{excerpt(hit.text, span, _PASSAGE_CHARS)}"
    )


def _gold_label(article_id: str, gold: Sequence[str]) -> str:
    return ' <span class="label good">gold</span>' if article_id in gold else ""


def build_questions(outcomes: Sequence[Outcome]) -> str:
    """Return the filters and the table of all questions."""
    numbers = {tag: number for number, tag in enumerate(tags_of(outcomes))}
    rows = "".join(_build_row(outcome, numbers) for outcome in outcomes)
    head = "".join(
        f'<th scope="col" role="columnheader" class="{kind}">{name}</th>' for name, kind in _COLUMNS
    )
    return (
        f"{_filters(outcomes, numbers)}"
        '<table id="questions" role="table"><caption>Open a question to see its answer and passages.</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n<tbody role="rowgroup">{rows}</tbody></table>'
    )


def _build_row(outcome: Outcome, tag_numbers: Mapping[str, int]) -> str:
    """Return the table row of a question; it refers to tags by number, because their names are free text."""
    case, result = outcome.case, result_of(outcome)
    numbers = " ".join(str(tag_numbers[tag]) for tag in dict.fromkeys(case.tags))
    wrong = "" if classify(outcome) is None else ' data-wrong=""'
    confidence = f"{outcome.answer.confidence:.2f}" if outcome.answer else "–"
    return (
        f'<tr role="row" data-result="{text(result)}" data-tags="{numbers}"{wrong}><td role="cell">'
        f'<details><summary><code data-find="">{text(case.id)}</code> '
        f'<span data-find="" dir="auto">{text(case.question)}</span></summary>'
        f"{question_details(outcome)}</details></td>"
        f'<td role="cell" class="word {result_class(result)}">{text(result)}</td>'
        f'<td role="cell" class="num confidence">{confidence}</td>'
        f'<td role="cell" class="num">{outcome.milliseconds:,.0f} ms</td></tr>\n'
    )


def _filters(outcomes: Sequence[Outcome], tags: Mapping[str, int]) -> str:
    """Return the filter form above the table, hidden until the script is loaded."""
    results = [(name, name) for name, count in result_counts(outcomes).items() if count]
    wrong = [("wrong", "all that went wrong")] if any(map(classify, outcomes)) else []
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

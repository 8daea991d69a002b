"""The questions of the HTML report: a row each, which opens to show all that is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from bot.answers.answer import Answer, Citation
from bot.articles.article import clean_text
from bot.evaluation.normalise import find
from bot.evaluation.records import Outcome, Ranked
from bot.evaluation.report_figures import NOT_JUDGED, RIGHT, result_of
from bot.terminal import day

_PASSAGES = 10
_EXCERPT = 280  # characters of a passage: a thousand questions must stay usable
_QUOTE = 600

Span = tuple[int, int]


def text(value: object) -> str:
    """Return a value as HTML text: escaped, and without characters that a page cannot hold."""
    return escape(clean_text(str(value)))


def question_row(outcome: Outcome, tag_numbers: Mapping[str, int]) -> str:
    """Return a question's row. Tags stand in it by number: their names are free text."""
    case, result = outcome.case, result_of(outcome)
    numbers = " ".join(str(tag_numbers[tag]) for tag in dict.fromkeys(case.tags))
    confidence = f"{outcome.answer.confidence:.2f}" if outcome.answer else "–"
    mood = {RIGHT: "good", NOT_JUDGED: "soft"}.get(result, "bad")
    return (
        f'<tr role="row" data-result="{text(result)}" data-tags="{numbers}"><td role="cell">'
        f'<details><summary><code data-find="">{text(case.id)}</code> '
        f'<span data-find="" dir="auto">{text(case.question)}</span></summary>'
        f"<dl>{''.join(_parts(outcome))}</dl></details></td>"
        f'<td role="cell" class="{mood}">{text(result)}</td>'
        f'<td role="cell" class="num">{confidence}</td>'
        f'<td role="cell" class="num">{outcome.milliseconds:,.0f} ms</td></tr>\n'
    )


def marked(value: str, span: Span | None, start: int = 0, end: int | None = None) -> str:
    """Return `value[start:end]` as HTML text, with what falls into `span` marked."""
    end = len(value) if end is None else end
    low, high = (max(span[0], start), min(span[1], end)) if span else (end, end)
    if low >= high:
        return text(value[start:end])
    return f"{text(value[start:low])}<mark>{text(value[low:high])}</mark>{text(value[high:end])}"


def excerpt(value: str, span: Span | None, length: int) -> str:
    """Return about `length` characters as HTML text: those around `span`, else the first."""
    room = max(0, length - (span[1] - span[0])) // 2 if span else 0
    start = max(0, min(span[0] - room, len(value) - length)) if span else 0
    end = min(len(value), start + length)
    shown = marked(value, span, start, end)
    return f"{'… ' if start else ''}{shown}{' …' if end < len(value) else ''}"


def match_of(value: str, golds: Iterable[str]) -> Span | None:
    """Return where the first gold answer that stands in a text stands."""
    return next((span for gold in golds if (span := find(value, gold))), None)


def _parts(outcome: Outcome) -> Iterable[str]:
    case, answer = outcome.case, outcome.answer
    yield _part("Earlier questions", _items("ol", map(text, case.history)))
    yield _part("Asked on", text(case.asked or ""))
    yield _part("Tags", " ".join(f'<span class="tag">{text(tag)}</span>' for tag in case.tags))
    yield _part("Error", f'<span class="bad">{text(outcome.error)}</span>' if outcome.error else "")
    yield _part("Gold answer", _gold(outcome))
    yield _part("Long gold answer", _items("ul", map(text, case.long_answers)))
    yield _part("Gold articles", _items("ul", map(text, case.articles)))
    if answer:
        yield _part(f"Answer ({text(answer.status)}, by {text(answer.answerer)})", _answer(answer, outcome))
        yield _part("Dropped by verification", _items("ul", map(text, answer.dropped)))
        yield _part("Quotes", _items("ol", _quotes(answer, outcome)))
    passages = outcome.passages[:_PASSAGES]
    yield _part("Ranked passages", _items("ol", (_passage(hit, outcome) for hit in passages)))


def _part(name: str, content: str) -> str:
    return f"<dt>{name}</dt><dd>{content}</dd>" if content else ""


def _items(kind: str, items: Iterable[str]) -> str:
    inner = "".join(f'<li dir="auto">{item}</li>' for item in items)
    return f"<{kind}>{inner}</{kind}>" if inner else ""


def _gold(outcome: Outcome) -> str:
    case = outcome.case
    if case.answerable is False:
        return "none: the articles do not say"
    return f'<span data-find="" dir="auto">{" <b>or</b> ".join(map(text, case.answers))}</span>' * bool(
        case.answers
    )


def _answer(answer: Answer, outcome: Outcome) -> str:
    """Each sentence with its citations, the gold answer marked across them."""
    whole = answer.text
    span = match_of(whole, outcome.case.answers)
    pieces: list[str] = []
    place = 0
    for index, sentence in enumerate(answer.sentences if answer.status != "not_found" else ()):
        start = whole.find(sentence.text, place)
        place = start + len(sentence.text)
        notes = "".join(f"[{number}]" for number in sentence.citations)
        pieces.append(f"{marked(whole, span, start, place)} <small>{notes}</small>{_flag(outcome, index)}")
    return f'<span data-find="" dir="auto">{" ".join(pieces) or text(whole)}</span>'


def _flag(outcome: Outcome, index: int) -> str:
    unsupported = index < len(outcome.supported) and not outcome.supported[index]
    return ' <span class="label bad">unsupported</span>' if unsupported else ""


def _quotes(answer: Answer, outcome: Outcome) -> Iterable[str]:
    for index, citation in enumerate(answer.citations):
        broken = index < len(outcome.quotes_valid) and not outcome.quotes_valid[index]
        yield _quote(citation, outcome) + (' <span class="label bad">not verbatim</span>' if broken else "")


def _quote(citation: Citation, outcome: Outcome) -> str:
    span = match_of(citation.quote, outcome.case.answers)
    named = " · ".join(filter(None, (citation.source, day(citation.published), citation.title)))
    return (
        f"<blockquote>“{excerpt(citation.quote, span, _QUOTE)}”</blockquote>"
        f"<small>{text(named)}</small>{_gold_label(citation.article_id, outcome.gold)}"
    )


def _passage(hit: Ranked, outcome: Outcome) -> str:
    span = match_of(hit.text, outcome.case.answers)
    return (
        f"<b>{text(hit.title or hit.article_id)}</b>{_gold_label(hit.article_id, outcome.gold)} "
        f"<small>{hit.score:.3f}</small><br>{excerpt(hit.text, span, _EXCERPT)}"
    )


def _gold_label(article_id: str, gold: Sequence[str]) -> str:
    return ' <span class="label good">gold</span>' if article_id in gold else ""

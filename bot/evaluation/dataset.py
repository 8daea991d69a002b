"""Load and validate test sets (JSON Lines or CSV), including the field names of other tools."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from bot.articles.article import clean_line
from bot.errors import EvaluationError
from bot.evaluation.models import Case
from bot.text.tokens import tokens

_T = TypeVar("_T")
# Field names of other tools (Ragas, TruLens, SQuAD, LangSmith, DeepEval, promptfoo). If a row has several names of one
# field, the first is used and the others remain extra keys: next to Ragas's "ground_truth", "answer" is a model's.
SYNONYMS = {
    "id": ("qid", "question_id", "query_id", "uid"),
    "question": ("query", "user_input", "input", "prompt"),
    "answers": ("reference", "ground_truth", "ground_truths", "expected", "expected_output", "gold", "answer"),
    "long_answer": ("long_answers", "reference_answer", "ideal_answer"),
    "articles": ("article", "urls", "url", "documents", "doc_ids", "reference_context_ids"),
    "answerable": ("is_answerable",),
    "asked": ("date", "asked_at", "as_of"),
    "history": ("chat_history",),
    "tags": ("tag", "category", "categories"),
    "curated": (),
}  # fmt: skip
LISTS = ("answers", "long_answer", "articles", "history", "tags")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in a test set; `line` starts at 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TestSet:
    """The questions of a file and its errors."""

    __test__ = False  # not a test class, in spite of the name that pytest matches

    path: Path
    sha256: str
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line number of each question, by id."""


NO_QUESTIONS = Problem(1, "no questions")
_Rows = Iterator[Problem | tuple[int, dict[str, Any]]]


def load_testset(path: Path) -> TestSet:
    """Read a test set; invalid lines are reported in `problems`.

    Raises:
        EvaluationError: if the file cannot be read or is not UTF-8.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as exc:
        raise EvaluationError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise EvaluationError(f"{path}: not UTF-8 (byte {exc.start}); save it as UTF-8") from exc
    rows = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    cases: list[Case] = []
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for row in rows(text):
        if isinstance(row, Problem):
            problems.append(row)
            continue
        line, (case, faults) = row[0], _parse_case(*row)
        if case.id in lines:
            faults.append(f"id {case.id!r} stands on line {lines[case.id]} too")
        lines.setdefault(case.id, line)
        problems += [Problem(line, fault) for fault in faults]
        cases += [] if faults else [case]
    if not cases and not problems:
        problems.append(NO_QUESTIONS)
    return TestSet(path, hashlib.sha256(data).hexdigest(), tuple(cases), tuple(problems), lines)


def find_unknown_articles(cases: Sequence[Case], find: Callable[[str], str | None]) -> list[tuple[Case, str]]:
    """Return the gold articles that are missing from the article store, each with its question.

    Args:
        cases: the questions.
        find: returns the id of the article with an id or a URL, or None if the article store does not have it.
    """
    return [(case, article) for case in cases for article in case.articles if find(article) is None]


def _json_rows(text: str) -> _Rows:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found = json.loads(
                    line, object_pairs_hook=_require_unique_keys, parse_constant=_reject_constant
                )
                row = _check_object(number, found)
            except (ValueError, RecursionError) as exc:
                yield Problem(number, f"not valid JSON: {exc}")
            else:
                yield row


def _check_object(line: int, row: object) -> Problem | tuple[int, dict[str, Any]]:
    if not isinstance(row, dict):
        return Problem(line, "expected an object")
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        return Problem(
            line, f"half a character ({exc.object[exc.start : exc.end]!a}), which no file can hold"
        )
    return line, row


def _require_unique_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(key for key, _ in pairs)}")
    return found


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is no number in JSON")


def _csv_rows(text: str) -> _Rows:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1  # the row's first line: a cell may contain line breaks
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            yield Problem(line, f"not valid CSV: {exc}")
            return
        if cells is None:
            return
        if header is None:
            if fault := _fault_of_header(header := cells):
                yield Problem(line, fault)
                return
        elif len(cells) > len(header):
            yield Problem(line, "more cells than the header has columns")
        elif any(cells):
            named = zip(header, cells, strict=False)  # trailing cells of a row may be missing
            yield line, {key: _parse_cell(key, value) for key, value in named if value}


def _fault_of_header(columns: Sequence[str]) -> str | None:
    fields = [FIELDS.get(column.strip().lower()) for column in columns]
    if "question" not in fields:
        return "no column is called question; write the columns' names in the first line, with commas between"
    twice = sorted({column for column in columns if columns.count(column) > 1})
    return f"a column stands twice: {', '.join(twice)}" if twice else None


def _parse_cell(column: str, value: str) -> object:
    return value.split("|") if FIELDS.get(column.strip().lower()) in LISTS else value


def _parse_case(line: int, row: Mapping[str, Any]) -> tuple[Case, list[str]]:
    """Return the case of a row and its errors."""
    fields, extra = split_known_fields(row)
    faults: list[str] = []

    def read(field: str, reader: Callable[[object], _T], default: _T) -> _T:
        try:
            return reader(fields[field]) if field in fields else default
        except ValueError as exc:
            faults.append(f"{field}: {exc}")
            return default

    case = Case(
        id=read("id", parse_id, "") or f"line-{line}",
        question=read("question", parse_question, ""),
        answers=read("answers", parse_answers, ()),
        long_answers=read("long_answer", parse_texts, ()),
        articles=read("articles", parse_texts, ()),
        answerable=read("answerable", parse_bool, None),
        asked=read("asked", parse_date, None),
        history=read("history", parse_texts, ()),
        tags=read("tags", parse_texts, ()),
        curated=read("curated", parse_bool, True),
        extra=extra,
    )
    return _infer_answerable(case), [*faults, *_find_faults(case)]


def _infer_answerable(case: Case) -> Case:
    """Mark a case with gold answers or articles as answerable, unless it says otherwise."""
    known = case.answers or case.long_answers or case.articles
    return replace(case, answerable=True) if case.answerable is None and known else case


def _find_faults(case: Case) -> Iterator[str]:
    if not case.question:
        yield "no question"
    if case.answerable is False and (case.answers or case.long_answers):
        yield "answerable is false, but there are answers"


FIELDS = {name: field for field, names in SYNONYMS.items() for name in (field, *names)}


def split_known_fields(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a row into known fields, by any of their names, and the rest."""
    keys = {key.strip().lower(): key for key, value in row.items() if value is not None}
    used = {
        field: next((keys[name] for name in (field, *names) if name in keys), None)
        for field, names in SYNONYMS.items()
    }
    fields = {field: row[key] for field, key in used.items() if key is not None}
    empty = {key for key, value in row.items() if value is None and key.strip().lower() in FIELDS}
    return fields, {key: value for key, value in row.items() if key not in {*used.values(), *empty}}


def parse_question(value: object) -> str:
    """Return the question as one line, or an empty string if it is missing."""
    return clean_line(value) if isinstance(value, str) else ""


def parse_id(value: object) -> str:
    """Return an id.

    Raises:
        ValueError: if the value is neither a text nor a number.
    """
    return _parse_text(value, "a text or a number")


def parse_texts(value: object) -> tuple[str, ...]:
    """Return a text or a list of texts as a tuple, without empty texts.

    Raises:
        ValueError: if a value is neither a text nor a number.
    """
    values = value if isinstance(value, list) else [value]
    return tuple(text for item in values if (text := _parse_text(item, "a text or a list of texts")))


def _parse_text(value: object, expected: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected {expected}")
    return str(value).strip()


def parse_answers(value: object) -> tuple[str, ...]:
    """Return gold answers, each with at least one word or number.

    Raises:
        ValueError: if an answer has no tokens, so that no text could contain it.
    """
    found = parse_texts(value)
    if nothing := [answer for answer in found if not tokens(answer)]:
        raise ValueError(f"{nothing[0]!r} holds no word and no number, so that it would be found nowhere")
    return found


def parse_bool(value: object) -> bool:
    """Return the boolean for a word such as "yes".

    Raises:
        ValueError: if the word is unknown.
    """
    known = value if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())
    if known is None:
        raise ValueError(f"{value!r} is neither true nor false")
    return known


def parse_date(value: object) -> date:
    """Return the date of an ISO 8601 date or time.

    Raises:
        ValueError: if the value is neither.
    """
    try:
        return datetime.fromisoformat(str(value).strip()).date()
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a day such as 2026-07-10") from exc

"""Reads test sets: JSON lines or CSV, with the names that other tools give the same fields."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from bot.articles.article import clean_line
from bot.errors import EvaluationError
from bot.evaluation.records import Case

# What the fields are called elsewhere (Ragas, TruLens, SQuAD, LangSmith, DeepEval, promptfoo).
SYNONYMS = {
    "id": ("qid", "question_id", "query_id", "uid"),
    "question": ("query", "user_input", "input", "prompt"),
    "answers": ("answer", "reference", "ground_truth", "ground_truths", "expected", "expected_output", "gold"),
    "long_answer": ("long_answers", "reference_answer", "ideal_answer"),
    "articles": ("article", "urls", "url", "documents", "doc_ids", "reference_context_ids"),
    "answerable": ("is_answerable",),
    "asked": ("date", "asked_at", "as_of"),
    "history": ("chat_history",),
    "tags": ("tag", "category", "categories"),
}  # fmt: skip
_FIELD = {name: field for field, names in SYNONYMS.items() for name in (field, *names)}
_LISTS = ("answers", "long_answer", "articles", "history", "tags")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a test set, at a line that counts from 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TestSet:
    """The questions of a file, with everything that is wrong in it."""

    __test__ = False  # no test class, whatever pytest thinks of the name

    path: Path
    sha256: str
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]


def load_testset(path: Path) -> TestSet:
    """Read a test set; what is wrong in it stands in `problems`. Raises EvaluationError if it cannot be read."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as exc:
        raise EvaluationError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise EvaluationError(f"{path}: not UTF-8 (byte {exc.start}); save it as UTF-8") from exc
    rows = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    cases: list[Case] = []
    problems: list[Problem] = []
    for line, row in rows(text):
        try:
            cases.append(_case(row if isinstance(row, dict) else _refuse(row), line))
        except EvaluationError as exc:
            problems.append(Problem(line, str(exc)))
    problems += _repeated(cases)
    if not cases and not problems:
        problems.append(Problem(1, "no questions"))
    return TestSet(path, hashlib.sha256(data).hexdigest(), tuple(cases), tuple(problems))


def unknown_articles(cases: Sequence[Case], find: Callable[[str], str | None]) -> list[tuple[Case, str]]:
    """Return the gold articles that the library does not hold, each with its question."""
    return [(case, article) for case in cases for article in case.articles if find(article) is None]


def _json_rows(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as exc:
                yield number, EvaluationError(f"not valid JSON: {exc}")


def _csv_rows(text: str) -> Iterator[tuple[int, object]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield reader.line_num, EvaluationError(f"not valid CSV: {exc}")
            return
        if None in row:
            yield reader.line_num, EvaluationError("more cells than the header has columns")
        else:
            yield reader.line_num, {key: _cell(key, value) for key, value in row.items() if value}


def _cell(column: str, value: str) -> object:
    return value.split("|") if _FIELD.get(column.strip().lower()) in _LISTS else value


def _refuse(row: object) -> dict[str, Any]:
    raise row if isinstance(row, EvaluationError) else EvaluationError("expected an object")


def _case(row: Mapping[str, Any], line: int) -> Case:
    fields, extra = _sorted_out(row)
    question = clean_line(fields["question"]) if isinstance(fields.get("question"), str) else ""
    if not question:
        raise EvaluationError("no question")
    answers, long_answers = _texts(fields, "answers"), _texts(fields, "long_answer")
    articles = _texts(fields, "articles")
    answerable = _truth(fields.get("answerable"))
    if answerable is None and (answers or long_answers or articles):
        answerable = True  # who gives a right answer means that there is one
    if answerable is False and answers:
        raise EvaluationError("answerable is false, but there are answers")
    return Case(
        id=str(fields.get("id") or f"line-{line}"),
        question=question,
        answers=answers,
        long_answers=long_answers,
        articles=articles,
        answerable=answerable,
        asked=_day(fields.get("asked")),
        history=_texts(fields, "history"),
        tags=_texts(fields, "tags"),
        extra=extra,
    )


def _sorted_out(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a row into the fields we know, by whatever name, and the rest. The design's own name wins."""
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in row.items():
        field = _FIELD.get(key.strip().lower())
        if field is None:
            extra[key] = value
        elif value is not None and (key == field or field not in fields):
            fields[field] = value
    return fields, extra


def _texts(fields: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = fields.get(field)
    values = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float) for item in values):
        raise EvaluationError(f"{field}: expected a text or a list of texts")
    return tuple(text for item in values if (text := str(item).strip()))


def _truth(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if (known := _TRUTH.get(str(value).strip().lower())) is None:
        raise EvaluationError(f"answerable: {value!r} is neither true nor false")
    return known


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError as exc:
        raise EvaluationError(f"asked: {value!r} is not a day such as 2026-07-10") from exc


def _repeated(cases: Sequence[Case]) -> list[Problem]:
    seen: dict[str, int] = {}
    for case in cases:
        seen[case.id] = seen.get(case.id, 0) + 1
    return [Problem(1, f"id {name!r} stands {count} times") for name, count in seen.items() if count > 1]

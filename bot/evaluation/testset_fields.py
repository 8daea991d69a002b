"""The fields of a test set's row: what they are called elsewhere, and what their values may be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from bot.articles.article import clean_line
from bot.text.normalise import tokens

# What the fields are called elsewhere (Ragas, TruLens, SQuAD, LangSmith, DeepEval, promptfoo). Of several names
# in a row the first counts, and the others are kept as they are: beside Ragas's "ground_truth", "answer" is a model's.
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
FIELDS = {name: field for field, names in SYNONYMS.items() for name in (field, *names)}
LISTS = ("answers", "long_answer", "articles", "history", "tags")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def sorted_out(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a row into the fields we know, by whatever name, and the rest."""
    keys = {key.strip().lower(): key for key, value in row.items() if value is not None}
    used = {
        field: next((keys[name] for name in (field, *names) if name in keys), None)
        for field, names in SYNONYMS.items()
    }
    fields = {field: row[key] for field, key in used.items() if key is not None}
    empty = {key for key, value in row.items() if value is None and key.strip().lower() in FIELDS}
    return fields, {key: value for key, value in row.items() if key not in {*used.values(), *empty}}


def question(value: object) -> str:
    """Return the question as one line; empty where there is none."""
    return clean_line(value) if isinstance(value, str) else ""


def name(value: object) -> str:
    """Return an id. Raises ValueError, as do all below."""
    return _one_text(value, "a text or a number")


def texts(value: object) -> tuple[str, ...]:
    """Return one text or a list of them as texts, without the empty ones."""
    values = value if isinstance(value, list) else [value]
    return tuple(text for item in values if (text := _one_text(item, "a text or a list of texts")))


def _one_text(value: object, expected: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected {expected}")
    return str(value).strip()


def answers(value: object) -> tuple[str, ...]:
    """Return gold answers, each of which could be found in a text."""
    found = texts(value)
    if nothing := [answer for answer in found if not tokens(answer)]:
        raise ValueError(f"{nothing[0]!r} holds no word and no number, so that it would be found nowhere")
    return found


def truth(value: object) -> bool:
    """Return what a word such as "yes" says."""
    known = value if isinstance(value, bool) else _TRUTH.get(str(value).strip().lower())
    if known is None:
        raise ValueError(f"{value!r} is neither true nor false")
    return known


def day(value: object) -> date:
    """Return the day of a date or a time."""
    try:
        return datetime.fromisoformat(str(value).strip()).date()
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a day such as 2026-07-10") from exc

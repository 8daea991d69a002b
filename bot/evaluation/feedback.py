"""Turn user feedback on answers into candidate test cases, to be corrected by a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.answering.answer import Answer
from bot.answering.answer_store import AnswerStore, Feedback
from bot.articles.article import clean_line
from bot.errors import EvaluationError
from bot.evaluation.dataset import NO_QUESTIONS, load_testset


def add_candidates(store: AnswerStore, path: Path) -> int:
    """Append the candidates whose questions are not yet in a test set, and return their number.

    Existing lines are not changed, because a person may have corrected them.

    Raises:
        EvaluationError: if the test set is a CSV file, is invalid or cannot be written.
    """
    if path.suffix.lower() == ".csv":
        raise EvaluationError(f"{path}: candidates are JSON lines; name a file such as {path.stem}.jsonl")
    known = _load_questions(path) if path.exists() else frozenset()
    rows = [row for row in candidates(store) if clean_line(row["question"]) not in known]
    try:
        with path.open("a+b") as file:
            file.seek(0)
            existing = file.read()
            gap = "" if existing.endswith(b"\n") or not existing else "\n"
            file.write((gap + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)).encode())
    except OSError as exc:
        raise EvaluationError(f"{path}: cannot be written ({exc.strerror})") from exc
    return len(rows)


def _load_questions(path: Path) -> frozenset[str]:
    loaded = load_testset(path)
    if loaded.problems and loaded.problems != (NO_QUESTIONS,):
        raise EvaluationError(f"{path}: {loaded.problems[0]}; set it right, or name another file")
    return frozenset(case.question for case in loaded.cases)


def candidates(store: AnswerStore) -> list[dict[str, Any]]:
    """Return one row per question with feedback, for the answer with the latest feedback.

    Each row has `"curated": false`. For an answer judged right, the row proposes its cited articles and its text as
    gold. For a wrong or disputed answer it proposes nothing: only a person can tell what would have been right.
    """
    by_question: dict[str, list[Feedback]] = {}
    for entry in store.iter_feedback():
        by_question.setdefault(entry.answer.standalone_question, []).append(entry)
    return [_build_candidate(_effective_feedback(entries)) for entries in by_question.values()]


def _effective_feedback(entries: list[Feedback]) -> list[Feedback]:
    """Return the effective feedback on the answer with the latest feedback, newest last.

    Answers to the same question with the same text count as one answer, for all users.
    """
    newest = entries[-1].answer.text
    effective: dict[tuple[str, int], Feedback] = {}
    for entry in entries:
        if entry.answer.text == newest:
            effective.pop(key := (entry.person, entry.citation), None)
            effective[key] = entry
    return list(effective.values())


def _build_candidate(effective: list[Feedback]) -> dict[str, Any]:
    last, answer = effective[-1], effective[-1].answer
    verdicts = _verdicts(effective)
    row: dict[str, Any] = {
        "id": answer.id,
        "question": answer.standalone_question,
        "asked": last.given.date().isoformat(),
        "curated": False,
        "verdict": verdicts[last.person],
        "note": _format_note(last),
        "given": {
            "status": answer.status,
            "text": answer.text,
            "quotes": [citation.model_dump(mode="json") for citation in answer.citations],
        },
    }
    if len(effective) > 1:
        row["notes"] = [note for entry in effective if (note := _format_note(entry))]
    if len(set(verdicts.values())) > 1:
        return row | {"disputed": True}
    return row | (_propose_gold(answer) if row["verdict"] == "right" else {})


def _verdicts(effective: list[Feedback]) -> dict[str, str]:
    """Return the verdict of each person; a complaint about a citation counts as a wrong answer."""
    verdicts: dict[str, str] = {}
    for entry in effective:
        wrong = "wrong" in (entry.verdict, verdicts.get(entry.person))
        verdicts[entry.person] = "wrong" if wrong else entry.verdict
    return verdicts


def _format_note(entry: Feedback) -> str:
    about = f"citation {entry.citation}" if entry.citation else ""
    return ": ".join(part for part in (about, entry.note) if part)


def _propose_gold(answer: Answer) -> dict[str, Any]:
    if answer.closest:
        return {}  # "right" may mean the refusal or the passage: the curator decides
    if answer.status != "answered":
        return {"answerable": False}
    cited = list(dict.fromkeys(citation.article_id for citation in answer.citations))
    return {"answerable": True, "articles": cited, "long_answer": answer.text}

"""Makes test questions of what readers said of answers, for a person to set right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.answering.answer import Answer
from bot.answering.answer_store import AnswerStore, Feedback
from bot.articles.article import clean_line
from bot.errors import EvaluationError
from bot.evaluation.dataset import NO_QUESTIONS, load_testset


def add_candidates(journal: AnswerStore, path: Path) -> int:
    """Append the candidates whose questions a test set does not hold yet, and return how many.

    What stands in the file stays as it is: somebody may have set it right. Raises EvaluationError.
    """
    if path.suffix.lower() == ".csv":
        raise EvaluationError(f"{path}: candidates are JSON lines; name a file such as {path.stem}.jsonl")
    held = _questions(path) if path.exists() else frozenset()
    rows = [row for row in candidates(journal) if clean_line(row["question"]) not in held]
    try:
        with path.open("a+b") as file:
            file.seek(0)
            begun = file.read()
            gap = "" if begun.endswith(b"\n") or not begun else "\n"
            file.write((gap + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)).encode())
    except OSError as exc:
        raise EvaluationError(f"{path}: cannot be written ({exc.strerror})") from exc
    return len(rows)


def _questions(path: Path) -> frozenset[str]:
    loaded = load_testset(path)
    if loaded.problems and loaded.problems != (NO_QUESTIONS,):
        raise EvaluationError(f"{path}: {loaded.problems[0]}; set it right, or name another file")
    return frozenset(case.question for case in loaded.cases)


def candidates(journal: AnswerStore) -> list[dict[str, Any]]:
    """Return a row a judged question, its answer judged last counting; each with `"curated": false`.

    Of an answer judged right, its cited articles and quotes are proposed as gold. Of one judged wrong or
    disputed, nothing is: only a person can say what would have been right.
    """
    asked: dict[str, list[Feedback]] = {}
    for judgement in journal.judgements():
        asked.setdefault(judgement.answer.standalone_question, []).append(judgement)
    return [_candidate(_effective_feedback(said)) for said in asked.values()]


def _effective_feedback(said: list[Feedback]) -> list[Feedback]:
    """Return what holds of the answer judged last, the newest at the end.

    The same question answered in the same words is the same answer, whoever asked it.
    """
    newest = said[-1].answer.text
    standing: dict[tuple[str, int], Feedback] = {}
    for judgement in said:
        if judgement.answer.text == newest:
            standing.pop(key := (judgement.person, judgement.citation), None)
            standing[key] = judgement
    return list(standing.values())


def _candidate(standing: list[Feedback]) -> dict[str, Any]:
    last, answer = standing[-1], standing[-1].answer
    verdicts = _verdicts(standing)
    row: dict[str, Any] = {
        "id": answer.id,
        "question": answer.standalone_question,
        "asked": last.given.date().isoformat(),
        "curated": False,
        "verdict": verdicts[last.person],
        "note": _note(last),
        "given": {
            "status": answer.status,
            "text": answer.text,
            "quotes": [citation.model_dump(mode="json") for citation in answer.citations],
        },
    }
    if len(standing) > 1:
        row["notes"] = [note for judgement in standing if (note := _note(judgement))]
    if len(set(verdicts.values())) > 1:
        return row | {"disputed": True}
    return row | (_gold(answer) if row["verdict"] == "right" else {})


def _verdicts(standing: list[Feedback]) -> dict[str, str]:
    """Return each person's verdict: who has a complaint about a citation does not find the answer right."""
    verdicts: dict[str, str] = {}
    for judgement in standing:
        wrong = "wrong" in (judgement.verdict, verdicts.get(judgement.person))
        verdicts[judgement.person] = "wrong" if wrong else judgement.verdict
    return verdicts


def _note(judgement: Feedback) -> str:
    about = f"citation {judgement.citation}" if judgement.citation else ""
    return ": ".join(part for part in (about, judgement.note) if part)


def _gold(answer: Answer) -> dict[str, Any]:
    if answer.closest:
        return {}  # "right" may mean the refusal or the passage: the curator decides
    if answer.status != "answered":
        return {"answerable": False}
    cited = list(dict.fromkeys(citation.article_id for citation in answer.citations))
    return {"answerable": True, "articles": cited, "long_answer": answer.text}

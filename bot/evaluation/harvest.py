"""Makes test questions of what readers said of answers, for a person to set right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.answers.journal import Journal, Judgement
from bot.articles.article import clean_line
from bot.errors import EvaluationError
from bot.evaluation.testset import NO_QUESTIONS, load_testset


def add_candidates(journal: Journal, path: Path) -> int:
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


def candidates(journal: Journal) -> list[dict[str, Any]]:
    """Return a row a judged question, the last judgement counting; each with `"curated": false`.

    Of an answer judged right, its cited articles and quotes are proposed as gold. Of one judged wrong,
    nothing is: only a person can say what would have been right.
    """
    last = {judgement.answer.standalone_question: judgement for judgement in journal.judgements()}
    return [_candidate(judgement) for judgement in last.values()]


def _candidate(judgement: Judgement) -> dict[str, Any]:
    answer = judgement.answer
    right = judgement.verdict == "right"
    cited = list(dict.fromkeys(citation.article_id for citation in answer.citations))
    quotes = [citation.model_dump(mode="json") for citation in answer.citations]
    row: dict[str, Any] = {
        "id": answer.id,
        "question": answer.standalone_question,
        "asked": judgement.said.date().isoformat(),
        "curated": False,
        "verdict": judgement.verdict,
        "note": judgement.note,
        "given": {
            "status": answer.status,
            "text": answer.text,
            "quotes": quotes,
        },
    }
    if right and answer.status == "answered":
        row |= {"answerable": True, "articles": cited, "long_answer": answer.text}
    elif right:
        row |= {"answerable": False}
    return row

"""Makes test questions of what readers said of answers, for a person to set right."""

from __future__ import annotations

from typing import Any

from bot.answers.journal import Journal, Judgement


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

"""Runs made by hand: an answer is right, wrong or refused, and that is all there is to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.answering.answer import Answer, Citation, Sentence
from bot.evaluation.models import Case, Outcome, RetrievedPassage, Run

GOLD = "Ankara"


def case(number: int, **changes: Any) -> Case:
    fields = {"answers": (GOLD,), "articles": (f"gold{number}",), "answerable": True} | changes
    return Case(id=f"q{number}", question=f"Question {number}?", **fields)


def unanswerable(number: int) -> Case:
    return case(number, answers=(), articles=(), answerable=False)


def outcome(
    asked: Case, text: str | None, *, rank: int = 1, confidence: float = 0.5, cited: Sequence[bool] = ()
) -> Outcome:
    """`text` None is a refusal; the gold article has the given rank; `cited`: each quote, valid or not."""
    article = asked.articles[0] if asked.articles else "none"
    names = [article if place == rank else f"other{place}" for place in range(1, 11)]
    citations = tuple(
        Citation(n=n, passage_id="p", article_id=article, version=1, start=0, end=1, quote="q", title="t", source="s",
                 published=None, url=None, link=None)
        for n, _ in enumerate(cited, start=1)
    )  # fmt: skip
    answer = Answer(
        question=asked.question,
        standalone_question=asked.question,
        status="not_found" if text is None else "answered",
        sentences=() if text is None else (Sentence(text=text, citations=()),),
        citations=citations,
        confidence=confidence,
        answerer="extractive",
    )
    passages = tuple(RetrievedPassage(f"p{name}", name, name, "", 1.0) for name in names)
    return Outcome(asked, asked.articles, passages, answer, tuple(cited), milliseconds=100.0 + len(asked.id))


def run(outcomes: Sequence[Outcome], **header: Any) -> Run:
    settings = {"settings": {"k": 10, "model": "mini"}, "started": "2026-11-24", "questions": len(outcomes)}
    return Run({**settings, **header}, tuple(outcomes))


def run_of(marks: str, **header: Any) -> Run:
    """One question a character: `+` right, `-` wrong, `0` refused; unanswerable: `.` refused, `!` answered; `x` failed."""
    texts = {"+": GOLD, "-": "Izmir", "0": None, ".": None, "!": "Izmir"}
    made = []
    for number, mark in enumerate(marks):
        asked = unanswerable(number) if mark in ".!" else case(number)
        failed = Outcome(asked, asked.articles, error="no answer within 120 s")
        sure = 0.2 if mark in "0." else 0.8
        made.append(failed if mark == "x" else outcome(asked, texts[mark], confidence=sure))
    return run(made, **header)

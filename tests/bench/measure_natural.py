"""Measures answers to natural questions: rows with `evidence` sentences, as corpus/natural.jsonl has them.

    python tests/bench/measure_natural.py DATA_DIR QUESTIONS.jsonl [--wrong]

An answerable question is right if a quote shown shares half of the words of the shorter with an evidence sentence, or
contains a gold answer; an unanswerable one if it is refused. `--wrong` lists the questions that were not right.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from bot.answering.answer import Answer
from bot.answering.question import Question
from bot.evaluation.runner import NOON
from bot.services import Services
from bot.settings import load_settings


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def is_right(quote: str, row: dict[str, Any]) -> bool:
    """Return True if a quote holds the evidence or a gold answer."""
    shown = words(quote)
    for sentence in row["evidence"]:
        gold = set(words(sentence))
        shorter = min(len(gold), len(set(shown)))
        if shorter and len(gold & set(shown)) >= shorter / 2:
            return True
    text = f" {' '.join(shown)} "
    return any(f" {' '.join(words(answer))} " in text for answer in row["answers"] if words(answer))


def ask(workspace: Services, row: dict[str, Any]) -> Answer:
    asked = datetime.combine(date.fromisoformat(row["asked"]), NOON, UTC) if row.get("asked") else None
    return workspace.chain.invoke(Question(row["question"], asked=asked))


def figures(rows: list[dict[str, Any]], answers: list[Answer]) -> dict[str, float]:
    """Return every figure of the set by name."""
    answerable = np.array([row["answerable"] for row in rows])
    answered = np.array([answer.status == "answered" for answer in answers])
    shown = [[c.quote for c in (*answer.citations, *answer.closest)] for answer in answers]
    right = np.array(
        [any(is_right(quote, row) for quote in quotes) for quotes, row in zip(shown, rows, strict=True)]
    )
    first = np.array(
        [bool(quotes) and is_right(quotes[0], row) for quotes, row in zip(shown, rows, strict=True)]
    )
    short = np.array([_is_short_right(answer, row) for answer, row in zip(answers, rows, strict=True)])
    confidence = np.array([answer.confidence for answer in answers])
    return {
        "first quote right": first[answerable].mean(),
        "short answer holds a gold answer": short[answerable & answered].mean(),
        "answered and right": (answered & right)[answerable].mean(),
        "answered": answered[answerable].mean(),
        "evidence shown": right[answerable].mean(),
        "near misses answered": answered[~answerable].mean(),
        "auroc": roc_auc_score(answerable, confidence),
        "brier": ((confidence - answerable) ** 2).mean(),
        "score": np.where(answerable, answered & right, ~answered).mean(),
        "quotes in an answer": np.mean([len(a.citations) for a in answers if a.status == "answered"]),
    }


def reliability(labels: np.ndarray, p: np.ndarray) -> str:
    """Return a table: of the questions with a confidence in each fifth, how many were answerable."""
    lines = ["confidence   n  mean  answerable"]
    for low in np.arange(0, 1, 0.2):
        inside = (p >= low) & ((p < low + 0.2) | (low > 0.7))
        if inside.any():
            mean, share = p[inside].mean(), labels[inside].mean()
            lines.append(f"{low:.1f}-{low + 0.2:.1f}  {inside.sum():4}  {mean:.2f}  {share:.2f}")
    return "\n".join(lines)


def _is_short_right(answer: Answer, row: dict[str, Any]) -> bool:
    text, golds = " ".join(words(answer.short_answer)), [" ".join(words(gold)) for gold in row["answers"]]
    return bool(text) and any(text in gold or gold in text for gold in golds)


def print_wrong(rows: Iterable[dict[str, Any]], answers: Iterable[Answer]) -> None:
    for row, answer in zip(rows, answers, strict=True):
        quotes = [c.quote for c in (*answer.citations, *answer.closest)]
        answered = answer.status == "answered"
        right = any(is_right(quote, row) for quote in quotes)
        if (answered and right) if row["answerable"] else not answered:
            continue
        print(
            f"\n{row['id']} {'' if row['answerable'] else 'UNANSWERABLE '}{answer.status} {answer.confidence:.2f}"
        )
        print(f"  Q {row['question']}   [{answer.short_answer}]")
        for quote in quotes:
            print(f"  {'+' if is_right(quote, row) else '-'} {quote[:250]}")
        for sentence in row["evidence"][:2]:
            print(f"  = {sentence[:250]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--wrong", action="store_true")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.questions.open(encoding="utf-8")]
    workspace = Services(load_settings(data_dir=options.data_dir))
    ask(workspace, rows[0])  # loads the models
    answers, times = [], []
    for row in rows:
        begun = time.perf_counter()
        answers.append(ask(workspace, row))
        times.append((time.perf_counter() - begun) * 1000)
    workspace.close()
    if options.wrong:
        print_wrong(rows, answers)
    labels = np.array([row["answerable"] for row in rows])
    print(reliability(labels, np.array([answer.confidence for answer in answers])))
    for name, value in figures(rows, answers).items():
        print(f"{name:35} {value:.3f}")
    print(f"{'p50 / p95 ms':35} {np.percentile(times, 50):.0f} / {np.percentile(times, 95):.0f}")


if __name__ == "__main__":
    main()

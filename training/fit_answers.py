"""Fits the weights by which sentences are ranked and by which a question is answered or not.

usage: python training/fit_answers.py DATA_DIR WORK_DIR

Asks the held-out news questions, which the packaged reader was not trained on, of two collections in WORK_DIR (made
if they are not there): news-dev, and 450 articles of news-articles. Prints the weights of
`bot.answering.quote_ranking` and `bot.answering.answerability`, and what each feature adds (cross-validated by
article).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prepare import about, is_held_out, load_questions
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bot.answering.answerability import AnswerabilityFeatures, extract_features
from bot.answering.question import Question
from bot.answering.quote_ranking import Features, read_sentences
from bot.evaluation.runner import NOON
from bot.ingestion.loaders import read_articles
from bot.ingestion.pipeline import ingest
from bot.services import Services
from bot.settings import load_settings

sys.path.append(str(Path(__file__).parents[1] / "tests" / "bench"))
from measure_natural import is_right

OTHERS = 450  # articles in the second collection
FOLDS = 5
FIXED = ("passage", "asked", "absent", "share", "terms")  # not fitted: see bot/answering/answerability.py
RANKING_RIDGE = 1e-3
CONFIDENCE_C = 0.3


@dataclass
class Asked:
    """A question with the features of its sentences, and which of them answer it."""

    article: str
    answerable: bool
    features: np.ndarray  # (sentences, features)
    right: np.ndarray  # (sentences,)
    evidence: np.ndarray  # (features,)


def ask(workspace: Services, row: dict[str, Any]) -> Asked:
    """Retrieve, read and label the sentences of one question."""
    steps, retriever = workspace.pipeline, workspace.retriever
    asked = datetime.combine(date.fromisoformat(row["asked"]), NOON, UTC)
    turn = steps.retrieve(steps.understand(Question(row["question"], asked=asked)))
    vector = retriever.vector(turn.search_query)
    read = read_sentences(turn.search_query, turn.hits, workspace.reader, retriever.embedder, vector)
    return Asked(
        about(row),
        row["answerable"],
        np.array([s.features for s in read]).reshape(-1, len(Features._fields)),
        np.array([is_right(s.candidate.text, row) for s in read], dtype=bool),
        np.array(
            extract_features(turn.search_query, turn.hits, workspace.bm25, read)
            if read
            else [0.0] * len(AnswerabilityFeatures._fields)
        ),
    )


def open_collection(folder: Path, articles: Path) -> Services:
    """Open a collection, ingesting its articles first if it is new."""
    workspace = Services(load_settings(data_dir=folder))
    if not workspace.articles.totals().articles:
        with workspace.index_writer() as indexer:
            ingest(indexer, workspace.articles, read_articles([articles]))
    return workspace


def write_subset(data: Path, questions: Sequence[dict[str, Any]], out: Path) -> Path:
    """Write the articles that the questions are about and some others, `OTHERS` in all."""
    needed = {about(row) for row in questions} | {url for row in questions for url in row["articles"]}
    rows = [json.loads(line) for line in (data / "news-articles.jsonl").open(encoding="utf-8")]
    kept = [row for row in rows if row["url"] in needed]
    rng = random.Random(1)
    kept += rng.sample([row for row in rows if row["url"] not in needed], OTHERS - len(kept))
    rng.shuffle(kept)
    out.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return out


def ask_all(data: Path, work: Path) -> Iterator[Asked]:
    """Ask every held-out question of the collection that has its article."""
    work.mkdir(parents=True, exist_ok=True)
    questions = [row for row in load_questions(data) if is_held_out(about(row))]
    news_dev = data.parent / "news-dev" / "articles.jsonl"
    in_news = {row["url"] for row in map(json.loads, news_dev.open(encoding="utf-8"))}
    subset = write_subset(data, questions, work / "subset.jsonl")
    for name, articles, is_news in (("news", news_dev, True), ("reading", subset, False)):
        workspace = open_collection(work / name, articles)
        for row in questions:
            if (about(row) in in_news) is is_news:
                yield ask(workspace, row)
        workspace.close()


def fit_ranking(asked: Sequence[Asked], columns: Sequence[int]) -> np.ndarray:
    """Return the weights of a softmax over each question's sentences, the right ones' probabilities added."""
    usable = [a for a in asked if a.answerable and a.right.any()]
    spread = np.concatenate([a.features[:, columns] for a in usable]).std(0) + 1e-9
    rows = [(torch.tensor(a.features[:, columns] / spread), torch.tensor(a.right)) for a in usable]
    weights = torch.zeros(len(columns), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = RANKING_RIDGE * (weights**2).sum()
        for features, right in rows:
            scores = features @ weights
            loss = loss + (scores.logsumexp(0) - scores[right].logsumexp(0)) / len(rows)
        loss.backward()
        return loss

    optimizer.step(closure)
    fitted: np.ndarray = weights.detach().numpy() / spread
    return fitted


def fit_confidence(evidence: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights and bias of a logistic regression on standardized evidence."""
    mean, spread = evidence.mean(0), evidence.std(0) + 1e-9
    model = LogisticRegression(C=CONFIDENCE_C, max_iter=1000).fit((evidence - mean) / spread, labels)
    weights = model.coef_[0] / spread
    return weights, float(model.intercept_[0] - weights @ mean)


def rescore(asked: Asked, weights: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Return the evidence with the score and mass of the sentence that these weights rank first."""
    evidence = asked.evidence.copy()
    if len(asked.features):
        scores = asked.features[:, columns] @ weights
        evidence[AnswerabilityFeatures._fields.index("score")] = scores.max()
        evidence[AnswerabilityFeatures._fields.index("mass")] = asked.features[
            scores.argmax(), Features._fields.index("mass")
        ]
        evidence[AnswerabilityFeatures._fields.index("mass")] = asked.features[
            scores.argmax(), Features._fields.index("mass")
        ]
    return evidence


def cross_validate(asked: Sequence[Asked], columns: Sequence[int], kept: Sequence[int]) -> str:
    """Return how often the first sentence and one of the first three are right, AUC and Brier, on folds left out."""
    fold = np.array([int(hashlib.sha256(a.article.encode()).hexdigest(), 16) // 8 % FOLDS for a in asked])
    first, third, labels, confidence = [], [], [], []
    for n in range(FOLDS):
        train = [a for a, f in zip(asked, fold, strict=True) if f != n]
        weights = fit_ranking(train, columns)
        table = np.array([rescore(a, weights, columns)[kept] for a in train])
        slope, bias = fit_confidence(table, np.array([a.answerable for a in train]))
        for a in (a for a, f in zip(asked, fold, strict=True) if f == n):
            order = np.argsort(-(a.features[:, columns] @ weights)) if len(a.features) else []
            if a.answerable:
                first.append(any(a.right[i] for i in order[:1]))
                third.append(any(a.right[i] for i in order[:3]))
            labels.append(a.answerable)
            confidence.append(1 / (1 + np.exp(-(rescore(a, weights, columns)[kept] @ slope + bias))))
    truth, guess = np.array(labels), np.array(confidence)
    return (
        f"first right {np.mean(first):.3f}, one of three {np.mean(third):.3f}, "
        f"AUC {roc_auc_score(truth, guess):.3f}, Brier {((guess - truth) ** 2).mean():.3f}"
    )


def main() -> None:
    """Print the weights and the ablation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of the reading sets")
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    asked = list(ask_all(options.data, options.work))
    columns = list(range(len(Features._fields)))
    kept = [i for i, name in enumerate(AnswerabilityFeatures._fields) if name not in FIXED]
    weights = fit_ranking(asked, columns)
    table = np.array([rescore(a, weights, columns)[kept] for a in asked])
    slope, bias = fit_confidence(table, np.array([a.answerable for a in asked]))
    print(
        "Features(" + ", ".join(f"{n}={w:.3f}" for n, w in zip(Features._fields, weights, strict=True)) + ")"
    )
    print(
        "Evidence("
        + ", ".join(
            f"{n}={w:.3f}"
            for n, w in zip([AnswerabilityFeatures._fields[k] for k in kept], slope, strict=True)
        )
        + f"), bias {bias:.3f}"
    )
    print(f"{'all':24} {cross_validate(asked, columns, kept)}")
    for i, name in enumerate(Features._fields):
        print(f"without {name:16} {cross_validate(asked, [c for c in columns if c != i], kept)}")
    for i in kept:
        rest = [k for k in kept if k != i]
        print(f"without {AnswerabilityFeatures._fields[i]:16} {cross_validate(asked, columns, rest)}")
    for name in FIXED:
        print(
            f"with {name:19} {cross_validate(asked, columns, [*kept, AnswerabilityFeatures._fields.index(name)])}"
        )


if __name__ == "__main__":
    main()

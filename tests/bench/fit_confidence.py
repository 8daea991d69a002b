"""Fits the weights of bot.answers.evidence.Evidence.

    python tests/bench/fit_confidence.py DATA_DIR TESTSET.jsonl [DATA_DIR TESTSET.jsonl ...]

Each data folder holds the articles its test set asks about. Every set counts the same, whatever its size.
Prints the weights, and for each set AUROC (of these weights, and of weights fitted on the other sets alone),
Brier score and the shares refused and answered wrongly at 0.5.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bot.answers.question import Question
from bot.evaluation.run import NOON
from bot.evaluation.testset import load_testset
from bot.settings import load_settings
from bot.workspace import Workspace

Set = tuple[np.ndarray, np.ndarray]


def measure(data_dir: str, testset: str) -> Set:
    workspace = Workspace(load_settings(data_dir=Path(data_dir)))
    rows, labels = [], []
    for case in load_testset(Path(testset)).cases:
        asked = datetime.combine(case.asked, NOON, UTC) if case.asked else None
        evidence = workspace.chain.find(Question(case.question, history=case.history, asked=asked)).evidence
        if evidence:
            rows.append(tuple(evidence))
            labels.append(bool(case.answerable))
    workspace.close()
    return np.array(rows), np.array(labels)


def fit(sets: list[Set], ridge: float = 1e-2) -> tuple[np.ndarray, float]:
    """Logistic regression by Newton's method, on standardised evidence."""
    evidence, labels = np.concatenate([s[0] for s in sets]), np.concatenate([s[1] for s in sets])
    weight = np.concatenate([np.full(len(s[1]), 1 / len(s[1])) for s in sets])
    mean, spread = evidence.mean(0), evidence.std(0)
    design = np.c_[(evidence - mean) / spread, np.ones(len(evidence))]
    penalty = ridge * np.diag([*[1.0] * evidence.shape[1], 0.0])
    w = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ w))
        hessian = (design.T * (weight * p * (1 - p))) @ design + penalty
        w -= np.linalg.solve(hessian, design.T @ (weight * (p - labels)) + penalty @ w)
    return w[:-1] / spread, float(w[-1] - (w[:-1] * mean / spread).sum())


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    above = scores[labels][:, None] - scores[~labels][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def reliability(labels: np.ndarray, p: np.ndarray) -> str:
    """Return a table: of the questions given a confidence in each fifth, how many were answerable."""
    lines = ["confidence   n  mean  answerable"]
    for low in np.arange(0, 1, 0.2):
        inside = (p >= low) & ((p < low + 0.2) | (low > 0.7))
        if inside.any():
            lines.append(
                f"{low:.1f}-{low + 0.2:.1f}  {inside.sum():4}  {p[inside].mean():.2f}  {labels[inside].mean():.2f}"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    sets = [measure(*pair) for pair in zip(arguments[::2], arguments[1::2], strict=True)]
    weights, bias = fit(sets)
    print("weights", [round(float(weight), 2) for weight in weights], "bias", round(bias, 2))
    for name, (evidence, labels) in zip(arguments[1::2], sets, strict=True):
        p = 1 / (1 + np.exp(-(evidence @ weights + bias)))
        others = [s for s in sets if s[0] is not evidence]
        elsewhere = auroc(labels, evidence @ fit(others)[0]) if others else float("nan")
        print(reliability(labels, p))
        print(
            f"{name}: auroc {auroc(labels, p):.3f} (fitted elsewhere {elsewhere:.3f}), "
            f"brier {((p - labels) ** 2).mean():.3f}, over_refusal {(p[labels] < 0.5).mean():.3f}, "
            f"false_answers {(p[~labels] >= 0.5).mean():.3f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

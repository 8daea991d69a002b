"""Fits the weights of bot.verification.verifier.Evidence.

    python tests/bench/fit_support.py SENTENCES.jsonl

The file holds sentences that people have judged: `set`, `sentence`, `source`, `supported`. Every set counts the same,
whatever its size, and has an intercept of its own: how many of a set's sentences are wrong is no evidence. Verbatim
sentences are not weighed, so they are not fitted by. Prints the weights, and for each set AUROC of these weights, of
weights fitted on other sources (ten folds, all of a source's sentences in one), of weights fitted on the other sets, and
of coverage alone; a verbatim sentence has the lowest score in the first three.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from labelled import auroc, folds, plain_score, read_labelled

from bot.verification.claims.quotations import find_verbatim
from bot.verification.verifier import SupportFeatures, extract_features, strip_markers

_RIDGE, _LOWEST = 1e-3, -99.0


def fit(evidence: np.ndarray, wrong: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Logistic regression by Newton's method; returns the weights, and each set's intercept."""
    sets = sorted(set(names))
    mean, spread = evidence.mean(0), evidence.std(0)
    own = np.stack([names == name for name in sets], 1).astype(float)
    design, weight = np.c_[(evidence - mean) / spread, own], 1 / (own.sum(0)[own.argmax(1)] * len(sets))
    penalty = _RIDGE * np.diag([1.0] * evidence.shape[1] + [0.1] * len(sets))
    w = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ w))
        hessian = (design.T * (weight * p * (1 - p))) @ design + penalty
        w -= np.linalg.solve(hessian, design.T @ (weight * (p - wrong)) + penalty @ w)
    weights = w[: evidence.shape[1]] / spread
    return weights, dict(zip(sets, w[evidence.shape[1] :] - weights @ mean, strict=True))


def main(path: str) -> None:
    rows = read_labelled(Path(path))
    evidence = np.array([extract_features(row.sentence, [row.source]) for row in rows])
    wrong = np.array([not row.supported for row in rows])
    names, fold = np.array([row.set for row in rows]), folds(rows)
    weighed = np.array([not find_verbatim(strip_markers(row.sentence), [row.source]) for row in rows])
    weights, intercepts = fit(evidence[weighed], wrong[weighed], names[weighed])
    print(SupportFeatures(*(round(float(weight), 2) for weight in weights)))
    print("intercepts", {name: round(intercept, 2) for name, intercept in intercepts.items()})

    def scored(train: np.ndarray) -> np.ndarray:
        train = train & weighed
        return np.where(weighed, evidence @ fit(evidence[train], wrong[train], names[train])[0], _LOWEST)

    across, elsewhere = np.zeros(len(rows)), np.zeros(len(rows))
    for one in range(10):
        across[fold == one] = scored(fold != one)[fold == one]
    for name in set(names):
        family = np.char.startswith(names, name.split("_")[0])
        elsewhere[names == name] = scored(~family)[names == name]
    plainly = np.array([plain_score(row.sentence, row.source) for row in rows])
    print(f"{'set':20} {'n':>5}  fitted  folds  other sets  coverage")
    for name in sorted(set(names)):
        here = names == name
        figures = [auroc(wrong[here], one[here]) for one in (scored(weighed), across, elsewhere, plainly)]
        print(f"{name:20} {here.sum():5}  {'  '.join(f'{figure:.3f}' for figure in figures)}")


if __name__ == "__main__":
    main(sys.argv[1])

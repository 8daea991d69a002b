"""Sentences that people have judged, and what the scripts that fit and measure the verifier share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bot.articles.chunking import split_sentences
from bot.indexing.bm25_index import analyze
from bot.verification.coverage import lcs_length


class Labelled(NamedTuple):
    """A sentence, the text it cites, what a person said of it, the set it is from, and the kind of error if named."""

    set: str
    sentence: str
    source: str
    supported: bool
    error: str


def read_labelled(path: Path) -> list[Labelled]:
    """Read JSON lines with `set`, `sentence`, `source`, `supported` and, where known, `error`."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Labelled(row["set"], row["sentence"], row["source"], row["supported"], row.get("error") or "")
        for row in rows
    ]


def auroc(wrong: np.ndarray, scores: np.ndarray) -> float:
    """Return how often a wrong sentence scores above a supported one; a tie counts half."""
    above = scores[wrong][:, None] - scores[~wrong][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def plain_score(sentence: str, source: str) -> float:
    """Return what coverage alone says, without rules or fitting: the yardstick."""
    stems = analyze(sentence)
    sentences = [analyze(source[span.start : span.end]) for span in split_sentences(source)]
    wanted = set(stems)
    windows = [wanted.intersection(*[set().union(*sentences[at : at + 3])]) for at in range(len(sentences))]
    closest = sorted(sentences, key=lambda other: -len(wanted.intersection(other)))[:5]
    covered = max(map(len, windows), default=0) / max(len(wanted), 1)
    longest = max((lcs_length(stems, other) for other in closest), default=0) / max(len(stems), 1)
    return 3.7 - 5.0 * covered - 2.1 * longest + 0.55 * min(_absent(sentence, source), 3)


def _absent(sentence: str, source: str) -> int:
    words = [word.strip(".,;:!?()\"'“”‘’") for word in sentence.split()]
    named = [
        word for at, word in enumerate(words) if any(c.isdigit() for c in word) or (at and word[:1].isupper())
    ]
    return sum(word.casefold() not in source.casefold() for word in named)


def folds(rows: Sequence[Labelled], count: int = 10) -> np.ndarray:
    """Number the rows by fold: those with the same beginning of a source are in the same one."""
    places: dict[str, int] = {}
    groups = np.array([places.setdefault(row.source[:300], len(places)) for row in rows])
    return np.random.default_rng(0).integers(0, count, len(places))[groups]

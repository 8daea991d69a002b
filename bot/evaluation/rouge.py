"""ROUGE-L as rouge-score computes it without stemming."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"[a-z0-9]+")


def rouge_l(gold: str, text: str) -> float:
    """Return the F1 of the longest common subsequence of both texts' tokens, 0..1."""
    wanted, given = _TOKEN.findall(gold.lower()), _TOKEN.findall(text.lower())
    common = _common(wanted, given)
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for word in one:
        before = 0
        for place, other in enumerate(two, start=1):
            above = row[place]
            row[place] = before + 1 if word == other else max(above, row[place - 1])
            before = above
    return row[-1]

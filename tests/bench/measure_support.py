"""Measures the verifier on sentences that people have judged.

    python tests/bench/measure_support.py SENTENCES.jsonl

For each set AUROC of the score, and which share of unsupported and of supported sentences is dropped or kept as weak; the
same by kind of error where the set names it. (tests/bench/planted.py measures whole answers with lies planted in them.)
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from labelled import Labelled, auroc, plain_score, read_labelled

from bot.verification.verifier import UNSUPPORTED, Verifier

_PLAIN_CUT = 1.4


def _shares(verdicts: Iterable[str]) -> str:
    counted = Counter(verdicts)
    total = max(counted.total(), 1)
    return f"{counted['unsupported'] / total:6.1%} dropped {counted['weak'] / total:6.1%} weak"


def main(path: str) -> None:
    rows, verifier = read_labelled(Path(path)), Verifier()
    started = time.perf_counter()
    found = [verifier.check(row.sentence, [row.source]) for row in rows]
    spent = time.perf_counter() - started
    wrong = np.array([not row.supported for row in rows])
    scores = np.array([support.score for support in found])
    plain = np.array([plain_score(row.sentence, row.source) for row in rows])
    names = np.array([row.set for row in rows])
    print(
        f"{spent / len(rows) * 1000:.1f} ms a sentence, each with a text of its own; dropped above {UNSUPPORTED}"
    )
    for name in sorted(set(names)):
        here = names == name
        print(
            f"{name:20} {here.sum():5}  auroc {auroc(wrong[here], scores[here]):.3f} "
            f"(coverage alone {auroc(wrong[here], plain[here]):.3f})"
        )
        for what, some in (("unsupported", here & wrong), ("supported", here & ~wrong)):
            coverage = (plain[some] > _PLAIN_CUT).mean()
            verdicts = [found[at].verdict for at in np.flatnonzero(some)]
            print(
                f"    {what:30} {some.sum():5}  {_shares(verdicts)}  (coverage alone {coverage:.1%} dropped)"
            )
        _by_error([(rows[at], found[at].verdict) for at in np.flatnonzero(here & wrong)])


def _by_error(some: list[tuple[Labelled, str]]) -> None:
    kinds = defaultdict(list)
    for row, verdict in some:
        kinds[row.error].append(verdict)
    for kind, verdicts in sorted(kinds.items()):
        if kind:
            print(f"      {kind:28} {len(verdicts):5}  {_shares(verdicts)}")


if __name__ == "__main__":
    main(sys.argv[1])

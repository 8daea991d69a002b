"""What the steps of one contender gave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np
from peers.contenders import Peer
from peers.processes import Measured

from bot.evaluation.metrics import summarize
from bot.evaluation.models import Case, Outcome, RetrievedPassage, Summary

Row = dict[str, Any]  # of a question: milliseconds, and what was found as pairs of article and text
NOTHING = Measured(0.0, 0.0, 0.0, "")


@dataclass
class Results:
    """All measured of one contender, step by step as it comes; the figures are made of it at the end."""

    peer: Peer
    chunks: int = 0
    chunks_again: int = 0
    disk: float = 0.0
    encoder: float = 0.0
    ingest: Measured = NOTHING
    again: Measured = NOTHING
    ask: list[Measured] = field(default_factory=list)
    search: list[Measured] = field(default_factory=list)
    dated: Measured | None = None
    answers: Summary | None = None

    def figures(self, cases: Sequence[Case]) -> dict[str, Any]:
        """Return every figure of the table by its name; of repeated steps the median."""
        searches = [_rows(step) for step in self.search]
        times = [[row["milliseconds"] for row in rows] for rows in searches]
        return {
            "chunks": self.chunks,
            "ingest_seconds": self.ingest.seconds,
            "ingest_processor_seconds": self.ingest.processor_seconds,
            "chunks_per_second": self.chunks / self.ingest.seconds,
            "again_seconds": self.again.seconds,
            "chunks_after_again": self.chunks_again,
            "again": self.peer.again,
            "disk_megabytes": self.disk,
            "encoder_megabytes": self.encoder,
            "ingest_megabytes": self.ingest.megabytes,
            "ask_seconds": median(step.seconds for step in self.ask),
            "ask_processor_seconds": median(step.processor_seconds for step in self.ask),
            "ask_megabytes": max(step.megabytes for step in self.ask),
            "search_p50_ms": median(float(np.percentile(step, 50)) for step in times),
            "search_p95_ms": median(float(np.percentile(step, 95)) for step in times),
            "characters": float(np.mean([len(text) for row in searches[0] for _, text in row["found"]])),
            "retrieval": asdict(quality(cases, searches[0])),
            "dated": asdict(quality(cases, _rows(self.dated))) if self.dated else None,
            "answers": asdict(self.answers) if self.answers else None,
        }


def quality(cases: Sequence[Case], rows: Sequence[Row]) -> Summary:
    """Return the metrics of `citewire eval` over what was found for each question."""
    return summarize([_outcome(case, row) for case, row in zip(cases, rows, strict=True)])


def _outcome(case: Case, row: Row) -> Outcome:
    passages = (
        RetrievedPassage(str(n), article, "", text, 0.0) for n, (article, text) in enumerate(row["found"])
    )
    return Outcome(case, case.articles, tuple(passages), milliseconds=row["milliseconds"])


def _rows(step: Measured) -> list[Row]:
    return [json.loads(line) for line in step.output.splitlines()]

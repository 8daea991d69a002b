"""The comparison as a Markdown table, a column a contender."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Figures = Mapping[str, Any]
_NONE = "–"
_QUALITY = ("hit@1", "hit@5", "mrr@10", "passage_answer@1", "passage_answer@5")


def markdown(contenders: Mapping[str, Figures]) -> str:
    """Return the table; `contenders` are the figures of each by its name."""
    head = ["", *contenders]
    rows = [head, ["---", *("---:" for _ in contenders)]]
    rows += [[what, *map(cell, contenders.values())] for what, cell in _ROWS.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _pair(first: str, second: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[first]:,.0f} / {figures[second]:,.0f}"


def _again(figures: Figures) -> str:
    return f"{figures['again_seconds']:,.1f}, {figures['again']}"


def _answer_times(figures: Figures) -> str:
    answers = figures["answers"]
    return "{p50_ms:,.0f} / {p95_ms:,.0f}".format(**answers["metrics"]) if answers else _NONE


def _disk(figures: Figures) -> str:
    encoder = figures["encoder_megabytes"]
    return f"{figures['disk_megabytes']:,.0f}" + (f", {encoder:,.0f} of it the encoder" if encoder else "")


def _metric(name: str) -> Callable[[Figures], str]:
    def cell(figures: Figures) -> str:
        plain, dated = (figures[key]["metrics"] if figures[key] else {} for key in ("retrieval", "dated"))
        told = f"; told the day {dated[name]:.3f}" if name in dated else ""
        return f"{plain[name]:.3f}{told}" if name in plain else _NONE

    return cell


_ROWS: Mapping[str, Callable[[Figures], str]] = {
    "chunks": lambda figures: f"{figures['chunks']:,}",
    "characters in a chunk found": lambda figures: f"{figures['characters']:,.0f}",
    "ingest, s": lambda figures: f"{figures['ingest_seconds']:,.1f}",
    "chunks a second": lambda figures: f"{figures['chunks_per_second']:,.1f}",
    "the same again, s": _again,
    "on disk, MB": _disk,
    "memory at ingest, at a question, MB": _pair("ingest_megabytes", "ask_megabytes"),
    "a question in a fresh process, s": lambda figures: f"{figures['ask_seconds']:,.2f}",
    "retrieval, warm, p50 / p95 ms": _pair("search_p50_ms", "search_p95_ms"),
    "whole answer, warm, p50 / p95 ms": _answer_times,
    **{name: _metric(name) for name in _QUALITY},
    "and then": lambda figures: "verified quotes, or “do not say”" if figures["answers"] else _NONE,
}

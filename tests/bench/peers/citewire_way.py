"""Citewire's retrieval in a running process; everything else is asked of its command line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from peers.step import Asked, Found, Search

from bot.answering.question import Question
from bot.evaluation.runner import NOON
from bot.services import Services
from bot.settings import load_settings


def searcher(folder: Path, model: str, k: int) -> Search:
    chain = Services(load_settings(data_dir=folder)).chain

    def search(asked: Asked) -> list[Found]:
        day = asked.get("asked")
        moment = datetime.combine(date.fromisoformat(day), NOON, UTC) if day else None
        hits = chain.search(Question(asked["question"], k=k, asked=moment))
        return [Found(hit.passage.article_id, hit.passage.text) for hit in hits]

    return search

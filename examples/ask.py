"""Ingests the sample articles into a new data directory and asks three questions.

usage: python examples/ask.py DATA_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

from bot import Citewire, Question

CORPUS = Path(__file__).parents[1] / "corpus"

with Citewire(sys.argv[1]) as citewire:
    report = citewire.ingest(CORPUS)
    print(f"{report.read} articles")
    answer = citewire.ask("Was Meghan at the coronation?")
    print(answer.status, answer.short_answer)
    for citation in answer.citations:
        print(f"[{citation.n}] {citation.quote} ({citation.source})")
    for part in citewire.stream(Question("Why did the bridge in Baltimore collapse?", k=5)):
        print(type(part).__name__)
    for document in citewire.retriever.invoke("Who is the king of England?")[:1]:
        print(document.metadata["title"])

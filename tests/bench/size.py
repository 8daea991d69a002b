"""How long a question takes in a small and in a large collection: `python tests/bench/size.py SEED QUESTIONS.jsonl`.

SEED is a data folder that articles were ingested into. It is grown to each size with copies of its articles in which
every fourth word, the date and the outlet are others, and whose vectors are the originals' turned by a random angle:
synthetic in content, real in size and in the lengths of its texts. Each size is kept in a folder beside the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bot.answering.question import Question
from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.indexing.chroma_embedded import CoreCollection
from bot.indexing.filters import SearchFilters, TimeWindow
from bot.indexing.index_writer import build_embedding_text
from bot.ingestion.pipeline import ingest
from bot.services import Services
from bot.settings import load_settings
from bot.storage.models import PendingVersion

SIZES = (10_000, 100_000, 250_000)
OUTLETS = tuple(f"Outlet {n}" for n in range(40))
TURNED = 0.75  # length of the noise beside a vector of length 1: a cosine of 0.8 with the original
ASKERS = 16


class Grown:
    """Stands in for the embedding model: knows the vector of each text that it was told."""

    def __init__(self, model: Any) -> None:
        self.model, self.fingerprint, self.dimension = model.model, model.fingerprint, model.dimension
        self.known: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.known.pop(text) for text in texts], dtype=np.float32)


def seeds(workspace: Services) -> list[tuple[PendingVersion, np.ndarray]]:
    """Return the articles of a data folder with the vectors of their passages."""
    found = workspace.articles.collection(workspace.embedder.fingerprint)
    assert found, "nothing is ingested there"
    vectors = CoreCollection(workspace.settings.data_dir / "chroma" / found.location, "passages")
    pairs = []
    for draft in workspace.articles.iter_versions():
        ids, rows = vectors.vectors([passage.id for passage in draft.passages])
        by_id = dict(zip(ids, rows, strict=True))
        pairs.append((draft, np.array([by_id[passage.id] for passage in draft.passages])))
    return pairs


def grown(
    pairs: Sequence[tuple[PendingVersion, np.ndarray]], model: Grown, passages: int
) -> Iterator[Article]:
    """Yield articles until there are so many passages, telling the model their vectors; the originals first."""
    dice, noise = random.Random(7), np.random.default_rng(7)
    words = [word for draft, _ in pairs[:300] for word in draft.article.text.split()]
    copy = 0
    while passages > 0:
        for draft, vectors in pairs:
            article = draft.article if copy == 0 else changed(draft.article, copy, words, dice)
            cut = split_passages(article.id, 1, article.text)
            for n, passage in enumerate(cut):
                vector = vectors[min(n, len(vectors) - 1)]
                if copy:
                    vector = vector + noise.normal(size=len(vector)) * TURNED / np.sqrt(len(vector))
                model.known[build_embedding_text(article.title, passage.text)] = vector / np.linalg.norm(
                    vector
                )
            yield article
            passages -= len(cut)
            if passages <= 0:
                return
        copy += 1


def changed(article: Article, copy: int, words: Sequence[str], dice: random.Random) -> Article:
    def other(text: str) -> str:
        return "\n".join(
            " ".join(dice.choice(words) if dice.random() < 0.25 else word for word in line.split(" "))
            for line in text.split("\n")
        )

    day = datetime(2022, 9, 1, tzinfo=UTC) - timedelta(days=dice.randrange(1_000))
    return dataclasses.replace(
        article,
        id=f"{article.id}#{copy}",
        url=None,
        title=other(article.title),
        text=other(article.text),
        published=day,
        source=OUTLETS[min(int(dice.expovariate(0.1)), len(OUTLETS) - 1)],
    )


def grow(seed: Path, folder: Path, passages: int) -> None:
    """Make a data folder with so many passages, unless there is one."""
    if (folder / "grown").exists():
        return
    source = Services(load_settings(data_dir=seed))
    model = Grown(source.embedder)
    target = Services(load_settings(data_dir=folder), embedder=model)  # type: ignore[arg-type]
    begun = time.perf_counter()
    with target.index_writer() as indexer:
        report = ingest(indexer, target.articles, grown(seeds(source), model, passages))
    target.close()
    (folder / "encoders").symlink_to(seed.absolute() / "encoders")
    (folder / "grown").touch()
    took = time.perf_counter() - begun
    print(f"grown to {report.passages:,} passages in {took:.0f} s", file=sys.stderr)


def filters(number: int) -> dict[str, SearchFilters]:
    since = datetime(2022, 1 + number % 6, 1, tzinfo=UTC)
    window, outlet = TimeWindow(since, since + timedelta(days=60)), OUTLETS[number % 8]
    return {
        "": SearchFilters(),
        "date": SearchFilters(window),
        "source": SearchFilters(sources=(outlet,)),
        "date, source": SearchFilters(window, (outlet,)),
    }


def measure(folder: Path, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Ask each question with each kind of filter in a warm process; then with many askers at once."""
    workspace = Services(load_settings(data_dir=folder))
    steps, passages = workspace.pipeline, workspace.articles.totals().passages

    def asked(number: int, kind: str) -> Question:
        row = rows[number]
        day = datetime.fromisoformat(row["asked"]).replace(tzinfo=UTC) if row.get("asked") else None
        return Question(row["question"], filters=filters(number)[kind], asked=day)

    def answered(question: Question) -> None:
        for _ in steps.run(question):
            pass

    for number in range(min(20, len(rows))):
        answered(asked(number, ""))
    for kind in filters(0):
        questions = [asked(number, kind) for number in range(len(rows))]
        for what, action in (("retrieval", steps.search), ("answer", answered)):
            workspace.retriever.vector.cache_clear()
            taken = [milliseconds(action, question) for question in questions]
            p50, p95 = np.percentile(taken, [50, 95])
            yield {"passages": passages, "what": what, "filters": kind or "none", "p50": p50, "p95": p95}
    questions = [asked(number, "") for number in range(len(rows))]
    yield {"passages": passages, "what": "askers", **throughput(workspace, answered, questions)}
    workspace.close()


def throughput(
    workspace: Services, answered: Callable[[Question], None], questions: Sequence[Question]
) -> dict[str, float]:
    """Return answers a second of one asker and of many at once, turn about; the same questions each time."""
    rates: dict[int, list[float]] = {1: [], ASKERS: []}
    for _ in range(3):
        for askers, measured in rates.items():
            workspace.retriever.vector.cache_clear()
            with ThreadPoolExecutor(askers) as pool:
                begun = time.perf_counter()
                list(pool.map(answered, questions))
                measured.append(len(questions) / (time.perf_counter() - begun))
    one, many = (float(np.median(measured)) for measured in rates.values())
    return {"one": one, "many": many, "ratio": many / one}


def milliseconds(action: Callable[[Question], object], question: Question) -> float:
    begun = time.perf_counter()
    action(question)
    return (time.perf_counter() - begun) * 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--folder", type=Path, default=Path(".size"))
    parser.add_argument("--passages", type=int, nargs="*", default=SIZES)
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.questions.read_text(encoding="utf-8").splitlines()]
    print(f"{'passages':>9}  {'what':<10}{'filters':<14}{'p50 ms':>8}{'p95 ms':>8}")
    for passages in given.passages:
        folder = given.folder / str(passages)
        grow(given.seed, folder, passages)
        for row in measure(folder, rows):
            if row["what"] == "askers":
                print(
                    f"{row['passages']:>9,}  {ASKERS} askers at once {row['many']:.1f} answers/s, "
                    f"one {row['one']:.1f}: {row['ratio']:.2f} times as many"
                )
            else:
                print(
                    f"{row['passages']:>9,}  {row['what']:<10}{row['filters']:<14}{row['p50']:>8.0f}{row['p95']:>8.0f}"
                )


if __name__ == "__main__":
    main()

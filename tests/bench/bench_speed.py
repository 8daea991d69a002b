"""How long things take, each beside what it is to be compared with in the same run. `make bench` prints the table.

BENCH_ARTICLES names JSON lines to measure on; the sample corpus is taken where it is not set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from bot.articles.article import Article
from bot.articles.readers import read_articles
from bot.retrieval.embeddings import SentenceTransformerEmbedder
from bot.retrieval.encoder import EncoderState
from bot.retrieval.indexer import embedded_text
from bot.retrieval.ingest import Report, ingest
from bot.retrieval.weights import packaged_folder
from bot.settings import load_settings
from bot.workspace import Workspace

CORPUS = Path(__file__).parents[2] / "corpus"
QUESTIONS = ("Who won the World Cup final?", "How strong was the earthquake?", "When did Norway join the EU?")


def seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def row(what: str, value: float, unit: str, note: str = "") -> None:
    print(f"{what:<44}{value:>10,.2f} {unit:<12}{note}")


def articles(limit: int = 150) -> list[Article]:
    path = Path(os.environ.get("BENCH_ARTICLES") or CORPUS)
    return [item for item in islice(read_articles([path]), limit) if isinstance(item, Article)]


def bench_ingest_and_answer(tmp_path: Path) -> None:
    """Ingest beside the bare encoder on the same passages; unchanged ingest; answers with a warm process."""
    from sentence_transformers import SentenceTransformer

    embedder = SentenceTransformerEmbedder(encoders=tmp_path / "encoders")
    workspace = Workspace(load_settings(data_dir=tmp_path), embedder=embedder)
    encoder = SentenceTransformer(str(packaged_folder()), device="cpu")
    for encode in (encoder.encode, embedder.encode):
        encode(["warm"])
    found = articles()

    def take_in() -> None:
        with workspace.writing() as indexer:
            ingest(indexer, workspace.library, found)

    first = seconds(take_in)
    passages = workspace.library.totals().passages
    texts = [embedded_text(d.article.title, p.text) for d in workspace.library.drafts() for p in d.passages]
    bare = seconds(lambda: encoder.encode(texts, batch_size=32, normalize_embeddings=True))
    again = seconds(take_in)
    print()
    row("bare encoder", passages / bare, "passages/s")
    row("ingest", passages / first, "passages/s", f"{bare / first:.2f} of the bare encoder")
    row("ingest, unchanged", again, "s", f"{again / first:.1%} of the first")
    answers = [workspace.chain.invoke(question).timings for question in QUESTIONS * 5]
    row("retrieval, warm, p50", median(timings["retrieve"] for timings in answers), "ms")
    row("answer, warm, p50", median(timings["total"] for timings in answers), "ms")
    workspace.close()


class Cheap:
    """An embedder that costs nothing: what is left is ingest itself."""

    model = fingerprint = "cheap"
    dimension = 8

    def verify(self) -> None: ...

    def load(self) -> None: ...

    def encoder_state(self) -> EncoderState:
        return EncoderState.UNUSED

    def ensure_encoder(self, *, anew: bool = False) -> None: ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.random.default_rng(len(texts)).standard_normal((len(texts), 8)).astype(np.float32)

    encode_query = encode


def bench_memory(tmp_path: Path) -> None:
    """Memory while 50,000 short articles are taken in; what grows is Chroma's, which holds its vectors in memory."""
    file = tmp_path / "many.jsonl"
    with file.open("w") as lines:
        for n in range(50_000):
            lines.write(
                json.dumps({"id": f"article-{n}", "text": f"Sentence {n} about subject{n}. " * 12}) + "\n"
            )
    workspace = Workspace(load_settings(data_dir=tmp_path / "data"), embedder=Cheap())
    print()

    def show(report: Report) -> None:
        if report.read % 10_000 < 512:
            with Path("/proc/self/statm").open() as status:
                held = int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            row(f"memory after {report.read:,} articles", held, "MB")

    with workspace.writing() as indexer:
        ingest(indexer, workspace.library, read_articles([file]), progress=show)
    workspace.close()


def bench_start_up(tmp_path: Path) -> None:
    """Fresh processes, as a person at the command line waits for them."""
    citewire = str(Path(sys.executable).with_name("citewire"))
    one = tmp_path / "one.txt"
    one.write_text("Argentina won the World Cup final on penalties.")
    environment = os.environ | {"CITEWIRE_DATA_DIR": str(tmp_path / "data")}

    def process(*command: str) -> float:
        run = lambda: subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: E731
        run()
        return median(seconds(run) for _ in range(3))

    process(citewire, "ingest", str(one))
    chroma = process(sys.executable, "-c", "import chromadb")
    print()
    row("import chromadb", chroma, "s")
    for command in (["--help"], ["articles"], ["doctor"], ["ingest", str(one)], ["ask", QUESTIONS[0]]):
        took = process(citewire, *command)
        row(f"citewire {command[0]}", took, "s", f"{took / chroma:.2f} of import chromadb")

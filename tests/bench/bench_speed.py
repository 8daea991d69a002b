"""How long things take, each beside what it is to be compared with in the same run. `make bench` prints the table.

BENCH_ARTICLES names JSON lines to measure on; the sample corpus is taken where it is not set.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from slack_server import SlackServer

from bot.articles.article import Article
from bot.indexing.embeddings import SentenceTransformerEmbedder
from bot.indexing.index_writer import build_embedding_text
from bot.indexing.model_files import packaged_folder
from bot.indexing.onnx_encoder import EncoderState
from bot.ingestion.loaders import read_articles
from bot.ingestion.pipeline import IngestReport, ingest
from bot.services import Services
from bot.settings import load_settings

CITEWIRE = str(Path(sys.executable).with_name("citewire"))
CORPUS = Path(__file__).parents[2] / "corpus"
ROUNDS = 7
QUESTIONS = ("Who won the World Cup final?", "How strong was the earthquake?", "When did Norway join the EU?")

# The packaged weights by their folder, as whoever has no network loads them.
ENCODE = """
from sentence_transformers import SentenceTransformer
from bot.indexing.model_files import packaged_folder
SentenceTransformer(str(packaged_folder())).encode(["One sentence."])
"""
# As most people have it: pip compiles what it installs, and Python what it imports from a folder of one's own.
CACHED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": "{}/bytecode"}


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
    workspace = Services(load_settings(data_dir=tmp_path), embedder=embedder)
    encoder = SentenceTransformer(str(packaged_folder()), device="cpu")
    for encode in (encoder.encode, embedder.encode):
        encode(["warm"])
    found = articles()

    def take_in() -> None:
        with workspace.index_writer() as indexer:
            ingest(indexer, workspace.articles, found)

    first = seconds(take_in)
    passages = workspace.articles.totals().passages
    texts = [
        build_embedding_text(d.article.title, p.text)
        for d in workspace.articles.iter_versions()
        for p in d.passages
    ]
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

    def ensure_encoder(self, *, force: bool = False) -> None: ...

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
    workspace = Services(load_settings(data_dir=tmp_path / "data"), embedder=Cheap())
    print()

    def show(report: IngestReport) -> None:
        if report.read % 10_000 < 512:
            with Path("/proc/self/statm").open() as status:
                held = int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            row(f"memory after {report.read:,} articles", held, "MB")

    with workspace.index_writer() as indexer:
        ingest(indexer, workspace.articles, read_articles([file]), progress=show)
    workspace.close()


def bench_start_up(tmp_path: Path) -> None:
    """Fresh processes, as people wait for them, each beside another of the same round."""
    data = {"CITEWIRE_DATA_DIR": str(tmp_path / "data")}
    path = os.environ.get("BENCH_ARTICLES") or str(CORPUS)
    subprocess.run([CITEWIRE, "ingest", path], env=os.environ | data, check=True, capture_output=True)
    one = Path(tmp_path, "one.txt")
    one.write_text("Argentina won the World Cup final on penalties.")
    here = "no bytecode is written" if sys.dont_write_bytecode else "bytecode is written"
    for mode, cached in (
        (f"as this machine has it: {here}", {}),
        ("bytecode of all that is imported", CACHED),
    ):
        environment = {**os.environ, **data, **{key: value.format(tmp_path) for key, value in cached.items()}}
        print(f"\nStart-up, {mode}")
        run = partial(process, environment)
        chroma = {"import chromadb": lambda run=run: run(sys.executable, "-c", "import chromadb")}
        light = (["--help"], ["articles"], ["doctor"], ["ingest", str(one)])
        side_by_side(chroma | {f"citewire {args[0]}": partial(run, CITEWIRE, *args) for args in light})
        with SlackServer() as slack:
            side_by_side(
                {
                    "sentence-transformers, one sentence": partial(run, sys.executable, "-c", ENCODE),
                    "citewire ask": partial(run, CITEWIRE, "ask", QUESTIONS[0]),
                    "citewire slack, ready for an event": partial(first_event, slack, environment),
                    "citewire slack, first answer there": partial(first_answer, slack, environment),
                }
            )


def process(environment: dict[str, str], *command: str) -> float:
    """Return the seconds that a process takes to its end."""
    return seconds(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))


def side_by_side(timed: dict[str, Callable[[], float]]) -> None:
    """Print the median seconds of each, and their median share of what the first takes in the same round."""
    rounds = [{name: take() for name, take in timed.items()} for _ in range(ROUNDS + 1)][1:]
    first = next(iter(timed))
    for name in timed:
        share = median(one[name] / one[first] for one in rounds)
        note = f"{share:.2f} of {first}" if name != first else ""
        row(name, median(one[name] for one in rounds), "s", note)


def first_event(slack: SlackServer, environment: dict[str, str]) -> float:
    """Return the seconds from the start of `citewire slack` until it acknowledges what Slack sends."""
    with slack_bot(slack, environment) as (address, begun):
        body = json.dumps({"type": "url_verification", "challenge": "x"}).encode()
        httpx.post(address, content=body, headers=slack.sign(body)).raise_for_status()
        return time.perf_counter() - begun


def first_answer(slack: SlackServer, environment: dict[str, str]) -> float:
    """Return the seconds from the start of `citewire slack` until a question of that moment is answered."""
    with slack_bot(slack, environment) as (address, begun):
        slack.deliver_to = address
        asked = slack.say("C0NEWS", "U0ANN", f"<@U0BOT> {QUESTIONS[0]}")
        slack.wait_for(lambda: slack.messages("C0NEWS", asked, by="U0BOT"))
        return time.perf_counter() - begun


@contextlib.contextmanager
def slack_bot(slack: SlackServer, environment: dict[str, str]) -> Iterator[tuple[str, float]]:
    """Run `citewire slack`; give the address that it says it listens at, and when it was begun."""
    settings = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "CITEWIRE_SLACK_API_URL": slack.url,
    }
    begun = time.perf_counter()
    command = [CITEWIRE, "slack", "--http", "--port", "0"]
    with subprocess.Popen(command, env=environment | settings, stderr=subprocess.PIPE, text=True) as bot:
        try:
            assert bot.stderr
            yield next(line for line in bot.stderr if "Listening" in line).split()[-1], begun
        finally:
            bot.terminate()

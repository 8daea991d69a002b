"""What every test starts from: no settings of the user's, no network, a folder of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest
from chroma_process import ChromaProcess
from filelock import FileLock
from sqlalchemy import create_engine

from bot.articles.article import Article, article_from_record
from bot.indexing.bm25_index import analyze
from bot.indexing.embeddings import SentenceTransformerEmbedder
from bot.indexing.index_writer import IndexWriter
from bot.indexing.onnx_encoder import EncoderState
from bot.ingestion.pipeline import IngestReport, ingest
from bot.services import Services
from bot.settings import load_settings
from bot.storage import schema
from bot.storage.article_store import ArticleStore, open_article_store

if TYPE_CHECKING:
    from emulate import Emulate

pytest_plugins = ["slack_app", "service_app"]

# Tests run in more processes than there are cores. With threads of its own, torch would wait for them in loops that
# take the core from the others: the same texts then cost eight times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time: who runs the tests is told of their own change. HYPOTHESIS_PROFILE=default explores.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith(("CITEWIRE_", "SLACK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CITEWIRE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Chroma server as its own process, on a port picked by the system."""
    with ChromaProcess(tmp_path_factory.mktemp("chroma-server")) as server:
        yield server.url


@pytest.fixture
def own_chroma(tmp_path: Path) -> Iterator[ChromaProcess]:
    """A Chroma server that only this test uses, and may kill."""
    with ChromaProcess(tmp_path / "chroma-server") as server:
        yield server


def _server_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(p) for p in [shutil.which("initdb")] if p
    ]
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of the tests' own, on a socket in a temporary folder."""
    programs = _server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="citewire-pg-") as name:
        as_user = (
            ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        )  # it refuses to run as root
        if as_user:
            shutil.chown(name, "postgres")
        data = f"{name}/data"
        subprocess.run(
            [*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", "citewire"],
            check=True,
            capture_output=True,
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={name} -c fsync=off"
        control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
        subprocess.run(
            [*control, "-l", f"{name}/log", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL
        )
        try:
            yield f"postgresql+psycopg://citewire@/postgres?host={name}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


def empty(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        schema.metadata.drop_all(connection)
    engine.dispose()


@pytest.fixture
def empty_postgres(postgres: str) -> str:
    """The same server's database, emptied."""
    empty(postgres)
    return postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind; "" is SQLite in the data folder."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("empty_postgres"))


@pytest.fixture
def library(tmp_path: Path, database_url: str) -> Iterator[ArticleStore]:
    opened = open_article_store(tmp_path, database_url)
    yield opened
    opened.close()


# What makes an exported encoder, besides its model.
EXPORT = [
    Path(__file__).parents[1] / "bot" / "indexing" / name
    for name in ("onnx_encoder.py", "onnx_export.py", "onnx_runtime.py", "model_files.py")
]
# What takes seconds to import, and no question may wait for.
HEAVY = ("torch", "transformers", "sentence_transformers", "chromadb", "sklearn", "scipy")


class WordEmbedder:
    """An embedding that can be computed by hand: each stem of a text points in a direction of its own.

    Two texts are as near as the stems they share; `encoded` records all it was asked for.
    """

    def __init__(self, name: str = "words", dimension: int = 256) -> None:
        self.model = name
        self.dimension = dimension
        self.encoded: list[str] = []

    @property
    def fingerprint(self) -> str:
        return f"{self.model}{self.dimension}"

    def verify(self) -> None:
        """Nothing to verify."""

    def load(self) -> None:
        """Nothing to load."""

    def encoder_state(self) -> EncoderState:
        return EncoderState.UNUSED

    def ensure_encoder(self, *, force: bool = False) -> None:
        """Nothing to export."""

    def encode_query(self, texts: Sequence[str]) -> np.ndarray:
        return self.encode(texts)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += texts
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for stem in set(analyze(text)):
                row[sum(stem.encode()) * 31 % (self.dimension - 1)] = 1
            row[-1] = 0.1  # no text is nothing at all
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def workspace(tmp_path: Path, embedder: WordEmbedder) -> Iterator[Services]:
    opened = Services(load_settings(data_dir=tmp_path / "data"), embedder=embedder)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def packaged_encoders(pytestconfig: pytest.Config) -> Path:
    """The packaged model's question encoder in a folder of encoders, exported once per version of the tools."""
    tools = ["torch", "transformers", "sentence-transformers", "onnxscript"]
    key = [file.read_text("utf-8") for file in EXPORT] + [version(tool) for tool in tools]
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:16]
    assert pytestconfig.cache is not None
    encoders = pytestconfig.cache.mkdir("encoders") / digest
    with FileLock(pytestconfig.cache.mkdir("locks") / "encoders"):  # tests run in several processes
        for outdated in encoders.parent.iterdir():
            if outdated != encoders:
                shutil.rmtree(outdated)
        SentenceTransformerEmbedder(encoders=encoders).ensure_encoder()
    return encoders


FOUR = (
    {"id": "moon", "title": "Lander touches down", "text": "A lander touched down on the Moon on Wednesday. Its rover rolled out hours later.",
     "published": "2023-08-23", "source": "Daily", "url": "https://daily.example/moon"},
    {"id": "bank", "title": "Bank fails", "text": "A bank in California failed on Friday. Depositors queued outside its branches.",
     "published": "2023-03-10", "source": "Ledger", "url": "https://ledger.example/bank"},
    {"id": "cup", "title": "Final won on penalties", "text": "Argentina won the final against France on penalties. Messi scored twice in the match.",
     "published": "2022-12-18", "source": "Daily", "url": "https://daily.example/cup"},
    {"id": "quake", "title": "Quake strikes at night", "text": "An earthquake struck southern Türkiye before dawn. Rescuers searched the rubble for days."},
)  # fmt: skip


def make(record: dict[str, object], origin: str = "four.jsonl") -> Article:
    return article_from_record(record, origin=origin)


@pytest.fixture
def four() -> list[Article]:
    """Four articles of two sentences each, whose ranking for a question is plain to see."""
    return [make(dict(record)) for record in FOUR]


def write(indexer: IndexWriter, articles: Sequence[Article]) -> None:
    """Write articles as an ingest does, without publishing them."""
    drafts = indexer.prepare(articles)
    indexer.commit(drafts, indexer.encode(drafts))


def take_in(workspace: Services, articles: Sequence[Article], **options: object) -> IngestReport:
    with workspace.index_writer() as indexer:
        return ingest(indexer, workspace.articles, articles, **options)  # type: ignore[arg-type]


@pytest.fixture
def emulated_slack(pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[Emulate]:
    """emulate from npm, a Slack that other people wrote; installed once into pytest's cache."""
    from emulate import Emulate, Unavailable, install

    try:
        with FileLock(pytestconfig.cache.mkdir("locks") / "emulate"):
            program = install(pytestconfig.cache.mkdir("emulate-0.8.0"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    with Emulate(program, tmp_path) as slack:
        yield slack

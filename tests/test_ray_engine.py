"""Ingest on Ray: the outcome is the local engine's, whatever dies meanwhile."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import take_in
from test_embeddings import tiny_model

from bot.articles.readers import read_articles
from bot.doctor import examine
from bot.retrieval.embeddings import SentenceTransformerEmbedder
from bot.settings import load_settings
from bot.workspace import Workspace

CITEWIRE = Path(sys.executable).with_name("citewire")
with_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: uv pip install '.[ray]'"
)


def run(data: Path, *arguments: object, model: Path | str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(*_command(data, arguments, model), capture_output=True, text=True, check=False)  # type: ignore[call-overload]


def _command(data: Path, arguments: tuple[object, ...], model: Path | str) -> tuple[list[str]]:
    os.environ["CITEWIRE_EMBEDDING_MODEL"] = str(model)
    return ([str(CITEWIRE), "--data-dir", str(data), *map(str, arguments)],)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of 1,500 articles, with a broken line and one id that has two texts."""
    folder = tmp_path_factory.mktemp("source")
    for part in range(2):
        rows = [
            json.dumps({"id": f"{part}-{n}", "title": f"Rain {n}", "text": f"Rain fell on bank {n}. " * 90})
            for n in range(750)
        ]
        (folder / f"{part}.jsonl").write_text(
            "\n".join([*rows, "{broken", '{"id": "two", "text": "Text %d."}' % part])
        )
    return folder


@pytest.fixture(scope="module")
def local(tiny: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """What the local engine makes of it."""
    workspace = opened(tmp_path_factory.mktemp("local"), tiny)
    take_in(workspace, list(read_articles([source])))
    yield workspace
    workspace.close()


def opened(data: Path, model: Path) -> Workspace:
    return Workspace(load_settings(data_dir=data, embedding_model=str(model)))


def assert_equal(data: Path, local: Workspace, model: Path) -> None:
    """Assert that a data folder holds what the local engine makes: articles, passages, healthy indexes, vectors."""
    made = opened(data, model)
    assert [check for check in examine(made) if not check.ok] == []
    assert made.library.totals() == local.library.totals()
    assert made.library.content_hash() == local.library.content_hash()
    assert made.library.stale_passages() == []
    ids = [passage.id for draft in local.library.drafts() for passage in draft.passages]
    for probe in np.eye(3, 32, dtype=np.float32):
        assert cosines(made, probe, ids) == pytest.approx(cosines(local, probe, ids), abs=1e-6)
    made.close()


def cosines(workspace: Workspace, probe: np.ndarray, ids: list[str]) -> dict[str, float]:
    (collection,) = workspace.library.collections()
    return workspace.vectors.cosines(collection.location, probe, ids)


def encoders() -> list[int]:
    """The processes in which Ray's workers encode."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::" in (name := path.read_bytes()) and b"Encoder" in name:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def articles(data: Path, model: Path) -> int:
    workspace = opened(data, model)
    try:
        return workspace.library.totals().articles
    finally:
        workspace.close()


@with_ray
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_a_worker_killed_in_the_middle_changes_nothing(
    tiny: Path, source: Path, local: Workspace, tmp_path: Path
) -> None:
    pass

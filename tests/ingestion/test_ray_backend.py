"""Ingest on Ray: the outcome is the local engine's, whatever dies meanwhile."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import take_in
from test_embeddings import tiny_model

from bot.doctor import examine
from bot.errors import RayError
from bot.ingestion.loaders import read_articles
from bot.ingestion.ray_backend import ray_session
from bot.services import Services
from bot.settings import load_settings

CITEWIRE = Path(sys.executable).with_name("citewire")
with_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: uv pip install '.[ray]'"
)


def command(data: Path, model: Path, *arguments: object) -> dict[str, object]:
    """What to start a process of `citewire` with."""
    return {
        "args": [str(CITEWIRE), "--data-dir", str(data), *map(str, arguments)],
        "env": os.environ | {"CITEWIRE_EMBEDDING_MODEL": str(model)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def run(data: Path, model: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(check=False, **command(data, model, *arguments))  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes its time, so that there is a middle to kill something in."""
    return tiny_model(tmp_path_factory.mktemp("models") / "deep", layers=6)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of articles, each with a broken line, and one id that has a text in each."""
    folder = tmp_path_factory.mktemp("source")
    for part in range(2):
        rows = [
            json.dumps({"id": f"{part}-{n}", "title": f"Rain {n}", "text": f"Rain fell on bank {n}. " * 90})
            for n in range(300)
        ]
        broken = ["{broken", json.dumps({"id": "both", "text": f"Text {part}."})]
        (folder / f"{part}.jsonl").write_text("\n".join([*rows, *broken]))
    return folder


@pytest.fixture(scope="module")
def local(model: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """What the local engine makes of it."""
    workspace = opened(tmp_path_factory.mktemp("local"), model)
    take_in(workspace, list(read_articles([source])))
    yield workspace
    workspace.close()


@pytest.fixture
def data(local: Services, tmp_path: Path) -> Path:
    """A data folder in which the encoder is exported already, which takes seconds."""
    folder = tmp_path / "ray"
    shutil.copytree(local.settings.data_dir / "encoders", folder / "encoders")
    return folder


def opened(data: Path, model: Path) -> Services:
    return Services(load_settings(data_dir=data, embedding_model=str(model)))


def assert_equal(data: Path, local: Services, model: Path) -> None:
    """Assert that a data folder holds what the local engine makes: articles, passages, healthy indexes, vectors."""
    made = opened(data, model)
    assert [check for check in examine(made) if not check.ok] == []
    assert made.articles.totals() == local.articles.totals()
    assert made.articles.content_hash() == local.articles.content_hash()
    assert made.articles.stale_passages() == []
    for probe in np.eye(3, 32, dtype=np.float32):
        assert cosines(made, probe) == pytest.approx(cosines(local, probe), abs=1e-6)
    made.close()


def cosines(workspace: Services, probe: np.ndarray) -> list[float]:
    """Those of all passages in the order of articles and text; their ids tell how often a writer was killed."""
    (collection,) = workspace.articles.collections()
    ids = [passage.id for draft in workspace.articles.iter_versions() for passage in draft.passages]
    found = workspace.vector_store.cosines(collection.location, probe, ids)
    return [found[passage_id] for passage_id in ids]


def encoders() -> list[int]:
    """The processes in which Ray's workers encode."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"ray::" in (name := path.read_bytes()) and b"Encoder" in name:
                found.append(int(path.parent.name))
    return found


def wait_for_first_writing(data: Path, engine: subprocess.Popen[str]) -> None:
    """Wait until something is written that is not published yet."""
    library = data / "library.sqlite"
    while engine.poll() is None:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(library)) as connection:
            if connection.execute("SELECT count(*) FROM versions").fetchone()[0]:
                return
        time.sleep(0.05)
    pytest.fail(str(engine.communicate()))


@with_ray
def test_a_worker_killed_in_the_middle_changes_nothing(
    model: Path, source: Path, local: Services, data: Path
) -> None:
    with subprocess.Popen(**command(data, model, "ingest", source, "--engine", "ray", "--json")) as engine:  # type: ignore[call-overload]
        wait_for_first_writing(data, engine)
        victims = encoders()
        assert victims
        os.kill(victims[0], signal.SIGKILL)
        out, err = engine.communicate()
    report = json.loads(out)
    assert engine.returncode == 1  # something was skipped
    assert [line for line in err.splitlines() if not line.endswith(" a second")] == []  # Ray is silent
    assert (report["added"], report["passages"]) == (601, local.articles.totals().passages)
    assert [skip["line"] for skip in report["skipped"]] == [301, 301, None]
    assert "another text under the same address" in report["skipped"][2]["reason"]
    assert_equal(data, local, model)

    again = json.loads(run(data, model, "ingest", source, "--engine", "ray", "--json").stdout)
    assert (again["added"], again["changed"], again["unchanged"], again["passages"]) == (0, 0, 601, 0)


@with_ray
def test_after_the_death_of_the_driver_the_same_command_completes(
    model: Path, source: Path, local: Services, data: Path
) -> None:
    with subprocess.Popen(**command(data, model, "ingest", source, "--engine", "ray")) as engine:  # type: ignore[call-overload]
        wait_for_first_writing(data, engine)
        engine.kill()
    assert local.articles.totals().articles == 601
    done = run(data, model, "ingest", source, "--engine", "ray")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1,
        "601 added, 0 changed, 0 unchanged, 0 removed, 3 skipped",
    )
    assert_equal(data, local, model)


@with_ray
def test_an_address_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Rain fell.")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection, and is no Ray
        for address in ("127.0.0.1:1", "nowhere", f"127.0.0.1:{silent.getsockname()[1]}"):
            options = ("--engine", "ray", "--address", address)
            refused = run(tmp_path / "data", tmp_path, "ingest", tmp_path / "a.txt", *options)
            assert (refused.returncode, refused.stdout) == (1, "")
            said = rf"citewire: Ray at {address} does not answer \(.*\); start it with .*\n"
            assert re.fullmatch(said, refused.stderr)


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(RayError, match=r"^Ray is not installed: pip install 'citewire\[ray\]'$"),
        ray_session(""),
    ):
        pass


def test_an_address_goes_with_ray_alone(tmp_path: Path) -> None:
    refused = run(tmp_path / "data", tmp_path, "ingest", tmp_path, "--address", "127.0.0.1:6379")
    assert (refused.returncode, "--engine ray" in refused.stderr) == (2, True)
    assert not (tmp_path / "data").exists()

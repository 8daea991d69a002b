"""deploy/backup.sh and restore.sh, and the Kubernetes job's commands, on a real PostgreSQL beside real Chroma servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from chroma_process import ChromaProcess
from conftest import WordEmbedder, make, take_in
from deploy_helpers import DEPLOY, tool
from sqlalchemy import create_engine, text

from bot.articles.article import Article
from bot.doctor import examine
from bot.services import Services
from bot.settings import load_settings
from bot.slack.models import Request
from bot.slack.queue import JobQueue


@pytest.fixture
def restored_url(postgres: str) -> Iterator[str]:
    """Another database of the same server, with nothing in it."""
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS restored WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE restored"))
    yield postgres.replace("/postgres?", "/restored?")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE restored WITH (FORCE)"))
    engine.dispose()


def run(*command: object, url: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command that is told by PGHOST and the like which database is meant."""
    tool("pg_dump")
    parts = urlsplit(url)
    named = {"PGHOST": parse_qs(parts.query)["host"][0], "PGDATABASE": parts.path[1:], "PGUSER": "citewire"}
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | named, capture_output=True, text=True, check=check,
    )  # fmt: skip


def opened(folder: Path, url: str, chroma: str) -> Services:
    settings = load_settings(data_dir=folder, database_url=url, chroma_url=chroma, min_confidence=0.3)
    return Services(settings, embedder=WordEmbedder())


def failing(workspace: Services) -> dict[str, str]:
    return {check.name: check.remedy for check in examine(workspace) if not check.ok}


def test_a_library_comes_back_with_its_answers_and_its_vectors_are_made_anew(
    empty_postgres: str, restored_url: str, chroma_url: str, own_chroma: ChromaProcess, four: list[Article], tmp_path: Path
) -> None:  # fmt: skip
    kept = opened(tmp_path / "kept", empty_postgres, chroma_url)
    take_in(kept, four)
    answer = kept.chain.invoke("Who won the final against France on penalties?")
    assert answer.status == "answered"
    asked = Request(kind="question", channel="C0NEWS", thread="1.0", target="1.0", ts="1.0", person="U0ANN")
    JobQueue(kept.articles, waiting=1).enqueue(asked)
    with kept.index_writer() as indexer:  # nobody is waited for
        dump = Path(run(DEPLOY / "backup.sh", tmp_path, url=empty_postgres).stdout.strip())
        indexer.publish()
    assert dump.stat().st_mode & 0o777 == 0o600
    said = run(DEPLOY / "restore.sh", dump, url=restored_url).stdout
    assert "citewire reindex" in said
    restored = opened(tmp_path / "new", restored_url, own_chroma.url)
    assert restored.articles.content_hash() == kept.articles.content_hash()
    assert JobQueue(kept.articles, waiting=1).claim()
    assert JobQueue(restored.articles, waiting=1).claim() is None  # it has been answered since
    assert failing(restored)["vectors"].startswith("run `citewire reindex`")
    with restored.index_writer() as indexer:
        indexer.rebuild(lambda _: None)
    assert failing(restored) == {}
    again = restored.chain.invoke("Who won the final against France on penalties?")
    assert (again.text, again.citations) == (answer.text, answer.citations)
    kept.close()
    restored.close()


def test_where_the_library_went_back_the_word_index_goes_back_too(
    empty_postgres: str, restored_url: str, chroma_url: str, four: list[Article], tmp_path: Path
) -> None:
    kept = opened(tmp_path / "kept", empty_postgres, chroma_url)
    take_in(kept, four[:3])
    dump = run(DEPLOY / "backup.sh", tmp_path, url=empty_postgres).stdout.strip()
    take_in(kept, [*four, make({"id": "late", "text": "A comet was seen over Oslo."})])
    kept.close()
    run(DEPLOY / "restore.sh", dump, url=restored_url)
    back = opened(tmp_path / "kept", restored_url, chroma_url)
    assert back.articles.totals().articles == 3
    assert failing(back).keys() == {"vectors"}
    with back.index_writer() as indexer:
        indexer.publish()  # nothing: but the word index follows
    assert back.bm25.count() == 3
    with back.index_writer() as indexer:
        indexer.rebuild(lambda _: None)
    assert failing(back) == {}
    back.close()


def test_nothing_is_restored_over_a_library(
    empty_postgres: str, chroma_url: str, four: list[Article], tmp_path: Path
) -> None:
    kept = opened(tmp_path / "kept", empty_postgres, chroma_url)
    take_in(kept, four)
    dump = run(DEPLOY / "backup.sh", tmp_path, url=empty_postgres).stdout.strip()
    before = kept.articles.content_hash(), kept.articles.generation()
    done = run(DEPLOY / "restore.sh", dump, url=empty_postgres, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert (kept.articles.content_hash(), kept.articles.generation()) == before
    kept.close()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95])
def test_a_dump_that_is_cut_short_restores_nothing(
    share: float, empty_postgres: str, restored_url: str, chroma_url: str, four: list[Article], tmp_path: Path
) -> None:
    kept = opened(tmp_path / "kept", empty_postgres, chroma_url)
    take_in(kept, four)
    kept.close()
    dump = Path(run(DEPLOY / "backup.sh", tmp_path, url=empty_postgres).stdout.strip())
    whole = dump.read_bytes()
    dump.write_bytes(whole[: int(len(whole) * share)])
    assert run(DEPLOY / "restore.sh", dump, url=restored_url, check=False).returncode != 0
    dump.write_bytes(whole)
    run(DEPLOY / "restore.sh", dump, url=restored_url)  # so nothing was there yet


def test_a_back_up_that_fails_leaves_no_file(empty_postgres: str, tmp_path: Path) -> None:
    done = run(
        DEPLOY / "backup.sh", tmp_path, url=empty_postgres.replace("/postgres?", "/nowhere?"), check=False
    )
    assert done.returncode != 0
    assert list(tmp_path.glob("citewire-*")) == []
    assert run(DEPLOY / "backup.sh", url=empty_postgres, check=False).returncode != 0


def test_the_kubernetes_job_s_commands_make_the_same(
    empty_postgres: str, restored_url: str, chroma_url: str, four: list[Article], tmp_path: Path
) -> None:
    kept = opened(tmp_path / "kept", empty_postgres, chroma_url)
    take_in(kept, four)
    _, job = yaml.safe_load_all((DEPLOY / "kubernetes" / "backup.yaml").read_text("utf-8"))
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (script,) = container["args"]
    told = {variable["name"] for variable in container["env"]}
    assert told == {"PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD"}
    old = tmp_path / "citewire-20200101T000000Z.dump"
    old.touch()
    os.utime(old, (0, 0))
    run(*container["command"], script.replace("/backups", str(tmp_path)), url=empty_postgres)
    (dump,) = tmp_path.glob("citewire-*")  # and the old one is gone
    run(DEPLOY / "restore.sh", dump, url=restored_url)
    restored = opened(tmp_path / "new", restored_url, chroma_url)
    assert restored.articles.content_hash() == kept.articles.content_hash()
    kept.close()
    restored.close()

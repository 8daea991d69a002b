"""The Chroma server is killed and comes back: each command says so in one sentence, and goes on afterwards."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from chroma_process import ChromaProcess
from chroma_proxy import Front
from conftest import FOUR, WordEmbedder
from test_cli import Outcome, plain_failure

from bot.cli.main import main
from bot.services import Services
from bot.settings import load_settings

QUESTION = "Has Argentina won the final against France on penalties?"
QUOTE = "Argentina won the final against France on penalties."
TOKEN = "ck-3f9c0a1b2c3d"
Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the program in this process, without a model, against the Chroma server whose address is given."""
    monkeypatch.setattr(
        "bot.indexing.embeddings.SentenceTransformerEmbedder", lambda *_, **__: WordEmbedder()
    )
    monkeypatch.setenv("CITEWIRE_MIN_CONFIDENCE", "0.3")
    monkeypatch.setenv("CITEWIRE_CHROMA_HEADERS", json.dumps({"x-chroma-token": TOKEN}))

    def run(chroma: str, *args: object, stdin: Sequence[str | Callable[[], None]] = ()) -> Outcome:
        monkeypatch.setenv("CITEWIRE_CHROMA_URL", chroma)
        monkeypatch.setattr(sys, "stdin", Lines(stdin))
        monkeypatch.setattr(sys, "argv", ["citewire", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        outcome = Outcome(int(ended.value.code or 0), *capsys.readouterr())
        assert TOKEN not in outcome.out + outcome.err
        return outcome

    return run


class Lines(io.StringIO):
    """What is typed; where something is to happen in between, it happens."""

    def __init__(self, lines: Sequence[str | Callable[[], None]]) -> None:
        super().__init__()
        self._lines = lines

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        for line in self._lines:
            if isinstance(line, str):
                yield f"{line}\n"
            else:
                line()


@pytest.fixture
def news(tmp_path: Path) -> Path:
    path = tmp_path / "news.jsonl"
    path.write_text("\n".join(map(json.dumps, FOUR)), encoding="utf-8")
    return path


def test_every_command_says_that_chroma_is_away_and_works_when_it_is_back(
    command: Command, own_chroma: ChromaProcess, news: Path
) -> None:
    url = own_chroma.url
    assert command(url, "ingest", news).code == 0
    own_chroma.kill()
    away = (f"Chroma at {url} does not answer: Connection refused; start it, or check CITEWIRE_CHROMA_URL",)
    plain_failure(command(url, "ask", QUESTION), *away)
    plain_failure(command(url, "forget", "moon"), *away)
    plain_failure(command(url, "reindex"), *away)
    examined = {check["name"]: check for check in command(url, "doctor", "--json").fields["checks"]}
    assert [name for name, check in examined.items() if not check["ok"]] == ["vectors"]
    assert url in examined["vectors"]["detail"]
    assert "CITEWIRE_CHROMA_URL" in examined["vectors"]["remedy"]
    news.write_text(news.read_text().replace("penalties", "points"))
    plain_failure(command(url, "ingest", news), *away)
    shown = command(url, "-v", "ask", QUESTION)
    assert "Traceback" in shown.err

    own_chroma.start()
    changed = command(url, "ingest", news, "--json").fields
    assert (changed["changed"], changed["unchanged"]) == (1, 3)
    assert "on points" in command(url, "ask", QUESTION).out
    assert command(url, "forget", "moon").code == 0
    assert command(url, "doctor").code == 0
    assert command(url, "reindex").code == 0
    assert command(url, "doctor").code == 0


def test_a_chat_goes_on(command: Command, own_chroma: ChromaProcess, news: Path) -> None:
    assert command(own_chroma.url, "ingest", news).code == 0
    said = command(
        own_chroma.url,
        "chat",
        stdin=[QUESTION, own_chroma.kill, QUESTION, "Which bank failed?", own_chroma.start, QUESTION],
    )
    assert said.code == 0
    assert said.out.count(f"“{QUOTE}”") == 2
    told = said.err.splitlines()
    assert len(told) == 2
    assert all(line.startswith(f"citewire: Chroma at {own_chroma.url} does not answer") for line in told)


@pytest.mark.parametrize(
    ("call", "number"),
    [("collections", 1), ("upsert", 1), ("upsert", 3), ("delete", 1), ("delete", 2), ("collections", 2)],
)
def test_an_ingest_during_which_chroma_was_killed_is_completed_by_the_same_command(
    command: Command,
    own_chroma: ChromaProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> None:
    """`call_api` and `number` say at which call it dies: of the first ingest, or else of the next, of changed articles."""
    monkeypatch.setattr("bot.indexing.chroma_server._MAX_RECORDS", 10)
    source = tmp_path / "many.jsonl"
    rows = [{"id": f"a{n}", "text": f"Sentence {n} about subject{n}. " * 4} for n in range(60)]
    source.write_text("\n".join(map(json.dumps, rows)))
    seen: list[str] = []
    killed: list[Any] = []

    def kill_at_the_call(handler: Any) -> bool:
        seen.append(handler.path.partition("?")[0].rpartition("/")[2])
        if not killed and seen.count(call) == number:
            killed.append(handler.path)
            own_chroma.kill()
        return False

    with Front(own_chroma.url) as front:
        front.answers = kill_at_the_call
        outcomes = [command(front.url, "ingest", source, "--json")]
        if not killed:
            rows = [row | {"text": str(row["text"]).replace("about", "on")} for row in rows]
            source.write_text("\n".join(map(json.dumps, rows)))
            outcomes.append(command(front.url, "ingest", source, "--json"))
        assert killed
        plain_failure(outcomes[-1], "Chroma at", "does not answer")
        own_chroma.start()
        done = command(front.url, "ingest", source, "--json")
        assert done.code == 0
        workspace = Services(load_settings(), embedder=WordEmbedder())
        assert workspace.articles.totals().articles == 60
        assert workspace.articles.stale_passages() == []
        [collection] = workspace.articles.collections()
        assert workspace.vector_store.count(collection.location) == workspace.articles.totals().passages
        assert workspace.bm25.count() == workspace.articles.totals().passages
        assert workspace.retriever.search("subject7")[0].passage.article_id == "a7"
        workspace.close()
        assert command(front.url, "doctor").code == 0
        again = command(front.url, "ingest", source, "--json").fields
        assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 60)

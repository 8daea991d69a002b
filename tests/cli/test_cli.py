"""The command line, as it is installed: what each command prints where, and how it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FOUR, HEAVY, WordEmbedder, make, take_in
from openai_server import OpenAIServer, Reply
from test_embeddings import tiny_model

from bot import __version__
from bot.cli.main import main
from bot.errors import EmbeddingError
from bot.indexing.embeddings import SentenceTransformerEmbedder
from bot.services import Services
from bot.settings import load_settings

PROGRAM = Path(sys.executable).with_name("citewire")
MOON, BANK, CUP, QUAKE = (dict(record) for record in FOUR)
EURO = (
    "Croatia adopted the euro on New Year's Day and opened its borders to its neighbours at midnight. "
    "Shops took the old currency, the kuna, for two more weeks. The first traveller to cross without "
    "showing a passport was a truck driver from Zagreb, who had waited since the afternoon."
)
QUESTION = "Where did the lander touch down?"


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def fields(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Filled:
    """A data folder that the installed command made from a folder of news, and what it said."""

    data: Path
    news: Path
    ingest: Outcome


def surroundings(**variables: str) -> dict[str, str]:
    """Return an environment without the settings of whoever runs the tests."""
    ours = ("CITEWIRE_", "FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "COLUMNS", "PYTHONIOENCODING")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Without the network, and with usage errors on one line.
    return {**kept, "HF_HUB_OFFLINE": "1", "TERMINAL_WIDTH": "300", "PYTHONUTF8": "1", **variables}


def citewire(*args: object, data: Path | None = None, stdin: str = "", **variables: str) -> Outcome:
    """Run the installed command, in the working directory."""
    if data is not None:
        variables["CITEWIRE_DATA_DIR"] = str(data)
    done = subprocess.run(
        [PROGRAM, *map(str, args)],
        env=surroundings(**variables),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def running(
    arguments: Sequence[object], environment: dict[str, str], **ends: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that can be interrupted, and end it with the test."""
    # In the background of a shell Ctrl-C is ignored, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(list(map(str, arguments)), env=environment, **ends)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def exports(packaged_encoders: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record what is exported in this process; the packaged model's takes seconds and is there already."""
    asked: list[str] = []
    real = SentenceTransformerEmbedder.ensure_encoder

    def ensure(embedder: SentenceTransformerEmbedder, *, force: bool = False) -> None:
        folder = embedder._encoder_folder
        if folder is None or not (packaged_encoders / folder.name).is_dir():
            real(embedder, force=force)
        elif force or not folder.exists():
            asked.append(embedder.model)
            shutil.copytree(packaged_encoders / folder.name, folder, dirs_exist_ok=True)

    monkeypatch.setattr(SentenceTransformerEmbedder, "ensure_encoder", ensure)
    return asked


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, exports: list[str]
) -> Callable[..., Outcome]:
    """Run the same entry point in this process, where torch is imported once for all."""

    def run(*args: object, data: Path | None = None, stdin: str = "", **variables: str) -> Outcome:
        folder = {"CITEWIRE_DATA_DIR": str(data or tmp_path / "data")}
        for name, value in {**folder, "TERMINAL_WIDTH": "300", **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setattr(sys, "argv", ["citewire", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run


def write_news(folder: Path) -> Path:
    """Write five articles in as many formats, and one the folder's name does not matter to."""
    folder.mkdir()
    front = "\n".join(f'{key}: "{MOON[key]}"' for key in ("id", "title", "published", "source", "url"))
    (folder / "moon.md").write_text(f"---\n{front}\n---\n{MOON['text']}\n", encoding="utf-8")
    (folder / "bank.jsonl").write_text(json.dumps(BANK) + "\n", encoding="utf-8")
    (folder / "cup.json").write_text(json.dumps([CUP]), encoding="utf-8")
    (folder / "quake.txt").write_text(f"{QUAKE['title']}\n\n{QUAKE['text']}\n", encoding="utf-8")
    (folder / "euro.html").write_text(
        f"<html><head><title>Croatia joins the euro</title></head><body><article><h1>Croatia joins the euro</h1>"
        f"<p>{EURO}</p></article></body></html>",
        encoding="utf-8",
    )
    return folder


TEXTS = {
    "moon.md": MOON["text"], "bank.jsonl": BANK["text"], "cup.json": CUP["text"], "quake.txt": QUAKE["text"],
    "euro.html": EURO,
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, packaged_encoders: Path) -> Filled:
    """One data folder for all tests that only read."""
    root = tmp_path_factory.mktemp("filled")
    news = write_news(root / "news")
    shutil.copytree(packaged_encoders, root / "data" / "encoders")  # exporting it takes seconds
    return Filled(root / "data", news, citewire("ingest", news, "--json", data=root / "data"))


@pytest.fixture
def own(filled: Filled, tmp_path: Path) -> Filled:
    """A copy of that data folder to change, read from a copy of the news."""
    shutil.copytree(filled.data, tmp_path / "data")
    return Filled(tmp_path / "data", filled.news, filled.ingest)


@pytest.fixture
def unread(tmp_path: Path, four: list[Any]) -> Path:
    """A data folder for commands that do not embed, made without the model."""
    workspace = Services(load_settings(data_dir=tmp_path / "unread"), embedder=WordEmbedder())
    take_in(workspace, four)
    workspace.close()
    return tmp_path / "unread"


def plain_failure(outcome: Outcome, *words: str, code: int = 1) -> None:
    """Assert one plain line on stderr, nothing on stdout."""
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert outcome.err.startswith("citewire: ")
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert all(word in outcome.err for word in words), outcome.err


# Help, version, usage


@pytest.mark.parametrize(
    ("subcommand", "named"),
    [
        ("", ["--data-dir", "CITEWIRE_DATA_DIR", "--verbose", "-v", "--version", "ingest", "ask", "chat", "articles",
              "forget", "reindex", "doctor"]),
        ("ingest", ["--source", "--prune", "--json"]),
        ("ask", ["--since", "--until", "--source", "-k", "--json"]),
        ("chat", []),
        ("articles", ["--json"]),
        ("forget", ["URL|ID", "--json"]),
        ("reindex", ["--encoder", "--json"]),
        ("doctor", ["--json"]),
    ],
)  # fmt: skip
def test_help_names_every_option(subcommand: str, named: list[str]) -> None:
    helped = citewire(*subcommand.split(), "--help")
    assert (helped.code, helped.err) == (0, "")
    assert [name for name in [*named, "--help"] if name not in helped.out] == []


def test_version() -> None:
    assert citewire("--version") == Outcome(0, f"citewire {__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["--frobnicate", "articles"], "No such option: --frobnicate"),
        (["ask", "q", "--frobnicate"], "No such option: --frobnicate"),
        (["ask"], "Missing argument"),
        (["ingest"], "Missing argument"),
        (["forget"], "Missing argument"),
        (["ask", "q", "--since"], "--since"),
        (["ask", "q", "--since", "yesterday"], "'yesterday' is not a day such as 2022-06-17"),
        (["ask", "q", "--until", "2022-02-30"], "'2022-02-30' is not a day"),
        (["ask", "q", "--until", "17.06.2022"], "--until"),
        (
            ["ask", "q", "--since", "2022-06-18", "--until", "2022-06-17"],
            "since 2022-06-18 lies after until",
        ),
        (["ask", "q", "-k", "0"], "-k"),
        (["ask", "q", "-k", "ten"], "-k"),
        (["ask", "two", "questions"], "unexpected extra argument"),
        (["ingest", "no/such/folder"], "no such file or folder: no/such/folder"),
        (["ingest", ".", "no/such/file.txt"], "no such file or folder: no/such/file.txt"),
    ],
)
def test_usage_errors_exit_2_and_touch_nothing(
    command: Callable[..., Outcome], tmp_path: Path, args: list[str], words: str
) -> None:
    refused = command(*args)
    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "data").exists()


def test_the_last_day_of_the_calendar_can_be_named(command: Callable[..., Outcome], unread: Path) -> None:
    assert "OverflowError" not in command("ask", "hello", "--until", "9999-12-31", data=unread).err


# What needs no model does not wait for one


def imported(filled: Filled, *args: str, heavy: Sequence[str] = HEAVY) -> tuple[Outcome, list[str]]:
    """Run a command in a process of its own; return how it ended, and what heavy things it imported."""
    program = (
        "import atexit, sys\n"
        f"heavy = {tuple(heavy)!r}\n"
        "atexit.register(lambda: print('heavy:', *(name for name in heavy if name in sys.modules), file=sys.stderr))\n"
        "from bot.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *args],
        env=surroundings(CITEWIRE_DATA_DIR=str(filled.data)),
        capture_output=True,
        text=True,
        check=False,
    )
    said, _, names = done.stderr.rpartition("heavy:")
    return Outcome(done.returncode, done.stdout, said), names.split()


@pytest.mark.parametrize(
    "args",
    [["--help"], ["articles"], ["articles", "--json"], ["doctor"], ["ingest", "{news}"], ["ask", "hello"]],
    ids=" ".join,
)
def test_what_embeds_nothing_imports_nothing_heavy(filled: Filled, args: list[str]) -> None:
    done, heavy = imported(filled, *(arg.format(news=filled.news) for arg in args))
    assert (done.code, heavy) == (0, []), done.err


ANSWERING = ("numpy", "onnxruntime", "tokenizers", "chromadb_rust_bindings", "langchain_core", "slack_bolt")


@pytest.mark.parametrize(
    ("args", "more"),
    [
        (["--version"], ["rich", "pydantic", "sqlalchemy"]),
        (["--help"], ["pydantic", "sqlalchemy"]),
        (["articles"], ["rich", "pydantic_settings", "tantivy"]),
        (["articles", "--json"], ["rich", "pydantic_settings", "tantivy"]),
        (["doctor"], ["rich", "pydantic_settings"]),
    ],
    ids=" ".join,
)
def test_what_answers_nothing_imports_nothing_that_answers(
    filled: Filled, args: list[str], more: list[str]
) -> None:
    done, heavy = imported(filled, *args, heavy=[*HEAVY, *ANSWERING, *more])
    assert (done.code, heavy) == (0, []), done.err


# Ingest


def test_ingest_reports_in_json(filled: Filled) -> None:
    assert filled.ingest.code == 0, filled.ingest.err
    fields = filled.ingest.fields
    assert fields.keys() == {
        "added", "changed", "unchanged", "removed", "passages", "seconds", "skipped", "library",
    }  # fmt: skip
    assert (fields["added"], fields["changed"], fields["unchanged"], fields["removed"]) == (5, 0, 0, 0)
    assert fields["skipped"] == []
    assert fields["library"] == {"articles": 5, "passages": fields["passages"]}
    assert fields["seconds"] > 0


def test_a_second_ingest_finds_all_unchanged(filled: Filled) -> None:
    again = citewire("ingest", filled.news, data=filled.data)
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[0] == "0 added, 0 changed, 5 unchanged, 0 removed, 0 skipped"
    assert "the library holds 5 articles" in again.out


def test_what_cannot_be_read_is_named_and_the_rest_goes_in(
    command: Callable[..., Outcome], tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = [json.dumps({"id": key, "text": f"Article {key} has a text."}) for key in ("a", "b")]
    (folder / "broken.jsonl").write_text(f'{good[0]}\n{{"text": "cut\n{good[1]}\n[1]\n', encoding="utf-8")
    (folder / "empty.txt").touch()
    (folder / "picture.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "film.mov").write_bytes(b"\0" * 100)
    (folder / "dated.md").write_text('---\npublished: "soon"\n---\nA text.\n', encoding="utf-8")
    (folder / "fine.txt").write_text("A text that is fine.", encoding="utf-8")
    (folder / "questions.jsonl").write_text('{"question": "Who?"}\n', encoding="utf-8")
    done = command("ingest", folder)
    assert done.code == 1
    assert done.out.splitlines()[0] == "3 added, 0 changed, 0 unchanged, 0 removed, 6 skipped"
    for place, reason in [
        ("broken.jsonl:2", "not valid JSON"),
        ("broken.jsonl:4", "expected an object"),
        ("empty.txt", "the file is empty"),
        ("picture.md", "binary file"),
        ("film.mov", "binary file"),
        ("dated.md", "published: 'soon' is not a date"),
    ]:
        assert re.search(rf"^skipped: {folder}/{re.escape(place)}: .*{reason}", done.err, re.M), place
    assert f"passed over: {folder}/questions.jsonl: a test set" in done.err
    assert "Traceback" not in done.err

    again = command("ingest", folder, "--json")
    assert again.code == 1
    assert (again.fields["added"], again.fields["unchanged"]) == (0, 3)
    skip = next(item for item in again.fields["skipped"] if item["line"] == 4)
    assert skip == {
        "file": str(folder / "broken.jsonl"),
        "line": 4,
        "reason": "expected an object, found list",
        "expected": False,
    }


def test_a_folder_of_nothing_adds_nothing(command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = command("ingest", tmp_path / "empty", "--json")
    assert (done.code, done.fields["added"], done.fields["library"]["articles"]) == (0, 0, 0)


def test_changed_gone_and_unnamed(command: Callable[..., Outcome], own: Filled, tmp_path: Path) -> None:
    news = shutil.copytree(own.news, tmp_path / "news")
    (news / "moon.md").write_text(
        (news / "moon.md").read_text("utf-8").replace("Wednesday", "Thursday"), encoding="utf-8"
    )
    (news / "bank.jsonl").unlink()
    (news / "new.txt").write_text("Something happened in the harbour today.", encoding="utf-8")
    (news / "quake.txt").unlink()
    done = command("ingest", news, "--source", "The Paper", "--prune", "--json", data=own.data)
    assert done.code == 0, done.err
    # The euro's and the quake's articles have no address: in another folder they are others.
    assert (done.fields["changed"], done.fields["unchanged"]) == (1, 1)
    listed = command("articles", "--json", data=own.data).fields["articles"]
    outlets = {article["title"]: article["source"] for article in listed}
    assert outlets[CUP["title"]] == "Daily"
    assert outlets[""] == "The Paper"
    answer = command("ask", QUESTION, "--json", data=own.data).fields
    assert "on Thursday" in answer["citations"][0]["quote"]


def test_prune_removes_what_is_gone_from_the_paths_it_is_given(
    command: Callable[..., Outcome], tmp_path: Path
) -> None:
    news = write_news(tmp_path / "news")
    assert command("ingest", news).code == 0
    (news / "bank.jsonl").unlink()
    assert command("ingest", news, "--json").fields["removed"] == 0
    pruned = command("ingest", news, "--prune", "--json").fields
    assert (pruned["removed"], pruned["library"]["articles"]) == (1, 4)
    assert command("doctor").code == 0


# Ask


def quoted_file(quote: str) -> list[str]:
    return [name for name, text in TEXTS.items() if quote in text]


def test_ask_prints_one_answer_whose_quotes_stand_in_the_files(filled: Filled) -> None:
    asked = citewire("ask", QUESTION, "--json", data=filled.data)
    assert (asked.code, asked.err) == (0, "")
    answer = asked.fields
    assert answer.keys() >= {
        "id", "question", "standalone_question", "status", "sentences", "citations", "as_of", "window", "confidence",
        "answerer", "dropped", "timings",
    }  # fmt: skip
    assert (answer["status"], answer["question"], answer["answerer"]) == ("answered", QUESTION, "extractive")
    assert 0 <= answer["confidence"] <= 1
    assert all(sentence.keys() == {"text", "citations", "support"} for sentence in answer["sentences"])
    used = [n for sentence in answer["sentences"] for n in sentence["citations"]]
    assert [citation["n"] for citation in answer["citations"]] == list(dict.fromkeys(used)) != []
    for citation in answer["citations"]:
        assert citation.keys() >= {"n", "passage_id", "quote", "title", "source", "published", "url", "link"}
        (name,) = quoted_file(citation["quote"])
        assert TEXTS[name][citation["start"] : citation["end"]] == citation["quote"]
    first = answer["citations"][0]
    assert quoted_file(first["quote"]) == ["moon.md"]
    assert (first["title"], first["source"], first["url"]) == (MOON["title"], MOON["source"], MOON["url"])
    assert first["published"].startswith("2023-08-23")
    assert first["link"].startswith(f"{MOON['url']}#:~:text=A%20lander")
    assert answer["as_of"].startswith("2023-08-23")


def test_ask_prints_quotes_with_outlet_date_and_address(
    command: Callable[..., Outcome], filled: Filled
) -> None:
    asked = command("ask", QUESTION, data=filled.data)
    assert (asked.code, asked.err) == (0, "")
    first, named, link, *_ = asked.out.splitlines()
    assert first == "[1] “A lander touched down on the Moon on Wednesday.”"
    assert named == "    Daily · 23 August 2023 · Lander touches down"
    assert link.startswith("    https://daily.example/moon#:~:text=")


def test_not_found_is_no_failure_and_names_what_came_near(
    command: Callable[..., Outcome], filled: Filled
) -> None:
    question = "What does a litre of olive oil cost in Norway?"
    answer = command("ask", question, "--json", data=filled.data)
    assert (answer.code, answer.fields["status"], answer.fields["citations"]) == (0, "not_found", [])
    assert 1 <= len(answer.fields["nearest"]) <= 3
    assert all({"title", "source", "published", "url"} <= near.keys() for near in answer.fields["nearest"])
    shown = command("ask", question, data=filled.data)
    assert shown.code == 0
    assert shown.out.startswith("The articles do not say.\nThe nearest articles:\n")
    assert len(re.findall(r"^  · .*(\d \w+ 20\d\d|undated)", shown.out, re.M)) == len(
        answer.fields["nearest"]
    )


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], True),
        (["--since", "2023-08-23"], True),
        (["--since", "2023-08-24"], False),
        (["--until", "2023-08-23"], True),  # the day itself is in
        (["--until", "2023-08-22"], False),
        (["--since", "2023-08-23", "--until", "2023-08-23"], True),
        (["--since", "0001-01-01", "--until", "2030-01-01"], True),
        (["--source", "Daily"], True),
        (["--source", "  daily "], True),
        (["--source", "Ledger"], False),
        (["--source", "Ledger", "--source", "Daily"], True),
        (["--source", "Nobody's"], False),
        (["--source", 'Daily" OR "1"="1'], False),
        (["--source", "Daily", "--since", "2023-09-01"], False),
        (["-k", "1"], True),
        (["-k", "100"], True),
    ],
)
def test_filters_narrow_the_search(
    command: Callable[..., Outcome], filled: Filled, options: list[str], found: bool
) -> None:
    asked = command("ask", QUESTION, *options, "--json", data=filled.data)
    assert asked.code == 0, asked.err
    cited = {citation["article_id"] for citation in asked.fields["citations"]}
    assert ("moon" in cited) == found
    if not found:
        assert "moon" not in {near["article_id"] for near in asked.fields["nearest"]}
    dates = ("--since" in options, "--until" in options)
    window = asked.fields["window"] or {"since": None, "until": None}
    assert (window["since"] is not None, window["until"] is not None) == dates


def test_an_empty_library_says_what_to_do(command: Callable[..., Outcome], tmp_path: Path) -> None:
    plain_failure(citewire("ask", QUESTION, data=tmp_path / "new"), "no articles in", "citewire ingest")
    plain_failure(command("chat", data=tmp_path / "new", stdin="x\n"), "no articles in", "citewire ingest")


@pytest.mark.parametrize(
    ("question", "words"), [("", "is empty"), (" \n", "is empty"), ("x" * 2_001, "2,001")]
)
def test_impossible_questions_fail_plainly(
    command: Callable[..., Outcome], unread: Path, question: str, words: str
) -> None:
    plain_failure(command("ask", question, data=unread), words)


def test_a_question_that_begins_with_a_dash_can_be_asked(
    command: Callable[..., Outcome], filled: Filled
) -> None:
    asked = command("ask", "--json", data=filled.data)
    assert asked.code == 2
    assert (
        command("ask", "--json", "--", "--since when?", data=filled.data).fields["question"]
        == "--since when?"
    )


def test_chat_answers_a_pipe(command: Callable[..., Outcome], filled: Filled) -> None:
    said = command("chat", data=filled.data, stdin=f"{QUESTION}\n:help\n:quit\nWho failed?\n")
    assert (said.code, said.err) == (0, "")
    assert "[1] “A lander touched down on the Moon on Wednesday.”" in said.out
    assert ":new" in said.out
    assert "A bank in California failed" not in said.out


def test_a_question_is_answered_without_torch(filled: Filled) -> None:
    asked, heavy = imported(filled, "ask", QUESTION, heavy=[name for name in HEAVY if name != "chromadb"])
    assert (asked.code, asked.err, heavy) == (0, "", [])
    assert "A lander touched down" in asked.out


# The question encoder


def test_the_first_ingest_exports_the_question_encoder_and_later_ones_do_not(
    command: Callable[..., Outcome], exports: list[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert command("ingest", tmp_path / "empty").code == 0
    assert exports == []
    (tmp_path / "one.txt").write_text("A lander touched down on the Moon.", encoding="utf-8")
    for _ in range(2):
        assert command("ingest", tmp_path / "one.txt").code == 0
        assert exports == ["all-MiniLM-L6-v2"]
    assert command("doctor").code == 0
    shutil.rmtree(tmp_path / "data" / "encoders")
    missed = command("doctor")
    assert missed.code == 1
    assert "FAIL encoder: not exported yet" in missed.out
    assert "→ run `citewire reindex --encoder`" in missed.out
    assert command("reindex").code == 0
    assert len(exports) == 2
    assert command("doctor").code == 0


def test_reindex_can_export_the_question_encoder_only(
    command: Callable[..., Outcome], own: Filled, exports: list[str]
) -> None:
    (graph,) = own.data.glob("encoders/*/model.onnx")
    graph.write_bytes(b"")
    broken = command("doctor", data=own.data)
    assert "FAIL encoder: the exported files are damaged" in broken.out
    words = (own.data / "words" / "meta.json").stat()
    done = command("reindex", "--encoder", data=own.data)
    assert done == Outcome(0, "question encoder exported from all-MiniLM-L6-v2\n", "")
    assert exports == ["all-MiniLM-L6-v2"]
    assert command("doctor", data=own.data).code == 0
    assert (own.data / "words" / "meta.json").stat() == words
    fields = command("reindex", "--encoder", "--json", data=own.data).fields
    assert fields == {"model": "all-MiniLM-L6-v2"}


def test_an_export_that_fails_fails_no_ingest(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(embedder: object, *, force: bool = False) -> None:
        raise EmbeddingError("the question encoder cannot be exported (no reason)")

    monkeypatch.setattr(SentenceTransformerEmbedder, "ensure_encoder", fail)
    (tmp_path / "one.txt").write_text("A lander touched down on the Moon.", encoding="utf-8")
    done = command("ingest", tmp_path / "one.txt")
    assert done.code == 0
    assert done.out.startswith("1 added")
    assert done.err.endswith("citewire: the question encoder cannot be exported (no reason)\n")
    assert "A lander touched down" in command("ask", QUESTION).out  # torch answers
    plain_failure(command("reindex", "--encoder"), "cannot be exported (no reason)")


# Articles, forget, reindex, doctor


def test_articles_lists_all_newest_first(command: Callable[..., Outcome], filled: Filled) -> None:
    listed = command("articles", "--json", data=filled.data)
    assert (listed.code, listed.err) == (0, "")
    found = listed.fields["articles"]
    assert [article["title"] for article in found[:3]] == [MOON["title"], BANK["title"], CUP["title"]]
    assert {article["title"] for article in found[3:]} == {QUAKE["title"], "Croatia joins the euro"}
    moon = {key: found[0][key] for key in ("id", "title", "source", "published", "url")}
    assert moon == {**{key: MOON[key] for key in ("id", "title", "source", "url")},
                    "published": "2023-08-23T00:00:00+00:00"}  # fmt: skip
    assert {article["published"] for article in found[3:]} == {None}
    shown = command("articles", data=filled.data)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines()[1].split()[0] == "2023-08-23"
    assert all(article["id"] in shown.out for article in found)


def test_no_articles_are_no_failure(command: Callable[..., Outcome]) -> None:
    assert command("articles", "--json").fields == {"articles": []}
    shown = command("articles")
    assert (shown.code, shown.out) == (0, "")
    assert "citewire ingest" in shown.err


@pytest.mark.parametrize(
    "reference", ["moon", "https://daily.example/moon", "http://www.daily.example/moon/?utm_source=feed"]
)
def test_forget_takes_an_article_out_of_everything(
    command: Callable[..., Outcome], own: Filled, reference: str
) -> None:
    forgot = command("forget", reference, data=own.data)
    assert (forgot.code, forgot.out, forgot.err) == (0, "1 forgotten\n", "")
    left = command("articles", "--json", data=own.data).fields["articles"]
    assert [article["id"] for article in left if article["id"] == "moon"] == []
    assert len(left) == 4
    assert MOON["text"] not in command("ask", QUESTION, "--json", data=own.data).out
    assert command("doctor", data=own.data).code == 0


def test_forget_fails_for_what_is_not_there_and_does_the_rest(
    command: Callable[..., Outcome], own: Filled
) -> None:
    forgot = command("forget", "cup", "no-such-id", "cup", "--json", data=own.data)
    assert forgot.code == 1
    assert forgot.fields == {"forgotten": ["cup"], "unknown": ["no-such-id"]}
    assert forgot.err.startswith("citewire: not in the library: no-such-id; `citewire articles`")
    again = command("forget", "cup", data=own.data)
    assert (again.code, again.out) == (1, "0 forgotten\n")


def test_reindex_brings_both_indexes_back(command: Callable[..., Outcome], own: Filled) -> None:
    before = command("ask", QUESTION, "--json", data=own.data).fields
    shutil.rmtree(own.data / "words")
    shutil.rmtree(own.data / "chroma")
    ill = command("doctor", "--json", data=own.data)
    assert (ill.code, ill.fields["ok"]) == (1, False)
    assert {check["name"] for check in ill.fields["checks"] if not check["ok"]} == {"vectors", "words"}
    assert all(check["remedy"] for check in ill.fields["checks"] if not check["ok"])
    plain_failure(command("ask", QUESTION, data=own.data), "citewire reindex")
    done = command("reindex", "--json", data=own.data)
    assert done.code == 0
    assert done.fields == {"passages": own.ingest.fields["passages"], "model": "all-MiniLM-L6-v2"}
    assert command("doctor", data=own.data).code == 0
    after = command("ask", QUESTION, "--json", data=own.data).fields
    assert after["citations"] == before["citations"]
    assert after["confidence"] == pytest.approx(before["confidence"], abs=1e-4)


def test_another_model_s_articles_are_refused_until_reindexed(
    command: Callable[..., Outcome], unread: Path, tmp_path: Path
) -> None:
    plain_failure(
        command("ask", QUESTION, data=unread),
        "embedded with words, not with all-MiniLM-L6-v2",
        "citewire reindex",
    )
    (tmp_path / "one.txt").write_text("One more article.", encoding="utf-8")
    plain_failure(command("ingest", tmp_path / "one.txt", data=unread), "citewire reindex")
    assert "→ run `citewire reindex`" in command("doctor", data=unread).out
    done = command("reindex", data=unread)
    assert (done.code, done.out) == (0, "4 passages indexed with all-MiniLM-L6-v2\n")
    assert "A lander touched down" in command("ask", QUESTION, data=unread).out


def test_doctor_finds_a_healthy_folder_healthy(command: Callable[..., Outcome], filled: Filled) -> None:
    healthy = command("doctor", "--json", data=filled.data)
    assert (healthy.code, healthy.err, healthy.fields["ok"]) == (0, "", True)
    assert [check["name"] for check in healthy.fields["checks"]] == [
        "weights", "library", "vectors", "words", "encoder", "reader",
    ]  # fmt: skip
    shown = command("doctor", data=filled.data)
    assert [line.split()[0] for line in shown.out.splitlines()] == ["ok"] * 6


# Failures


def test_a_model_that_does_not_exist_fails_plainly(command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("One article.", encoding="utf-8")
    refused = command("ingest", tmp_path / "one.txt", CITEWIRE_EMBEDDING_MODEL="no-such/model-at-all")
    plain_failure(refused, "'no-such/model-at-all' cannot be loaded", "CITEWIRE_EMBEDDING_MODEL")
    assert command("ingest", tmp_path / "one.txt", CITEWIRE_EMBEDDING_MODEL="").code == 0


def test_an_unknown_setting_fails_plainly(command: Callable[..., Outcome], tmp_path: Path) -> None:
    plain_failure(
        citewire("articles", CITEWIRE_EMBEDING_MODEL="x"), "CITEWIRE_EMBEDING_MODEL is not a setting"
    )
    (tmp_path / "citewire.toml").write_text('colour = "red"', encoding="utf-8")
    plain_failure(command("articles"), "'colour' in", "citewire.toml")


def test_an_option_wins_over_the_environment(
    command: Callable[..., Outcome], unread: Path, tmp_path: Path
) -> None:
    listed = command("--data-dir", unread, "articles", "--json", data=tmp_path / "elsewhere")
    assert len(listed.fields["articles"]) == 4
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "args", [["articles"], ["ask", "q"], ["ingest", "."], ["forget", "x"], ["reindex"]], ids=str
)
def test_a_broken_library_fails_plainly(
    command: Callable[..., Outcome], tmp_path: Path, args: list[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "library.sqlite").write_bytes(b"not a database, not at all" * 100)
    plain_failure(command(*args), "the library cannot be used", "not a database")


def test_a_traceback_is_for_those_who_ask(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "library.sqlite").write_bytes(b"not a database, not at all" * 100)
    plain_failure(citewire("articles", data=tmp_path / "data"), "not a database")
    loud = citewire("-v", "articles", data=tmp_path / "data")
    assert (loud.code, loud.out) == (1, "")
    assert "Traceback" in loud.err
    assert loud.err.splitlines()[-1].startswith("citewire: the library cannot be used")


@pytest.mark.parametrize("data", ["file", "file/below"])
def test_a_data_folder_that_cannot_be_used_fails_plainly(
    command: Callable[..., Outcome], tmp_path: Path, data: str
) -> None:
    (tmp_path / "file").touch()
    plain_failure(command("articles", data=tmp_path / data), str(tmp_path / data), "cannot be made")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_narrow_output_encoding_does_not_stop_an_answer(tmp_path: Path, encoding: str) -> None:
    workspace = Services(load_settings(data_dir=tmp_path / "data"), embedder=WordEmbedder())
    take_in(workspace, [make({"id": "a", "text": "Text.", "title": "Erdoğan trifft Zelenskyj – “jetzt”"})])
    workspace.close()
    listed = citewire("articles", data=tmp_path / "data", PYTHONIOENCODING=encoding)
    assert (listed.code, listed.err) == (0, "")
    assert "Erdo" in listed.out


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose list of articles does not fit into a pipe."""
    data = tmp_path_factory.mktemp("many") / "data"
    workspace = Services(load_settings(data_dir=data), embedder=WordEmbedder())
    take_in(
        workspace,
        [make({"id": f"a{n}", "title": "A long title " * 10, "text": "Text."}) for n in range(1_000)],
    )
    workspace.close()
    return data


@pytest.mark.parametrize("options", [[], ["--json"]], ids=str)
def test_a_reader_that_has_seen_enough_is_no_error(many: Path, options: list[str]) -> None:
    environment = surroundings(CITEWIRE_DATA_DIR=str(many))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running([PROGRAM, "articles", *options], environment, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()  # as `head -1` does
        assert process.stderr.read() == b""


# Interrupted


def written(data: Path) -> int:
    """Return how many versions the library holds, seen or not."""
    with contextlib.closing(sqlite3.connect(data / "library.sqlite")) as connection:
        return int(connection.execute("SELECT count(*) FROM versions").fetchone()[0])


# The command, which says so and waits when it is to embed its fourth batch: two are in the library by then, and
# not shown to readers however slow the machine is.
HELD = """
import sys, threading
from bot.cli.main import main
from bot.indexing import index_writer as indexer
from bot.indexing.embeddings import SentenceTransformerEmbedder as Embedder
encode, batches = Embedder.encode, []
def held(self, texts):
    batches.append(texts)
    if len(batches) == 4:
        print("held", file=sys.stderr, flush=True)
        threading.Event().wait()
    return encode(self, texts)
Embedder.encode = held
indexer._PUBLISH_SECONDS = float("inf")
main()
"""


def test_an_ingest_that_is_interrupted_leaves_nothing_half_and_can_be_repeated(
    command: Callable[..., Outcome], tmp_path: Path
) -> None:
    count, batch = 300, 52  # articles of 7,000 characters: about 6 batches
    rows = (
        json.dumps({"id": f"a{n}", "text": f"Rain fell for the {n}th time. " * 250}) for n in range(count)
    )
    (tmp_path / "rain.jsonl").write_text("\n".join(rows), encoding="utf-8")
    model, data = str(tiny_model(tmp_path / "model")), tmp_path / "data"
    environment = surroundings(CITEWIRE_DATA_DIR=str(data), CITEWIRE_EMBEDDING_MODEL=model)
    arguments = [sys.executable, "-c", HELD, "ingest", tmp_path / "rain.jsonl"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(arguments, environment, **pipes) as process:
        assert process.stderr is not None
        assert b"held\n" in process.stderr
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b""), err
    assert b"Traceback" not in err
    assert batch < written(data) < count

    seen = command("articles", "--json", data=data)
    assert (seen.code, seen.fields["articles"]) == (0, [])
    again = command("ingest", tmp_path / "rain.jsonl", "--json", data=data, CITEWIRE_EMBEDDING_MODEL=model)
    assert again.code == 0, again.err
    assert (again.fields["added"], again.fields["library"]["articles"]) == (count, count)
    assert written(data) == count
    assert command("doctor", data=data, CITEWIRE_EMBEDDING_MODEL=model).code == 0


def in_terminal(*args: str, data: Path) -> str:
    """Run a command whose stdout is a terminal; return all that is shown there."""
    ours, theirs = pty.openpty()
    environment = surroundings(CITEWIRE_DATA_DIR=str(data), TERM="xterm", COLUMNS="120")
    with running([PROGRAM, *args], environment, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux's word for the end
            while part := os.read(ours, 4_096):
                shown += part
        assert process.wait(timeout=60) == 0
    os.close(ours)
    return shown.decode()


def test_a_terminal_shows_columns_and_colours(filled: Filled) -> None:
    assert "\x1b[32mok   library: 5 articles" in in_terminal("doctor", data=filled.data)
    listed = in_terminal("articles", data=filled.data)
    assert re.sub(r"\x1b\[[0-9;]*m", "", listed).split()[:4] == ["Published", "Outlet", "Title", "Id"]
    assert "\t" not in listed


# Becomes the leader of a session whose terminal is its stdin, so that Ctrl-C there reaches it.
CTRL_C, CTRL_D = b"\x03", b"\x04"
IN_TERMINAL = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


def press(terminal: int, keys: bytes, *, until: str) -> str:
    """Type into a terminal, and return what it shows up to these words; a Ctrl-C without an answer, once more.

    Python's readline can miss a Ctrl-C in the microseconds before it waits for a key.
    """
    shown = b""
    os.write(terminal, keys)
    while until.encode() not in shown:
        if keys == CTRL_C and not select.select([terminal], [], [], 5)[0]:
            os.write(terminal, keys)
            continue
        try:
            part = os.read(terminal, 4_096)
        except OSError:  # Linux's word for the end
            part = b""
        assert part, f"the terminal was closed before {until!r}: {shown!r}"
        shown += part
    return shown.decode()


def test_in_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_the_conversation(filled: Filled) -> None:
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    chat = [sys.executable, "-c", IN_TERMINAL, PROGRAM, "chat"]
    with OpenAIServer(Reply(hang=True)) as model:  # however late Ctrl-C comes, no answer is there before it
        environment = surroundings(
            CITEWIRE_DATA_DIR=str(filled.data), CITEWIRE_CHAT_MODEL="openai:test", CITEWIRE_CHAT_BASE_URL=model.url,
            OPENAI_API_KEY="a key", TERM="xterm",
        )  # fmt: skip
        with running(chat, environment, **ends) as process:
            os.close(theirs)
            assert "5 articles" in press(ours, b"", until="› ")
            press(ours, b"half a quest", until="quest")
            press(ours, CTRL_C, until="(Ctrl-D or :quit leaves)")
            press(
                ours, f"{QUESTION}\n".encode(), until="Reading the articles"
            )  # models are still being loaded
            stopped = press(ours, CTRL_C, until="› ")  # what is said and the prompt may come as one piece
            assert "Stopped." in stopped
            assert "Traceback" not in stopped
            os.write(ours, CTRL_D)
            assert process.wait(timeout=60) == 0
    os.close(ours)

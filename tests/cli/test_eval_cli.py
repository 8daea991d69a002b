"""`citewire eval`, as it is installed: runs that are killed and go on, gates, and how each command ends."""

from __future__ import annotations

import json
import signal
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_cli import PROGRAM, Filled, Outcome, citewire, command, exports, filled, running, surroundings

from bot.settings import Settings

__all__ = ["command", "exports", "filled"]  # fixtures

QUESTIONS = (
    {"question": "Where did the lander touch down?", "answers": ["Moon"]},
    {"question": "Has Argentina won the final against France on penalties?", "answers": ["penalties"]},
    {"question": "What does paint cost in Norway?", "answerable": False},
)
TIMES = ("p50_ms", "p95_ms")


def written(path: Path, count: int) -> Path:
    """Write a test set in which each question stands many times."""
    rows = ({"id": f"q{number}", **QUESTIONS[number % len(QUESTIONS)]} for number in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def stopped_at(count: int, how: signal.Signals, run: Path, *arguments: object, data: Path) -> int:
    """Start a run, stop it when its file holds so many lines, and return how it ended."""
    with running([PROGRAM, *arguments, "-o", run], surroundings(CITEWIRE_DATA_DIR=str(data))) as process:
        while lines(run) < count and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(how)
        return process.wait()


def without_times(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        part: {name: value for name, value in fields[part].items() if name not in TIMES}
        for part in ("metrics", "ci", "n")
    }


def test_a_run_killed_three_times_ends_with_the_figures_of_a_calm_one(filled: Filled, tmp_path: Path) -> None:
    testset, run = written(tmp_path / "t.jsonl", 200), tmp_path / "killed.jsonl"
    calm = citewire("eval", "run", testset, "-o", tmp_path / "calm.jsonl", "--json", data=filled.data)
    for count in (5, 30, 60):
        assert stopped_at(count, signal.SIGKILL, run, "eval", "run", testset, "-j", 2, data=filled.data) == -9
        run.write_bytes(run.read_bytes()[:-7])  # a kill in mid-line
    resumed = citewire("eval", "run", testset, "-o", run, "-j", 2, "--json", data=filled.data)
    assert (calm.code, resumed.code) == (0, 0)
    assert without_times(resumed.fields) == without_times(calm.fields)
    assert resumed.fields["n"]["answer"] == 200
    assert "of 200 questions were answered before" in resumed.err


def test_an_interrupted_run_says_so_and_is_incomplete(filled: Filled, tmp_path: Path) -> None:
    testset, run = written(tmp_path / "t.jsonl", 200), tmp_path / "r.jsonl"
    assert stopped_at(5, signal.SIGINT, run, "eval", "run", testset, data=filled.data) == 130
    scored = citewire("eval", "score", run, data=filled.data)
    assert scored.code == 3
    assert "of 200 questions were run" in scored.out


@pytest.fixture
def run_file(filled: Filled, command: Callable[..., Outcome], tmp_path: Path) -> Path:
    testset = written(tmp_path / "t.jsonl", 12)
    assert command("eval", "run", testset, "-o", tmp_path / "r.jsonl", data=filled.data).code == 0
    return tmp_path / "r.jsonl"


def test_gates_decide_how_it_ends_and_junit_holds_them(
    run_file: Path, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    junit = tmp_path / "j.xml"
    for gates, code in (
        (["--fail-under", "quote_valid=1"], 0),
        (["--fail-under", "words=1", "--fail-over", "answer_recall=0.5"], 1),
        (["--fail-under", "hit@1=0.5"], 2),  # no question has a gold article
        (["--baseline", run_file, "--max-drop", "answer=0", "--strict"], 0),
    ):
        ended = command("eval", "score", run_file, *gates, "--junit", junit)
        assert ended.code == code, (gates, ended)
        assert ("FAIL" in ended.out) == (code > 0)
        questions, judged = ET.parse(junit).getroot()
        assert len(questions) == 12
        given = [
            f"{option.removeprefix('--')} {bound}"
            for option, bound in zip(gates[::2], gates[1::2], strict=False)
        ]
        assert [case.get("name") for case in judged] == [name for name in given if "baseline" not in name]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--report", "r.pdf"], "no such report"),
        (["--fail-under", "anwser=1"], "no metric is called 'anwser'"),
        (["--max-drop", "answer=0.1"], "name that with --baseline"),
        (["--strict"], "name that with --baseline"),
        (["--baseline", "t.jsonl"], "not a run"),
        (["-o", "t.jsonl"], "not a run"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    arguments: list[str], reason: str, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    written(tmp_path / "t.jsonl", 2)
    ended = command("eval", "run", "t.jsonl", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.err
    assert not list(tmp_path.glob("data/runs/*"))


def test_a_drop_of_what_has_no_better_is_refused(run_file: Path, command: Callable[..., Outcome]) -> None:
    ended = command("eval", "score", run_file, "--baseline", run_file, "--max-drop", "words=1")
    assert (ended.code, ended.out) == (2, "")
    assert "words is neither better high nor low" in ended.err


@pytest.mark.parametrize(
    "content", ["", '{"question": "Who?", "curated": false}\n', '{"question": "Who?"}\n']
)
def test_a_run_of_nothing_is_no_success(
    content: str, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    ended = command("eval", "run", "t.jsonl", "--tag", "none")
    assert ended.code == 3
    assert "no question was run" in ended.out
    assert ("1 left out" in ended.err) == ("curated" in content)


def test_a_run_with_another_setting_is_another_run(
    run_file: Path, filled: Filled, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    stricter: dict[str, Any] = {"data": filled.data, "CITEWIRE_MIN_CONFIDENCE": "1"}
    refused = command("eval", "run", "t.jsonl", "-o", run_file, **stricter)
    assert refused.code == 2
    default = Settings.model_fields["min_confidence"].default
    assert f"settings.min_confidence = {default}, now it is 1.0" in refused.err
    assert command("eval", "run", "t.jsonl", "-o", "other.jsonl", **stricter).code == 0
    compared = command("eval", "compare", run_file, "other.jsonl")
    assert compared.out.index(f"settings.min_confidence  {default}  1.0") < compared.out.index("metric  ")
    assert "show a drop of answer from" in " ".join(compared.out.split())
    fields = command("eval", "compare", run_file, run_file, "--json").fields
    assert fields["settings"] == fields["regressions"] == []
    assert {row["difference"] for row in fields["metrics"]} == {0.0}
    assert {row["p"] for row in fields["metrics"]} <= {1.0, None}


def test_check_names_line_and_article(
    filled: Filled, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    good = {"question": "Who?", "articles": ["none.example"]}
    (tmp_path / "t.jsonl").write_text(f'\n{json.dumps(good)}\n{{"question": 5}}\n')
    ended = command("eval", "check", "t.jsonl", data=filled.data)
    assert ended.code == 2
    assert ended.out.splitlines() == [
        "t.jsonl: line 3: no question",
        "t.jsonl: line 2: article 'none.example' of question line-2 is not in the library",
        "1 questions, 1 errors, 1 articles not in the library",
    ]
    fields = command("eval", "check", "t.jsonl", "--json", data=filled.data).fields
    assert fields["errors"] == [{"line": 3, "reason": "no question"}]
    assert fields["unknown_articles"] == [{"line": 2, "id": "line-2", "article": "none.example"}]
    (tmp_path / "t.jsonl").write_text(json.dumps(good))
    run = command("eval", "run", "t.jsonl", data=filled.data)
    assert run.code == 0
    assert "1 gold articles are not in the library" in run.err
    (tmp_path / "fine.jsonl").write_text('{"question": "Who?"}\n')
    assert command("eval", "check", "fine.jsonl", data=filled.data).code == 0

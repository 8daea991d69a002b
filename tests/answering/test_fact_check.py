"""`citewire check`: each sentence of a text against a source, or against what the articles say."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import take_in

from bot.articles.article import Article
from bot.cli.check import run_check
from bot.errors import CitewireError
from bot.services import Services

TRUE = "Argentina won the final against France on penalties."
FALSE = "Brazil lost the final against Japan by 3 goals."


@pytest.fixture
def ready(workspace: Services, four: list[Article]) -> Services:
    take_in(workspace, four)
    return workspace


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def pipe(monkeypatch: pytest.MonkeyPatch, *lines: object) -> None:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_rows_with_a_source_are_judged_against_it_alone(
    workspace: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(
        monkeypatch,
        {
            "id": 7,
            "sentence": "Rain fell on Lisbon for 2 days and flooded its streets.",
            "source": "Rain fell on Lisbon for two days and flooded its streets.",
        },
        {
            "id": "b",
            "sentence": "Rain fell on Lisbon for 3 days and flooded its streets.",
            "source": "Rain fell on Lisbon for two days and flooded its streets.",
        },
        {"id": "c", "sentence": TRUE, "source": ""},
    )
    run_check(workspace, "-", as_json=True)  # needs no article
    found = rows(capsys)
    assert [(row["id"], row["verdict"]) for row in found] == [
        (7, "supported"),
        ("b", "unsupported"),
        ("c", "unsupported"),
    ]
    assert found[0]["score"] < found[1]["score"]
    assert "3" in found[1]["reason"]
    assert all(row["citations"] == [] for row in found)


def test_rows_without_a_source_are_judged_against_the_articles(
    ready: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, {"id": 1, "sentence": TRUE}, {"sentence": FALSE, "source": None})
    run_check(ready, "-", as_json=True)
    true, false = rows(capsys)
    assert (true["id"], true["verdict"], true["citations"][0]["quote"]) == (1, "supported", TRUE)
    assert (false["id"], false["verdict"], false["citations"]) == (2, "unsupported", [])


def test_rows_that_cannot_be_read_are_told_and_the_others_are_checked(
    workspace: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"id": 1, "sentence": "It rained.", "source": "It rained."}
    pipe(monkeypatch, "{", "[]", '{"id": 3}', '{"sentence": "a", "source": 5}', "", good)
    with pytest.raises(CitewireError, match="4 rows could not be read"):
        run_check(workspace, "-", as_json=True)
    printed = capsys.readouterr()
    assert [json.loads(line)["id"] for line in printed.out.splitlines()] == [1]
    assert [line.split(":")[2] for line in printed.err.splitlines()] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("way", ["text", "file", "pipe"])
def test_each_sentence_of_a_text_is_checked(
    ready: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    way: str,
) -> None:
    text = f"{TRUE} [1] {FALSE}"
    (tmp_path / "draft.txt").write_text(text)
    pipe(monkeypatch, text)
    given = {"text": text, "file": "draft.txt", "pipe": "-"}[way]
    run_check(ready, given, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(None, 1) == ["supported", TRUE]
    assert f"[1] “{TRUE}”" in lines
    assert any(line.split(None, 1) == ["unsupported", FALSE] for line in lines)


def test_a_text_as_json_lines_names_its_sentences(
    ready: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    run_check(ready, f"{TRUE} {FALSE}", as_json=True)
    assert [(row["id"], row["sentence"]) for row in rows(capsys)] == [(1, TRUE), (2, FALSE)]


def test_nothing_to_check_and_nothing_to_check_against_are_said(workspace: Services) -> None:
    with pytest.raises(CitewireError, match="no sentence"):
        run_check(workspace, " ", as_json=False)
    with pytest.raises(CitewireError, match="citewire ingest"):
        run_check(workspace, TRUE, as_json=False)


def test_what_is_no_text_in_a_row_or_a_pipe_does_not_lose_the_rest(
    ready: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = '{"id": 1, "sentence": "It rained \\ud800 for days in Lisbon.", "source": "It rained \\ud800 for days in Lisbon."}'
    raw = f"{broken}\n".encode() + '{"id": 2, "sentence": "Café"}\n'.encode("latin-1")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", errors="strict"))
    run_check(ready, "-", as_json=True)
    assert [(row["id"], row["verdict"]) for row in rows(capsys)] == [(1, "supported"), (2, "unsupported")]

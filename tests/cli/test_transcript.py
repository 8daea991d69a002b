"""Transcripts: a conversation is written once, as Markdown that shows what was said and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.answering.answer import Answer, Citation, Sentence
from bot.cli.transcript import write_transcript
from bot.errors import QuestionError

QUOTE = "A *bank* failed <b>[here](http://evil.example)</b>."


def answer(**fields: object) -> Answer:
    citation = Citation(
        n=1, passage_id="p", article_id="a", version=1, start=0, end=len(QUOTE), quote=QUOTE, title="# Bank", source="Ledger",
        published=datetime(2023, 3, 10, tzinfo=UTC), url="https://ledger.example", link="https://ledger.example#:~:text=A",
    )  # fmt: skip
    given = {
        "question": "Which\nbank?", "standalone_question": "Which bank?", "status": "answered", "answerer": "extractive",
        "sentences": (Sentence(text=QUOTE, citations=(1,)),), "citations": (citation,),
    }  # fmt: skip
    return Answer(**{**given, **fields})  # type: ignore[arg-type]


def test_question_answer_and_citations_are_text(tmp_path: Path) -> None:
    write_transcript([answer(notice="As of *then*:")], tmp_path / "t.md")
    quote = "A \\*bank\\* failed \\<b\\>\\[here\\]\\(http\\://evil.example\\)\\</b\\>."
    assert (tmp_path / "t.md").read_text().splitlines() == [
        "## Which bank?", "", "*As of \\*then\\*:*", "", f"{quote} \\[1\\]", "",
        f"\\[1\\] “{quote}” Ledger · 10 March 2023 · \\# Bank <https://ledger.example#:~:text=A>", "",
    ]  # fmt: skip


def test_no_answer_is_written_too_and_a_bad_address_is_not(tmp_path: Path) -> None:
    bad = answer().citations[0].model_copy(update={"link": "javascript:alert(1)", "page": 3})
    none = answer(status="not_found", sentences=(), citations=())
    write_transcript([none, answer(citations=(bad,))], tmp_path / "t.md")
    text = (tmp_path / "t.md").read_text()
    assert "**The articles do not say.**" in text
    assert "javascript" not in text
    assert " · \\# Bank · p\\. 3\n" in text or " · \\# Bank · p. 3\n" in text


def test_what_is_weakly_supported_says_so_and_www_begins_no_link(tmp_path: Path) -> None:
    weak = Sentence(text="See www.evil.example.", citations=(1,), support="weak")
    write_transcript([answer(sentences=(weak,))], tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text().splitlines()[2] == (
        "See www\\.evil.example. \\[1\\] *weakly supported*"
    )


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text("mine")
    with pytest.raises(QuestionError, match="name a new file"):
        write_transcript([answer()], tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text() == "mine"
    with pytest.raises(QuestionError, match="cannot be written"):
        write_transcript([answer()], tmp_path / "nowhere" / "t.md")


def test_the_words_that_answer_are_bold_in_the_note(tmp_path: Path) -> None:
    spanned = answer().citations[0].model_copy(update={"answer_start": 9, "answer_end": 15})
    write_transcript([answer(citations=(spanned,))], tmp_path / "t.md")
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[4].startswith("\\[1\\] “A \\*bank\\* **failed** \\<b\\>\\[here\\]")
    assert (tmp_path / "t.md").read_text().count("**") == 2


def test_the_closest_passage_is_written_without_a_number(tmp_path: Path) -> None:
    closest = answer().citations[0].model_copy(update={"answer_start": 9, "answer_end": 15})
    unsure = answer(status="not_found", sentences=(), citations=(), closest=(closest,))
    write_transcript([unsure], tmp_path / "t.md")
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[2] == "**I am not sure the articles answer this. The closest passage:**"
    assert lines[4].startswith("“A \\*bank\\* **failed** \\<b\\>")
    assert lines[4].endswith("” Ledger · 10 March 2023 · \\# Bank <https://ledger.example#:~:text=A>")
    assert "\\[1\\]" not in "\n".join(lines)

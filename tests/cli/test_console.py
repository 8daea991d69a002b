"""The terminal: what articles say is shown as text, whatever it looks like, and only web addresses are links."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import make, take_in
from rich.text import Text

from bot.articles.article import Article
from bot.cli import console, listing
from bot.doctor import Check
from bot.ingestion.loaders import Skipped
from bot.ingestion.pipeline import IngestReport
from bot.services import Services
from bot.storage.models import ArticleSummary, StoreStats
from bot.text.formatting import format_date

NASTY = "[bold]x[/] [link=https://evil.example]click[/link] :smile: [/] {x} %s \\[red] [1]"
ESCAPES = "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\ \x07\x9b31m"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 9, 4, tzinfo=UTC), "4 September 2025"),
        (datetime(2022, 12, 18, 23, 59, tzinfo=UTC), "18 December 2022"),
        (datetime(1912, 4, 15, tzinfo=UTC), "15 April 1912"),
        (None, "undated"),
    ],
)
def test_dates_are_absolute_and_missing_ones_are_said(moment: datetime | None, expected: str) -> None:
    assert format_date(moment) == expected


def test_headlines_are_listed_with_absolute_dates_and_markup_as_text(
    workspace: Services, four: list[Article], capsys: pytest.CaptureFixture[str]
) -> None:
    take_in(workspace, [*four, make({"id": "n", "text": "Text.", "title": "[red]:bank:", "source": "[b]"})])
    listing.print_articles(workspace.articles.list_articles())
    first, *rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert first == ["Published", "Outlet", "Title", "Id"]
    assert [row[0] for row in rows] == ["2023-08-23", "2023-03-10", "2022-12-18", "–", "–"]
    assert [row[-1] for row in rows] == ["moon", "bank", "cup", "n", "quake"]
    assert rows[3] == ["–", "[b]", "[red]:bank:", "n"]


def test_a_piped_list_has_every_column_whole_and_a_line_an_article(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    key, title = (
        "https://paper.example/" + "x" * 60,
        "A headline of the usual length, or a little longer " * 2,
    )
    headline = ArticleSummary(
        key, 1, title.strip(), "The Daily Paper", datetime(2025, 9, 4, tzinfo=UTC), None
    )
    listing.print_articles([headline])
    row = capsys.readouterr().out.splitlines()[1]
    assert "The Daily Paper" in row
    assert title.strip() in row
    assert key in row  # `citewire forget` wants it


def test_an_empty_list_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    listing.print_articles([])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "citewire ingest" in shown.err


def test_a_report_tells_skips_from_what_was_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = [
        Skipped("[bold].jsonl", 7, "not valid JSON: [/]"),
        Skipped("t.jsonl", None, "a test set", expected=True),
    ]
    console.print_report(
        IngestReport(added=1_234, skipped=skipped, passages=2_468, seconds=2.0), StoreStats(1_300, 2_600)
    )
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "skipped: [bold].jsonl:7: not valid JSON: [/]",
        "passed over: t.jsonl: a test set",
    ]
    assert shown.out.splitlines() == [
        "1,234 added, 0 changed, 0 unchanged, 0 removed, 1 skipped",
        "2,468 passages in 2.0 s, 1,234 a second; the library holds 1,300 articles, 2,600 passages",
    ]


def test_a_thousand_skips_do_not_bury_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = [Skipped("a.jsonl", n, "no text") for n in range(1, 1_001)]
    console.print_report(IngestReport(skipped=skipped), StoreStats(0, 0))
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 21
    assert "980 more" in shown.err
    assert "1,000 skipped" in shown.out


def test_escapes_in_a_file_s_name_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from bot.ingestion.loaders import read_articles

    Path("\x1b[31mred.txt").write_bytes(b"")
    skipped = [item for item in read_articles([Path()]) if isinstance(item, Skipped)]
    console.print_report(IngestReport(skipped=skipped), StoreStats(0, 0))
    shown = capsys.readouterr().err
    assert "red.txt: the file is empty" in shown
    assert "\x1b" not in shown


def test_a_failed_check_shows_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    listing.print_checks([Check("words", True, "fine [b]"), Check("vectors", False, "gone", "run :smile:")])
    assert capsys.readouterr().out.splitlines() == [
        "ok   words: fine [b]",
        "FAIL vectors: gone",
        "     → run :smile:",
    ]


def test_escapes_in_a_folder_s_name_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    listing.print_checks([Check("library", False, f"{ESCAPES}: gone", "look at \r\x1b[2J")])
    shown = capsys.readouterr().out
    assert "[31mred" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


def test_errors_and_progress_stay_off_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_waiting_for_lock()
    with (
        console.spinner("Reading"),
        console.ingest_progress() as show,
        console.passage_progress(3) as tick,
    ):
        show(IngestReport(added=1, seconds=1.0))
        tick(3)
    console.err.print(Text("x"))
    assert capsys.readouterr().out == ""

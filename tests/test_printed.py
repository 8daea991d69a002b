"""Printed answers: what articles and models say is shown as text, and only web addresses are links."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import make, take_in
from rich.console import Console

from bot import listed, printed
from bot.answers.answer import Answer, Citation, Nearest, Sentence
from bot.answers.question import Question
from bot.answers.turn import Trace
from bot.retrieval.filters import Filters
from bot.workspace import Workspace

NASTY = "[bold]x[/] [link=https://evil.example]click[/link] :smile: [/] {x} %s \\[red] [1]"
ESCAPES = "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\ \x07\x9b31m"
PRINT = (
    "import sys; from bot import printed; from bot.answers.answer import Answer; "
    "printed.print_answer(Answer.model_validate_json(open(sys.argv[1], encoding='utf-8').read()))"
)


def citation(*, quote: str = "A bank failed.", title: str = "Bank fails", **fields: object) -> Citation:
    url = fields.get("url", "https://ledger.example/bank")
    given = {
        "n": 1, "passage_id": "p", "article_id": "a", "version": 1, "start": 0, "end": len(quote), "quote": quote,
        "title": title, "source": "Ledger", "published": datetime(2025, 9, 4, tzinfo=UTC), "url": url, "link": url,
    }  # fmt: skip
    return Citation(**{**given, **fields})  # type: ignore[arg-type]


def answered(*citations: Citation) -> Answer:
    return Answer(
        question="q",
        standalone_question="q",
        status="answered",
        sentences=tuple(Sentence(text=cited.quote, citations=(cited.n,)) for cited in citations),
        citations=citations,
        answerer="extractive",
    )


def not_found(*nearest: Nearest) -> Answer:
    return Answer(
        question="q", standalone_question="q", status="not_found", nearest=nearest, answerer="extractive"
    )


def in_terminal(answer: Answer, *, columns: int = 200) -> str:
    """Print an answer to a real terminal, and return all that reaches it."""
    path = Path("answer.json")
    path.write_text(answer.model_dump_json(), encoding="utf-8")
    colours = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM")
    surroundings = {name: value for name, value in os.environ.items() if name not in colours}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PRINT, path],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**surroundings, "TERM": "xterm-256color", "COLUMNS": str(columns), "PYTHONUTF8": "1"},
    )
    os.close(theirs)
    shown = b"".join(_read(ours))
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode()


def _read(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # what Linux says when the other end is closed
            return
        if not part:
            return
        yield part


def plain(shown: str) -> str:
    """Return what stands on the screen: without colours, links and line breaks."""
    shown = re.sub(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return " ".join(shown.split())


def test_a_citation_reads_quote_then_outlet_date_and_title_then_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    link = "https://ledger.example/bank#:~:text=A%20bank%20failed."
    second = citation(
        n=2, quote="Depositors\n queued.", title="", source="", published=None, url=None, link=None, page=3
    )
    printed.print_answer(answered(citation(link=link), second))
    assert capsys.readouterr().out.splitlines() == [
        "[1] “A bank failed.”",
        "    Ledger · 4 September 2025 · Bank fails",
        f"    {link}",
        "[2] “Depositors queued.”",
        "    undated · (no title) · p. 3",
    ]


def test_no_answer_names_the_nearest_articles_with_their_dates(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2022, 12, 18, tzinfo=UTC)
    printed.print_answer(
        not_found(
            Nearest(article_id="cup", title="Final won", source="Daily", published=moment, url=None),
            Nearest(article_id="quake", title=NASTY, source="", published=None, url=None),
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        "The articles do not say.",
        "The nearest articles:",
        "  · Daily · 18 December 2022 · Final won",
        f"  · undated · {NASTY}",
    ]


def test_a_long_quote_is_one_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    quote = "word " * 200 + "end."
    printed.print_answer(answered(citation(quote=quote, title="t" * 300)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"[1] “{quote}”"
    assert len(lines) == 3


def test_markup_and_emoji_codes_are_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    printed.print_answer(answered(citation(quote=NASTY, title=NASTY, source=":bank:")))
    shown = capsys.readouterr().out
    assert shown.count(NASTY) == 2
    assert ":bank: · 4 September 2025" in shown


def test_markup_and_emoji_codes_are_text_in_a_terminal() -> None:
    shown = in_terminal(answered(citation(quote=NASTY, title=NASTY, source=":bank:", url=None, link=None)))
    assert plain(shown).count(NASTY) == 2
    assert ":bank: · 4 September 2025" in plain(shown)
    assert "\x1b]8;" not in shown  # what an article calls a link is none


def test_escapes_in_an_article_never_reach_the_terminal(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"Argentina won the final {ESCAPES} against France on penalties."
    record = {"id": ESCAPES, "text": text, "title": f"Final {ESCAPES}", "source": f"Daily {ESCAPES}"}
    take_in(workspace, [make(record)])
    answer = workspace.chain.invoke("Has Argentina won the final against France on penalties?")
    assert answer.status == "answered"
    printed.print_answer(answer)
    listed.print_headlines(workspace.library.headlines())
    shown = capsys.readouterr().out
    assert "[31mred" in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)  # tabs part our own columns


def test_a_web_address_becomes_a_link_that_jumps_to_the_quote() -> None:
    link = "https://ledger.example/bank?a=1&b=2#:~:text=A%20bank%20failed."
    shown = in_terminal(answered(citation(link=link, url="https://ledger.example/bank?a=1&b=2")), columns=30)
    targets = re.findall(r"\x1b\]8;[^;]*;([^\x1b]*)\x1b\\", shown)
    assert [target for target in targets if target] == [link]
    assert "https://ledger.example/bank?a=1&b=2\x1b" in shown  # shown whole, on one line
    assert "#:~:text" not in plain(shown)


@pytest.mark.parametrize(
    "url", ["nq:640", "javascript:alert(1)", "file:///etc/passwd", "https://x.example/a b"]
)
def test_what_is_no_web_address_is_shown_and_not_linked(url: str) -> None:
    shown = in_terminal(answered(citation(url=url)))
    assert "\x1b]8;" not in shown
    assert url in plain(shown)


def test_a_passage_is_shown_between_whole_words_of_its_article(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{'begin ' * 200}A bank failed.{' close' * 200}"
    shown = citation(start=1_200, end=1_214)
    printed.print_passage(shown, make({"text": text, "title": "Bank fails"}))
    line = capsys.readouterr().out.splitlines()[1]
    assert "begin »A bank failed.« close" in line
    assert {word.strip("…") for word in line.split()} == {"", "begin", "»A", "bank", "failed.«", "close"}
    printed.print_passage(citation(), make({"text": "A bank failed. It rained."}))
    assert capsys.readouterr().out.splitlines()[1] == "»A bank failed.« It rained."


def test_sentences_that_stream_break_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = io.StringIO()
    monkeypatch.setattr(printed, "out", Console(file=seen, force_terminal=True, width=30, color_system=None))
    sentences = [
        Sentence(text="The bank failed on Friday morning.", citations=(1,), support="weak"),
        Sentence(text="Depositors queued.", citations=(1,), support="supported"),
    ]
    answer = answered(citation())
    printed.print_stream([*sentences, Trace(answer, Question("q"), datetime.now(UTC), Filters())])
    assert seen.getvalue().splitlines()[:3] == [
        "The bank failed on Friday     ",
        "morning. [1] (weakly          ",
        "supported)                    ",
    ]

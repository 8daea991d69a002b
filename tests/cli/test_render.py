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

from bot.answering.answer import Answer, ArticleRef, Citation, Sentence
from bot.answering.question import AnswerTrace, Notice, Question
from bot.cli import listing, render
from bot.indexing.filters import SearchFilters
from bot.services import Services

NASTY = "[bold]x[/] [link=https://evil.example]click[/link] :smile: [/] {x} %s \\[red] [1]"
ESCAPES = "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\ \x07\x9b31m"
PRINT = (
    "import sys; from bot.cli import render; from bot.answering.answer import Answer; "
    "render.print_answer(Answer.model_validate_json(open(sys.argv[1], encoding='utf-8').read()))"
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


def not_found(*nearest: ArticleRef) -> Answer:
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
    render.print_answer(answered(citation(link=link), second))
    assert capsys.readouterr().out.splitlines() == [
        "[1] “A bank failed.”",
        "    Ledger · 4 September 2025 · Bank fails",
        f"    {link}",
        "[2] “Depositors queued.”",
        "    undated · (no title) · p. 3",
    ]


def test_no_answer_names_the_nearest_articles_with_their_dates(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2022, 12, 18, tzinfo=UTC)
    render.print_answer(
        not_found(
            ArticleRef(article_id="cup", title="Final won", source="Daily", published=moment, url=None),
            ArticleRef(article_id="quake", title=NASTY, source="", published=None, url=None),
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
    render.print_answer(answered(citation(quote=quote, title="t" * 300)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"[1] “{quote}”"
    assert len(lines) == 3


def test_markup_and_emoji_codes_are_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_answer(answered(citation(quote=NASTY, title=NASTY, source=":bank:")))
    shown = capsys.readouterr().out
    assert shown.count(NASTY) == 2
    assert ":bank: · 4 September 2025" in shown


def test_markup_and_emoji_codes_are_text_in_a_terminal() -> None:
    shown = in_terminal(answered(citation(quote=NASTY, title=NASTY, source=":bank:", url=None, link=None)))
    assert plain(shown).count(NASTY) == 2
    assert ":bank: · 4 September 2025" in plain(shown)
    assert "\x1b]8;" not in shown  # what an article calls a link is none


def test_escapes_in_an_article_never_reach_the_terminal(
    workspace: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"Argentina won the final {ESCAPES} against France on penalties."
    record = {"id": ESCAPES, "text": text, "title": f"Final {ESCAPES}", "source": f"Daily {ESCAPES}"}
    take_in(workspace, [make(record)])
    answer = workspace.chain.invoke("Has Argentina won the final against France on penalties?")
    assert answer.status == "answered"
    render.print_answer(answer)
    listing.print_articles(workspace.articles.list_articles())
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
    render.print_passage(shown, make({"text": text, "title": "Bank fails"}))
    line = capsys.readouterr().out.splitlines()[1]
    assert "begin »A bank failed.« close" in line
    assert {word.strip("…") for word in line.split()} == {"", "begin", "»A", "bank", "failed.«", "close"}
    render.print_passage(citation(), make({"text": "A bank failed. It rained."}))
    assert capsys.readouterr().out.splitlines()[1] == "»A bank failed.« It rained."


def test_sentences_that_stream_break_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=seen, force_terminal=True, width=30, color_system=None))
    sentences = [
        Sentence(text="The bank failed on Friday morning.", citations=(1,), support="weak"),
        Sentence(text="Depositors queued.", citations=(1,), support="supported"),
    ]
    answer = answered(citation())
    render.print_stream([*sentences, AnswerTrace(answer, Question("q"), datetime.now(UTC), SearchFilters())])
    assert seen.getvalue().splitlines()[:3] == [
        "The bank failed on Friday     ",
        "morning. [1] (weakly          ",
        "supported)                    ",
    ]


def unsure(*closest: Citation, **fields: object) -> Answer:
    return not_found().model_copy(update={"closest": closest, **fields})


def bold(shown: str) -> list[str]:
    """Return what a terminal shows in bold."""
    return re.findall(r"\x1b\[1m(.*?)\x1b\[0m", shown)


def test_the_words_that_answer_are_bold_in_the_quote_in_a_terminal() -> None:
    quote = "At  least\n 34 \t people [bold]died[/]."
    shown = in_terminal(answered(citation(quote=quote, start=50, answer_start=61, answer_end=72)))
    assert "“At least 34 people [bold]died[/].”" in plain(shown)
    assert bold(shown) == ["34 people"]


@pytest.mark.parametrize("words", [NASTY, "\x1b[0m", ":smile:"])
def test_bold_words_are_text_in_a_terminal(words: str) -> None:
    quote = f"It said {words} twice."
    words = words.replace("\x1b", "")  # which no article holds
    quote = quote.replace("\x1b", "")
    shown = in_terminal(answered(citation(quote=quote, answer_start=8, answer_end=8 + len(words))))
    assert f"“{quote}”" in plain(shown)
    assert bold(shown) == [words]


def test_without_known_words_no_quote_is_bold() -> None:
    assert bold(in_terminal(answered(citation()))) == []


def test_bold_words_are_plain_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_answer(answered(citation(answer_start=2, answer_end=6)))
    assert capsys.readouterr().out.splitlines()[0] == "[1] “A bank failed.”"


def test_the_words_that_answer_are_bold_within_their_article(monkeypatch: pytest.MonkeyPatch) -> None:
    article = make({"text": "It rained. A bank failed. It snowed."})

    def passage(**fields: object) -> str:
        seen = io.StringIO()
        console = Console(file=seen, force_terminal=True, color_system="standard", width=200)
        monkeypatch.setattr(render, "out", console)
        render.print_passage(citation(start=11, end=25, **fields), article)
        return seen.getvalue()

    shown = passage(answer_start=13, answer_end=17)
    assert "It rained. »A bank failed.« It snowed." in plain(shown)
    assert re.search(r"\x1b\[36m»A \x1b\[0m\x1b\[1;36mbank\x1b\[0m\x1b\[36m failed.«\x1b\[0m", shown)
    assert "\x1b[1;36m»A bank failed.«\x1b[0m" in passage()


def test_if_it_is_not_sure_the_closest_passage_is_shown_and_not_cited(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = ArticleRef(article_id="b", title="Rates rise", source="Daily", published=None, url=None)
    same = other.model_copy(update={"article_id": "a", "title": "Bank fails"})
    render.print_answer(unsure(citation(answer_start=2, answer_end=6), nearest=(same, other)))
    assert capsys.readouterr().out.splitlines() == [
        "I am not sure the articles answer this. The closest passage:",
        "    “A bank failed.”",
        "    Ledger · 4 September 2025 · Bank fails",
        "    https://ledger.example/bank",
        "Other articles that came near:",
        "  · Daily · undated · Rates rise",
    ]
    render.print_answer(unsure(citation(), nearest=(same,)))
    assert "came near" not in capsys.readouterr().out


def test_the_closest_passage_has_its_words_in_bold_and_its_link_in_a_terminal() -> None:
    shown = in_terminal(unsure(citation(quote=NASTY, answer_start=6, answer_end=7)))
    assert f"“{NASTY}”" in plain(shown)
    assert bold(shown) == ["I am not sure the articles answer this. The closest passage:", "x"]
    assert "https://ledger.example/bank" in shown


def test_the_closest_passage_is_shown_below_a_notice_that_was_streamed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = unsure(citation(), notice="No article is from June.")
    trace = AnswerTrace(answer, Question("q"), datetime.now(UTC), SearchFilters())
    render.print_stream([Notice("No article is from June."), trace])
    assert capsys.readouterr().out.splitlines()[:3] == [
        "No article is from June.",
        "I am not sure the articles answer this. The closest passage:",
        "    “A bank failed.”",
    ]

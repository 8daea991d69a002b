"""Chat: one answer a line, follow-ups, and a conversation that goes on whatever one question does."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import WordEmbedder, take_in
from openai_server import ChatRequest, OpenAIServer, Reply

from bot.answering.answer import NOT_FOUND, NOT_SURE, Answer, Citation
from bot.answering.pipeline import AnswerPipeline
from bot.answering.question import MAX_QUESTION_CHARS, AnswerTrace, Question
from bot.articles.article import Article
from bot.cli.chat import run_chat
from bot.errors import EmbeddingError
from bot.indexing.filters import SearchFilters
from bot.services import Services
from bot.settings import load_settings

QUESTION = "Has Argentina won the final against France on penalties?"
QUOTE = "“Argentina won the final against France on penalties.”"
FOLLOW_UP = "And who scored twice in the match?"

Say = Callable[..., "Said"]


class Said:
    """What a conversation printed."""

    def __init__(self, out: str, err: str) -> None:
        self.out = out
        self.err = err


@pytest.fixture
def ready(workspace: Services, four: list[Article]) -> Services:
    take_in(workspace, four)
    return workspace


@pytest.fixture
def say(ready: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Hold a conversation through a pipe: each argument is a line."""

    def run(*lines: str, workspace: Services | None = None) -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        run_chat(workspace or ready)
        return Said(*capsys.readouterr())

    return run


def asked(embedder: WordEmbedder) -> list[str]:
    """Return the questions that were searched for; articles' texts come with others, in one call."""
    return [text for text in dict.fromkeys(embedder.encoded) if text.endswith("?")]


def test_each_line_of_a_pipe_is_answered_and_its_end_is_the_end(say: Say) -> None:
    said = say(QUESTION, "", "   ", "What does a litre of paint cost in Norway?")
    assert said.out.count(QUOTE) == 1
    assert said.out.count(NOT_FOUND) == 1
    assert said.out.index(QUOTE) < said.out.index(NOT_FOUND)
    assert said.err == ""


def test_a_last_line_without_a_newline_is_answered(
    ready: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\ufeff{QUESTION}"))
    run_chat(ready)
    assert QUOTE in capsys.readouterr().out


def test_an_empty_pipe_says_nothing(say: Say) -> None:
    said = say()
    assert (said.out, said.err) == ("", "")


@pytest.mark.parametrize("command", [":quit", ":q", ":exit", "  :quit  "])
def test_quit_leaves_the_rest_unread(say: Say, command: str) -> None:
    assert QUOTE not in say(command, QUESTION).out


@pytest.mark.parametrize("command", [":help", ":", ":nonsense", ":new conversation"])
def test_help_is_given_when_asked_for_and_for_unknown_commands(say: Say, command: str) -> None:
    said = say(command, QUESTION)
    assert all(name in said.out for name in (":new", ":help", ":quit"))
    assert QUOTE in said.out


def test_a_follow_up_leans_on_the_question_before_it(say: Say, embedder: WordEmbedder) -> None:
    embedder.encoded.clear()
    said = say(QUESTION, FOLLOW_UP)
    assert asked(embedder) == [QUESTION, f"{QUESTION} {FOLLOW_UP}"]
    assert said.out.count("Daily · 18 December 2022 · Final won on penalties") >= 2


def test_new_forgets_the_conversation(say: Say, embedder: WordEmbedder) -> None:
    embedder.encoded.clear()
    said = say(QUESTION, ":new", FOLLOW_UP)
    assert asked(embedder) == [QUESTION, FOLLOW_UP]
    assert "A new conversation." in said.out


def test_small_talk_and_commands_are_no_part_of_the_conversation(say: Say, embedder: WordEmbedder) -> None:
    embedder.encoded.clear()
    said = say(QUESTION, "thanks!", ":help", FOLLOW_UP)
    assert "You are welcome." in said.out
    assert asked(embedder) == [QUESTION, f"{QUESTION} {FOLLOW_UP}"]


def test_an_unanswered_question_is_part_of_the_conversation(say: Say, embedder: WordEmbedder) -> None:
    embedder.encoded.clear()
    say("What does a litre of paint cost in Norway?", "And in Sweden?")
    assert asked(embedder)[-1] == "What does a litre of paint cost in Sweden?"


def test_a_follow_up_to_a_follow_up_still_knows_the_subject(say: Say, embedder: WordEmbedder) -> None:
    embedder.encoded.clear()
    say(QUESTION, "And who scored?", "When was it?")
    assert asked(embedder)[-1] == f"{QUESTION} And who scored? When was it?"


def test_an_overlong_question_is_refused_and_the_conversation_goes_on(
    say: Say, embedder: WordEmbedder
) -> None:
    embedder.encoded.clear()
    said = say(QUESTION, "x" * (MAX_QUESTION_CHARS + 1), FOLLOW_UP)
    assert f"citewire: the question has {MAX_QUESTION_CHARS + 1:,} characters" in said.err
    assert len(said.err.splitlines()) == 1
    assert asked(embedder)[-1] == f"{QUESTION} {FOLLOW_UP}"  # and it is no part of it


@pytest.mark.parametrize(
    "line", ["[bold]x[/] :smile: [/]", "\x00", "; DROP TABLE articles", "🌍" * 50, 'AND OR NOT "(']
)
def test_odd_lines_do_not_end_the_conversation(say: Say, line: str) -> None:
    said = say(line, QUESTION)
    assert QUOTE in said.out
    assert "Traceback" not in said.err


def test_a_line_that_is_not_utf_8_does_not_end_the_conversation(
    ready: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = io.BytesIO("Who opened the café?\n".encode("latin-1") + f"{QUESTION}\n".encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw, encoding="utf-8", errors="strict"))
    run_chat(ready)
    assert QUOTE in capsys.readouterr().out


class Faltering(WordEmbedder):
    """Fails at the first question it is given, and then works."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self._failure: BaseException | None = failure

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure
        return super().encode(texts)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (KeyboardInterrupt(), "Stopped."),
        (
            EmbeddingError("the model is gone; [bold]fetch[/] it"),
            "citewire: the model is gone; [bold]fetch[/] it",
        ),
    ],
)
def test_a_question_that_is_stopped_or_fails_does_not_end_the_conversation(
    ready: Services, say: Say, tmp_path: Path, failure: BaseException, told: str
) -> None:
    other = Services(load_settings(data_dir=tmp_path / "data"), embedder=Faltering(failure))
    said = say("Who failed on Friday?", QUESTION, workspace=other)
    other.close()
    assert said.err.splitlines() == [told]
    assert QUOTE in said.out


def test_articles_that_come_in_meanwhile_are_found(
    workspace: Services, four: list[Article], say: Say, ready: Services, tmp_path: Path
) -> None:
    with ready.index_writer() as indexer:
        indexer.publish(retired=["cup"])
    assert QUOTE not in say(QUESTION).out
    other = Services(load_settings(data_dir=tmp_path / "data"), embedder=WordEmbedder())  # another process
    take_in(other, four)
    other.close()
    assert QUOTE in say(QUESTION).out


def test_sources_shows_the_quote_within_its_article(say: Say) -> None:
    said = say(QUESTION, ":sources 1", ":sources [1]")
    assert (
        said.out.count(
            "»Argentina won the final against France on penalties.« Messi scored twice in the match."
        )
        == 2
    )
    assert "https://daily.example/cup#:~:text=" in said.out


@pytest.mark.parametrize("number", ["9", "", "x", "-1", "1; :quit"])
def test_a_citation_that_is_not_there_is_said(say: Say, number: str) -> None:
    said = say(QUESTION, f":sources {number}", QUESTION)
    assert "there is no citation" in said.err
    assert said.out.count(QUOTE) == 2
    assert "the last answer has none" in say(":sources 1").err


def test_since_and_until_narrow_what_follows_and_nothing_lifts_them(say: Say) -> None:
    said = say(":since 2023", QUESTION, ":since", QUESTION, ":until 2022-06", QUESTION, ":until")
    assert "Only articles of this time: since 1 January 2023." in said.out
    assert said.out.count("Articles of any time.") == 2
    assert said.out.count(QUOTE) == 1


def test_what_is_no_day_is_refused_and_changes_nothing(say: Say) -> None:
    said = say(":since 2022-12", ":since yesterday", ":until 2022-01", QUESTION)
    assert "'yesterday' is not a day" in said.err
    assert "since 2022-12 lies after until 2022-01" in said.err
    assert QUOTE in said.out


def test_the_conversation_is_saved_once(say: Say, tmp_path: Path) -> None:
    said = say(QUESTION, "thanks", ":save talk.md", ":save talk.md", ":save")
    assert "2 answers written to talk.md" in said.out
    assert "talk.md is there already" in said.err
    assert "name a file" in said.err
    assert f"## {QUESTION}" in (tmp_path / "talk.md").read_text()


def test_another_model_answers_from_then_on_and_one_that_cannot_be_set_up_changes_nothing(
    tmp_path: Path, four: list[Article], say: Say
) -> None:
    with OpenAIServer("Argentina has won the final against France on penalties [1].") as server:
        settings = load_settings(data_dir=tmp_path / "data", chat_base_url=server.url)
        other = Services(settings, embedder=WordEmbedder())
        take_in(other, four)
        said = say(
            ":model",
            QUESTION,
            ":model nonsense",
            ":model openai:test",
            QUESTION,
            ":model none",
            QUESTION,
            workspace=other,
        )
        other.close()
    assert "Answers come from the articles, as quotes." in said.out
    assert "Answers come from openai:test." in said.out
    assert "cannot be set up" in said.err
    assert said.out.count("Argentina has won the final against France on penalties. [1]") == 1
    assert len(server.requests) == 1


class Interrupting:
    """A model server that is waited for until somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def __call__(self, request: ChatRequest) -> Reply:
        self.asked.set()
        return Reply("and so on " * 1_000, delay=0.05)


def test_ctrl_c_stops_an_answer_and_not_the_chat(tmp_path: Path, four: list[Article]) -> None:
    script = Interrupting()
    with OpenAIServer(script) as server:
        settings = load_settings(data_dir=tmp_path / "data")
        with contextlib.closing(Services(settings, embedder=WordEmbedder())) as workspace:
            take_in(workspace, four)
        program = (
            "import sys; sys.path[:0] = sys.argv[1:]; from conftest import WordEmbedder; from bot.cli.chat import run_chat; "
            "from bot.settings import load_settings; from bot.services import Services; "
            "run_chat(Services(load_settings(), embedder=WordEmbedder()))"
        )
        chatting = subprocess.Popen(
            [sys.executable, "-c", program, *(str(Path(__file__).parents[1] / name) for name in (".", "helpers"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"CITEWIRE_CHAT_MODEL": "openai:test", "CITEWIRE_CHAT_BASE_URL": server.url},
        )  # fmt: skip
        assert chatting.stdin is not None
        chatting.stdin.write(f"{QUESTION}\n")
        chatting.stdin.flush()
        assert script.asked.wait(120)
        chatting.send_signal(signal.SIGINT)
        out, err = chatting.communicate(":model\nhello\n", timeout=120)
    assert chatting.returncode == 0, err
    assert "Stopped." in err
    assert "Answers come from openai:test." in out
    assert "Hello." in out


def test_a_closest_passage_is_shown_and_neither_cited_nor_remembered_as_an_answer(
    say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quote = "Argentina won the final."
    closest = Citation(
        n=1, passage_id="p", article_id="cup", version=1, start=0, end=len(quote), quote=quote, title="Final won", source="Daily",
        published=None, url=None, link=None, answer_start=0, answer_end=9,
    )  # fmt: skip
    asked: list[Question] = []

    def traced(_: AnswerPipeline, question: Question) -> Iterator[AnswerTrace]:
        asked.append(question)
        answer = Answer(
            question=question.text, standalone_question="q", status="not_found", closest=(closest,), answerer="extractive"
        )  # fmt: skip
        yield AnswerTrace(answer, question, datetime.now(UTC), SearchFilters())

    monkeypatch.setattr(AnswerPipeline, "run", traced)
    said = say("Who won?", ":sources 1", "And when?", ":save talk.md")
    assert said.out.splitlines()[:3] == [NOT_SURE, f"    “{quote}”", "    Daily · undated · Final won"]
    assert "there is no citation 1; the last answer has none" in said.err
    assert [(one.question, one.answer) for one in asked[1].turns] == [("Who won?", "")]
    assert (
        "“**Argentina** won the final.” Daily · undated · Final won\n" in (tmp_path / "talk.md").read_text()
    )

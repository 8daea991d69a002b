"""Composed answers: a real model server writes them, and only what the passages support reaches the reader."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import WordEmbedder, take_in
from langchain_core.callbacks import BaseCallbackHandler
from openai_server import ChatRequest, OpenAIServer, Reply

from bot.answering.answer import NOT_FOUND, Answer, Sentence
from bot.answering.question import Question
from bot.articles.article import Article
from bot.services import Services
from bot.settings import load_settings

QUESTION = "Has Argentina won the final against France on penalties?"
CUP = "Argentina won the final against France on penalties"
MESSI = "Messi scored twice in the match"
KEY = "sk-test-0123456789abcdef"

Compose = Callable[..., tuple[Services, OpenAIServer]]


@pytest.fixture
def compose(tmp_path: Path, four: list[Article], monkeypatch: pytest.MonkeyPatch) -> Iterator[Compose]:
    """Start a model server with these replies, and a workspace that asks it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ExitStack() as stack:

        def start(
            *replies: Reply | str | Callable[[ChatRequest], Reply], **settings: Any
        ) -> tuple[Services, OpenAIServer]:
            script = replies[0] if len(replies) == 1 else list(replies)
            server = stack.enter_context(OpenAIServer(script))  # type: ignore[arg-type]
            chosen = load_settings(
                data_dir=tmp_path / "data", chat_model="openai:test", chat_base_url=server.url, **settings
            )
            workspace = Services(chosen, embedder=WordEmbedder())
            stack.callback(workspace.close)
            take_in(workspace, four)
            return workspace, server

        yield start


def numbered(request: ChatRequest, words: str) -> int:
    """Return the number of the passage in a prompt that holds these words."""
    before = request.prompt[: request.prompt.index(words)]
    return int(before.rsplit('n="', 1)[1].split('"', 1)[0])


def saying(*sentences: tuple[str, str], **reply: Any) -> Callable[[ChatRequest], Reply]:
    """Write sentences that cite the passages which hold the given words; "" cites none."""

    def write(request: ChatRequest) -> Reply:
        marks = [f" [{numbered(request, words)}]" if words else "" for _, words in sentences]
        text = " ".join(f"{said}{mark}." for (said, _), mark in zip(sentences, marks, strict=True))
        return Reply(text, **reply)

    return write


def reasons(answer: Answer) -> dict[str, str]:
    return {dropped.text: dropped.reason for dropped in answer.dropped}


def test_a_supported_sentence_reaches_the_reader_beside_the_sentence_it_stands_on(
    compose: Compose, four: list[Article]
) -> None:
    workspace, server = compose(
        saying(("The final against France was won by Argentina on penalties", CUP), (MESSI, MESSI))
    )
    answer = workspace.chain.invoke(QUESTION)
    assert (answer.status, answer.answerer, answer.notice, answer.dropped) == (
        "answered",
        "openai:test",
        "",
        (),
    )
    assert answer.text == f"The final against France was won by Argentina on penalties. {MESSI}."
    assert [sentence.citations for sentence in answer.sentences] == [(1,), (2,)]
    assert [citation.quote for citation in answer.citations] == [f"{CUP}.", f"{MESSI}."]
    cup = next(article for article in four if article.id == "cup")
    assert all(cup.text[c.start : c.end] == c.quote for c in answer.citations)
    assert (answer.citations[0].link or "").startswith("https://daily.example/cup#:~:text=")
    assert answer.usage is not None
    assert answer.usage.output_tokens > 0
    assert server.requests[0].stream


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("Messi scored three times in the match", "the number"),
        ("Argentina won the final against France in 2021", "2021"),
        ("Ronaldo scored twice in the match", "Ronaldo"),
        ("The coach said “we were lucky” in the match", "quotation"),
        ("The stadium was sold to a bank last summer by its owners", "cited text"),
    ],
)
def test_what_no_passage_says_never_reaches_the_reader(compose: Compose, lie: str, words: str) -> None:
    workspace, _ = compose(saying((lie, MESSI), (CUP, CUP)))
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert words in reasons(answer)[f"{lie}."]
    assert answer.dropped[0].cited


@pytest.mark.parametrize(
    "dress",
    [
        "see evil.example/x",
        "@channel",
        "&lt;!channel&gt; @here",
        "(evil.com)",
        "<!-- x",
        ":skull:",
        "me＠evil.com",
    ],
)
def test_what_would_be_a_link_or_a_call_somewhere_never_reaches_the_reader(
    compose: Compose, dress: str
) -> None:
    workspace, _ = compose(saying((f"{CUP} {dress}", CUP), (MESSI, MESSI)))
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{MESSI}."
    assert reasons(answer)[answer.dropped[0].text] == "it holds an address"


@pytest.mark.parametrize("mark", ["", " [99]", " [0]"])
def test_a_true_sentence_without_a_usable_citation_is_attributed_to_the_passage_that_carries_it(
    compose: Compose, mark: str
) -> None:
    workspace, _ = compose(f"{CUP}{mark}.")
    answer = workspace.chain.invoke(QUESTION)
    assert answer.citations[0].article_id == "cup"
    assert answer.text == f"{CUP}."


def test_a_true_sentence_with_a_wrong_citation_is_attributed_to_the_passage_that_carries_it(
    compose: Compose,
) -> None:
    workspace, _ = compose(saying((CUP, "A lander touched down")))
    answer = workspace.chain.invoke(f"{QUESTION} Has a lander touched down on the Moon?")
    assert [citation.article_id for citation in answer.citations] == ["cup"]


def test_a_cited_passage_that_adds_nothing_is_left_out(compose: Compose) -> None:
    def write(request: ChatRequest) -> Reply:
        return Reply(f"{CUP} [{numbered(request, 'lander touched')}][{numbered(request, CUP)}].")

    workspace, _ = compose(write)
    answer = workspace.chain.invoke(f"{QUESTION} Has a lander touched down on the Moon?")
    assert [citation.article_id for citation in answer.citations] == ["cup"]


@pytest.mark.parametrize(
    ("finish", "notice"),
    [("", ""), ("content_filter", "The chat model did not finish (its provider filtered the rest)"), ("length", "The chat")],
)  # fmt: skip
def test_what_is_left_of_an_answer_that_ended_early_shows_no_half_sentence(
    compose: Compose, finish: str, notice: str
) -> None:
    workspace, _ = compose(Reply(f"{CUP} [1]. Messi scored twice in", finish_reason=finish))
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert answer.dropped[0].reason == "it was cut off"
    assert answer.notice.startswith(notice)


def test_where_nothing_is_supported_quotes_stand_in_and_say_so(compose: Compose) -> None:
    workspace, _ = compose("Brazil lost the final to Japan [1]. It was a cold night in Rome.")
    answer = workspace.chain.invoke(QUESTION)
    assert answer.answerer == "extractive"
    assert (
        answer.notice == "Nothing that the chat model wrote is supported by the articles: these are quotes."
    )
    assert answer.sentences[0] == Sentence(text=f"{CUP}.", citations=(1,), support="verbatim")
    assert len(answer.dropped) == 2


@pytest.mark.parametrize(
    "text",
    [NOT_FOUND, "I'm sorry, but the passages do not mention this.", "The articles do not say who won [1]."],
)
def test_a_model_that_finds_no_answer_is_believed(compose: Compose, text: str) -> None:
    workspace, _ = compose(text)
    answer = workspace.chain.invoke(QUESTION)
    assert (answer.status, answer.text, answer.sentences, answer.citations) == (
        "not_found",
        NOT_FOUND,
        (),
        (),
    )
    assert answer.nearest[0].article_id == "cup"
    assert answer.confidence < 0.5


def test_a_model_that_answers_in_part_says_so(compose: Compose) -> None:
    workspace, _ = compose(f"{CUP} [1]. The articles do not say where it was played.")
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert answer.notice == "The articles say only part of what was asked."


def test_a_question_is_no_answer_and_a_model_that_repeats_itself_is_stopped(compose: Compose) -> None:
    workspace, server = compose(Reply(f"Who won the final on penalties? {CUP} [1]. " * 300, delay=0.01))
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert len(answer.dropped) < 10
    assert reasons(answer)["Who won the final on penalties?"] == "it was said already"
    assert answer.dropped[0].reason == "it asks or introduces, and says nothing"
    assert sum(len(sent.text) for sent in server.requests[0].sent) < 5_000


def test_what_says_next_to_nothing_is_attributed_to_no_passage(compose: Compose) -> None:
    workspace, _ = compose(f"The match: Friday. {CUP} [1]. The result of the final:")
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert set(reasons(answer)) == {"The match: Friday.", "The result of the final:"}


def test_a_model_that_copies_whole_articles_is_stopped(compose: Compose, four: list[Article]) -> None:
    text = " ".join(f"{CUP} {n} times [1]." for n in range(2))
    everything = " ".join(article.text for article in four)
    workspace, _ = compose(f"{text} {everything} {everything}")
    answer = workspace.chain.invoke(QUESTION)
    assert 1 <= len(answer.sentences) <= 12


def test_a_model_reads_whatever_was_found(compose: Compose) -> None:
    """The offline confidence is no gate before it."""
    workspace, server = compose(saying((MESSI, MESSI)), min_confidence=1, closest_confidence=1)
    answer = workspace.chain.invoke(QUESTION)
    assert (answer.status, answer.answerer, answer.text) == ("answered", "openai:test", f"{MESSI}.")
    assert len(server.requests) == 1


def test_an_unsupported_answer_to_what_the_articles_do_not_say_is_not_found(compose: Compose) -> None:
    workspace, server = compose("Paint costs 4 kroner [1].", closest_confidence=1)
    answer = workspace.chain.invoke("What does a litre of paint cost in Norway?")
    assert (answer.status, answer.text) == ("not_found", NOT_FOUND)
    assert reasons(answer).keys() == {"Paint costs 4 kroner."}
    assert workspace.chain.invoke("hello").status == "small_talk"
    assert len(server.requests) == 1


def test_a_server_s_trouble_is_told_if_the_quotes_are_not_sure_to_answer(compose: Compose) -> None:
    workspace, _ = compose(Reply(status=500, retry_after=0.001), min_confidence=1, closest_confidence=0)
    answer = workspace.chain.invoke(QUESTION)
    assert answer.status == "not_found"
    assert "The chat model could not answer" in answer.notice
    assert answer.closest[0].quote.startswith(CUP)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=401), "refused the key (HTTP 401)"),
        (Reply(status=404), "does not know this model (HTTP 404)"),
        (Reply(status=429, retry_after=0.001), "asks for fewer requests"),
        (Reply(status=500, retry_after=0.001), "failed (HTTP 500)"),
        (Reply("It rained [1].", cut_after=0), "cannot be reached"),
        (Reply(""), "The chat model wrote nothing"),
    ],
)
def test_a_server_s_troubles_are_told_and_quotes_stand_in(compose: Compose, reply: Reply, words: str) -> None:
    workspace, _ = compose(reply)
    answer = workspace.chain.invoke(QUESTION)
    assert (answer.status, answer.answerer) == ("answered", "extractive")
    assert answer.text.startswith(CUP)
    assert words in answer.notice
    assert KEY not in answer.model_dump_json()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_met_with_another_try(compose: Compose, status: int) -> None:
    workspace, server = compose(Reply(status=status, retry_after=0.001), saying((CUP, CUP))(_asks()))
    answer = workspace.chain.invoke(QUESTION)
    assert (answer.answerer, answer.notice, len(server.requests)) == ("openai:test", "", 2)


def _asks() -> Any:
    class Request:
        prompt = f'<passage n="1">{CUP}'

    return Request()


def test_a_connection_that_is_cut_keeps_the_whole_sentences_and_says_so(compose: Compose) -> None:
    workspace, _ = compose(Reply(f"{CUP} [1]. {MESSI} [1].", chunks="words", cut_after=13))
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert "did not finish" in answer.notice
    assert "it was cut off" in reasons(answer).values()


def test_an_answer_that_reached_its_budget_is_said_to(compose: Compose) -> None:
    workspace, server = compose(
        Reply(f"{CUP} [1]. Messi scored tw", finish_reason="length"), chat_budget=4_000
    )
    answer = workspace.chain.invoke(QUESTION)
    assert answer.text == f"{CUP}."
    assert "budget of tokens" in answer.notice
    assert server.requests[0].max_tokens == 1_000


def test_a_model_that_says_nothing_in_time_is_given_up(compose: Compose) -> None:
    workspace, _ = compose(Reply(hang=True), chat_timeout=0.3)
    answer = workspace.chain.invoke(QUESTION)
    assert "took too long" in answer.notice
    assert answer.answerer == "extractive"


def test_each_sentence_is_streamed_before_the_next_is_written(compose: Compose) -> None:
    workspace, _ = compose(Reply(f"{CUP} [1]. {MESSI} [1].", chunks="words", delay=0.05))
    arrived = [(time.perf_counter(), part) for part in workspace.chain.stream(QUESTION)]
    (first, one), (second, two), (_, answer) = arrived
    assert isinstance(answer, Answer)
    assert answer.sentences == (one, two)
    assert second - first > 0.05  # the second was still being written


def test_all_ways_to_call_give_the_same(compose: Compose) -> None:
    workspace, _ = compose(f"{CUP} [1].")
    chain = workspace.chain

    def same(answer: Answer) -> dict[str, Any]:
        return answer.model_dump(exclude={"id", "timings"})

    async def streamed() -> list[Any]:
        return [part async for part in chain.astream(QUESTION)]

    expected = same(chain.invoke(QUESTION))
    *sentences, last = asyncio.run(streamed())
    assert tuple(sentences) == last.sentences
    assert same(last) == same(asyncio.run(chain.ainvoke(QUESTION))) == expected
    assert [same(answer) for answer in chain.batch([QUESTION, QUESTION])] == [expected] * 2


def test_a_stream_that_is_left_early_ends_the_request(compose: Compose) -> None:
    workspace, server = compose(Reply(f"{CUP} [1]. {MESSI} [1]. " * 100, chunks="words", delay=0.01))
    parts = workspace.chain.stream(QUESTION)
    assert isinstance(next(parts), Sentence)
    parts.close()

    async def leave() -> None:
        async with contextlib.aclosing(workspace.chain.astream(QUESTION)) as parts:  # type: ignore[type-var]
            await anext(parts)

    asyncio.run(leave())
    assert all(len(request.sent) < 300 for request in server.requests)  # of 1,500 words


def test_callbacks_see_prompt_model_sentences_and_verification(compose: Compose) -> None:
    workspace, _ = compose(f"{CUP} [1].")
    seen: list[str] = []

    class Recorder(BaseCallbackHandler):
        def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
            seen.append(more["name"])

        def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
            seen.append("model")

    workspace.chain.invoke(QUESTION, {"callbacks": [Recorder()]})
    assert {"citewire", "understand", "retrieve", "answer", "prompt", "model", "sentences", "verify"} <= set(
        seen
    )


def test_cost_is_recorded_where_prices_are_set(compose: Compose) -> None:
    workspace, _ = compose(Reply(f"{CUP} [1].", usage=(1_000, 20)), chat_price_in=1.0, chat_price_out=5.0)
    usage = workspace.chain.invoke(QUESTION).usage
    assert usage is not None
    assert usage.cost is not None
    assert usage.cost > 0


def test_a_follow_up_is_reworded_by_the_model_and_the_rewording_is_searched_for(compose: Compose) -> None:
    def write(request: ChatRequest) -> Reply:
        if "Rewrite" in request.messages[0].content:
            return Reply("Who scored twice in the final that Argentina won against France?")
        return Reply(f"{MESSI} [{numbered(request, MESSI)}].")

    workspace, server = compose(write)
    answer = workspace.chain.invoke(Question("And who scored twice in it?", history=(QUESTION,)))
    assert answer.standalone_question == "Who scored twice in the final that Argentina won against France?"
    assert answer.text == f"{MESSI}."
    assert len(server.requests) == 2
    workspace.chain.invoke(Question(QUESTION, history=("Who failed on Friday?",)))
    assert len(server.requests) == 3  # what stands alone is not reworded


def test_the_key_is_in_no_log_error_or_stored_answer(
    compose: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        workspace, server = compose(Reply(status=401))
        trace = workspace.chain.invoke_with_trace(QUESTION)
        workspace.answers.save(trace)
    stored = workspace.answers.load(trace.answer.id)
    assert server.requests[0].key == KEY
    assert stored is not None
    assert KEY not in caplog.text + json.dumps(stored[1]) + stored[0].model_dump_json()

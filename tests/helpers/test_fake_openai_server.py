"""The server that tests put in a provider's place, driven by the client that programs use."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from openai_server import ChatRequest, OpenAIServer, Reply

KEY = "sk-test-0123456789"
TEXT = "Rain fell on Oslo [1]. “Nobody minded,” said the mayor [2]."


def model(server: OpenAIServer, **options: Any) -> BaseChatModel:
    return init_chat_model("openai:test", base_url=server.url, api_key=KEY, **{"max_retries": 2} | options)


def test_an_answer_in_one_piece() -> None:
    with OpenAIServer(Reply(TEXT, usage=(321, 12))) as server:
        answer = model(server).invoke("Rain?")
    assert answer.content == TEXT
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (321, 12)


@pytest.mark.parametrize(
    "chunks", [1, 7, 1000, "words", ["Rain fell on Oslo [", "1", "]. “Nobody minded,” said the mayor [2]."]]
)
def test_a_stream_joins_to_the_text_however_it_is_cut(chunks: int | str | Sequence[str]) -> None:
    with OpenAIServer(Reply(TEXT, chunks=chunks)) as server:
        received = [str(chunk.content) for chunk in model(server).stream("Rain?")]
        assert "".join(received) == TEXT
        assert [text for text in received if text] == [sent.text for sent in server.requests[0].sent]


def test_usage_ends_a_stream_when_it_is_asked_for() -> None:
    with OpenAIServer(Reply(TEXT, usage=(321, 12))) as server:
        asked = [chunk.usage_metadata for chunk in model(server, stream_usage=True).stream("Rain?")]
        unasked = [chunk.usage_metadata for chunk in model(server).stream("Rain?")]
    assert [usage["total_tokens"] for usage in asked if usage] == [333]
    assert not any(unasked)


def test_an_answer_cut_off_by_its_limit_says_so() -> None:
    with OpenAIServer(Reply("Rain fell on", finish_reason="length")) as server:
        whole = list(model(server, max_tokens=3).stream("Rain?"))
        assert server.requests[0].max_tokens == 3
    assert "length" in [chunk.response_metadata.get("finish_reason") for chunk in whole]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_client_that_tries_again_gets_the_answer(status: int, streaming: bool) -> None:
    with OpenAIServer([Reply(status=status, retry_after=0.01), Reply(TEXT)]) as server:
        client = model(server)
        text = (
            "".join(str(c.content) for c in client.stream("Rain?"))
            if streaming
            else client.invoke("Rain?").content
        )
        assert text == TEXT
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, openai.BadRequestError), (401, openai.AuthenticationError), (404, openai.NotFoundError),
     (429, openai.RateLimitError), (500, openai.InternalServerError), (503, openai.InternalServerError)],
)  # fmt: skip
def test_the_last_reply_repeats_and_every_status_is_the_error_it_means(
    status: int, error: type[Exception]
) -> None:
    with OpenAIServer([Reply(status=status, retry_after=0.01)]) as server, pytest.raises(error):
        model(server).invoke("Rain?")


def test_the_key_is_sent_and_a_refusal_repeats_it() -> None:
    with OpenAIServer(Reply(status=401)) as server:
        with pytest.raises(openai.AuthenticationError, match=f"Incorrect API key provided: {KEY}"):
            model(server).invoke("Rain?")
        assert server.requests[0].key == KEY


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_a_connection_cut_in_a_stream_is_an_error_after_what_came(chunks: int) -> None:
    received: list[str] = []
    with OpenAIServer(Reply(TEXT, cut_after=chunks)) as server:
        stream = model(server).stream("Rain?")
        with pytest.raises(openai.APIConnectionError):
            received.extend(str(chunk.content) for chunk in stream)
    assert "".join(received) == "".join(Reply(TEXT).pieces()[:chunks])


def test_a_connection_cut_in_a_body_is_an_error() -> None:
    with OpenAIServer(Reply(TEXT, cut_after=1)) as server, pytest.raises(openai.APIConnectionError):
        model(server, max_retries=0).invoke("Rain?")


@pytest.mark.parametrize("streaming", [False, True])
def test_nonsense_is_an_error(streaming: bool) -> None:
    with OpenAIServer(Reply(TEXT, malformed=True)) as server:
        client = model(server, max_retries=0)
        with pytest.raises((json.JSONDecodeError, openai.APIError)):
            list(client.stream("Rain?")) if streaming else client.invoke("Rain?")


def test_a_model_that_never_answers_times_out_and_holds_up_nobody() -> None:
    with OpenAIServer(Reply(hang=True)) as server, pytest.raises(openai.APITimeoutError):
        model(server, timeout=0.2, max_retries=0).invoke("Rain?")


def test_closing_ends_a_slow_stream_and_an_idle_connection() -> None:
    first = threading.Event()
    ended: list[str] = []

    def read(server: OpenAIServer) -> None:
        try:
            for chunk in model(server).stream("Rain?"):
                if chunk.content == "Rain":
                    first.set()
        except Exception as exc:  # noqa: BLE001 - which error it is does not matter here
            ended.append(str(exc))

    with OpenAIServer(lambda _: Reply(chunks=["Rain", *[" and rain"] * 1000], delay=0.05)) as server:
        reader = threading.Thread(target=read, args=(server,))
        reader.start()
        assert first.wait(30)
    reader.join(30)
    assert ended


def test_a_script_reads_the_request() -> None:
    def answer(request: ChatRequest) -> Reply:
        return Reply(f"{request.model}: {request.prompt.upper()}")

    with OpenAIServer(answer) as server:
        told = model(server, temperature=0).invoke(
            [("system", "Be brief."), ("user", "Rain?"), ("assistant", "Yes."), ("user", "Where?")]
        )
        asked = server.requests[0]
    assert told.content == "test: WHERE?"
    assert [message.role for message in asked.messages] == ["system", "user", "assistant", "user"]
    assert asked.temperature == 0


def test_requests_from_many_threads_are_all_kept() -> None:
    with OpenAIServer(lambda request: Reply(request.prompt)) as server:
        answers = model(server).batch([str(n) for n in range(20)], config={"max_concurrency": 8})
        kept = sorted(int(request.prompt) for request in server.requests)
    assert [answer.content for answer in answers] == [str(n) for n in range(20)]
    assert kept == list(range(20))


async def _astream(client: BaseChatModel) -> str:
    return "".join([str(chunk.content) async for chunk in client.astream("Rain?")])


def test_an_asynchronous_client() -> None:
    import asyncio

    with OpenAIServer(Reply(TEXT)) as server:
        assert asyncio.run(_astream(model(server))) == TEXT


def test_it_lists_its_model_and_refuses_what_is_no_request() -> None:
    with OpenAIServer("yes") as server:
        listed = httpx.get(f"{server.url}/models").json()
        refused = httpx.post(f"{server.url}/chat/completions", json={"model": "test"})
        unknown = httpx.post(f"{server.url}/responses", json={})
    assert [entry["id"] for entry in listed["data"]] == ["test"]
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert unknown.status_code == 404

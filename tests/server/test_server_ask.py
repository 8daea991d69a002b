"""`POST /ask`: what is answered, and what is said of anything that is no question."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import pytest
from chroma_process import ChromaProcess
from conftest import FOUR, make, take_in
from service_app import CUP, WHO_WON, Service, StartService

from bot.answering.answer import Answer
from bot.server.ask_request import MAX_BODY_BYTES


def test_an_answer_is_that_of_the_command_line_and_is_remembered(service: Service) -> None:
    response = service.ask()
    answer = Answer.model_validate({key: value for key, value in response.json().items() if key != "text"})
    assert response.status_code == 200
    assert answer.text == response.json()["text"] == CUP
    assert service.workspace.answers.load(answer.id) == (
        answer,
        service.workspace.answers.load(answer.id)[1],
    )  # type: ignore[index]
    plain = service.workspace.chain.invoke(WHO_WON)
    own = {"id", "timings"}
    assert answer.model_dump(exclude=own) == plain.model_dump(exclude=own)


def test_sentences_come_as_events_and_the_answer_last(service: Service) -> None:
    *sentences, (last, answer) = service.events()
    assert [event for event, _ in sentences] == ["sentence"] * len(answer["sentences"])
    assert [sentence for _, sentence in sentences] == answer["sentences"]
    assert last == "answer"
    assert service.workspace.answers.load(answer["id"])


def test_what_a_reader_must_know_first_comes_first(service: Service) -> None:
    events = service.events("Who won the final against France on penalties in June 2023?")
    assert events[0][0] == "notice"
    assert events[0][1]["text"] == events[-1][1]["notice"]


def test_what_the_articles_do_not_say_is_an_answer_too(service: Service) -> None:
    response = service.ask("Who painted the ceiling?")
    assert (response.status_code, response.json()["status"]) == (200, "not_found")
    assert [event for event, _ in service.events("Who painted the ceiling?")] == ["answer"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sources": ["Daily"]}, "answered"),
        ({"sources": ["Ledger"]}, "not_found"),
        ({"since": "2023-01-01"}, "not_found"),
        ({"until": "2022"}, "answered"),
        ({"tags": ["sport"]}, "not_found"),
        ({"k": 1}, "answered"),
    ],
)
def test_where_to_look_can_be_narrowed(service: Service, fields: dict[str, Any], status: str) -> None:
    assert service.ask(**fields).json()["status"] == status


def test_a_question_may_lean_on_those_before_it(service: Service) -> None:
    answer = service.ask("And on Friday?", history=["What did the bank in California do?"]).json()
    assert "bank" in answer["standalone_question"]


OBJECT = "that is not one JSON object"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, OBJECT), (b"{", 400, OBJECT), (b"null", 400, OBJECT), (b"[]", 400, OBJECT), (b'"who"', 400, OBJECT), (b"\xff\xfe{}", 400, OBJECT),
        (b'{"question": "\xff"}', 400, OBJECT), (b'{"question": "\\ud800 who"}', 400, OBJECT), (b'{"question": NaN}', 400, OBJECT),
        (b'{"question": "who", "question": "what"}', 400, OBJECT), (b"[" * 30_000, 400, OBJECT), (b'{"question":' * 5_000, 400, OBJECT),
        (b'{"k": ' + b"9" * 5_000 + b"}", 400, OBJECT), (b'{"question": "who"} {}', 400, OBJECT),
        (b"{}", 422, "question: field required"), (b'{"question": 5}', 422, "question: "), (b'{"question": null}', 422, "question: "),
        (b'{"question": ""}', 422, "the question is empty"), (b'{"question": "   "}', 422, "the question is empty"),
        (json.dumps({"question": "who " * 1_000}).encode(), 422, "at most 2,000"),
        (b'{"question": "who", "model": "openai:x"}', 422, "'model' is not a field"), (b'{"question": "who", "__class__": {}}', 422, "is not a field"),
        (b'{"question": "who", "since": "soon"}', 422, "not a day"), (b'{"question": "who", "since": "2023", "until": "2022"}', 422, ""),
        (b'{"question": "who", "k": 0}', 422, "k: "), (b'{"question": "who", "k": 101}', 422, "k: "), (b'{"question": "who", "k": "5"}', 422, "k: "),
        (b'{"question": "who", "k": 1e999}', 422, "k: "), (b'{"question": "who", "k": true}', 422, "k: "), (b'{"question": "who", "sources": "Daily"}', 422, "sources: "),
        (b'{"question": "who", "sources": [5]}', 422, "sources.0: "), (json.dumps({"question": "who", "history": ["a"] * 21}).encode(), 422, "history: "),
        (b'{"question": "who", "history": [["q", "a"]]}', 422, "history.0: "), (b" " * (MAX_BODY_BYTES + 1), 413, "64,000 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_one_sentence(
    shared_service: Service, body: bytes, status: int, said: str
) -> None:
    for accept in ("application/json", "text/event-stream"):
        headers = {"Content-Type": "application/json", "Accept": accept}
        response = shared_service.client.post("/ask", content=body, headers=headers)
        assert response.status_code == status, response.text
        assert response.json().keys() == {"error"}
        assert said in response.json()["error"]
        assert "\n" not in response.json()["error"]


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp"],
)
def test_a_form_of_another_page_is_not_taken(shared_service: Service, kind: str) -> None:
    response = shared_service.client.post(
        "/ask", content=b'{"question": "who"}', headers={"Content-Type": kind}
    )
    assert response.status_code == 415


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_named_what_is_taken(shared_service: Service, method: str) -> None:
    response = shared_service.client.request(method, "/ask")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    ["/", "/ask/", "//ask", "/ASK", "/static/x", "/articles", "/%2e%2e/etc/passwd", "/slack/events", "/docs"],
)
def test_there_are_no_other_addresses(shared_service: Service, path: str) -> None:
    assert shared_service.client.post(path, json={}).status_code == 404


def test_a_body_without_an_end_is_not_read_to_it(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    head = b"POST /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as sent:
        sent.sendall(head)
        blocks = 0
        with contextlib.suppress(OSError):  # the connection is closed from the other side
            while blocks < 10_000:
                sent.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
                blocks += 1
    assert blocks < 10_000


def test_chroma_away_is_said_with_when_to_come_again(
    start_service: StartService, own_chroma: ChromaProcess
) -> None:
    service = start_service(chroma_url=own_chroma.url)
    assert service.ask().json()["text"] == CUP
    own_chroma.kill()
    for accept in ("application/json", "text/event-stream"):
        response = service.ask(headers={"Accept": accept})
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert "Chroma does not answer" in response.json()["error"]
        assert own_chroma.url not in response.text
    assert service.client.get("/readyz").json() == {"ready": False, "failing": ["chroma"]}
    assert service.metric('citewire_answers_total{status="error"}') == 2
    assert service.metric('citewire_up{part="chroma"}') == 0


def test_a_library_that_fails_is_no_traceback(service: Service) -> None:
    with service.workspace.articles.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE collections RENAME TO away")
    response = service.ask()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "away" not in response.text
    assert "collections" not in response.text


def test_what_nobody_foresaw_is_told_by_its_number(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr(service.workspace.retriever, "search", broken)
    response = service.ask(headers={"X-Request-ID": "r-1"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "r-1")
    assert response.json() == {"error": "something went wrong; the log says where, at request r-1"}


def test_a_new_article_is_found_while_the_service_runs(service: Service) -> None:
    assert service.ask("Which bridge opened in Lyon?").json()["status"] == "not_found"
    article = {
        **FOUR[0],
        "id": "bridge",
        "url": "https://daily.example/b",
        "title": "Bridge opens",
        "text": "A new bridge opened in Lyon on Monday.",
    }
    take_in(service.workspace, [make(article)])
    assert service.ask("Which bridge opened in Lyon?").json()["text"] == article["text"]

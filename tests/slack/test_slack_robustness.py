"""Whatever breaks, each question gets one answer, or a plain word about why not."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai_server import OpenAIServer, Reply
from slack_app import ANN, BEN, CAT, ME, NEWS, App, replies, words
from slack_server import SlackServer

from bot.server.timeouts import Timeouts

CUP = "Argentina won the final against France on penalties."
QUESTION = f"{ME} Who won the final against France?"
Start = Callable[..., App]


def one_answer(slack: SlackServer, app: App, ts: str) -> str:
    replies(slack, NEWS, ts)
    app.quiet()
    [answer] = replies(slack, NEWS, ts)
    # Whether a message is a stream that nobody ended is found out by trying.
    slack.problems[:] = [one for one in slack.problems if one != "chat.update: streaming_state_conflict"]
    return words(answer).replace("\u2060", "")


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    "failure",
    [
        {"status": 429, "retry_after": 1},
        {"status": 500},
        {"status": 503, "after_effect": True},
        {"drop": True},
        {"drop": True, "after_effect": True},
        {"error": "internal_error"},
        {"error": "fatal_error", "after_effect": True},
    ],
)
def test_whatever_becomes_of_the_first_call_there_is_one_whole_answer(
    slack: SlackServer, start: Start, failure: dict[str, Any], streams: bool
) -> None:
    if not streams:
        slack.without("chat.startStream")
    slack.fail("chat.startStream" if streams else "chat.postMessage", **failure)
    app = start()
    ts = slack.say(NEWS, ANN, QUESTION)
    assert CUP in one_answer(slack, app, ts)


@pytest.mark.parametrize(
    "failure", [{"status": 429, "retry_after": 1}, {"status": 500}, {"drop": True, "after_effect": True}]
)
@pytest.mark.parametrize("method", ["chat.stopStream", "assistant.threads.setStatus"])
def test_a_failure_later_on_leaves_one_whole_answer_too(
    slack: SlackServer, app: App, failure: dict[str, Any], method: str
) -> None:
    slack.fail(method, **failure)
    ts = slack.say(NEWS, ANN, QUESTION)
    found = one_answer(slack, app, ts)
    assert CUP in found
    assert "18 December 2022" in found


def test_after_429_the_call_comes_again_when_slack_says_so(slack: SlackServer, app: App) -> None:
    slack.without("chat.startStream")
    slack.fail("chat.postMessage", status=429, retry_after=2)
    ts = slack.say(NEWS, ANN, QUESTION)
    replies(slack, NEWS, ts)
    first, second = (call.at for call in slack.calls if call.method == "chat.postMessage")
    assert second - first >= 2


def test_a_stream_that_may_not_begin_yet_holds_no_answer_up(slack: SlackServer, app: App) -> None:
    slack.rate("chat.startStream", 1)
    asked = [slack.say(NEWS, person, QUESTION) for person in (ANN, BEN, CAT)]
    assert [CUP in words(replies(slack, NEWS, ts)[0]) for ts in asked] == [True] * 3
    app.quiet()
    assert len(slack.called("chat.startStream")) == 1


@pytest.mark.parametrize("reason", ["channel_is_archived", "not_in_channel", "restricted_action"])
def test_where_nothing_can_be_said_it_is_not_tried_for_ever(
    slack: SlackServer, app: App, reason: str
) -> None:
    slack.fail("chat.startStream", error=reason)
    slack.fail("chat.postMessage", error=reason)
    slack.say(NEWS, ANN, QUESTION)
    app.quiet()
    assert sum(call.method == "chat.postMessage" for call in slack.calls) == 1


def test_blocks_that_slack_does_not_take_become_words(slack: SlackServer, app: App) -> None:
    slack.without("chat.startStream")
    slack.fail("chat.postMessage", error="msg_blocks_too_long")
    ts = slack.say(NEWS, ANN, QUESTION)
    [answer] = replies(slack, NEWS, ts)
    assert CUP in answer["text"]
    assert "Daily · 18 December 2022 · Final won on penalties" in answer["text"]


def test_a_failure_of_ours_is_told_in_one_plain_sentence_with_a_reference(
    slack: SlackServer, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app.workspace.vector_store.close()
    folder = app.workspace.settings.data_dir
    (folder / "words" / "meta.json").write_text("{", encoding="utf-8")
    ts = slack.say(NEWS, ANN, QUESTION)
    found = one_answer(slack, app, ts)
    assert "something went wrong on my side" in found
    assert "(Reference: S1)" in found
    assert "S1 failed" in caplog.text
    assert "Error" not in found


def test_a_model_that_hangs_is_interrupted_and_the_answer_follows_after_a_restart(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with OpenAIServer(Reply(hang=True)) as model:
        app = start(chat_model="openai:test", chat_base_url=model.url, patience=Timeouts(grace=0.2))
        ts = slack.say(NEWS, ANN, QUESTION)
        slack.wait_for(lambda: slack.called("assistant.threads.setStatus"))
        until = time.monotonic() + 10
        while not model.requests and time.monotonic() < until:
            time.sleep(0.01)
        app.stop()
        [told] = replies(slack, NEWS, ts)
        assert "being restarted" in words(told)
    app = start()
    slack.wait_for(lambda: CUP in words(replies(slack, NEWS, ts)[0]))
    app.quiet()
    [answer] = slack.messages(NEWS, ts, by="U0BOT")
    assert answer["ts"] == told["ts"]


def test_what_is_under_way_is_finished_before_the_end(slack: SlackServer, start: Start) -> None:
    app = start()
    slack.delay("chat.startStream", 0.5)
    ts = slack.say(NEWS, ANN, QUESTION)
    slack.wait_for(lambda: slack.called("assistant.threads.setStatus"))
    app.stop()
    assert CUP in words(replies(slack, NEWS, ts)[0])


def test_a_written_answer_is_streamed_sentence_by_sentence_and_inventions_never_are(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    said = "Argentina won the final on penalties [1]. Brazil sent 300 doves to Lima [1]. Messi scored twice in the match [1]."
    with OpenAIServer(Reply(said, delay=0.02)) as model:
        app = start(chat_model="openai:test", chat_base_url=model.url)
        ts = slack.say(NEWS, ANN, QUESTION)
        found = one_answer(slack, app, ts)
    assert "Argentina won the final on penalties." in found
    assert "doves" not in json.dumps([call.arguments for call in slack.calls])
    assert len(slack.called("chat.appendStream")) >= 1
    assert "openai:test" in found


def test_the_socket_is_opened_again_when_slack_asks_or_it_breaks(slack: SlackServer, start: Start) -> None:
    app = start(http=False)
    for broken in (slack.disconnect, slack.drop_connections):
        before = len(slack.called("apps.connections.open"))
        broken()
        slack.wait_for(lambda before=before: len(slack.called("apps.connections.open")) > before, timeout=30)
        ts = slack.say(NEWS, ANN, QUESTION)
        assert CUP in one_answer(slack, app, ts)


# ---- signatures


def request(app: App, body: str, *, secret: str, age: float = 0.0, **headers: str) -> httpx.Response:
    timestamp = str(int(time.time() - age))
    signature = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    signed = {"x-slack-signature": f"v0={signature}", "x-slack-request-timestamp": timestamp}
    return httpx.post(
        app.url, content=body, headers={**signed, "content-type": "application/json", **headers}
    )


def event(text: str = QUESTION, *, ts: str = "1700000000.000100", event_id: str = "Ev1") -> str:
    said = {"type": "app_mention", "user": ANN, "text": text, "ts": ts, "channel": NEWS, "event_ts": ts}
    return json.dumps({"type": "event_callback", "team_id": "T0TEAM", "event_id": event_id, "event": said})


@pytest.mark.parametrize(
    ("case", "expected"),
    [({}, 200), ({"secret": "another"}, 401), ({"age": 301}, 401), ({"age": -400}, 401)],
)
def test_a_request_must_be_signed_and_fresh(
    slack: SlackServer, app: App, case: dict[str, Any], expected: int
) -> None:
    sent = {"secret": slack.signing_secret, **case}
    assert request(app, event("hello"), **sent).status_code == expected


def test_a_recorded_request_cannot_be_sent_again_but_slack_may(slack: SlackServer, start: Start) -> None:
    apps = [start(), start()]
    slack.echo = False
    body = event("hello")
    first = request(apps[0], body, secret=slack.signing_secret)
    stamped = {
        name: first.request.headers[name] for name in ("x-slack-signature", "x-slack-request-timestamp")
    }
    assert first.status_code == 200
    for app in apps:
        again = httpx.post(app.url, content=body, headers={**stamped, "content-type": "application/json"})
        assert again.status_code == 401
    retried = {**stamped, "content-type": "application/json", "x-slack-retry-num": "1"}
    assert httpx.post(apps[1].url, content=body, headers=retried).status_code == 200


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"type": "event_callback"}', '{"type": "event_callback", "event": 3}',
                                  '{"type": "event_callback", "event": {"type": "message"}}', "x" * 2_000_000])  # fmt: skip
def test_nonsense_is_no_trouble(slack: SlackServer, app: App, body: str) -> None:
    assert request(app, body, secret=slack.signing_secret).status_code in (200, 400, 404, 413)
    ts = slack.say(NEWS, ANN, QUESTION)
    assert CUP in words(replies(slack, NEWS, ts)[0])


def test_slack_can_check_the_address(slack: SlackServer, app: App) -> None:
    asked = json.dumps({"type": "url_verification", "challenge": "abc", "token": "x"})
    answered = request(app, asked, secret=slack.signing_secret)
    assert "abc" in answered.text


def test_the_log_holds_neither_tokens_nor_what_people_and_articles_say(
    slack: SlackServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = start()
    ts = slack.say(NEWS, ANN, QUESTION)
    replies(slack, NEWS, ts)
    slack.fail("chat.startStream", status=500)
    slack.say(NEWS, ANN, f"{ME} Which bank failed in California?")
    app.quiet()
    secrets = [slack.bot_token, slack.app_token, slack.signing_secret, "Argentina", "France", "California"]
    assert [secret for secret in secrets if secret in caplog.text] == []


def test_what_no_stream_has_room_for_is_posted_once(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.reply._MAX_STREAM_CHARS", 10)
    app = start()
    ts = slack.say(NEWS, ANN, QUESTION)
    assert CUP in one_answer(slack, app, ts)
    assert not slack.called("chat.startStream")

"""emulate from npm holds messages as Slack does, and its people reach an app."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from emulate import Emulate
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier


def test_a_thread_is_written_and_read_back(emulated_slack: Emulate) -> None:
    slack, client = emulated_slack, WebClient(token=emulated_slack.bot_token, base_url=emulated_slack.url)
    got: list[tuple[dict[str, str], bytes]] = []

    class App(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                (
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(int(self.headers["Content-Length"])),
                )
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), App) as app:
        thread = threading.Thread(target=app.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        slack.deliver_to = f"http://127.0.0.1:{app.server_address[1]}/slack/events"
        ts = slack.say("ann", slack.channel("news"), "<@U0BOT> Who won?")
        slack.say("ben", slack.dm("ben"), "And when?")
        app.shutdown()
        thread.join()

    assert client.auth_test()["user_id"] == "U0BOT"
    client.chat_postMessage(channel=slack.channel("news"), thread_ts=ts, text="Ann [1].")
    read = client.conversations_replies(channel=slack.channel("news"), ts=ts)["messages"]
    assert [message["text"] for message in read] == ["<@U0BOT> Who won?", "Ann [1]."]
    assert [message["user"] for message in slack.replies(slack.channel("news"), ts)] == ["U0BOT"]
    kinds = [json.loads(body)["event"] for _, body in got]
    assert [(e["type"], e.get("channel_type")) for e in kinds] == [
        ("message", "channel"),
        ("app_mention", None),
        ("message", "im"),
    ]
    assert all(
        SignatureVerifier(slack.signing_secret).is_valid_request(body, headers) for headers, body in got
    )


def test_it_knows_no_streams(emulated_slack: Emulate) -> None:
    client = WebClient(token=emulated_slack.bot_token, base_url=emulated_slack.url)
    with pytest.raises(SlackApiError) as refused:
        client.chat_startStream(channel="C1", thread_ts="1.1")
    assert refused.value.response.status_code == 404
    assert refused.value.response.get("error") is None
    assert ("chat.startStream", 404) in emulated_slack.requests

"""What people in Slack meet: the whole app, over HTTP and Socket Mode, beside a stand-in for Slack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_server import SlackServer

ME = "<@U0BOT>"
NEWS, ANN, BEN = "C0NEWS", "U0ANN", "U0BEN"


def words(message: dict[str, Any]) -> str:
    """All that a reader sees of a message."""
    return " ".join(_texts(message.get("blocks") or message.get("text", "")))


def _texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["text"]] if isinstance(node.get("text"), str) else []
        return own + [text for key, value in node.items() if key != "text" or isinstance(value, dict) for text in _texts(value)]
    return [text for item in node for text in _texts(item)] if isinstance(node, list) else []


def replies(slack: SlackServer, channel: str, ts: str, count: int = 1) -> list[dict[str, Any]]:
    def enough() -> list[dict[str, Any]]:
        found = [one for one in slack.messages(channel, ts, by="U0BOT") if one.get("streaming_state", "completed") == "completed"]
        return found if len(found) >= count else []

    return slack.wait_for(enough)


@pytest.mark.parametrize("http", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_a_mention_is_answered_in_its_thread(
    slack: SlackServer, start: Callable[..., Any], http: bool, streams: bool
) -> None:
    if not streams:
        slack.without("chat.startStream", "assistant.threads.setStatus")
    start(http=http)
    slack.allowed_links.add("https://daily.example/cup")
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    [reply] = replies(slack, NEWS, ts)
    assert "Argentina won the final against France on penalties." in words(reply)
    assert "18 December 2022" in words(reply)

"""How the app comes up and stays in touch with Slack."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from slack_app import ANN, ME, NEWS, App, replies, words
from slack_server import SlackServer
from sqlalchemy import func, select

from bot.errors import SlackError
from bot.slack.queue import JobQueue
from bot.storage.article_store import open_article_store
from bot.storage.schema import slack_events

CUP = "Argentina won the final against France on penalties."
Start = Callable[..., App]


@pytest.mark.parametrize(
    ("name", "token", "http", "said"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-wrong", True, "auth.test: the token is not known to Slack; copy it again"),
        ("SLACK_APP_TOKEN", "xapp-wrong", False, "the token is not known to Slack; copy it again"),
        ("SLACK_APP_TOKEN", "xoxb-test-bot", False, "that is a token of another sort"),
    ],
)
def test_a_token_that_slack_refuses_ends_the_start_in_plain_words(
    slack: SlackServer,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    token: str,
    http: bool,
    said: str,
) -> None:
    monkeypatch.setenv(name, token)
    with pytest.raises(SlackError) as refused:
        start(http=http)
    assert name in str(refused.value)
    assert said in str(refused.value)
    assert token not in str(refused.value)
    slack.problems.clear()


def test_a_socket_that_does_not_open_is_tried_at_another_address(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.connections._PING_INTERVAL_SECONDS", 0.2)
    slack.fail("socket", times=2)
    start(http=False)
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    assert CUP in words(replies(slack, NEWS, ts)[0])
    assert len(slack.called("apps.connections.open")) >= 3


def test_what_slack_will_not_send_again_is_forgotten_at_the_start(
    slack: SlackServer, start: Start, app: App
) -> None:
    app.stop()
    folder = app.workspace.settings.data_dir
    library = open_article_store(folder, "")
    JobQueue(library, waiting=1, clock=lambda: 0.0).mark_seen(NEWS, "1.0", "share")
    start()
    until = time.monotonic() + 10
    with library.connect() as connection:
        while connection.scalar(select(func.count()).select_from(slack_events)):
            assert time.monotonic() < until
            time.sleep(0.01)
            connection.rollback()
    library.close()

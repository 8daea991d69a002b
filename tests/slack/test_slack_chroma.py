"""The Chroma server behind the bot goes and comes: who asks meanwhile is told so once, and who asks later is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from chroma_process import ChromaProcess
from conftest import WordEmbedder, take_in
from slack_app import ANN, BEN, ME, NEWS, App, replies, words
from slack_server import SlackServer

from bot.articles.article import Article

CUP = "Argentina won the final against France on penalties."
QUESTION = f"{ME} Who won the final against France?"
Start = Callable[..., App]


def the_answer(slack: SlackServer, app: App, ts: str) -> str:
    """Return all that the bot says to a question, which is one message."""
    replies(slack, NEWS, ts)
    app.quiet()
    [answer] = slack.messages(NEWS, ts, by="U0BOT")
    return words(answer).replace("\u2060", "")


@pytest.mark.parametrize("streams", [True, False])
def test_a_question_while_chroma_is_away_is_told_so_and_the_next_is_answered(
    slack: SlackServer,
    start: Start,
    own_chroma: ChromaProcess,
    caplog: pytest.LogCaptureFixture,
    streams: bool,
) -> None:
    if not streams:
        slack.without("chat.startStream")
    app = start(chroma_url=own_chroma.url)
    assert CUP in the_answer(slack, app, slack.say(NEWS, ANN, QUESTION))
    own_chroma.kill()
    for person in (ANN, BEN):
        told = the_answer(slack, app, slack.say(NEWS, person, QUESTION))
        assert "the articles cannot be searched at the moment. Please ask again in a few minutes." in told
        assert not [word for word in ("Chroma", "CITEWIRE", "http", "Error", "vector") if word in told]
    assert f"Chroma at {own_chroma.url} does not answer: Connection refused" in caplog.text
    own_chroma.start()
    assert CUP in the_answer(slack, app, slack.say(NEWS, ANN, QUESTION))


def test_a_chroma_that_hangs_is_told_like_one_that_is_gone(
    slack: SlackServer, start: Start, own_chroma: ChromaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.indexing.chroma_client._READ_TIMEOUT", 0.5)
    app = start(chroma_url=own_chroma.url)
    own_chroma.stand_still()
    told = the_answer(slack, app, slack.say(NEWS, ANN, QUESTION))
    assert "the articles cannot be searched at the moment" in told
    own_chroma.go_on()
    monkeypatch.undo()
    assert CUP in the_answer(slack, app, slack.say(NEWS, ANN, QUESTION))


def test_the_bot_starts_before_chroma_does(
    slack: SlackServer, start: Start, own_chroma: ChromaProcess
) -> None:
    first = start(chroma_url=own_chroma.url)
    first.stop()
    own_chroma.kill()
    app = start(chroma_url=own_chroma.url)
    told = the_answer(slack, app, slack.say(NEWS, ANN, QUESTION))
    assert "the articles cannot be searched at the moment" in told
    own_chroma.start()
    assert CUP in the_answer(slack, app, slack.say(NEWS, ANN, QUESTION))


def test_two_machines_that_share_their_stores_answer_a_question_once(
    slack: SlackServer, start: Start, chroma_url: str, empty_postgres: str, four: list[Article]
) -> None:
    shared = {"chroma_url": chroma_url, "database_url": empty_postgres}
    one = start(folder="one", articles=[four[1]], **shared)
    two = start(folder="two", **shared)
    take_in(one.workspace, four)
    slack.deliver_to = [two.url]
    assert CUP in the_answer(slack, two, slack.say(NEWS, ANN, QUESTION))
    slack.deliver_to = [one.url, two.url]  # they take turns, and each event comes once more: to both
    slack.courier.redeliver_share = 1.0
    asked = [slack.say(NEWS, person, QUESTION) for person in (ANN, BEN, ANN, BEN)]
    for ts in asked:
        assert CUP in the_answer(slack, one, ts)


def test_a_machine_that_never_ingests_makes_its_question_encoder(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = threading.Event()
    monkeypatch.setattr(WordEmbedder, "ensure_encoder", lambda *_: made.set())
    start(articles=[])
    assert made.wait(30)

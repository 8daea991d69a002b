"""What restarts, crashes and take-overs leave: one message an answer, and never a good one overwritten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from openai_server import OpenAIServer, Reply
from slack_app import ANN, ME, NEWS, App, replies, words
from slack_server import SlackServer
from sqlalchemy import update

from bot.server.timeouts import Timeouts
from bot.slack.models import Request
from bot.slack.queue import JobQueue
from bot.storage.schema import slack_jobs

CUP = "Argentina won the final against France on penalties."
BANK = "A bank in California failed on Friday."
QUESTION = f"{ME} Who won the final against France?"
OTHER = f"{ME} Which bank failed in California?"
HURRIED = Timeouts(grace=0.2)
Start = Callable[..., App]


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A model that says nothing."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with OpenAIServer(Reply(hang=True)) as model:
        yield model


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_answer_that_stands_is_not_overwritten_by_the_end_of_the_process(
    slack: SlackServer, start: Start
) -> None:
    app = start(patience=HURRIED)
    slack.delay("assistant.threads.setTitle", 3)
    direct = slack.dm(ANN)
    ts = slack.say(direct, ANN, "Which bank failed in California?")
    slack.wait_for(lambda: slack.called("chat.stopStream"))
    app.stop()
    [answer] = replies(slack, direct, ts)
    assert BANK in words(answer)


def test_an_end_while_the_status_is_set_is_told(slack: SlackServer, start: Start) -> None:
    app = start(patience=HURRIED)
    slack.delay("assistant.threads.setStatus", 2)
    ts = slack.say(NEWS, ANN, QUESTION)
    until(lambda: "Who won the final against France?" in app.embedder.encoded)  # then it waits for the status
    app.stop()
    [told] = replies(slack, NEWS, ts)
    assert "being restarted" in words(told)
    start()  # and it was given back: nobody waits for its lease
    slack.wait_for(lambda: CUP in words(replies(slack, NEWS, ts)[0]))


def test_a_status_that_may_not_be_shown_yet_holds_no_answer_up(slack: SlackServer, app: App) -> None:
    slack.fail("assistant.threads.setStatus", status=429, retry_after=60)
    ts = slack.say(NEWS, ANN, QUESTION)
    assert CUP in words(replies(slack, NEWS, ts)[0])


def test_who_was_too_slow_writes_over_no_answer(slack: SlackServer, start: Start, hung: OpenAIServer) -> None:
    app = start()
    ts = slack.say(NEWS, ANN, QUESTION)
    replies(slack, NEWS, ts)
    app.quiet()
    app.stop()
    app = start(chat_model="openai:test", chat_base_url=hung.url, patience=HURRIED)
    slack.edit(NEWS, ts, OTHER)
    until(lambda: hung.requests)
    with app.workspace.articles.transaction() as connection:  # as when its lease was over
        connection.execute(
            update(slack_jobs).where(slack_jobs.c.kind == "edit").values(owner="who took over")
        )
    app.stop()
    [answer] = replies(slack, NEWS, ts)
    assert CUP in words(answer)


@pytest.mark.parametrize("change", ["edit", "delete"])
def test_an_answer_whose_ts_nobody_was_told_is_found_by_what_changes_its_question(
    slack: SlackServer, app: App, change: str
) -> None:
    slack.without("chat.startStream")
    slack.fail("chat.postMessage", drop=True, after_effect=True)
    ts = slack.say(NEWS, ANN, QUESTION)
    slack.wait_for(lambda: slack.called("chat.postMessage"))  # and before it is tried again
    if change == "edit":
        slack.edit(NEWS, ts, OTHER)
    else:
        slack.delete(NEWS, ts)
    app.quiet()
    found = [words(one) for one in slack.messages(NEWS, ts, by="U0BOT")]
    assert [BANK in one for one in found] == ([True] if change == "edit" else [])


def test_an_answer_that_was_found_again_is_known_from_then_on(slack: SlackServer, app: App) -> None:
    slack.without("chat.startStream")
    slack.fail("chat.postMessage", drop=True, after_effect=True)
    ts = slack.say(NEWS, ANN, QUESTION)
    app.quiet()
    slack.delete(NEWS, ts)
    app.quiet()
    assert not slack.messages(NEWS, ts, by="U0BOT")


def test_an_edit_that_was_tried_too_often_is_told_in_the_place_of_the_first_answer(
    slack: SlackServer, start: Start
) -> None:
    app = start()
    ts = slack.say(NEWS, ANN, QUESTION)
    replies(slack, NEWS, ts)
    app.quiet()
    app.stop()
    edit = Request(
        kind="edit", channel=NEWS, thread=ts, target=ts, ts="9999999999.0", person=ANN, text="Why?"
    )
    JobQueue(app.workspace.articles, waiting=9).enqueue(edit)
    with app.workspace.articles.transaction() as connection:
        connection.execute(update(slack_jobs).where(slack_jobs.c.kind == "edit").values(tries=6))
    start().quiet()
    [told] = replies(slack, NEWS, ts)
    assert "something went wrong on my side" in words(told)

"""Articles that are corrected or withdrawn after the bot has cited them: who was given the answer is told, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import FOUR, make, take_in
from slack_app import ANN, ME, NEWS, App, replies, words
from slack_server import SlackServer
from sqlalchemy import Update, update

from bot.slack.handlers.corrections import CorrectionScanner
from bot.slack.queue import JobQueue
from bot.storage.schema import CORRECTIONS_CURSOR, facts, slack_jobs

CUP = dict(FOUR[2])
QUOTE = "Argentina won the final against France on penalties."
QUESTION = "Who won the final against France?"
CORRECTED = make({**CUP, "text": "France won the final against Argentina. Messi scored twice in the match."})
Start = Callable[..., App]


def styles(node: Any, text: str) -> list[dict[str, bool]]:
    """The style of these words in each line that holds them, without what only some of them have."""
    if isinstance(node, list):
        return [style for item in node for style in styles(item, text)]
    if not isinstance(node, dict):
        return []
    if node.get("type") in ("rich_text_section", "rich_text_quote"):
        return _styles_in_line(node["elements"], text)
    return [style for value in node.values() if isinstance(value, list) for style in styles(value, text)]


def _styles_in_line(runs: list[dict[str, Any]], text: str) -> list[dict[str, bool]]:
    line = "".join(str(run.get("text", "")) for run in runs)
    start, at = line.find(text), 0
    if start < 0:
        return []
    found = []
    for run in runs:
        at += len(str(run.get("text", "")))
        if start < at and at - len(str(run.get("text", ""))) < start + len(text):
            found.append((run.get("style") or {}).items())
    return [dict(set(found[0]).intersection(*found[1:]))]


def looker(app: App) -> CorrectionScanner:
    """What the app itself looks with every few seconds."""
    workspace = app.workspace
    return CorrectionScanner(
        workspace.articles, workspace.citation_audit, JobQueue(workspace.articles, waiting=5)
    )


def withdraw(app: App, *article_ids: str) -> None:
    with app.workspace.index_writer() as indexer:
        indexer.publish(retired=article_ids)


def thread(slack: SlackServer, ts: str, count: int, channel: str = NEWS) -> list[dict[str, Any]]:
    """Wait until the answer is struck through and that many messages stand below the question."""

    def told() -> list[dict[str, Any]]:
        found = slack.messages(channel, ts, by="U0BOT")
        return found if len(found) >= count else []

    return slack.wait_for(told)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("gone", [True, False])
def test_a_citation_that_no_longer_stands_is_struck_through_and_its_thread_gets_one_note(
    slack: SlackServer, start: Start, streams: bool, gone: bool
) -> None:
    if not streams:
        slack.without("chat.startStream")
    app = start()
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    withdraw(app, "cup") if gone else take_in(app.workspace, [CORRECTED])
    looker(app).scan()
    answer, note = thread(slack, ts, 2)
    app.quiet()
    reason = "withdrawn since" if gone else "the article no longer says so"
    assert styles(answer["blocks"], QUOTE) == [{"strike": True}]
    assert f"[1] Daily · 18 December 2022 · {reason}" in words(answer)
    assert "(no longer stands)" in answer["text"]
    assert "A correction: what this answer stands on has changed." in words(note)
    assert f"[1] Daily · 18 December 2022 · {reason} · Final won on penalties" in words(note)
    assert len(slack.messages(NEWS, ts, by="U0BOT")) == 2


def test_an_article_whose_quote_still_stands_is_no_news(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    take_in(app.workspace, [make({**CUP, "text": f"{CUP['text']} A sentence was added."})])
    looker(app).scan()
    app.quiet()
    assert len(slack.messages(NEWS, ts, by="U0BOT")) == 1


def test_two_processes_that_look_again_and_again_tell_it_once(slack: SlackServer, start: Start) -> None:
    app, other = start(), start()
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    withdraw(app, "cup")
    for one in (app, other, app):
        looker(one).scan()
    thread(slack, ts, 2)
    app.quiet()
    with (
        app.workspace.articles.transaction() as connection
    ):  # as if nobody had noted how far people were told
        connection.execute(update(facts).where(facts.c.key == CORRECTIONS_CURSOR).values(value="0"))
    for one in (app, other):
        looker(one).scan()
    app.quiet()
    assert len(slack.messages(NEWS, ts, by="U0BOT")) == 2


def withdrawn_meanwhile(slack: SlackServer, start: Start) -> tuple[App, str]:
    """An app that has answered and was stopped before what it cited was withdrawn, and the question's ts."""
    app = start()
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    app.stop()
    withdraw(app, "cup")
    return app, ts


def test_what_changed_while_no_bot_was_running_is_told_when_one_is(slack: SlackServer, start: Start) -> None:
    _, ts = withdrawn_meanwhile(slack, start)
    start()
    answer, _ = thread(slack, ts, 2)
    assert styles(answer["blocks"], QUOTE) == [{"strike": True}]


def test_a_deleted_question_and_an_answer_that_was_replaced_are_left_alone(
    slack: SlackServer, app: App
) -> None:
    deleted = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    edited = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    for ts in (deleted, edited):
        replies(slack, NEWS, ts)
    slack.delete(NEWS, deleted)
    slack.edit(NEWS, edited, f"{ME} Which bank failed in California?")
    app.quiet()
    withdraw(app, "cup")
    looker(app).scan()
    app.quiet()
    [reply] = slack.messages(NEWS, edited, by="U0BOT")
    assert "A bank in California failed" in words(reply)
    assert "strike" not in styles(reply["blocks"], "bank")[0]
    assert slack.messages(NEWS, deleted, by="U0BOT") == []


def test_who_alone_has_seen_an_answer_is_written_to(slack: SlackServer, app: App) -> None:
    slack.command(ANN, NEWS, QUESTION).answer()
    app.quiet()
    withdraw(app, "cup")
    looker(app).scan()
    note = slack.wait_for(lambda: slack.messages(slack.dm(ANN), by="U0BOT"))[0]
    assert f"A correction: what my answer to “{QUESTION}” stands on has changed." in words(note)


def test_the_sources_of_a_corrected_answer_say_so(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    take_in(app.workspace, [CORRECTED])
    looker(app).scan()
    answer, _ = thread(slack, ts, 2)
    slack.click(ANN, NEWS, answer["ts"], "sources").answer()
    [view] = slack.views_of(ANN)
    assert "the article no longer says so" in str(view)
    assert styles(view, QUOTE) == [{"bold": True, "strike": True}]


def test_a_strike_is_taken_back_when_the_article_comes_back_and_told_once_each_time(
    slack: SlackServer, app: App
) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    again = "A correction is taken back: what this answer cites is in the articles again."
    for count in (2, 4):
        withdraw(app, "cup")
        for _ in range(2):
            looker(app).scan()
        answer, *_ = thread(slack, ts, count)
        app.quiet()
        assert styles(answer["blocks"], QUOTE) == [{"strike": True}]
        take_in(app.workspace, [make(CUP)])
        for _ in range(2):
            looker(app).scan()
        answer, *notes = thread(slack, ts, count + 1)
        app.quiet()
        assert not any("strike" in style for style in styles(answer["blocks"], QUOTE))
        assert again in words(notes[-1])
        assert "withdrawn" not in words(answer) + words(notes[-1])
    assert len(slack.messages(NEWS, ts, by="U0BOT")) == 5


def test_an_article_that_comes_back_without_the_quote_stays_struck(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} {QUESTION}")
    replies(slack, NEWS, ts)
    app.quiet()
    withdraw(app, "cup")
    looker(app).scan()
    thread(slack, ts, 2)
    app.quiet()
    take_in(app.workspace, [CORRECTED])
    looker(app).scan()
    app.quiet()
    answer, _ = slack.messages(NEWS, ts, by="U0BOT")
    assert styles(answer["blocks"], QUOTE) == [{"strike": True}]


def test_a_private_answer_that_was_shared_is_struck_through_where_it_stands_too(
    slack: SlackServer, app: App
) -> None:
    slack.allowed_mentions.add(f"@{ANN}")  # who shares it is named
    slack.command(ANN, NEWS, QUESTION).answer()
    app.quiet()
    [private] = slack.shown_to(ANN)
    slack.click(ANN, NEWS, private["ts"], "share").answer()
    [shared] = slack.wait_for(lambda: slack.messages(NEWS, by="U0BOT"))
    app.quiet()
    withdraw(app, "cup")
    looker(app).scan()
    [note] = thread(slack, shared["ts"], 1)
    app.quiet()
    [shared, _] = slack.messages(NEWS, by="U0BOT")
    assert styles(shared["blocks"], QUOTE) == [{"strike": True}]
    assert " asked: " in words(shared)
    assert "what this answer stands on has changed" in words(note)
    [told] = slack.messages(slack.dm(ANN), by="U0BOT")
    assert f"my answer to “{QUESTION}”" in words(told)


def test_whoever_shared_an_answer_is_written_to_even_where_the_bot_may_not_speak_any_more(
    slack: SlackServer, app: App
) -> None:
    slack.allowed_mentions.add(f"@{ANN}")
    slack.command(ANN, NEWS, QUESTION).answer()
    app.quiet()
    [private] = slack.shown_to(ANN)
    slack.click(ANN, NEWS, private["ts"], "share").answer()
    slack.wait_for(lambda: slack.messages(NEWS, by="U0BOT"))
    app.quiet()
    slack.fail("chat.update", "is_archived")
    slack.fail("chat.postMessage", "is_archived")
    withdraw(app, "cup")
    looker(app).scan()
    [told] = slack.wait_for(lambda: slack.messages(slack.dm(ANN), by="U0BOT"))
    assert f"my answer to “{QUESTION}”" in words(told)


def _done(app: App, statement: Update) -> int:
    with app.workspace.articles.transaction() as connection:
        return connection.execute(statement).rowcount


def test_a_correction_outlasts_slack_s_being_away(slack: SlackServer, start: Start) -> None:
    app, ts = withdrawn_meanwhile(slack, start)
    looker(app).scan()
    with app.workspace.articles.transaction() as connection:  # as after an hour of it
        connection.execute(update(slack_jobs).where(slack_jobs.c.kind == "correction").values(tries=15))
    slack.fail("chat.update", status=500)
    start()
    slack.wait_for(lambda: [call for call in slack.calls if call.method == "chat.update"])
    over = update(slack_jobs).where(slack_jobs.c.state == "waiting").values(due=0.0)
    end = time.monotonic() + 30
    while not _done(app, over):  # as if the pause were over, once it has begun
        assert time.monotonic() < end
        time.sleep(0.01)
    answer, _ = thread(slack, ts, 2)
    assert styles(answer["blocks"], QUOTE) == [{"strike": True}]

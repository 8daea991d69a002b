"""Whom the bot answers, where, and with what: what people in channels, threads and direct conversations meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_app import ANN, BEN, CAT, DESK, ME, NEWS, SHARED, App, replies, words
from slack_server import SlackServer

CUP = "Argentina won the final against France on penalties."
MOON = "A lander touched down on the Moon on Wednesday."
BANK = "A bank in California failed on Friday."
Start = Callable[..., App]


@pytest.mark.parametrize("http", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_a_mention_is_answered_in_its_thread_with_its_source(
    slack: SlackServer, start: Start, http: bool, streams: bool
) -> None:
    if not streams:
        slack.without("chat.startStream", "assistant.threads.setStatus")
    start(http=http)
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    [reply] = replies(slack, NEWS, ts)
    for part in (CUP, "[1]", "Daily", "18 December 2022", "Final won on penalties"):
        assert part in words(reply)
    assert "Argentina won the final" in reply["text"].replace("**", "")
    assert bool(slack.called("chat.stopStream")) is streams
    assert not slack.statuses


def test_what_the_articles_do_not_say_is_said_so_with_what_comes_near(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who is the mayor of Reykjavik?")
    [reply] = replies(slack, NEWS, ts)
    assert "The articles do not say." in words(reply)
    assert "The nearest articles:" in words(reply)
    assert "The articles do not say." in reply["text"]


def test_a_direct_message_is_answered_and_followed_up(slack: SlackServer, app: App) -> None:
    direct = slack.dm(ANN)
    first = slack.say(direct, ANN, "Which bank failed in California?")
    assert BANK in words(replies(slack, direct, first)[0])
    second = slack.say(direct, ANN, "And who queued outside its branches?")
    assert "Depositors queued outside its branches." in words(replies(slack, direct, second)[0])
    assert slack.titles[direct, first] == "Which bank failed in California?"


def test_a_thread_goes_on_without_a_mention_and_knows_what_was_said(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    replies(slack, NEWS, ts)
    slack.say(NEWS, ANN, "And who scored twice in it?", thread_ts=ts)
    assert "Messi scored twice in the match." in words(replies(slack, NEWS, ts, 2)[1])
    slack.say(NEWS, BEN, "Which bank failed in California?", thread_ts=ts)
    assert BANK in words(replies(slack, NEWS, ts, 3)[2])


@pytest.mark.parametrize(
    "between",
    [
        [(BEN, "I had money on the other side.")],  # to a colleague
        [(ANN, "<@U0BEN> what do you think?")],
        [(ANN, "<!subteam^S0DESK> can somebody take this?")],
        [(BEN, "<@U0CAT> look at this, who is it?")],
        [(ANN, "<!here> who knows more?")],
    ],
)
def test_people_who_talk_to_each_other_are_left_alone_until_the_bot_is_mentioned(
    slack: SlackServer, app: App, between: list[tuple[str, str]]
) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    replies(slack, NEWS, ts)
    for person, text in between:
        slack.say(NEWS, person, text, thread_ts=ts)
        app.quiet()
    slack.say(NEWS, ANN, "Who scored twice in the match?", thread_ts=ts)
    app.quiet()
    assert len(replies(slack, NEWS, ts)) == 1
    slack.say(NEWS, ANN, f"{ME} who scored twice in the match?", thread_ts=ts)
    assert "Messi" in words(replies(slack, NEWS, ts, 2)[1])
    slack.say(NEWS, ANN, "Which bank failed in California?", thread_ts=ts)
    replies(slack, NEWS, ts, 3)


@pytest.mark.parametrize("thanks", ["thanks!", "ok", "Great"])
def test_thanks_in_a_thread_get_no_answer_but_in_a_direct_conversation_they_do(
    slack: SlackServer, app: App, thanks: str
) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    replies(slack, NEWS, ts)
    slack.say(NEWS, ANN, thanks, thread_ts=ts)
    app.quiet()
    assert len(replies(slack, NEWS, ts)) == 1
    direct = slack.dm(ANN)
    assert replies(slack, direct, slack.say(direct, ANN, thanks))


def test_what_is_not_for_it_is_ignored_without_a_single_call(slack: SlackServer, app: App) -> None:
    slack.say(NEWS, ANN, "Who won the final against France?")
    root = slack.say(NEWS, ANN, "Lunch?")
    slack.say(NEWS, BEN, "Who is in?", thread_ts=root)
    slack.edit(NEWS, root, "Lunch at one?")
    slack.delete(NEWS, root)
    slack.bot_message(NEWS, f"{ME} Who won the final against France?")
    slack.say(NEWS, ANN, f"{ME} who won?", bot_id="B0OTHER")
    slack.say(NEWS, ANN, f"{ME} set the topic", subtype="channel_topic")
    slack.join(NEWS, CAT)
    app.quiet()
    assert [call.method for call in slack.calls] == ["auth.test"]


def test_a_bare_mention_explains_itself_or_answers_what_stands_above_it(slack: SlackServer, app: App) -> None:
    alone = slack.say(NEWS, ANN, ME)
    assert "Mention me with a question" in words(replies(slack, NEWS, alone)[0])
    root = slack.say(NEWS, BEN, "Which bank failed in California?")
    slack.say(NEWS, ANN, f"{ME}", thread_ts=root)
    assert BANK in words(replies(slack, NEWS, root)[0])


def test_a_question_in_somebody_elses_thread_is_understood_with_it(slack: SlackServer, app: App) -> None:
    root = slack.say(NEWS, BEN, "A bank in California failed.")
    slack.say(NEWS, ANN, f"{ME} When was that?", thread_ts=root)
    found = words(replies(slack, NEWS, root)[0])
    assert BANK in found


def test_an_edited_question_gets_a_fresh_answer_in_place(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    [before] = replies(slack, NEWS, ts)
    slack.edit(NEWS, ts, f"{ME} Which bank failed in California?")
    slack.wait_for(lambda: BANK in words(replies(slack, NEWS, ts)[0]))
    [after] = replies(slack, NEWS, ts)
    assert after["ts"] == before["ts"]
    assert CUP not in words(after)
    app.quiet()
    calls = len(slack.calls)
    slack.edit(NEWS, ts, f"{ME} Which bank failed in California?")  # as when Slack unfurls a link
    app.quiet()
    assert len(slack.calls) == calls


def test_an_edit_can_make_a_message_a_question(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, "Which bank failed in California?")
    slack.edit(NEWS, ts, f"{ME} Which bank failed in California?")
    assert BANK in words(replies(slack, NEWS, ts)[0])


def test_a_deleted_question_takes_its_answer_along(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    replies(slack, NEWS, ts)
    slack.say(NEWS, ANN, "Who scored twice?", thread_ts=ts)
    [_, second] = replies(slack, NEWS, ts, 2)
    slack.delete(NEWS, ts)
    slack.wait_for(lambda: [one["ts"] for one in slack.messages(NEWS, ts, by="U0BOT")] == [second["ts"]])


def test_a_question_deleted_or_edited_before_its_turn_is_not_answered_as_it_was(
    slack: SlackServer, start: Start
) -> None:
    start(slack_concurrency=1)
    slack.delay("chat.startStream", 0.5)
    busy = slack.say(NEWS, BEN, f"{ME} Which bank failed in California?")
    slack.wait_for(lambda: slack.called("assistant.threads.setStatus"))
    gone = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    slack.delete(NEWS, gone)
    changed = slack.say(NEWS, CAT, f"{ME} Who won the final against France?")
    slack.edit(NEWS, changed, f"{ME} What touched down on the Moon?")
    replies(slack, NEWS, busy)
    [reply] = replies(slack, NEWS, changed)
    assert MOON in words(reply)
    assert not slack.messages(NEWS, gone, by="U0BOT")


def test_nothing_is_said_in_channels_shared_with_another_company_unless_they_are_named(
    slack: SlackServer, start: Start
) -> None:
    app = start()
    slack.say(SHARED, ANN, f"{ME} Who won the final against France?")
    slack.say(SHARED, "U0GUEST", f"{ME} Who won the final against France?")
    app.quiet()
    assert [call.method for call in slack.calls] == ["auth.test"]
    app.stop()
    start(slack_external_channels=(SHARED,))
    ts = slack.say(SHARED, "U0GUEST", f"{ME} Who won the final against France?")
    assert CUP in words(replies(slack, SHARED, ts)[0])


def test_only_who_and_where_is_listed_is_answered_and_others_are_told_once(
    slack: SlackServer, start: Start
) -> None:
    app = start(slack_channels=(NEWS,), slack_users=(ANN,))
    elsewhere = slack.say(DESK, ANN, f"{ME} Who won the final against France?")
    other = slack.say(NEWS, BEN, f"{ME} Who won the final against France?")
    mine = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    direct = slack.dm(ANN)
    told = slack.say(direct, ANN, "Which bank failed in California?")
    assert CUP in words(replies(slack, NEWS, mine)[0])
    assert BANK in words(replies(slack, direct, told)[0])
    slack.wait_for(lambda: slack.shown_to(ANN) and slack.shown_to(BEN))
    app.quiet()
    assert [words(one) for one in slack.shown_to(BEN)] == [
        "I am not set up to answer here. Please ask whoever set me up in this workspace."
    ]
    assert not slack.messages(DESK, elsewhere)
    assert not slack.messages(NEWS, other)


def test_who_asks_too_much_at_once_is_told_so(slack: SlackServer, start: Start) -> None:
    app = start(slack_waiting=2, slack_concurrency=1)
    slack.delay("chat.startStream", 0.3)
    asked = [slack.say(NEWS, ANN, f"{ME} Who won the final against France?") for _ in range(3)]
    other = slack.say(NEWS, BEN, f"{ME} Which bank failed in California?")
    replies(slack, NEWS, other)
    told = slack.wait_for(lambda: slack.shown_to(ANN))
    assert "still waiting" in words(told[0])
    app.quiet()
    assert sum(bool(slack.messages(NEWS, ts, by="U0BOT")) for ts in asked) == 3 - len(told)


def test_a_question_that_is_too_long_is_refused_in_words(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, f"{ME} Who won {'very ' * 500}much?")
    assert "at most 2,000" in words(replies(slack, NEWS, ts)[0])


def test_an_empty_collection_says_so(slack: SlackServer, start: Start) -> None:
    start(articles=[])
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    assert "no articles" in words(replies(slack, NEWS, ts)[0])


def test_two_replicas_and_a_nervous_slack_still_give_one_answer(slack: SlackServer, start: Start) -> None:
    apps = [start(), start()]
    asked: list[tuple[str, Any]] = []
    for n in range(6):
        ts = slack.say(NEWS, (ANN, BEN, CAT)[n % 3], f"{ME} Who won the final against France?")
        asked.append((ts, list(slack.deliveries)[-2:]))
    for _, events in asked:
        for event in events * 2:
            slack.redeliver(event)
    for ts, _ in asked:
        replies(slack, NEWS, ts)
    for app in apps:
        app.quiet()
    assert [len(slack.messages(NEWS, ts, by="U0BOT")) for ts, _ in asked] == [1] * 6

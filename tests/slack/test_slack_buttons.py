"""What people do with answers, in private, and in the app's own place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_app import ANN, BEN, DESK, ME, NEWS, SHARED, App, replies, words
from slack_server import SlackServer

from bot.slack.scopes import SHORTCUT

CUP = "Argentina won the final against France on penalties."
BANK = "A bank in California failed on Friday."
Start = Callable[..., App]


def answered(slack: SlackServer, app: App) -> tuple[str, dict[str, Any]]:
    """A question and its answer; all that belongs to it is done."""
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    [reply] = replies(slack, NEWS, ts)
    app.quiet()
    return ts, reply


def judged(app: App) -> list[tuple[str, str, str, int]]:
    found = app.workspace.answers.iter_feedback()
    return [(one.person, one.verdict, one.note, one.citation) for one in found]


def test_what_people_say_of_an_answer_is_kept_once_each_and_can_be_changed(
    slack: SlackServer, app: App
) -> None:
    ts, reply = answered(slack, app)
    for person, verdict in ((ANN, "right"), (BEN, "right"), (ANN, "wrong"), (ANN, "wrong")):
        value = next(value for value in _values(reply) if value.startswith(f"{verdict}:"))
        assert slack.click(person, NEWS, reply["ts"], "feedback", value).answer() == {}
    assert sorted(judged(app)) == [(ANN, "wrong", "", 0), (BEN, "right", "", 0)]
    slack.wait_for(lambda: len(slack.shown_to(ANN)) == 3)
    assert "Noted: wrong." in words(slack.shown_to(ANN)[-1])
    assert slack.shown_to(ANN)[-1]["thread_ts"] == ts


def test_a_source_can_be_judged_by_itself(slack: SlackServer, app: App) -> None:
    _, reply = answered(slack, app)
    value = next(value for value in _values(reply) if value.startswith("outdated:1:"))
    slack.click(BEN, NEWS, reply["ts"], "citation:1", value).answer()
    assert judged(app) == [(BEN, "wrong", "out of date", 1)]


def test_sources_open_within_their_articles(slack: SlackServer, app: App) -> None:
    _, reply = answered(slack, app)
    slack.click(BEN, NEWS, reply["ts"], "sources").answer()
    [view] = slack.views_of(BEN)
    assert CUP in words(view)
    assert "Messi scored twice in the match." in words(view)  # what stands around the quote


def test_a_person_is_called_once_an_answer(slack: SlackServer, start: Start) -> None:
    app = start(slack_helpers="S0DESK")
    slack.allowed_mentions |= {"!subteam^S0DESK", f"@{BEN}", "S0DESK", BEN}
    ts, reply = answered(slack, app)
    for _ in range(2):
        slack.click(BEN, NEWS, reply["ts"], "ask_person").answer()
    slack.wait_for(lambda: len(slack.messages(NEWS, ts, by="U0BOT")) == 2)
    slack.say(NEWS, ANN, f"{ME} Which bank failed in California?", thread_ts=ts)
    assert BANK in words(replies(slack, NEWS, ts, 3)[2])


def test_without_helpers_there_is_no_such_button(slack: SlackServer, app: App) -> None:
    _, reply = answered(slack, app)
    assert "ask_person" not in str(reply["blocks"])


def test_the_command_answers_the_asker_alone_until_they_share_it(slack: SlackServer, app: App) -> None:
    assert slack.command(ANN, NEWS, "Who won the final against France?").answer() == {}
    [private] = slack.wait_for(lambda: slack.shown_to(ANN))
    assert CUP in words(private)
    assert slack.messages(NEWS) == []
    slack.allowed_mentions.add(f"@{ANN}")  # who shares it is named
    for _ in range(2):
        slack.click(ANN, NEWS, private["ts"], "share").answer()
    [shared] = slack.wait_for(lambda: slack.messages(NEWS, by="U0BOT"))
    assert CUP in words(shared)
    assert "Who won the final against France?" in words(shared)
    value = next(value for value in _values(private) if value.startswith("right:"))
    slack.click(ANN, NEWS, private["ts"], "feedback_right", value).answer()
    assert judged(app) == [(ANN, "right", "", 0)]


@pytest.mark.parametrize("channel", [SHARED, "C0QUIET"])
def test_a_private_answer_is_not_shared_with_other_companies(
    slack: SlackServer, app: App, channel: str
) -> None:
    slack.command(ANN, channel, "Who won the final against France?").answer()
    [private] = slack.wait_for(lambda: slack.shown_to(ANN))
    slack.allowed_mentions.add(f"@{ANN}")
    slack.click(ANN, channel, private["ts"], "share").answer()
    if channel == SHARED:
        slack.wait_for(lambda: len(slack.shown_to(ANN)) == 2)
        assert "not in channels shared with another company" in words(slack.shown_to(ANN)[1])
        assert slack.messages(channel) == []
    else:
        slack.wait_for(lambda: slack.messages(channel))


def test_a_command_without_a_question_explains_itself(slack: SlackServer, app: App) -> None:
    slack.command(ANN, NEWS, "  ").answer()
    [private] = slack.wait_for(lambda: slack.shown_to(ANN))
    assert "/cite" in words(private)


def test_who_is_not_answered_is_told_so_by_the_command(slack: SlackServer, start: Start) -> None:
    app = start(slack_users=(BEN,))
    slack.command(ANN, NEWS, "Who won the final against France?").answer()
    app.quiet()
    [told] = slack.shown_to(ANN)
    assert "not set up to answer here" in told["text"]


def test_an_answer_whose_address_is_used_up_goes_to_the_askers_direct_messages(
    slack: SlackServer, app: App
) -> None:
    slack.fail("response_url", status=404)
    slack.command(ANN, NEWS, "Who won the final against France?").answer()
    [direct] = slack.wait_for(lambda: slack.messages(slack.dm(ANN), by="U0BOT"))
    assert CUP in words(direct)


def test_a_colleagues_message_is_checked_sentence_by_sentence(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, BEN, f"{CUP} Brazil won the final against Spain on a golden goal.")
    assert slack.shortcut(ANN, NEWS, ts, callback_id=SHORTCUT).answer() == {}
    [opened] = slack.views_of(ANN)
    view_id = opened["id"]
    app.quiet()
    checked = words(slack.views[view_id])
    assert "supported" in checked.lower()
    assert "not supported" in checked.lower()
    assert "18 December 2022" in checked
    assert slack.messages(NEWS, ts, by="U0BOT") == []


def test_the_home_tab_says_what_is_known_and_lets_admins_choose_a_channels_outlets(
    slack: SlackServer, start: Start
) -> None:
    app = start(slack_admins=(BEN,))
    slack.allowed_mentions.add(f"#{NEWS}")
    slack.open_home(ANN)
    home = slack.wait_for(lambda: slack.home_of(ANN))
    assert "4 articles" in words(home)
    assert "23 August 2023" in words(home)
    assert "set_channel" not in str(home)
    slack.open_home(BEN)
    home = slack.wait_for(lambda: slack.home_of(BEN))
    slack.click_in_view(BEN, home["id"], "set_channel").answer()
    [form] = slack.views_of(BEN)
    offered = slack.options(BEN, "outlets", "led", view_id=form["id"]).answer()
    assert [option["text"]["text"] for option in offered["options"]] == ["Ledger"]
    slack.submit(form["id"], BEN, {"channel": NEWS, "outlets": ["Ledger"]}).answer()
    assert app.workspace.articles.sources()
    slack.wait_for(lambda: "Ledger" in words(slack.home_of(BEN) or {}))
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    assert "The articles do not say." in words(replies(slack, NEWS, ts)[0])
    ts = slack.say(DESK, ANN, f"{ME} Who won the final against France?")
    assert CUP in words(replies(slack, DESK, ts)[0])


def test_the_agents_pane_offers_questions_about_the_newest_articles(slack: SlackServer, app: App) -> None:
    slack.open_home(ANN, tab="messages")
    offered = slack.wait_for(lambda: slack.prompts.get(slack.dm(ANN)))
    messages = [prompt["message"] for prompt in offered["prompts"]]
    assert any("Lander touches down" in message for message in messages)
    assert len(messages) <= 4


def _values(node: Any) -> list[str]:
    if isinstance(node, list):
        return [value for item in node for value in _values(item)]
    if not isinstance(node, dict):
        return []
    own = [node["value"]] if isinstance(node.get("value"), str) else []
    return own + [value for item in node.values() if not isinstance(item, str) for value in _values(item)]

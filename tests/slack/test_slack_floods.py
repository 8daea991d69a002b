"""Hostile words, long words, many words and nonsense: the bot goes on answering, each question once, and harms nobody."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from conftest import make
from openai_server import OpenAIServer, Reply
from slack_app import ANN, BEN, CAT, DESK, ME, NEWS, App, replies, words
from slack_server import SlackServer
from sqlalchemy import insert, select

from bot.slack.scopes import SHORTCUT
from bot.storage.schema import slack_events

CUP = "Argentina won the final against France on penalties."
QUESTION = f"{ME} Who won the final against France?"
Start = Callable[..., App]

HOSTILE = (
    "<!channel> <!here|here> <!everyone> <@U0BEN> <!subteam^S0DESK|@desk> <#C0NEWS> @channel @here "
    "<https://evil.example|click> [click](https://evil.example) https://evil.example/a www.evil.example evil.com "
    "mailto:a@evil.example a@evil.com &lt;!channel&gt; \\u003c!channel\\u003e &#60;!channel&#62; *b* _i_ ~s~ `c` ```x``` "
    "<!date^1^{date}^https://evil.example|d> :tada: \u202e\u2066\u200b ![i](https://evil.example/i.png) \\<!channel\\>"
)


def healthy(slack: SlackServer) -> None:
    """The bot answers a question, and nothing that was delivered before was answered too late."""
    ts = slack.say(DESK, BEN, QUESTION)
    assert CUP in words(replies(slack, DESK, ts)[0])
    assert [ack for ack in slack.acks if ack.failure == "http_timeout"] == []


LONG = ("*a " * 13_000, "*a _b ~c " * 4_400, "?" * 39_000 + " a", "? " * 19_000 + "a", "<" * 40_000, "<@U1|" * 8_000,
        "&lt;" * 10_000, "`" * 40_000, "a" * 40_000, "<!subteam^S1" * 3_300, ":a" * 20_000, "\n>" * 20_000)  # fmt: skip


def test_long_messages_that_are_overheard_hold_nobody_up(slack: SlackServer, app: App) -> None:
    for text in LONG:
        ts = slack.say(NEWS, ANN, QUESTION)
        replies(slack, NEWS, ts)
        slack.say(NEWS, CAT, text)
        slack.say(NEWS, CAT, text, thread_ts=ts)
        healthy(slack)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("model", [True, False])
def test_what_hostile_articles_models_and_questions_say_stays_words(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch, streams: bool, model: bool
) -> None:
    """What Slack would make of each call is judged by the fixture."""
    if not streams:
        slack.without("chat.startStream")
    article = make({
        "id": "evil", "title": f"Cup {HOSTILE}", "source": f"Daily {HOSTILE}", "published": "2024-01-02",
        "url": "https://daily.example/evil",
        "text": f"Peru won the regatta {HOSTILE} on Sunday. Chile lost the regatta {HOSTILE} on Sunday.",
    })  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    slack.allowed_mentions |= {"!subteam^S0DESK", f"@{ANN}", "S0DESK"}
    said = (
        f"Peru won the regatta {HOSTILE} on Sunday [1]. {HOSTILE} [1]. <!channel> Peru won the regatta [1]."
    )
    with OpenAIServer(Reply(said)) as server:
        chat = {"chat_model": "openai:test", "chat_base_url": server.url} if model else {}
        app = start(articles=[article], slack_helpers="S0DESK", min_confidence=0, **chat)
        ts = slack.say(NEWS, ANN, f"{ME} Who won the regatta on Sunday? {HOSTILE}")
        [reply] = replies(slack, NEWS, ts)
        app.quiet()
        [reply] = replies(slack, NEWS, ts)
        assert "Peru won the regatta" in words(reply)
        slack.click(ANN, NEWS, reply["ts"], "sources").answer()
        slack.click(ANN, NEWS, reply["ts"], "ask_person").answer()
        slack.command(ANN, NEWS, f"Who won the regatta on Sunday? {HOSTILE}").answer()
        [private] = slack.wait_for(lambda: slack.shown_to(ANN))
        slack.click(ANN, NEWS, private["ts"], "share").answer()
        slack.shortcut(ANN, NEWS, ts, callback_id=SHORTCUT).answer()
        slack.say(slack.dm(ANN), ANN, f"{HOSTILE} Who won the regatta?")
        slack.say(NEWS, ANN, f"{ME} Who is mayor of Atlantis? {HOSTILE}")
        slack.open_home(ANN, tab="messages")
        slack.open_home(ANN)
        app.quiet()


@pytest.mark.parametrize(
    "bot", [{"bot_id": "B0OTHER"}, {"bot_profile": {"id": "B0OTHER"}}, {"subtype": "bot_message"}]
)
def test_two_bots_do_not_talk_to_each_other(slack: SlackServer, app: App, bot: dict[str, Any]) -> None:
    ts = slack.say(NEWS, ANN, QUESTION)
    replies(slack, NEWS, ts)
    for text in ("Who scored twice in the match?", QUESTION):
        slack.say(NEWS, CAT, text, thread_ts=ts, **bot)
    said = slack.bot_message(NEWS, "Who scored twice?", thread_ts=ts, user=CAT)
    slack.edit(NEWS, said, QUESTION)
    app.quiet()
    assert len(replies(slack, NEWS, ts)) == 1


def test_who_edits_in_a_loop_gets_the_answer_to_the_last_wording(slack: SlackServer, app: App) -> None:
    ts = slack.say(NEWS, ANN, QUESTION)
    for n in range(30):
        slack.edit(NEWS, ts, f"{ME} Who won the final against France? {n}")
    slack.edit(NEWS, ts, f"{ME} Which bank failed in California?")
    slack.wait_for(lambda: "A bank in California failed" in words(replies(slack, NEWS, ts)[0]))
    app.quiet()
    [reply] = slack.messages(NEWS, ts, by="U0BOT")
    assert "A bank in California failed" in words(reply)
    assert slack.shown_to(ANN) == []


def test_who_floods_is_told_so_and_does_not_make_the_bot_flood(slack: SlackServer, start: Start) -> None:
    app = start(slack_waiting=1, slack_concurrency=1)
    slack.delay("chat.startStream", 1.0)
    for _ in range(60):
        slack.say(NEWS, ANN, QUESTION)
    other = slack.say(NEWS, BEN, QUESTION)
    assert CUP in words(replies(slack, NEWS, other)[0])
    app.quiet()
    told = [one for one in slack.shown_to(ANN) if "still waiting" in words(one)]
    assert 1 <= len(told) <= 3


def test_who_is_turned_away_and_goes_on_does_not_make_the_bot_flood(slack: SlackServer, start: Start) -> None:
    app = start(slack_users=(BEN,))
    for _ in range(30):
        slack.say(NEWS, ANN, QUESTION)
    app.quiet()
    healthy(slack)
    assert 1 <= len(slack.shown_to(ANN)) <= 2


def test_a_thread_of_thousands_is_not_read_to_its_end(slack: SlackServer, app: App) -> None:
    slack.echo = False
    place = slack.channels[NEWS]
    root = slack.say(NEWS, BEN, "A bank in California failed.")
    for n in range(5_000):
        slack.write(
            place, {"type": "message", "user": BEN, "text": f"This is number {n}.", "thread_ts": root}
        )
    slack.say(NEWS, ANN, f"{ME} When was that?", thread_ts=root)
    replies(slack, NEWS, root)
    app.quiet()
    assert len(slack.called("conversations.replies")) <= 6


def test_a_colleagues_message_may_be_anything(slack: SlackServer, app: App) -> None:
    picture = [{"type": "image", "image_url": "https://evil.example/i.png", "alt_text": CUP}]
    for said in ({"text": ""}, {"text": None}, {"text": "", "blocks": picture}, {"text": "", "files": [{"id": "F1"}]},
                 {"text": "", "attachments": [{"text": CUP}]}, {"text": "a" * 40_000}, {"text": f"{CUP} " * 300},
                 {"text": "🏆" * 3_000}, {"text": "\u0000\ud7ff e\u0301 \u202e"}, {"text": HOSTILE * 20}):  # fmt: skip
        ts = slack.write(slack.channels[NEWS], {"type": "message", "user": BEN, **said})["ts"]
        slack.shortcut(ANN, NEWS, ts, callback_id=SHORTCUT).answer()
        app.quiet()
        view = slack.views_of(ANN)[-1]
        assert "Reading the articles" not in words(view)
    healthy(slack)


def mangled(payload: Any, chance: random.Random) -> Any:
    """The payload with one thing in it missing or of another kind."""
    copy = json.loads(json.dumps(payload))
    node, path = copy, []
    while isinstance(node, dict | list) and node and (not path or chance.random() < 0.7):
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        path.append((node, key))
        node = node[key]
    holder, key = path[-1]
    if chance.random() < 0.4:
        del holder[key]
    else:
        holder[key] = chance.choice(
            [None, 0, -1, "", "x", [], {}, [None], {"id": None}, True, "\u0000", "\ud800", 1e308]
        )
    return copy


@pytest.mark.parametrize("seed", range(4))
def test_signed_payloads_with_things_missing_or_wrong_take_nothing_down(
    slack: SlackServer, start: Start, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    caplog.set_level(logging.INFO)
    app = start(slack_admins=(BEN,), slack_helpers="S0DESK")
    slack.allowed_mentions |= {"!subteam^S0DESK", f"@{ANN}", "S0DESK"}
    ts = slack.say(NEWS, ANN, QUESTION)
    [reply] = replies(slack, NEWS, ts)
    slack.edit(NEWS, ts, f"{QUESTION} ")
    slack.command(ANN, NEWS, "Who won?").answer()
    slack.shortcut(ANN, NEWS, ts, callback_id=SHORTCUT).answer()
    slack.click(ANN, NEWS, reply["ts"], "ask_person").answer()
    slack.open_home(BEN)
    app.quiet()
    chance = random.Random(seed)
    seen = [(one.kind, one.payload) for one in slack.deliveries.values()]
    statuses = set()
    with httpx.Client() as client:
        for _ in range(60):
            kind, payload = chance.choice(seen)
            payload = {**payload, "event_id": f"Ev{chance.random()}"} if kind == "events_api" else payload
            statuses.add(send(slack, app, client, kind, mangled(payload, chance)))
    assert statuses <= {200, 400, 401, 404, 500}
    app.quiet()
    slack.problems.clear()
    healthy(slack)
    assert [word for word in ("Argentina", "France", slack.bot_token) if word in caplog.text] == []


def send(slack: SlackServer, app: App, client: httpx.Client, kind: str, payload: Any) -> int:
    if kind == "events_api":
        body, content = json.dumps(payload), "application/json"
    else:
        form = (
            payload
            if kind == "slash_commands" and isinstance(payload, dict)
            else {"payload": json.dumps(payload)}
        )
        form = {key: str(value).encode("utf-8", "replace") for key, value in form.items()}
        body, content = urlencode(form), "application/x-www-form-urlencoded"
    headers = {**slack.sign(body.encode()), "content-type": content}
    return client.post(app.url, content=body.encode(), headers=headers).status_code


def test_a_model_that_never_comes_to_an_end_holds_up_one_answer_and_no_other(
    slack: SlackServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.worker._JOB_TIMEOUT_SECONDS", 0.6)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    endless = Reply("and so on " * 100_000, delay=0.01)
    with OpenAIServer([endless, "Argentina won the final against France on penalties [1]."]) as model:
        start(chat_model="openai:test", chat_base_url=model.url, slack_concurrency=1)
        first = slack.say(NEWS, ANN, QUESTION)
        assert "something went wrong" in words(replies(slack, NEWS, first)[0])
        healthy(slack)


NONSENSE = (
    "", "{", "[]", "null", "3", '"Argentina"', "{}", '{"type": "events_api"}', '{"type": "hello"}', "?",
    '{"type": "events_api", "envelope_id": "1", "payload": "Argentina"}',
    '{"type": "events_api", "envelope_id": "1", "payload": {"event": "Argentina"}}',
    '{"type": "interactive", "envelope_id": [], "payload": null}',
    '{"type": "slash_commands", "envelope_id": "2", "payload": {"command": "/cite", "text": "Argentina"}}',
    '{"type": "Argentina", "envelope_id": "3", "payload": {}}',
    '{"type": "events_api", "envelope_id": "4", "payload": {"type": "event_callback", "event": {"type": "message",'
    ' "user": "U1", "channel": {"Argentina": 1}, "ts": ["Argentina"], "text": ["Argentina"]}}}',
)  # fmt: skip


def test_nonsense_over_the_socket_is_no_trouble(
    slack: SlackServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    start(http=False)
    for sent in NONSENSE:
        slack.wait_for(lambda: slack.connections)
        [connection] = slack.courier.connections
        asyncio.run_coroutine_threadsafe(connection.send_str(sent), slack._loop).result(5)
        healthy(slack)
    assert "Argentina" not in caplog.text


ODD = ("🏆", "\u200b\u200d", ".", "???", "<@U0BEN>", "`", "&lt;", "&amp;lt;!channel&amp;gt;", "<!channel>", "*",
       "<https://evil.example>", "<https://evil.example|evil.example>", "\u202eknab hcihW", "é" * 2_000, "who " * 5,
       "<!date^1^{date}^https://evil.example|x>", "-- drop", "{0}%s{x}", "$(id)", "' or 1=1", "source:* AND (",
       "\\", "[1]", "/cite")  # fmt: skip


def test_whatever_is_asked_gets_one_answer(slack: SlackServer, start: Start) -> None:
    app = start(slack_waiting=100)
    direct = slack.dm(ANN)
    asked = [(NEWS, slack.say(NEWS, ANN, f"{ME} {text}")) for text in ODD]
    asked += [(direct, slack.say(direct, ANN, text)) for text in ODD]
    for text in ODD:
        slack.command(ANN, NEWS, text).answer()
    for channel, ts in asked:
        replies(slack, channel, ts)
    app.quiet()
    found = [replies(slack, channel, ts) for channel, ts in asked]
    assert [len(each) for each in found] == [1] * 2 * len(ODD)
    assert len(slack.shown_to(ANN)) == len(ODD)
    assert [words(one) for [one] in found if "went wrong" in words(one)] == []


def test_the_library_does_not_grow_with_every_word_that_is_said(slack: SlackServer, start: Start) -> None:
    app = start()
    day = 86_400.0
    with app.workspace.articles.transaction() as connection:
        rows = [("old", "message", 8 * day), ("new", "message", day), ("signed", "request", day)]
        for name, kind, age in rows:
            row = {"event_id": name, "channel": "C", "ts": name, "kind": kind, "received": time.time() - age}
            connection.execute(insert(slack_events).values(row))
    app.stop()
    again = start()
    until = time.monotonic() + 10
    while remembered(again) != {"new"}:
        assert time.monotonic() < until
        time.sleep(0.01)


def remembered(app: App) -> set[str]:
    with app.workspace.articles.connect() as connection:
        return set(connection.scalars(select(slack_events.c.event_id)))


def test_hostile_outlets_can_be_chosen_and_do_nothing(slack: SlackServer, start: Start) -> None:
    record = {"title": "Regatta", "text": "Peru won the regatta on Sunday.", "published": "2024-01-02"}
    outlets = [
        HOSTILE,
        HOSTILE[:140],
        "<!channel>",
        "\u202e",
        "a" * 151,
        "&lt;!here&gt;",
        "🏆" * 74,
        "*",
        "Daily",
    ]
    articles = [make({**record, "id": f"a{n}", "source": outlet}) for n, outlet in enumerate(outlets)]
    app = start(articles=articles, slack_admins=(BEN,))
    slack.allowed_mentions.add(f"#{NEWS}")
    slack.open_home(BEN)
    home = slack.wait_for(lambda: slack.home_of(BEN))
    slack.click_in_view(BEN, home["id"], "set_channel").answer()
    [form] = slack.views_of(BEN)
    for typed in ("", "<", "\\", "%", "zzz", "\u0000", "a" * 5_000):
        offered = slack.options(BEN, "outlets", typed, view_id=form["id"]).answer()["options"]
        assert all(len(option["text"]["text"]) <= 75 and len(option["value"]) <= 150 for option in offered)
    chosen = ["<!channel>", "&lt;!here&gt;", "no such outlet", "🏆" * 74]
    slack.submit(form["id"], BEN, {"channel": NEWS, "outlets": chosen}).answer()
    app.quiet()
    slack.wait_for(lambda: "no such outlet" in words(slack.home_of(BEN) or {}))
    ts = slack.say(NEWS, ANN, f"{ME} Who won the regatta?")
    found = words(replies(slack, NEWS, ts)[0])
    assert "!channel> · 2 January 2024" in found
    assert "Daily" not in found

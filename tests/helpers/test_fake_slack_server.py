"""The tests' Slack is as strict as Slack, and real clients take it for Slack."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_server import SlackServer
from slack_server.safety import found


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def client(slack: SlackServer) -> WebClient:
    return WebClient(token=slack.bot_token, base_url=slack.url)


def plain(text: str = "x") -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def marked(text: str = "x") -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str = "x", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": marked(text)} | more


def button(action_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": plain()} | more


def actions(*elements: Any, kind: str = "actions") -> dict[str, Any]:
    return {"type": kind, "elements": list(elements)}


def option(value: str = "v") -> dict[str, Any]:
    return {"text": plain(), "value": value}


def overflow(count: int) -> dict[str, Any]:
    return {"type": "overflow", "action_id": "o", "options": [option(str(n)) for n in range(count)]}


def feedback(**more: Any) -> dict[str, Any]:
    good, bad = ({"text": plain(word), "value": word} for word in ("good", "bad"))
    return {
        "type": "feedback_buttons",
        "action_id": "fb",
        "positive_button": good,
        "negative_button": bad,
    } | more


ALLOWED = {
    "fifty blocks": [{"type": "divider"}] * 50,
    "3,000 characters": [section("x" * 3000)],
    "fields alone": [{"type": "section", "fields": [marked("x" * 2000)] * 5}],
    "ten in a context": [actions(*[marked()] * 10, kind="context")],
    "25 buttons": [actions(*[button(str(n)) for n in range(25)])],
    "a value of 2,000": [actions(button(value="x" * 2000))],
    "five options": [section(accessory=overflow(5))],
    "feedback": [actions(feedback(), kind="context_actions")],
    "a header of 150": [{"type": "header", "text": plain("x" * 150)}],
    "12,000 of Markdown": [{"type": "markdown", "text": "x" * 12_000}],
    "one action_id in two blocks": [actions(button()), actions(button())],
    "an input": [
        {"type": "input", "label": plain(), "element": {"type": "plain_text_input", "action_id": "i"}}
    ],
    "rich text": [
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}],
        }
    ],
}

REFUSED = {
    "51 blocks": [{"type": "divider"}] * 51,
    "3,001 characters": [section("x" * 3001)],
    "an empty text": [section("")],
    "no text at all": [{"type": "section"}],
    "a bare string for a text": [{"type": "section", "text": "x"}],
    "a text of no known type": [{"type": "section", "text": {"type": "markdown", "text": "x"}}],
    "eleven fields": [{"type": "section", "fields": [marked()] * 11}],
    "a field of 2,001": [{"type": "section", "fields": [marked("x" * 2001)]}],
    "eleven in a context": [actions(*[marked()] * 11, kind="context")],
    "a button in a context": [actions(button(), kind="context")],
    "26 buttons": [actions(*[button(str(n)) for n in range(26)])],
    "no buttons": [actions()],
    "text among buttons": [actions(marked())],
    "a value of 2,001": [actions(button(value="x" * 2001))],
    "an action_id of 256": [actions(button("x" * 256))],
    "no action_id": [actions({"type": "button", "text": plain()})],
    "a button of 76": [actions(button(text=plain("x" * 76)))],
    "a button in mrkdwn": [actions(button(text=marked()))],
    "a style of its own": [actions(button(style="blue"))],
    "a url of 3,001": [actions(button(url="https://e.example/" + "x" * 3000))],
    "an action_id twice in a block": [actions(button(), button())],
    "a block_id twice": [section(block_id="b"), section(block_id="b")],
    "a block_id of 256": [section(block_id="x" * 256)],
    "six options": [section(accessory=overflow(6))],
    "no options": [section(accessory=overflow(0))],
    "an option of 76": [section(accessory=overflow(1) | {"options": [option() | {"text": plain("x" * 76)}]})],
    "an option's value of 151": [section(accessory=overflow(1) | {"options": [option("x" * 151)]})],
    "a header of 151": [{"type": "header", "text": plain("x" * 151)}],
    "a header in mrkdwn": [{"type": "header", "text": marked()}],
    "feedback among buttons": [actions(feedback())],
    "feedback without a value": [actions(feedback(positive_button={"text": plain()}), kind="context_actions")],
    "a button among feedback": [actions(button(), kind="context_actions")],
    "six elements of feedback": [actions(*[feedback(action_id=str(n)) for n in range(6)], kind="context_actions")],
    "12,001 of Markdown in two": [{"type": "markdown", "text": "x" * 6000}, {"type": "markdown", "text": "x" * 6001}],
    "an unknown block": [{"type": "paragraph", "text": plain()}],
    "an unknown element": [section(accessory={"type": "knob", "action_id": "k"})],
    "verbatim beside plain text": [{"type": "header", "text": plain() | {"verbatim": True}}],
    "emoji beside mrkdwn": [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}],
    "an image without alt_text": [{"type": "image", "image_url": "https://e.example/i.png"}],
    "a select of 101": [section(accessory={"type": "static_select", "action_id": "s", "placeholder": plain(),
                                           "options": [option(str(n)) for n in range(101)]})],
}  # fmt: skip


@pytest.mark.parametrize("blocks", ALLOWED.values(), ids=ALLOWED)
def test_blocks_within_the_limits_are_taken(slack: SlackServer, client: WebClient, blocks: list[Any]) -> None:
    ts = client.chat_postMessage(
        channel="C0NEWS", text="t", blocks=blocks, unfurl_links=False, unfurl_media=False
    )["ts"]
    client.chat_update(channel="C0NEWS", ts=ts, text="t", blocks=blocks)
    assert not slack.problems


@pytest.mark.parametrize("blocks", REFUSED.values(), ids=REFUSED)
def test_blocks_beyond_the_limits_are_refused(
    slack: SlackServer, client: WebClient, blocks: list[Any]
) -> None:
    with pytest.raises(SlackApiError, match=r"invalid_blocks\b"):
        client.chat_postMessage(
            channel="C0NEWS", text="t", blocks=blocks, unfurl_links=False, unfurl_media=False
        )
    assert slack.problems
    assert not slack.messages("C0NEWS")


def modal(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain("Sources"), "blocks": list(blocks or [section()])} | more


VIEWS = {
    "101 blocks": (modal(*[{"type": "divider"}] * 101), "invalid_blocks"),
    "a title of 25": (modal(title=plain("x" * 25)), "invalid_arguments"),
    "no title": ({"type": "modal", "blocks": [section()]}, "invalid_arguments"),
    "a home tab": ({"type": "home", "blocks": [section()]}, "invalid_arguments"),
    "feedback": (modal(actions(feedback(), kind="context_actions")), "invalid_blocks"),
    "Markdown": (modal({"type": "markdown", "text": "x"}), "invalid_blocks"),
    "an input and nothing to submit it with": (modal(ALLOWED["an input"][0]), "invalid_arguments"),
    "private_metadata of 3,001": (modal(private_metadata="x" * 3001), "invalid_arguments"),
    "a callback_id of 256": (modal(callback_id="x" * 256), "invalid_arguments"),
}  # fmt: skip


@pytest.mark.parametrize(("view", "error"), VIEWS.values(), ids=VIEWS)
def test_modals_beyond_the_limits_are_refused(
    slack: SlackServer, client: WebClient, view: Any, error: str
) -> None:
    with pytest.raises(SlackApiError, match=error):
        client.views_open(trigger_id=slack.trigger("U0ANN"), view=view)


GOOD = {"channel": "C0NEWS", "text": "t", "unfurl_links": False, "unfurl_media": False}
STREAM = {"channel": "C0NEWS", "recipient_user_id": "U0ANN", "recipient_team_id": "T0TEAM"}

# What is called, with `{ts}` for a person's message; what Slack answers.
CALLS = [
    ("chat.postMessage", GOOD | {"channel": "C0NOWHERE"}, "channel_not_found"),
    ("chat.postMessage", GOOD | {"channel": "C0QUIET"}, "not_in_channel"),
    ("chat.postMessage", GOOD | {"text": ""}, "no_text"),
    ("chat.postMessage", GOOD | {"text": "x" * 40_001}, "msg_too_long"),
    ("chat.postMessage", GOOD | {"markdown_text": "x"}, "markdown_text_conflict"),
    ("chat.postMessage", GOOD | {"blocks": "[{"}, "invalid_blocks_format"),
    ("chat.postMessage", GOOD | {"blocks": [section("x" * 2700)] * 5}, "msg_blocks_too_long"),
    ("chat.postMessage", GOOD | {"thread_ts": "1.1"}, "thread_not_found"),
    ("chat.postMessage", GOOD | {"metadata": {"event_type": "answer"}}, "invalid_metadata_format"),
    ("chat.postMessage", GOOD | {"username": "Pope"}, "missing_scope"),
    ("chat.postMessage", {"text": "t"}, "invalid_arguments"),
    ("chat.update", {"channel": "C0NEWS", "ts": "{ts}", "text": "t"}, "cant_update_message"),
    ("chat.update", {"channel": "C0NEWS", "ts": "1.1", "text": "t"}, "message_not_found"),
    ("chat.delete", {"channel": "C0NEWS", "ts": "{ts}"}, "cant_delete_message"),
    ("chat.postEphemeral", {"channel": "C0NEWS", "user": "U0GUEST", "text": "t"}, "user_not_in_channel"),
    ("chat.startStream", STREAM, "invalid_arguments"),
    ("chat.startStream", {"channel": "C0NEWS", "thread_ts": "{ts}"}, "missing_recipient_team_id"),
    ("chat.startStream", {"channel": "C0NEWS", "thread_ts": "{ts}", "recipient_team_id": "T0TEAM"},
     "missing_recipient_user_id"),
    ("chat.startStream", STREAM | {"thread_ts": "{ts}", "markdown_text": "x" * 12_001}, "msg_too_long"),
    ("chat.startStream", STREAM | {"thread_ts": "{ts}", "chunks": [{"type": "text"}]}, "invalid_chunks"),
    ("chat.appendStream", {"channel": "C0NEWS", "ts": "{ts}", "markdown_text": "x"}, "message_not_owned_by_app"),
    ("assistant.threads.setStatus", {"channel_id": "C0NEWS", "thread_ts": "{ts}", "status": "s",
                                     "loading_messages": ["x"] * 11}, "invalid_arguments"),
    ("assistant.threads.setSuggestedPrompts", {"channel_id": "D0ANN", "prompts": [{"title": "t", "message": "m"}] * 5},
     "invalid_arguments"),
    ("conversations.replies", {"channel": "C0NEWS", "ts": "1.1"}, "thread_not_found"),
    ("conversations.replies", {"channel": "C0QUIET", "ts": "1.1"}, "not_in_channel"),
    ("conversations.info", {"channel": "G0HIDDEN"}, "channel_not_found"),
    ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
    ("views.open", {"trigger_id": "1.2.x", "view": modal()}, "invalid_trigger_id"),
    ("views.publish", {"user_id": "U0ANN", "view": modal()}, "invalid_arguments"),
    ("reactions.remove", {"channel": "C0NEWS", "timestamp": "{ts}", "name": "eyes"}, "no_reaction"),
    ("chat.shout", {}, "unknown_method"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "arguments", "error"), CALLS)
def test_a_call_is_refused_with_slacks_own_code(
    slack: SlackServer, client: WebClient, method: str, arguments: dict[str, Any], error: str
) -> None:
    slack.scopes |= {"users:read", "reactions:write"}
    slack.add_channel("G0HIDDEN", members={"U0ANN"})
    slack.dm("U0ANN")
    ts = slack.say("C0NEWS", "U0ANN", "hello")
    given = {key: ts if value == "{ts}" else value for key, value in arguments.items()}
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json=given)
    assert refused.value.response["error"] == error
    assert [call.error for call in slack.calls if call.method == method] == [error]
    assert slack.problems


def test_blocks_that_an_update_leaves_out_stay(slack: SlackServer, client: WebClient) -> None:
    ts = client.chat_postMessage(**GOOD, blocks=[section()])["ts"]
    client.chat_update(channel="C0NEWS", ts=ts, text="interrupted")
    assert slack.problems == ["chat.update: blocks that are not sent stay as they were"]
    client.chat_update(channel="C0NEWS", ts=ts, text="interrupted", blocks=[])
    assert slack.messages("C0NEWS")[0]["blocks"] == []


def test_an_update_takes_less_text_than_a_post(slack: SlackServer, client: WebClient) -> None:
    ts = client.chat_postMessage(**GOOD)["ts"]
    client.chat_update(channel="C0NEWS", ts=ts, text="x" * 4000)
    with pytest.raises(SlackApiError, match="msg_too_long"):
        client.chat_update(channel="C0NEWS", ts=ts, text="x" * 4001)


SILENT = {
    "a link may unfurl": GOOD | {"unfurl_links": True},
    "media may unfurl": GOOD | {"unfurl_media": None},
    "text that Slack cuts": GOOD | {"text": "x" * 4001},
    "names that Slack links": GOOD | {"link_names": True},
}


@pytest.mark.parametrize("arguments", SILENT.values(), ids=SILENT)
def test_what_slack_mishandles_in_silence_is_told(
    slack: SlackServer, client: WebClient, arguments: Any
) -> None:
    client.api_call("chat.postMessage", json={k: v for k, v in arguments.items() if v is not None})
    assert len(slack.problems) == 1


def test_blocks_without_text_and_a_replys_thread_are_told(slack: SlackServer, client: WebClient) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "one")
    reply = slack.say("C0NEWS", "U0BEN", "two", thread_ts=ts)
    client.api_call("chat.postMessage", json=GOOD | {"text": "", "blocks": [section()], "thread_ts": reply})
    assert len(slack.problems) == 2


def test_prompts_with_a_thread_succeed_and_show_nothing(slack: SlackServer, client: WebClient) -> None:
    prompts = [{"title": "t", "message": "m"}]
    channel = slack.dm("U0ANN")
    client.assistant_threads_setSuggestedPrompts(channel_id=channel, thread_ts="1.1", prompts=prompts)
    assert slack.problems
    assert not slack.prompts
    client.api_call("assistant.threads.setSuggestedPrompts", json={"channel_id": channel, "prompts": prompts})
    assert slack.prompts[channel]["prompts"] == prompts


SCOPED = [
    ("chat.postMessage", GOOD, "chat:write"),
    ("conversations.replies", {"channel": "C0NEWS", "ts": "1.1"}, "channels:history"),
    ("conversations.history", {"channel": "G0DESK"}, "groups:history"),
    ("conversations.info", {"channel": "D0ANN"}, "im:read"),
    ("conversations.open", {"users": "U0ANN"}, "im:write"),
    ("users.conversations", {"types": "private_channel"}, "groups:read"),
    ("users.info", {"user": "U0ANN"}, "users:read"),
    ("reactions.add", {"channel": "C0NEWS", "timestamp": "1.1", "name": "eyes"}, "reactions:write"),
    ("usergroups.list", {}, "usergroups:read"),
]


@pytest.mark.parametrize(("method", "arguments", "scope"), SCOPED)
def test_a_scope_that_is_not_granted_is_named(
    slack: SlackServer, client: WebClient, method: str, arguments: dict[str, Any], scope: str
) -> None:
    slack.dm("U0ANN")
    slack.scopes -= {scope}
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, params=arguments)
    assert (refused.value.response["error"], refused.value.response["needed"]) == ("missing_scope", scope)


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-other", "invalid_auth"), ("xapp-test-app", "not_allowed_token_type")],
)
def test_a_token_is_checked(slack: SlackServer, token: str, error: str) -> None:
    answer = httpx.post(
        f"{slack.url}auth.test", headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    assert answer.json() == {"ok": False, "error": error}


def test_scopes_stand_in_the_headers(slack: SlackServer, client: WebClient) -> None:
    answer = client.auth_test()
    assert set(answer.headers["X-OAuth-Scopes"].split(",")) == slack.scopes
    assert answer["user_id"] == "U0BOT"


def test_a_form_is_read_like_json(slack: SlackServer, client: WebClient) -> None:
    form = GOOD | {"blocks": json.dumps([section()]), "unfurl_links": "false", "unfurl_media": "0"}
    client.api_call("chat.postMessage", data=form)
    assert [block["type"] for block in slack.messages("C0NEWS")[0]["blocks"]] == ["section"]
    assert not slack.problems


# ---- streams


def test_the_sdks_stream_helper_writes_a_message(slack: SlackServer, client: WebClient) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "<@U0BOT> who?")
    stream = client.chat_stream(thread_ts=ts, buffer_size=4, **STREAM)
    for piece in ("**Ann** ", "won [1].", " And"):
        stream.append(markdown_text=piece)
    stream.stop(
        blocks=[actions(feedback(), kind="context_actions")],
        metadata={"event_type": "a", "event_payload": {}},
    )
    [message] = slack.messages("C0NEWS", ts, by="U0BOT")
    assert message["text"] == "**Ann** won [1]. And"
    assert [block["type"] for block in message["blocks"]] == ["markdown", "context_actions"]
    assert not slack.problems


@pytest.fixture
def stream(slack: SlackServer, client: WebClient) -> dict[str, str]:
    ts = slack.say("C0NEWS", "U0ANN", "who?")
    return {
        "channel": "C0NEWS",
        "ts": client.chat_startStream(thread_ts=ts, markdown_text="a", **STREAM)["ts"],
    }


def test_a_stream_that_has_ended_takes_no_more(
    slack: SlackServer, client: WebClient, stream: dict[str, str]
) -> None:
    client.chat_stopStream(**stream)
    for call in (client.chat_appendStream, client.chat_stopStream):
        with pytest.raises(SlackApiError, match="message_not_in_streaming_state"):
            call(**stream, markdown_text="b")


def test_a_stream_keeps_to_the_form_it_was_opened_with(client: WebClient, stream: dict[str, str]) -> None:
    with pytest.raises(SlackApiError, match="streaming_mode_mismatch"):
        client.chat_appendStream(**stream, chunks=[{"type": "markdown_text", "text": "b"}])  # type: ignore[arg-type]


def test_a_stream_cannot_be_updated_before_its_end(client: WebClient, stream: dict[str, str]) -> None:
    with pytest.raises(SlackApiError, match="streaming_state_conflict"):
        client.chat_update(**stream, text="b")
    client.chat_stopStream(**stream)
    client.chat_update(**stream, text="b")


def test_a_streams_whole_is_limited(client: WebClient, stream: dict[str, str]) -> None:
    client.chat_appendStream(**stream, markdown_text="x" * 11_000)
    with pytest.raises(SlackApiError, match="msg_too_long"):
        client.chat_appendStream(**stream, markdown_text="x" * 2_000)
    with pytest.raises(SlackApiError, match="msg_blocks_too_long"):
        client.chat_stopStream(**stream, blocks=[section("x" * 2_000)])


def test_a_person_may_stop_a_stream(slack: SlackServer, client: WebClient, stream: dict[str, str]) -> None:
    slack.stop_stream(**stream)
    with pytest.raises(SlackApiError, match="stopped_by_user"):
        client.chat_appendStream(**stream, markdown_text="b")


# ---- what is unsafe

UNSAFE = {
    "a channel called": ({"text": "<!channel>"}, ["<!channel>"]),
    "a person called": ({"text": "hi <@U1|ann>"}, ["<@U1>"]),
    "a channel linked": ({"text": "<#C1|news>"}, ["<#C1>"]),
    "a link": ({"text": "<https://e.example/a?b=1&amp;c=2|label>"}, ["https://e.example/a?b=1&c=2"]),
    "a bare address": ({"text": "see https://e.example/a"}, ["https://e.example/a"]),
    "no bare address where blocks are shown": ({"text": "see https://e.example/a", "blocks": []}, ["https://e.example/a"]),
    "beside blocks": ({"text": "see https://e.example/a", "blocks": [section()]}, []),
    "escaped": ({"text": "&lt;!channel&gt; &lt;@U1&gt;"}, []),
    "verbatim": ({"blocks": [section("e.example https://e.example @here")]}, []),
    "not verbatim": ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "bbc.com @here"}}]},
                     ["bbc.com", "@here"]),
    "plain": ({"blocks": [{"type": "header", "text": plain("<!here> https://e.example")}]}, []),
    "a button's address": ({"blocks": [actions(button(url="https://e.example"))]}, ["https://e.example"]),
    "deep in a view": ({"view": modal(section("<!everyone>"))}, ["<!everyone>"]),
    "Markdown's link": ({"markdown_text": "[[1]](https://e.example/a_(b))"}, ["https://e.example/a_(b)"]),
    "Markdown's image": ({"markdown_text": "![x](https://e.example/i.png)"}, ["https://e.example/i.png"]),
    "Markdown's reference": ({"markdown_text": "[x][1]\n\n[1]: https://e.example"}, ["https://e.example"]),
    "Markdown's angles": ({"chunks": [{"type": "markdown_text", "text": "<https://e.example> <!here>"}]},
                          ["https://e.example", "<!here>"]),
    "Markdown's bare address": ({"markdown_text": "go to www.e.example now"}, ["www.e.example"]),
    "Markdown escaped": ({"markdown_text": r"\[x\](a) \<!here\> 1.5 and U.S. law"}, []),
    "a date": ({"text": "<!date^1700000000^{date}|then>"}, []),
    "a date with a link": ({"text": "<!date^1700000000^{date}^https://e.example|then>"}, ["https://e.example"]),
    "mail": ({"text": "write to ann@e.example"}, ["ann@e.example"]),
    "rich text": ({"blocks": [{"type": "rich_text", "elements": [
        {"type": "rich_text_section", "elements": [{"type": "broadcast", "range": "here"}]}]}]}, ["<!here>"]),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "expected"), UNSAFE.values(), ids=UNSAFE)
def test_mentions_and_links_are_found_as_slack_would_make_them(arguments: Any, expected: list[str]) -> None:
    assert list(found(arguments)) == expected


def test_only_what_is_allowed_goes_unremarked(slack: SlackServer, client: WebClient) -> None:
    slack.allowed_links, slack.allowed_mentions = {"https://e.example/a"}, {"<@U0ANN>", "!subteam^S0DESK"}
    client.chat_postMessage(**GOOD | {"text": "<@U0ANN> <!subteam^S0DESK> <https://e.example/a|A>"})
    assert not slack.unsafe
    client.chat_postMessage(**GOOD | {"text": "<@U0BEN> <https://e.example/b|A>"})
    assert slack.unsafe == ["chat.postMessage: <@U0BEN>", "chat.postMessage: https://e.example/b"]


def test_a_mention_in_two_pieces_of_a_stream_is_seen(
    slack: SlackServer, client: WebClient, stream: dict[str, str]
) -> None:
    client.chat_appendStream(**stream, markdown_text="<!chan")
    assert not slack.unsafe
    client.chat_appendStream(**stream, markdown_text="nel>")
    assert slack.unsafe == ["chat.appendStream: <!channel>"]


# ---- failures on demand


def test_calls_fail_as_they_are_told(slack: SlackServer, client: WebClient) -> None:
    slack.fail("chat.postMessage", status=429, retry_after=7)
    with pytest.raises(SlackApiError) as refused:
        client.chat_postMessage(**GOOD)
    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "7")
    slack.fail("chat.postMessage", "fatal_error")
    with pytest.raises(SlackApiError, match="fatal_error"):
        client.chat_postMessage(**GOOD)
    assert not slack.messages("C0NEWS")
    client.chat_postMessage(**GOOD)
    assert len(slack.messages("C0NEWS")) == 1
    assert not slack.problems


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_connection_drops_before_or_after_the_effect(slack: SlackServer, after_effect: bool) -> None:
    slack.fail("chat.postMessage", drop=True, after_effect=after_effect)
    with pytest.raises(httpx.TransportError):
        httpx.post(
            f"{slack.url}chat.postMessage", json=GOOD, headers={"Authorization": f"Bearer {slack.bot_token}"}
        )
    assert len(slack.messages("C0NEWS")) == len(slack.called("chat.postMessage")) == int(after_effect)


def test_a_method_may_be_missing(slack: SlackServer, client: WebClient) -> None:
    slack.without("chat.startStream")
    with pytest.raises(SlackApiError, match="Not found"):
        client.chat_startStream(thread_ts="1.1", **STREAM)
    slack.without("chat.startStream", html=False)
    with pytest.raises(SlackApiError, match="unknown_method"):
        client.chat_startStream(thread_ts="1.1", **STREAM)


def test_a_method_may_be_metered(slack: SlackServer, client: WebClient) -> None:
    slack.rate("chat.postMessage", 2)
    client.chat_postMessage(**GOOD)
    client.chat_postMessage(**GOOD)
    with pytest.raises(SlackApiError) as refused:
        client.chat_postMessage(**GOOD)
    assert int(refused.value.response.headers["Retry-After"]) in range(55, 61)


def test_waiting_in_vain_says_what_was_called(slack: SlackServer, client: WebClient) -> None:
    client.chat_postMessage(**GOOD)
    with pytest.raises(AssertionError, match=r"chat\.postMessage"):
        slack.wait_for(lambda: len(slack.messages("C0NEWS")) > 1, timeout=0.01)


# ---- reading


def test_threads_come_in_pages(slack: SlackServer, client: WebClient) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "0")
    for n in range(1, 8):
        slack.say("C0NEWS", "U0BEN", str(n), thread_ts=ts)
    pages = [page["messages"] for page in client.conversations_replies(channel="C0NEWS", ts=ts, limit=3)]
    assert [[message["text"] for message in page] for page in pages] == [list("012"), list("345"), list("67")]
    assert pages[0][0]["reply_count"] == 7
    assert [m["text"] for m in client.conversations_history(channel="C0NEWS")["messages"]] == ["0"]


def test_metadata_is_given_to_those_who_ask(slack: SlackServer, client: WebClient) -> None:
    metadata = {"event_type": "answer", "event_payload": {"id": "7"}}
    ts = client.chat_postMessage(**GOOD, metadata=metadata)["ts"]
    [bare] = client.conversations_replies(channel="C0NEWS", ts=ts)["messages"]
    [full] = client.conversations_replies(channel="C0NEWS", ts=ts, include_all_metadata=True)["messages"]
    assert "metadata" not in bare
    assert full["metadata"] == metadata


def test_the_bot_sees_its_own_channels(slack: SlackServer, client: WebClient) -> None:
    slack.add_channel("G0HIDDEN", members={"U0ANN"})
    kinds = "public_channel,private_channel"
    assert {c["id"] for c in client.users_conversations(types=kinds)["channels"]} == {
        "C0NEWS",
        "G0DESK",
        "C0SHARED",
    }
    listed = {c["id"]: c["is_member"] for c in client.conversations_list(types=kinds)["channels"]}
    assert listed == {"C0NEWS": True, "C0QUIET": False, "G0DESK": True, "C0SHARED": True}
    assert client.conversations_info(channel="C0SHARED")["channel"]["is_ext_shared"]


def test_timestamps_are_unique_and_rise(slack: SlackServer) -> None:
    stamps = [slack.say("C0NEWS", "U0ANN", "x") for _ in range(300)]
    assert stamps == sorted(set(stamps))
    assert all(len(stamp) == len("1700000000.000100") for stamp in stamps)


# ---- an app over HTTP


class App(ThreadingHTTPServer):
    """What gets Slack's requests: it keeps them, and answers with `status` and with the next of `answers`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/slack/events"


class _Handler(BaseHTTPRequestHandler):
    server: App

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Stay quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status, text = self.server.answers.pop(0) if self.server.answers else (200, "")
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def app(slack: SlackServer) -> Iterator[App]:
    with App() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        slack.deliver_to = server.url
        yield server
        server.shutdown()
        thread.join()


def events(app: App) -> list[dict[str, Any]]:
    return [json.loads(body) for headers, body in app.got if headers["content-type"] == "application/json"]


def test_events_are_signed_as_slack_signs(slack: SlackServer, app: App) -> None:
    slack.say("C0NEWS", "U0ANN", "hello")
    slack.wait_for(lambda: slack.acks)
    [(headers, body)] = app.got
    assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
    base = f"v0:{headers['x-slack-request-timestamp']}:{body.decode()}"
    digest = hmac.new(slack.signing_secret.encode(), base.encode(), hashlib.sha256).hexdigest()
    assert headers["x-slack-signature"] == f"v0={digest}"
    assert "x-slack-retry-num" not in headers


def test_a_mention_comes_as_two_events_of_one_message(slack: SlackServer, app: App) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "<@U0BOT> hello")
    slack.wait_for(lambda: len(slack.acks) == 2)
    kinds = {event["event"]["type"]: event for event in events(app)}
    assert kinds.keys() == {"message", "app_mention"}
    assert {event["event"]["ts"] for event in kinds.values()} == {ts}
    assert len({event["event_id"] for event in kinds.values()}) == 2
    assert kinds["message"]["event"]["channel_type"] == "channel"


def test_an_edit_mentions_anew_and_a_preview_changes_no_text(slack: SlackServer, app: App) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "<@U0BOT> one")
    slack.edit("C0NEWS", ts, "<@U0BOT> two")
    slack.unfurl("C0NEWS", ts)
    slack.wait_for(lambda: len(slack.acks) == 5)
    got = [event["event"] for event in events(app)]
    # Each comes in a request of its own: which arrives first is nobody's promise.
    assert sorted((e["text"], "edited" in e) for e in got if e["type"] == "app_mention") == [
        ("<@U0BOT> one", False), ("<@U0BOT> two", True)
    ]  # fmt: skip
    preview = next(e for e in got if e.get("message", {}).get("attachments"))
    assert preview["message"]["text"] == preview["previous_message"]["text"]


def test_a_question_with_answers_leaves_a_tombstone(slack: SlackServer, client: WebClient, app: App) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "one")
    client.chat_postMessage(**GOOD, thread_ts=ts)
    slack.delete("C0NEWS", ts)
    slack.wait_for(lambda: len(slack.acks) == 3)
    assert events(app)[-1]["event"]["message"]["subtype"] == "tombstone"
    assert [message.get("subtype") for message in slack.messages("C0NEWS")] == ["tombstone", None]


def test_an_address_is_verified_and_a_signature_may_be_old(slack: SlackServer, app: App) -> None:
    app.answers = [(200, json.dumps({"challenge": "x"}))]
    assert slack.challenge().answer() == {"challenge": "x"}
    stamp = slack.sign(b"{}", at=time.time() - 600)["X-Slack-Request-Timestamp"]
    assert 599 <= time.time() - int(stamp) <= 602


def test_events_come_only_from_where_the_bot_is_and_may_read(slack: SlackServer, app: App) -> None:
    slack.say("C0QUIET", "U0ANN", "<@U0BOT> hello")
    slack.scopes -= {"groups:history"}
    slack.say("G0DESK", "U0ANN", "hello")
    slack.say(slack.dm("U0ANN"), "U0ANN", "<@U0BOT> hello")
    slack.wait_for(lambda: slack.acks)
    [event] = events(app)
    assert (event["event"]["type"], event["event"]["channel_type"]) == ("message", "im")


def test_what_people_do_to_messages_arrives(slack: SlackServer, app: App) -> None:
    first = slack.say("C0SHARED", "U0GUEST", "one")
    slack.edit("C0SHARED", first, "two")
    slack.delete("C0SHARED", first)
    slack.bot_message("C0NEWS", "beep")
    slack.join("C0NEWS", "U0GUEST")
    slack.open_home("U0ANN", "messages")
    slack.wait_for(lambda: len(slack.acks) == 7)
    by_kind = {event["event"].get("subtype", event["event"]["type"]): event for event in events(app)}
    assert by_kind.keys() == {"message", "message_changed", "message_deleted", "bot_message", "channel_join",
                              "member_joined_channel", "app_home_opened"}  # fmt: skip
    assert by_kind["message_changed"]["event"]["message"]["text"] == "two"
    assert by_kind["message_changed"]["event"]["previous_message"]["text"] == "one"
    assert by_kind["message_deleted"]["event"]["deleted_ts"] == first
    assert by_kind["message"]["is_ext_shared_channel"]
    assert not by_kind["bot_message"]["is_ext_shared_channel"]
    assert by_kind["app_home_opened"]["event"]["tab"] == "messages"


def test_the_bots_own_posts_come_back_to_it(slack: SlackServer, client: WebClient, app: App) -> None:
    client.chat_postMessage(**GOOD)
    slack.wait_for(lambda: slack.acks)
    assert events(app)[0]["event"]["bot_id"] == "B0BOT"


def test_what_fails_is_delivered_again_three_times(slack: SlackServer, app: App) -> None:
    app.answers = [(500, ""), (503, ""), (200, "")]
    slack.say("C0NEWS", "U0ANN", "hello")
    slack.wait_for(lambda: any(not ack.failure for ack in slack.acks))
    retries = [(h.get("x-slack-retry-num"), h.get("x-slack-retry-reason")) for h, _ in app.got]
    assert retries == [(None, None), ("1", "http_error"), ("2", "http_error")]
    assert len({event["event_id"] for event in events(app)}) == 1
    app.answers = [(500, "")] * 4
    slack.say("C0NEWS", "U0ANN", "again")
    slack.wait_for(lambda: slack.courier.lost)
    assert len(app.got) == 3 + 4


def test_two_replicas_take_turns_and_a_dead_one_is_passed_over(slack: SlackServer, app: App) -> None:
    slack.deliver_to = ["http://127.0.0.1:9/slack/events", app.url]
    for _ in range(4):
        slack.say("C0NEWS", "U0ANN", "hello")
    slack.wait_for(lambda: len(app.got) == 4 and not slack.courier.lost)
    assert {h.get("x-slack-retry-reason") for h, _ in app.got} == {None, "connection_failed"}


def test_events_are_delivered_again_on_demand_and_at_random(slack: SlackServer, app: App) -> None:
    slack.say("C0NEWS", "U0ANN", "hello")
    slack.wait_for(lambda: slack.acks)
    slack.redeliver(slack.acks[0].id).answer()
    assert [h.get("x-slack-retry-num") for h, _ in app.got] == [None, "1"]
    slack.courier.redeliver_share, slack.courier.redeliver_within = 1.0, 0.0
    slack.say("C0NEWS", "U0ANN", "hello")
    slack.wait_for(lambda: len(slack.acks) == 4)
    assert len({event["event_id"] for event in events(app)}) == 2


# ---- what people click


def test_a_click_carries_the_message_that_stands_there(
    slack: SlackServer, client: WebClient, app: App
) -> None:
    blocks = [
        section(accessory=overflow(3)),
        actions(feedback(), kind="context_actions"),
        actions(button(value="7")),
    ]
    ts = client.chat_postMessage(**GOOD, blocks=blocks)["ts"]
    with pytest.raises(AssertionError, match="there are"):
        slack.click("U0ANN", "C0NEWS", ts, "nothing")
    with pytest.raises(AssertionError, match="no such option"):
        slack.click("U0ANN", "C0NEWS", ts, "o", "9")
    for action_id, value in (("o", "1"), ("fb", "bad"), ("a", None)):
        slack.click("U0ANN", "C0NEWS", ts, action_id, value).answer()
    payloads = [
        json.loads(httpx.QueryParams(body.decode())["payload"]) for h, body in app.got if b"payload=" in body
    ]
    done = [payload["actions"][0] for payload in payloads]
    assert [a.get("value") or a["selected_option"]["value"] for a in done] == ["1", "bad", "7"]
    assert all(payload["message"]["ts"] == ts for payload in payloads)
    assert done[0]["block_id"] == slack.messages("C0NEWS")[0]["blocks"][0]["block_id"]


def test_a_command_is_answered_privately(slack: SlackServer, app: App) -> None:
    app.answers = [(200, json.dumps({"response_type": "ephemeral", "text": "Working …"}))]
    slack.command("U0ANN", "C0NEWS", "who won?").answer()
    [(_, body)] = app.got
    form = dict(httpx.QueryParams(body.decode()))
    assert (form["command"], form["text"], form["user_id"]) == ("/cite", "who won?", "U0ANN")
    assert [each["text"] for each in slack.wait_for(lambda: slack.shown_to("U0ANN"))] == ["Working …"]
    for n in range(5):
        assert httpx.post(form["response_url"], json={"text": str(n)}).is_success
    refused = httpx.post(form["response_url"], json={"text": "6"})
    assert (refused.status_code, refused.json()["error"]) == (404, "used_url")
    assert len(slack.shown_to("U0ANN")) == 6


def test_a_response_url_replaces_deletes_and_shares(slack: SlackServer, client: WebClient, app: App) -> None:
    client.chat_postEphemeral(channel="C0NEWS", user="U0ANN", text="t", blocks=[actions(button())])
    [shown] = slack.shown_to("U0ANN")
    slack.click("U0ANN", "C0NEWS", shown["ts"], "a").answer()
    payload = interaction(app)
    assert payload["container"]["is_ephemeral"]
    assert "message" not in payload
    httpx.post(payload["response_url"], json={"text": "new", "replace_original": True})
    assert [each["text"] for each in slack.shown_to("U0ANN")] == ["new"]
    share = {"text": "all", "response_type": "in_channel", "unfurl_links": False, "unfurl_media": False}
    httpx.post(payload["response_url"], json=share)
    assert [each["text"] for each in slack.messages("C0NEWS")] == ["all"]
    httpx.post(payload["response_url"], json={"delete_original": True})
    assert not slack.shown_to("U0ANN")
    assert not slack.problems


def interaction(app: App) -> dict[str, Any]:
    """The newest thing that somebody did; messages may arrive after it."""
    body = next(body for _, body in reversed(app.got) if body.startswith(b"payload="))
    return json.loads(httpx.QueryParams(body.decode())["payload"])


def test_a_modal_is_opened_submitted_and_answered(slack: SlackServer, client: WebClient, app: App) -> None:
    ts = slack.say("C0NEWS", "U0ANN", "claim")
    slack.shortcut("U0ANN", "C0NEWS", ts, callback_id="check").answer()
    payload = interaction(app)
    assert (payload["type"], payload["callback_id"], payload["message"]["text"]) == (
        "message_action",
        "check",
        "claim",
    )
    view = modal(ALLOWED["an input"][0], submit=plain("Go"))
    view_id = client.views_open(trigger_id=payload["trigger_id"], view=view)["view"]["id"]
    with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
        client.views_open(trigger_id=payload["trigger_id"], view=view)
    with pytest.raises(AssertionError, match="is required"):
        slack.submit(view_id, "U0ANN")
    app.answers = [(200, json.dumps({"response_action": "update", "view": modal(title=plain("Done"))}))]
    slack.submit(view_id, "U0ANN", {"i": "why"}).answer()
    slack.wait_for(lambda: slack.views_of("U0ANN")[0]["title"]["text"] == "Done")
    slack.submit(view_id, "U0ANN").answer()
    slack.wait_for(lambda: not slack.views_of("U0ANN"))


def test_a_trigger_grows_old(slack: SlackServer, client: WebClient) -> None:
    slack.trigger_seconds = 0.0
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        client.views_open(trigger_id=slack.trigger("U0ANN"), view=modal())


def test_a_home_tab_is_published_for_one_person(slack: SlackServer, client: WebClient) -> None:
    home = {"type": "home", "blocks": [section("1,014 articles")]}
    view = client.views_publish(user_id="U0ANN", view=home)["view"]
    client.views_publish(user_id="U0ANN", view=home, hash=view["hash"])
    with pytest.raises(SlackApiError, match="hash_conflict"):
        client.views_publish(user_id="U0ANN", view=home, hash=view["hash"])
    assert slack.home_of("U0ANN")["blocks"][0]["text"]["text"] == "1,014 articles"
    assert slack.home_of("U0BEN") is None


def test_a_click_that_nobody_acknowledges_is_a_problem(slack: SlackServer, app: App) -> None:
    app.answers = [(500, "")]
    slack.command("U0ANN", "C0NEWS", "?").answer()
    slack.wait_for(lambda: slack.problems)


# ---- Socket Mode


def over_socket(
    slack: SlackServer,
    scene: Callable[[list[SocketModeRequest]], Awaitable[None]],
    *,
    acknowledges: Any = True,
) -> None:
    """Play a scene while slack_sdk's own client is connected; it keeps what it gets."""

    async def play() -> None:
        got: list[SocketModeRequest] = []
        web_client = AsyncWebClient(base_url=slack.url)
        client = SocketModeClient(slack.app_token, web_client=web_client, ping_interval=0.1)

        async def listen(_: Any, request: SocketModeRequest) -> None:
            got.append(request)
            if acknowledges if isinstance(acknowledges, bool) else acknowledges(got):
                await client.send_socket_mode_response(
                    SocketModeResponse(request.envelope_id, {"text": "ok"})
                )

        client.socket_mode_request_listeners.append(listen)
        await client.connect()
        try:
            await scene(got)
        finally:
            await client.close()
            await client.aiohttp_client_session.close()
            client.message_processor.cancel()

    asyncio.run(play())


def test_events_clicks_and_commands_come_over_a_socket(slack: SlackServer) -> None:
    async def scene(got: list[SocketModeRequest]) -> None:
        slack.say("C0NEWS", "U0ANN", "hello")
        answer = await asyncio.to_thread(slack.command("U0ANN", "C0NEWS", "?").answer)
        await slack.until(lambda: len(slack.acks) == 2)
        assert answer == {"text": "ok"}
        assert {request.type for request in got} == {"events_api", "slash_commands"}
        assert all(ack.seconds < 3 and not ack.failure for ack in slack.acks)

    over_socket(slack, scene)


def test_what_is_not_acknowledged_comes_again(slack: SlackServer) -> None:
    async def scene(got: list[SocketModeRequest]) -> None:
        slack.courier.ack_timeout = 0.1
        slack.say("C0NEWS", "U0ANN", "hello")
        await slack.until(lambda: any(not ack.failure for ack in slack.acks))
        assert [(r.retry_attempt, r.retry_reason) for r in got] == [(0, ""), (1, "timeout")]
        assert got[0].payload["event_id"] == got[1].payload["event_id"]
        assert got[0].envelope_id != got[1].envelope_id

    over_socket(slack, scene, acknowledges=lambda got: len(got) > 1)


@pytest.mark.parametrize("end", [SlackServer.disconnect, SlackServer.drop_connections])
def test_the_client_comes_back_and_what_was_open_comes_again(
    slack: SlackServer, end: Callable[[SlackServer], None]
) -> None:
    async def scene(got: list[SocketModeRequest]) -> None:
        await slack.until(lambda: slack.connections)
        slack.say("C0NEWS", "U0ANN", "hello")
        await slack.until(lambda: slack.courier.under_way)
        await asyncio.to_thread(end, slack)
        await slack.until(lambda: any(not ack.failure for ack in slack.acks))
        assert len({request.payload["event_id"] for request in got}) == 1
        assert len(slack.called("apps.connections.open")) >= 2

    over_socket(slack, scene, acknowledges=lambda got: len(got) > 1)


def test_an_app_token_needs_its_own_scope(slack: SlackServer) -> None:
    slack.app_scopes = set()
    with pytest.raises(SlackApiError, match="missing_scope"):
        WebClient(base_url=slack.url).apps_connections_open(app_token=slack.app_token)


def test_calls_are_timed(slack: SlackServer, client: WebClient) -> None:
    slack.delay("chat.postMessage", 0.05)
    began = time.perf_counter()
    client.chat_postMessage(**GOOD)
    assert time.perf_counter() - began >= 0.05

"""The Web API of the tests' Slack: a function a method, in the table METHODS with the scopes that it needs.

A function gets the server and the call's arguments and returns what the answer holds besides `"ok": true`, or raises
`Refused` with Slack's own error code. What Slack accepts and silently mishandles goes to `slack.problem(…)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slack_limits import (
    MOST_CHARACTERS,
    MOST_MARKDOWN,
    MOST_TEXT,
    Refused,
    characters,
    check_blocks,
    check_view,
    refuse,
)
from slack_state import APP, BOT, BOT_ID, TEAM, Channel, Message, Stream

if TYPE_CHECKING:
    from slack_server import SlackServer

Arguments = dict[str, Any]
Handler = Callable[["SlackServer", Arguments], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """A method: what it does, and the scopes of which it needs one; `{}` stands for the channel's kind."""

    run: Handler
    scopes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


METHODS: dict[str, Method] = {}


def method(name: str, *scopes: str, needs: str = "") -> Callable[[Handler], Handler]:
    """Put a function into the table; `needs` are the arguments without which Slack refuses."""

    def put(run: Handler) -> Handler:
        METHODS[name] = Method(run, scopes, tuple(needs.split()))
        return run

    return put


# ---- who the app is


@method("auth.test")
def auth_test(slack: SlackServer, _: Arguments) -> dict[str, Any]:
    return {"url": "https://team.slack.example/", "team": "Team", "user": "citewire", "team_id": TEAM, "user_id": BOT,
            "bot_id": BOT_ID, "is_enterprise_install": False}  # fmt: skip


@method("apps.connections.open")
def connections_open(slack: SlackServer, _: Arguments) -> dict[str, Any]:
    return {"url": slack.socket_url()}


# ---- messages


def check_content(slack: SlackServer, given: Arguments, *, name: str) -> None:
    """Refuse what Slack refuses in the content of a message, and note what it mishandles."""
    text, blocks, markdown = given.get("text"), given.get("blocks"), given.get("markdown_text")
    refuse(not (text or blocks or markdown or given.get("attachments")), "no_text")
    refuse(bool(markdown and (text or blocks)), "markdown_text_conflict")
    refuse(
        len(markdown or "") > MOST_MARKDOWN, "msg_too_long", f"{len(markdown or '')} characters of Markdown"
    )
    longest = MOST_TEXT if name == "chat.update" else 40_000
    refuse(len(text or "") > longest, "msg_too_long", f"text has {len(text or '')} characters")
    if blocks:
        check_blocks(blocks)
        slack.problem_if(
            not text, name, "no text beside the blocks: notifications and screen readers get none"
        )
    slack.problem_if(
        len(text or "") > MOST_TEXT, name, f"text of {len(text or '')} characters is cut by Slack"
    )
    slack.problem_if(
        bool(given.get("link_names")) or given.get("parse") == "full", name, "Slack would link names"
    )
    check_metadata(given.get("metadata"))


def check_metadata(metadata: Any) -> None:
    """Refuse metadata that is not an event's type and a flat enough payload."""
    if metadata:
        proper = isinstance(metadata, dict) and isinstance(metadata.get("event_type"), str)
        refuse(not proper or not isinstance(metadata.get("event_payload"), dict), "invalid_metadata_format")
        refuse(len(json.dumps(metadata)) > 16_000, "metadata_too_large")


def may_post(slack: SlackServer, channel: Any, *, name: str) -> Channel:
    """Find the channel a message goes to; a person's id stands for the direct messages with them."""
    found = slack.channel(slack.dm(channel) if channel in slack.people else channel)
    refuse(found.archived, "is_archived")
    outside = BOT not in found.members and not (
        name == "chat.postMessage" and "chat:write.public" in slack.scopes
    )
    refuse(outside, "not_in_channel", found.id)
    return found


def check_thread(slack: SlackServer, channel: Channel, given: Arguments, name: str) -> dict[str, Any]:
    """Give the thread's part of a message."""
    thread_ts = given.get("thread_ts")
    if not thread_ts:
        return {}
    parent = channel.messages.get(str(thread_ts))
    refuse(parent is None, "thread_not_found", str(thread_ts))
    assert parent is not None
    slack.problem_if(
        parent.get("thread_ts", thread_ts) != thread_ts, name, "thread_ts is a reply's, not its parent's"
    )
    return {"thread_ts": thread_ts}


def from_bot(**content: Any) -> Message:
    """Give a message of the bot's."""
    profile = {"id": BOT_ID, "app_id": APP, "name": "Citewire", "team_id": TEAM, "deleted": False}
    return {
        "type": "message",
        "user": BOT,
        "bot_id": BOT_ID,
        "app_id": APP,
        "team": TEAM,
        "bot_profile": profile,
    } | content


CONTENT = ("text", "blocks", "metadata", "attachments")


def content_of(given: Arguments) -> dict[str, Any]:
    """Pick what is kept of a message's content."""
    content = {key: given[key] for key in CONTENT if given.get(key) is not None}
    if given.get("markdown_text"):
        content["text"] = given["markdown_text"]
    return {"text": ""} | content


@method("chat.postMessage", "chat:write", needs="channel")
def post_message(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel = may_post(slack, given["channel"], name="chat.postMessage")
    check_content(slack, given, name="chat.postMessage")
    for flag in ("unfurl_links", "unfurl_media"):
        slack.problem_if(given.get(flag) is not False, "chat.postMessage", f"{flag} is not false")
    refuse(bool(given.get("username") or given.get("icon_emoji")) and "chat:write.customize" not in slack.scopes,
           "missing_scope", "chat:write.customize")  # fmt: skip
    thread = check_thread(slack, channel, given, "chat.postMessage")
    message = slack.write(channel, from_bot(**thread, **content_of(given)))
    slack.wrote(channel, message)
    return {"channel": channel.id, "ts": message["ts"], "message": message}


def own_message(slack: SlackServer, given: Arguments, *, error: str) -> tuple[Channel, Message]:
    """Find a message that the bot itself has written."""
    channel, message = slack.channel(given["channel"]), slack.message(given["channel"], given["ts"])
    refuse(message.get("bot_id") != BOT_ID, error, "somebody else's message")
    return channel, message


@method("chat.update", "chat:write", needs="channel ts")
def update(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel, message = own_message(slack, given, error="cant_update_message")
    stream = slack.streams.get((channel.id, message["ts"]))
    refuse(stream is not None and not stream.ended, "streaming_state_conflict")
    check_content(slack, given, name="chat.update")
    before = dict(message)
    content = content_of(given)
    if "blocks" in content:
        content["blocks"] = slack.with_ids(content["blocks"])
    elif "text" in given:
        message.pop("blocks", None)  # as Slack: text alone replaces the blocks
    message.update(content, edited={"user": BOT, "ts": slack.next_ts()})
    slack.edited(channel, message, before)
    return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": message}


@method("chat.delete", "chat:write", needs="channel ts")
def delete(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel, message = own_message(slack, given, error="cant_delete_message")
    slack.remove(channel, message)
    return {"channel": channel.id, "ts": message["ts"]}


@method("chat.postEphemeral", "chat:write", needs="channel user")
def post_ephemeral(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel = may_post(slack, given["channel"], name="chat.postEphemeral")
    refuse(given["user"] not in channel.members, "user_not_in_channel", given["user"])
    check_content(slack, given, name="chat.postEphemeral")
    thread = check_thread(slack, channel, given, "chat.postEphemeral")
    shown = slack.show(channel.id, given["user"], thread | content_of(given))
    return {"message_ts": shown["ts"]}


@method("chat.getPermalink", needs="channel message_ts")
def permalink(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    message = slack.message(given["channel"], given["message_ts"])
    address = f"https://team.slack.example/archives/{given['channel']}/p{message['ts'].replace('.', '')}"
    thread = message.get("thread_ts", message["ts"])
    suffix = "" if thread == message["ts"] else f"?thread_ts={thread}&cid={given['channel']}"
    return {"channel": given["channel"], "permalink": address + suffix}


# ---- streams

CHUNKS = {"markdown_text": ("text",), "task_update": ("id", "title", "status"), "plan_update": ("title",),
          "blocks": ("blocks",)}  # fmt: skip
STATES = ("pending", "in_progress", "complete", "error")


def check_chunk(chunk: Any) -> None:
    """Refuse a chunk that Slack does not know."""
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    refuse(kind not in CHUNKS, "invalid_chunks", f"type {kind}")
    missing = [key for key in CHUNKS[kind] if not chunk.get(key)]
    refuse(bool(missing), "invalid_chunks", f"{kind} without {missing}")
    refuse(
        kind == "task_update" and chunk.get("status") not in STATES,
        "invalid_chunks",
        f"status {chunk.get('status')}",
    )
    if kind == "blocks":
        check_blocks(chunk["blocks"])


def write_stream(stream: Stream, given: Arguments) -> None:
    """Append what a call brings, within Slack's limits."""
    text, chunks = given.get("markdown_text"), given.get("chunks") or []
    refuse(not isinstance(chunks, list), "invalid_chunks", "chunks is no list")
    for chunk in chunks:
        check_chunk(chunk)
    mode = "markdown_text" if text else "chunks" if chunks else ""
    refuse(bool(mode and stream.mode and mode != stream.mode), "streaming_mode_mismatch",
           f"opened with {stream.mode}, continued with {mode}")  # fmt: skip
    added = (text or "") + "".join(chunk["text"] for chunk in chunks if chunk["type"] == "markdown_text")
    refuse(len(added) > MOST_MARKDOWN, "msg_too_long", f"{len(added)} characters in a call")
    refuse(
        len(stream.text + added) > MOST_CHARACTERS, "msg_too_long", f"{len(stream.text + added)} characters"
    )
    stream.mode = stream.mode or mode
    stream.text += added
    stream.chunks += chunks


@method("chat.startStream", "chat:write", needs="channel")
def start_stream(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    refuse(given["channel"] in slack.people, "channel_not_found", "a stream wants a channel's id")
    channel = may_post(slack, given["channel"], name="chat.startStream")
    refuse(not given.get("thread_ts"), "invalid_arguments", "a stream needs thread_ts")
    thread = check_thread(slack, channel, given, "chat.startStream")
    if channel.kind != "im":
        refuse(not given.get("recipient_team_id"), "missing_recipient_team_id")
        refuse(not given.get("recipient_user_id"), "missing_recipient_user_id")
        person = slack.people.get(given["recipient_user_id"])
        refuse(person is None or person["team_id"] != given["recipient_team_id"], "user_not_found")
    stream = Stream()
    write_stream(stream, given)
    message = slack.write(channel, from_bot(**thread, text=stream.text, streaming_state="in_progress"))
    slack.streams[channel.id, message["ts"]] = stream
    slack.wrote(channel, message)
    return {"channel": channel.id, "ts": message["ts"]}


def open_stream(slack: SlackServer, given: Arguments) -> tuple[Channel, Message, Stream]:
    """Find a stream that still takes text."""
    channel, message = own_message(slack, given, error="message_not_owned_by_app")
    stream = slack.streams.get((channel.id, message["ts"]), Stream(ended="message_not_in_streaming_state"))
    refuse(bool(stream.ended), stream.ended, message["ts"])
    return channel, message, stream


@method("chat.appendStream", "chat:write", needs="channel ts")
def append_stream(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel, message, stream = open_stream(slack, given)
    refuse(not (given.get("markdown_text") or given.get("chunks")), "no_text")
    write_stream(stream, given)
    message["text"] = stream.text
    return {"channel": channel.id, "ts": message["ts"]}


@method("chat.stopStream", "chat:write", needs="channel ts")
def stop_stream(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel, message, stream = open_stream(slack, given)
    blocks = given.get("blocks") or []
    if blocks:
        check_blocks(blocks)
    check_metadata(given.get("metadata"))
    write_stream(stream, given)
    total = len(stream.text) + characters(blocks)
    refuse(total > MOST_CHARACTERS, "msg_blocks_too_long", f"{total} characters altogether")
    before = dict(message)
    written = [{"type": "markdown", "text": stream.text}] if stream.text else []
    message.update(text=stream.text, blocks=slack.with_ids(written + blocks), streaming_state="completed")
    message |= {"metadata": given["metadata"]} if given.get("metadata") else {}
    stream.ended = "message_not_in_streaming_state"
    slack.edited(channel, message, before)
    return {"channel": channel.id, "ts": message["ts"], "message": message}


# ---- the agent's pane


@method("assistant.threads.setStatus", "chat:write", "assistant:write", needs="channel_id thread_ts")
def set_status(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel = slack.channel(given["channel_id"])
    refuse("status" not in given, "invalid_arguments", "status is missing")
    refuse(given["thread_ts"] not in channel.messages, "invalid_thread_ts")
    loading = given.get("loading_messages") or []
    refuse(
        not isinstance(loading, list) or len(loading) > 10, "invalid_arguments", "at most 10 loading_messages"
    )
    key = (channel.id, given["thread_ts"])
    slack.statuses[key] = {"status": given["status"], "loading_messages": loading}
    if not given["status"]:
        del slack.statuses[key]
    return {}


@method("assistant.threads.setTitle", "assistant:write", needs="channel_id thread_ts title")
def set_title(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel = slack.channel(given["channel_id"])
    refuse(given["thread_ts"] not in channel.messages, "invalid_thread_ts")
    slack.titles[channel.id, given["thread_ts"]] = given["title"]
    return {}


@method("assistant.threads.setSuggestedPrompts", "assistant:write", needs="channel_id prompts")
def set_prompts(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel, prompts = slack.channel(given["channel_id"]), given["prompts"]
    refuse(not isinstance(prompts, list) or len(prompts) > 4, "invalid_arguments", "at most 4 prompts")
    whole = all(isinstance(each, dict) and each.get("title") and each.get("message") for each in prompts)
    refuse(not whole, "invalid_arguments", "a prompt has a title and a message")
    if given.get("thread_ts"):  # in an agent app this succeeds and shows nothing
        slack.problem(
            "assistant.threads.setSuggestedPrompts", "thread_ts makes it fail silently in an agent app"
        )
        return {}
    slack.prompts[channel.id] = {"prompts": prompts, "title": given.get("title", "")}
    return {}


# ---- conversations and people


def page_of(items: list[Any], given: Arguments, *, most: int = 1000) -> tuple[list[Any], dict[str, Any]]:
    """Cut a page out of a list; the cursor of the next stands in the rest of the answer."""
    limit = min(int(given.get("limit") or 100), most)
    refuse(limit < 1, "invalid_limit")
    cursor = str(given.get("cursor") or "")
    refuse(bool(cursor) and not cursor.startswith("next:"), "invalid_cursor", cursor)
    start = int(cursor.removeprefix("next:") or 0)
    after = f"next:{start + limit}" if start + limit < len(items) else ""
    return items[start : start + limit], {"response_metadata": {"next_cursor": after}}


def within(messages: list[Message], given: Arguments) -> list[Message]:
    """Keep the messages between `oldest` and `latest`, and their metadata only where it was asked for."""
    oldest, latest = float(given.get("oldest") or 0), float(given.get("latest") or "inf")
    ends = given.get("inclusive") in (True, "true", "1", 1)
    kept = [
        m
        for m in messages
        if oldest < float(m["ts"]) < latest or (ends and float(m["ts"]) in (oldest, latest))
    ]
    if given.get("include_all_metadata") in (True, "true", "1", 1):
        return kept
    return [{key: value for key, value in m.items() if key != "metadata"} for m in kept]


def readable(slack: SlackServer, given: Arguments) -> Channel:
    """Find a channel that the bot may read."""
    channel = slack.channel(given["channel"])
    refuse(BOT not in channel.members, "not_in_channel", channel.id)
    return channel


@method("conversations.replies", "{}:history", needs="channel ts")
def replies(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel = readable(slack, given)
    refuse(str(given["ts"]) not in channel.messages, "thread_not_found", str(given["ts"]))
    messages, rest = page_of(within(channel.thread(str(given["ts"])), given), given)
    return {"messages": messages, "has_more": bool(rest["response_metadata"]["next_cursor"])} | rest


@method("conversations.history", "{}:history", needs="channel")
def history(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    channel = readable(slack, given)
    roots = [m for m in channel.messages.values() if m.get("thread_ts", m["ts"]) == m["ts"]]
    messages, rest = page_of(within(roots, given)[::-1], given)
    return {"messages": messages, "has_more": bool(rest["response_metadata"]["next_cursor"])} | rest


@method("conversations.info", "{}:read", needs="channel")
def info(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    return {"channel": slack.channel(given["channel"]).as_answer()}


@method("conversations.members", "{}:read", needs="channel")
def members(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    found, rest = page_of(sorted(slack.channel(given["channel"]).members), given)
    return {"members": found} | rest


@method("conversations.open", "im:write")
def open_dm(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    users = given.get("users") or []
    several = users.split(",") if isinstance(users, str) else users
    refuse(len(several) != 1, "invalid_arguments", "one person")
    refuse(several[0] not in slack.people, "user_not_found", several[0])
    return {"channel": {"id": slack.dm(several[0])}, "no_op": False, "already_open": False}


def of_types(slack: SlackServer, given: Arguments) -> list[Channel]:
    """List the channels of the wanted types that the bot may see."""
    names = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
    kinds = {names.get(kind.strip(), "") for kind in str(given.get("types") or "public_channel").split(",")}
    refuse("" in kinds, "invalid_types", str(given.get("types")))
    scopes = {"channel": "channels:read", "group": "groups:read", "im": "im:read", "mpim": "mpim:read"}
    for kind in kinds:
        slack.need(scopes[kind])
    return [
        c for c in slack.channels.values() if c.kind in kinds and (c.kind == "channel" or BOT in c.members)
    ]


@method("conversations.list")
def list_channels(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    found, rest = page_of([channel.as_answer() for channel in of_types(slack, given)], given)
    return {"channels": found} | rest


@method("users.conversations")
def own_channels(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    user = given.get("user") or BOT
    mine = [channel.as_answer() for channel in of_types(slack, given) if user in channel.members]
    found, rest = page_of(mine, given)
    return {"channels": found} | rest


@method("users.info", "users:read", needs="user")
def user_info(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    refuse(given["user"] not in slack.people, "user_not_found", given["user"])
    person = dict(slack.people[given["user"]])
    if "users:read.email" not in slack.scopes:
        person["profile"] = {key: value for key, value in person["profile"].items() if key != "email"}
    return {"user": person}


@method("usergroups.list", "usergroups:read")
def groups(slack: SlackServer, _: Arguments) -> dict[str, Any]:
    return {"usergroups": slack.groups}


# ---- reactions


@method("reactions.add", "reactions:write", needs="channel timestamp name")
def react(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    slack.message(given["channel"], given["timestamp"])
    reaction = (given["channel"], given["timestamp"], given["name"])
    refuse(reaction in slack.reactions, "already_reacted")
    slack.reactions.add(reaction)
    return {}


@method("reactions.remove", "reactions:write", needs="channel timestamp name")
def unreact(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    reaction = (given["channel"], given["timestamp"], given["name"])
    refuse(reaction not in slack.reactions, "no_reaction")
    slack.reactions.remove(reaction)
    return {}


# ---- views


def spend_trigger(slack: SlackServer, given: Arguments) -> str:
    """Take a trigger_id: known, not used before, at most three seconds old; give whose it is."""
    ticket = slack.triggers.get(str(given.get("trigger_id")))
    refuse(ticket is None, "invalid_trigger_id")
    assert ticket is not None
    refuse(ticket.uses > 0, "exchanged_trigger_id")
    refuse(ticket.age > slack.trigger_seconds, "expired_trigger_id", f"after {ticket.age:.1f} s")
    ticket.uses += 1
    return ticket.user


@method("views.open", needs="trigger_id view")
def views_open(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    check_view(given["view"], kinds=("modal",))
    return {"view": slack.open_view(given["view"], spend_trigger(slack, given))}


@method("views.push", needs="trigger_id view")
def views_push(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    check_view(given["view"], kinds=("modal",))
    below = slack.triggers[given["trigger_id"]].view if given["trigger_id"] in slack.triggers else ""
    user = spend_trigger(slack, given)
    refuse(below not in slack.views, "not_found", "no modal to push upon")
    return {"view": slack.push_view(given["view"], user, below)}


@method("views.update", needs="view")
def views_update(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    by_name = {
        view.get("external_id"): view["id"] for view in slack.views.values() if view.get("external_id")
    }
    view_id = given.get("view_id") or by_name.get(given.get("external_id"))
    refuse(view_id not in slack.views, "not_found", str(view_id))
    kind = slack.views[view_id]["type"]
    check_view(given["view"], kinds=(kind,))
    return {"view": slack.replace_view(view_id, given["view"], given.get("hash"))}


@method("views.publish", needs="user_id view")
def views_publish(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    check_view(given["view"], kinds=("home",))
    refuse(given["user_id"] not in slack.people, "user_not_found", given["user_id"])
    return {"view": slack.publish(given["user_id"], given["view"], given.get("hash"))}


def response(slack: SlackServer, token: str, given: Arguments) -> None:
    """Do what a message to a response_url asks for: five times within half an hour."""
    ticket = slack.response_urls.get(token)
    refuse(ticket is None, "invalid_url")
    assert ticket is not None
    refuse(ticket.age > 1800, "expired_url")
    refuse(ticket.uses >= 5, "used_url")
    ticket.uses += 1
    if given.get("delete_original"):
        return slack.take_back(ticket)
    check_content(slack, given, name="response_url")
    if given.get("replace_original"):
        return slack.replace_original(ticket, content_of(given))
    content = content_of(given) | ({"thread_ts": given["thread_ts"]} if given.get("thread_ts") else {})
    if given.get("response_type") == "in_channel":
        for flag in ("unfurl_links", "unfurl_media"):
            slack.problem_if(given.get(flag) is not False, "response_url", f"{flag} is not false")
        channel = slack.channels[ticket.channel]
        return slack.wrote(channel, slack.write(channel, from_bot(**content)))
    slack.show(ticket.channel, ticket.user, content)
    return None


def needed(slack: SlackServer, name: str, given: Arguments) -> tuple[str, ...]:
    """Give the scopes of which a call needs one."""
    known = slack.channels.get(str(given.get("channel", "")))
    return tuple(scope.format(known.scope if known else "channels") for scope in METHODS[name].scopes)


__all__ = ["METHODS", "Refused", "content_of", "needed", "response"]

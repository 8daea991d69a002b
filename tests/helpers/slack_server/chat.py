"""chat.postMessage and its kin: messages written, changed, deleted, shown to one person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slack_server.api import Arguments, method
from slack_server.block_kit import MOST_MARKDOWN, MOST_TEXT
from slack_server.limits import check_blocks
from slack_server.refusal import refuse
from slack_server.state import APP, BOT, BOT_ID, TEAM, Channel, Message

if TYPE_CHECKING:
    from slack_server.server import SlackServer


def check_content(slack: SlackServer, given: Arguments, *, name: str) -> None:
    """Refuse what Slack refuses in the content of a message, and note what it mishandles."""
    text, blocks, markdown = given.get("text"), given.get("blocks"), given.get("markdown_text")
    long, links_names = len(text or ""), given.get("link_names") or given.get("parse") == "full"
    refuse(not (text or blocks or markdown or given.get("attachments")), "no_text")
    refuse(bool(markdown and (text or blocks)), "markdown_text_conflict")
    refuse(len(markdown or "") > MOST_MARKDOWN, "msg_too_long", "of Markdown")
    refuse(long > (MOST_TEXT if name == "chat.update" else 40_000), "msg_too_long", f"{long} characters")
    if blocks:
        check_blocks(blocks)
    slack.problem_if(
        bool(blocks) and not text, name, "no text beside the blocks, for notifications and screen readers"
    )
    slack.problem_if(long > MOST_TEXT, name, f"text of {long} characters is cut by Slack")
    slack.problem_if(bool(links_names), name, "Slack would link names")
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
    return {"type": "message", "user": BOT, "bot_id": BOT_ID, "app_id": APP, "team": TEAM,
            "bot_profile": profile} | content  # fmt: skip


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
    else:
        slack.problem_if(
            bool(message.get("blocks")), "chat.update", "blocks that are not sent stay as they were"
        )
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

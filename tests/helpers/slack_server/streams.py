"""Messages that are written while they are read, and the agent's pane: status, titles, suggested prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slack_server.api import Arguments, method
from slack_server.block_kit import MOST_CHARACTERS, MOST_MARKDOWN
from slack_server.chat import check_metadata, check_thread, from_bot, may_post, own_message
from slack_server.limits import characters, check_blocks
from slack_server.refusal import refuse
from slack_server.state import Channel, Message, Stream

if TYPE_CHECKING:
    from slack_server.server import SlackServer


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

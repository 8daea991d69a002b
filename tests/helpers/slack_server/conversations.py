"""What the app asks of channels, threads and people, and its reactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slack_server.api import Arguments, method
from slack_server.refusal import refuse
from slack_server.state import BOT, Channel, Message

if TYPE_CHECKING:
    from slack_server.server import SlackServer


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

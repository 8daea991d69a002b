"""People at work in the tests' Slack: each thing they do changes the state and reaches the app as Slack sends it."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from typing import Any

from slack_server.delivery import EVENTS, Delivery
from slack_server.state import APP, BOT, TEAM, Channel, Message
from slack_server.surfaces import Surfaces

# The scope without which Slack does not send an event; `{}` stands for the channel's kind.
EVENT_SCOPES = {"app_mention": "app_mentions:read", "message": "{}:history", "member_joined_channel": "{}:read",
                "app_home_opened": "", "reaction_added": "reactions:read"}  # fmt: skip


class People(Surfaces, ABC):
    """What people can do; mixed into the server, which has `send` and `scopes`."""

    scopes: set[str]
    echo = True

    @abstractmethod
    def send(self, kind: str, payload: dict[str, Any], name: str) -> Delivery:
        """Bring a payload to the app."""

    # ---- messages

    def say(self, channel: str, user: str, text: str, thread_ts: str | None = None, **extra: Any) -> str:
        """Write a message; where it mentions the bot, Slack sends a `message` and an `app_mention`."""
        with self.changed:
            place = self.channels[channel]
            thread = {"thread_ts": thread_ts} if thread_ts else {}
            rich = {"type": "rich_text", "block_id": self.next_id("b"), "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}]}  # fmt: skip
            message = {"type": "message", "user": user, "text": text, "client_msg_id": str(uuid.uuid4()),
                       "team": self.people[user]["team_id"]} | thread | extra  # fmt: skip
            if place.external:
                message |= {"user_team": message["team"], "source_team": message["team"]}
            self.write(place, message)
            self.wrote(place, message | {"blocks": [rich]})
            self._mention(place, message)
            self.changed.notify_all()
            return message["ts"]

    def _mention(self, channel: Channel, message: Message) -> None:
        if f"<@{BOT}" in message["text"] and channel.kind != "im":
            event = message | {"type": "app_mention"}
            self.event(event | {"event_ts": self.next_ts()} if "edited" in message else event, channel)

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Change one's message; while it mentions the bot, Slack sends an `app_mention` anew, marked as edited."""
        with self.changed:
            place, message = self.channels[channel], self.channels[channel].messages[ts]
            before = dict(message)
            message.update(text=text, edited={"user": message["user"], "ts": self.next_ts()})
            self.edited(place, message, before)
            self._mention(place, message)

    def unfurl(self, channel: str, ts: str) -> None:
        """Have Slack put a preview under a message: a `message_changed` whose text is what it was."""
        with self.changed:
            place, message = self.channels[channel], self.channels[channel].messages[ts]
            before = dict(message)
            message["attachments"] = [{"id": 1, "title": "A page", "from_url": "https://page.example/"}]
            self.edited(place, message, before)

    def delete(self, channel: str, ts: str) -> None:
        """Delete one's message."""
        with self.changed:
            self.remove(self.channels[channel], self.channels[channel].messages[ts])

    def bot_message(self, channel: str, text: str, thread_ts: str | None = None, **extra: Any) -> str:
        """Have another app write."""
        with self.changed:
            thread = {"thread_ts": thread_ts} if thread_ts else {}
            message = {"type": "message", "subtype": "bot_message", "bot_id": "B0OTHER", "username": "Other",
                       "text": text} | thread | extra  # fmt: skip
            self.wrote(self.channels[channel], self.write(self.channels[channel], message))
            return message["ts"]

    def join(self, channel: str, user: str) -> None:
        """Come into a channel."""
        with self.changed:
            place = self.channels[channel]
            place.members.add(user)
            joined = {
                "type": "message",
                "subtype": "channel_join",
                "user": user,
                "text": f"<@{user}> has joined",
            }
            self.wrote(place, self.write(place, joined))
            self.event({"type": "member_joined_channel", "user": user, "channel": channel, "team": TEAM,
                        "channel_type": channel[0]}, place)  # fmt: skip

    def wrote(self, channel: Channel, message: Message) -> None:
        """Tell the app of a new message, its own as well; an app's post takes the status away."""
        if message.get("user") == BOT:
            self.statuses.pop((channel.id, message.get("thread_ts", "")), None)
        if self.echo or message.get("user") != BOT:
            self.event(message, channel)
        self.changed.notify_all()

    def edited(self, channel: Channel, message: Message, before: Message) -> None:
        """Tell the app of a changed message."""
        if self.echo or message.get("user") != BOT:
            self.event({"type": "message", "subtype": "message_changed", "message": dict(message),
                        "previous_message": before, "hidden": True, "ts": self.next_ts()}, channel)  # fmt: skip
        self.changed.notify_all()

    def remove(self, channel: Channel, message: Message) -> None:
        """Take a message away and tell the app; one with replies stays as a tombstone, as in Slack."""
        replies = [each for each in channel.thread(message["ts"]) if each is not message]
        if replies and message.get("thread_ts") == message["ts"]:
            tombstone = {"type": "message", "subtype": "tombstone", "text": "This message was deleted.",
                         "user": "USLACKBOT", "ts": message["ts"], "thread_ts": message["ts"], "hidden": True}  # fmt: skip
            channel.messages[message["ts"]] = tombstone
            self.edited(channel, tombstone, message)
            return
        del channel.messages[message["ts"]]
        self.streams.pop((channel.id, message["ts"]), None)
        if self.echo or message.get("user") != BOT:
            self.event({"type": "message", "subtype": "message_deleted", "previous_message": message,
                        "deleted_ts": message["ts"], "hidden": True, "ts": self.next_ts()}, channel)  # fmt: skip
        self.changed.notify_all()

    def event(self, event: dict[str, Any], channel: Channel | None = None) -> Delivery | None:
        """Wrap an event as Slack does and send it, if the app is there and has the scope."""
        scope = EVENT_SCOPES[event["type"]].format(channel.scope if channel else "")
        if (channel and BOT not in channel.members) or (scope and scope not in self.scopes):
            return None
        stamp = event.get("ts") or self.next_ts()
        place = {"channel": channel.id, "channel_type": channel.kind} if channel else {}
        inner = place | {"event_ts": stamp} | event
        if inner["type"] == "app_mention":
            del inner["channel_type"]
        external = bool(channel and channel.external)
        wrapper = {
            "token": "verification-token", "team_id": TEAM, "context_team_id": TEAM, "context_enterprise_id": None,
            "api_app_id": APP, "event": inner, "type": "event_callback", "event_id": self.next_id("Ev"),
            "event_time": int(time.time()), "is_ext_shared_channel": external, "event_context": self.next_id("4-"),
            "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True,
                                "is_enterprise_install": False}],
        }  # fmt: skip
        return self.send(EVENTS, wrapper, wrapper["event_id"])

    def open_home(self, user: str, tab: str = "home") -> Delivery | None:
        """Open the app's page: its home tab, or its messages."""
        with self.changed:
            view = self.views.get(self.homes.get(user, "")) if tab == "home" else None
            event = {"type": "app_home_opened", "user": user, "channel": self.dm(user), "tab": tab}
            return self.event(event | ({"view": view} if view else {}))

    # ---- what is where

    def messages(self, channel: str, thread_ts: str | None = None, *, by: str | None = None) -> list[Message]:
        """List the messages of a channel, or of a thread without its first; `by` a user's id."""
        with self.changed:
            kept = self.channels[channel].messages.values() if channel in self.channels else ()
            return [dict(m) for m in kept if (thread_ts is None or (m.get("thread_ts") == thread_ts != m["ts"]))
                    and by in (None, m.get("user"))]  # fmt: skip

    def shown_to(self, user: str) -> list[Message]:
        """List the ephemeral messages that a person sees."""
        with self.changed:
            return [dict(each) for each in self.ephemerals if each["only_for"] == user]

    def views_of(self, user: str) -> list[dict[str, Any]]:
        """List a person's open modals, the topmost last."""
        with self.changed:
            return [
                view
                for view in self.views.values()
                if (self.owners[view["id"]], view["type"]) == (user, "modal")
            ]

    def home_of(self, user: str) -> dict[str, Any] | None:
        """Give a person's home tab."""
        with self.changed:
            return self.views.get(self.homes.get(user, ""))

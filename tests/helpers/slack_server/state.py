"""What the tests' Slack knows: people, channels, messages, threads, streams, views, and what it must remember of them."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from slack_server.refusal import Refused, refuse

TEAM, BOT, BOT_ID, APP = "T0TEAM", "U0BOT", "B0BOT", "A0APP"
OTHER_TEAM = "T0OTHER"

Message = dict[str, Any]


@dataclass
class Channel:
    """A conversation; the letter of its id says which kind: C public, G private, D direct."""

    id: str
    name: str = ""
    members: set[str] = field(default_factory=set)
    external: bool = False
    archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)  # by ts, rising

    @property
    def kind(self) -> str:
        """Its name in events (`channel_type`) and in scopes: channels, groups, im."""
        return {"C": "channel", "G": "group", "D": "im"}[self.id[0]]

    @property
    def scope(self) -> str:
        return {"C": "channels", "G": "groups", "D": "im"}[self.id[0]]

    def thread(self, ts: str) -> list[Message]:
        """The message and its replies, in their order."""
        return [each for each in self.messages.values() if ts in (each["ts"], each.get("thread_ts"))]

    def as_answer(self) -> dict[str, Any]:
        """Give what conversations.info says of it."""
        answer = {"id": self.id, "created": 1_700_000_000, "is_archived": self.archived, "is_im": self.kind == "im",
                  "is_channel": self.kind == "channel", "is_group": self.kind == "group", "is_mpim": False,
                  "is_private": self.kind != "channel", "is_member": BOT in self.members,
                  "is_ext_shared": self.external, "is_shared": self.external, "is_org_shared": False,
                  "context_team_id": TEAM}  # fmt: skip
        others = self.members - {BOT}
        return answer | ({"user": next(iter(others), BOT)} if self.kind == "im" else {"name": self.name})


@dataclass
class Stream:
    """A message that is being written; opened with text or with chunks, it takes only more of the same."""

    text: str = ""
    mode: str = ""
    chunks: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""  # the error that a further append is answered with


@dataclass
class Ticket:
    """A trigger_id or a response_url: whose it is, and what is left of it."""

    user: str
    channel: str = ""
    ts: str = ""
    thread_ts: str = ""
    ephemeral: bool = False
    view: str = ""
    made: float = field(default_factory=time.monotonic)
    uses: int = 0

    @property
    def age(self) -> float:
        return time.monotonic() - self.made


class Workspace:
    """The state alone; whoever reads or changes it holds `changed`, whoever changed it notifies."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.people: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, Channel] = {}
        self.streams: dict[tuple[str, str], Stream] = {}
        self.ephemerals: list[Message] = []
        self.reactions: set[tuple[str, str, str]] = set()  # channel, ts, name
        self.statuses: dict[tuple[str, str], dict[str, Any]] = {}
        self.titles: dict[tuple[str, str], str] = {}
        self.prompts: dict[str, dict[str, Any]] = {}
        self.views: dict[str, dict[str, Any]] = {}  # open modals and home tabs, by id
        self.owners: dict[str, str] = {}  # view id → user
        self.homes: dict[str, str] = {}  # user → view id
        self.triggers: dict[str, Ticket] = {}
        self.response_urls: dict[str, Ticket] = {}
        self._last = 0
        self._numbers = itertools.count(1)
        for user in ("U0ANN", "U0BEN", "U0CAT"):
            self.add_person(user)
        self.add_person(BOT, is_bot=True, real_name="Citewire")
        self.add_channel("C0NEWS", members={BOT, *self.people})
        self.add_channel("C0QUIET", members={"U0ANN", "U0BEN"})
        self.add_channel("G0DESK", members={BOT, "U0ANN", "U0BEN"})
        self.add_person("U0GUEST", team_id=OTHER_TEAM, is_stranger=True)
        self.add_channel("C0SHARED", members={BOT, "U0ANN", "U0GUEST"}, external=True)

    def add_person(self, user: str, *, team_id: str = TEAM, is_bot: bool = False, **more: Any) -> str:
        """Have a person with this id; `more` goes into what users.info says."""
        name = user.removeprefix("U0").lower()
        real_name = more.pop("real_name", name.capitalize())
        profile = {"real_name": real_name, "display_name": name, "email": f"{name}@team.example"}
        self.people[user] = {"id": user, "team_id": team_id, "name": name, "real_name": real_name, "deleted": False,
                             "profile": profile, "tz": "Europe/Berlin", "tz_offset": 3600, "is_bot": is_bot,
                             "is_restricted": False, "is_ultra_restricted": False} | more  # fmt: skip
        return user

    def add_channel(
        self, channel: str, *, members: set[str] | None = None, name: str = "", external: bool = False
    ) -> str:
        """Have a channel with this id; without `members` it holds everybody and the bot."""
        name = name or channel[2:].lower()
        self.channels[channel] = Channel(
            channel, name, set(self.people if members is None else members), external
        )
        return channel

    def dm(self, user: str) -> str:
        """Give the direct messages between a person and the bot."""
        channel = f"D{user[1:]}"
        if channel not in self.channels:
            self.channels[channel] = Channel(channel, members={user, BOT})
        return channel

    def channel(self, channel: Any) -> Channel:
        """Find what the bot may see of the channels, or refuse as Slack does."""
        known = self.channels.get(str(channel or ""))
        hidden = known is None or (known.kind == "group" and BOT not in known.members)
        refuse(hidden, "channel_not_found", str(channel))
        assert known is not None
        return known

    def message(self, channel: Any, ts: Any) -> Message:
        """Find a message, or refuse as Slack does."""
        try:
            return self.channel(channel).messages[str(ts)]
        except KeyError:
            raise Refused("message_not_found", f"{channel} {ts}") from None

    def next_ts(self) -> str:
        """Give a timestamp as Slack's: now, and above every one before it."""
        self._last = max(self._last + 100, time.time_ns() // 1000)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """Give a fresh id."""
        return f"{prefix}{next(self._numbers):08d}"

    def write(self, channel: Channel, message: Message) -> Message:
        """Keep a message, under its thread where it has one."""
        message["ts"] = self.next_ts()
        if "blocks" in message:
            message["blocks"] = self.with_ids(message["blocks"])
        parent = channel.messages.get(message.get("thread_ts", ""))
        if parent:
            parent["thread_ts"] = parent["ts"]
            parent["reply_count"] = parent.get("reply_count", 0) + 1
            parent["latest_reply"] = message["ts"]
            message["parent_user_id"] = parent.get("user")
        channel.messages[message["ts"]] = message
        return message

    def with_ids(self, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give every block an id, as Slack does where the app gave none."""
        return [{"block_id": self.next_id("b")} | block for block in blocks]

    def trigger(self, user: str, *, view: str = "") -> str:
        """Make a trigger_id for what a person has just done."""
        trigger = f"{next(self._numbers)}.{time.time_ns() // 1000}.{uuid.uuid4().hex}"
        self.triggers[trigger] = Ticket(user, view=view)
        return trigger

"""What people in Slack ask for, and what is owed to them, as the rest of the room passes it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["question", "edit", "delete", "command", "check", "correction"]


def is_direct(channel: str) -> bool:
    """Say whether a channel's id is that of a direct conversation between one person and the bot."""
    return channel.startswith("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBase:
    """What a person in Slack asked for, and where.

    `target` is the message it is about: the question itself, or the one that was edited or deleted (of a correction,
    the answer's id); `ts` is when it was asked, in Slack's form. `thread` is the message that the thread hangs on.
    `details` hold what only one kind needs, such as the address that a command is answered at.
    """

    kind: Kind
    channel: str
    thread: str
    target: str
    ts: str
    person: str
    team: str = ""
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_direct_message(self) -> bool:
        """Whether it was asked in a direct conversation, in which every message is for the bot."""
        return is_direct(self.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(JobBase):
    """One thing that is asked for, or owed to who asked. `event_id` is "" where Slack gave none."""

    event_id: str = ""

    @property
    def ordering_key(self) -> str:
        """What it must not overtake: the thread, or all of a direct conversation; a private answer waits for none."""
        if self.kind in ("command", "check"):
            return f"{self.kind}:{self.event_id or self.ts}"
        return self.channel if self.is_direct_message else f"{self.channel}:{self.thread}"

    @property
    def dedup_key(self) -> str:
        """What it is, among all that can be asked about its message.

        An edit is another for each new wording, a correction for each set of citations.
        """
        if self.kind == "correction":
            return f"correction:{self.text}"
        return f"edit:{self.ts}" if self.kind == "edit" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobBase):
    """A request on its way to being answered.

    `owner` is the claim that took it, another each time: even within one process, who was too slow and who took over
    are told apart. With `posting` a reply may stand in Slack already, whose ts nobody could note; `reply` is its ts
    where known. `answer_id` is the stored answer's.
    """

    id: int
    received: float
    owner: str
    tries: int
    posting: bool
    reply: str
    answer_id: str

    @property
    def reference(self) -> str:
        """What a person can name when they tell of a failure, and what stands in the log."""
        return f"S{self.id}"

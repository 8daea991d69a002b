"""Requests of Slack users, and jobs of the queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["question", "edit", "delete", "command", "check", "correction"]


def is_direct_channel(channel: str) -> bool:
    """Return True if the channel is a direct message between one user and the bot."""
    return channel.startswith("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBase:
    """Base class of requests and jobs.

    Attributes:
        kind: kind of the request.
        channel: id of the channel.
        thread: ts of the first message of the thread.
        target: ts of the message that it is about: the question, or the message edited or deleted. For a correction,
            the id of the answer.
        ts: time of the request, as a Slack ts.
        person: id of the user.
        team: id of the user's team, or an empty string if unknown.
        text: plain text of the question.
        details: data of one kind of request, such as the response URL of a command.
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
        """True if it was sent in a direct message channel, in which every message is for the bot."""
        return is_direct_channel(self.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(JobBase):
    """Request of a user, or a correction for a user.

    Attributes:
        event_id: id of the event, or an empty string if Slack did not send one.
    """

    event_id: str = ""

    @property
    def ordering_key(self) -> str:
        """Key of the requests that are answered in order.

        It is the same for all requests in a thread or in a direct message channel. Ephemeral answers do not wait for
        others.
        """
        if self.kind in ("command", "check"):
            return f"{self.kind}:{self.event_id or self.ts}"
        return self.channel if self.is_direct_message else f"{self.channel}:{self.thread}"

    @property
    def dedup_key(self) -> str:
        """Key that distinguishes requests about the same message.

        Each edit has its own key, and a correction has one for each set of citations.
        """
        if self.kind == "correction":
            return f"correction:{self.text}"
        return f"edit:{self.ts}" if self.kind == "edit" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobBase):
    """Claimed request.

    Attributes:
        id: id of the job.
        received: time when the request was received, in seconds since 1970.
        owner: id of the claim, new with each claim, so that a claim that has expired is distinguished from the one that
            replaced it, even in one process.
        tries: number of claims so far.
        posting: True if a reply may have been posted of which the ts was not stored.
        reply: ts of the reply, or an empty string if unknown.
        answer_id: id of the stored answer, or an empty string if there is none.
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
        """Reference of the job in the log and in error messages, for users who report a failure."""
        return f"S{self.id}"

"""What a Slack event asks for, by its form alone: the first thing that is done with it, before anything is kept."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.models import Kind, Request
from bot.slack.rendering.escaping import strip_invisible

Event = Mapping[str, Any]

# Messages of people; the other subtypes tell of what happened in a channel, or are other programs'.
_SAID = (None, "", "file_share", "thread_broadcast")
_BEGINS_ASKING = re.compile(
    r"(?:(?:and|but|so|or|ok|okay)\W+)?"
    r"(?:who|whom|whose|what|when|where|which|why|how|did|does|do|is|are|was|were|has|have|had|will|would|can|could)\b",
    re.IGNORECASE,
)
_ENDS_ASKING = re.compile(r"\?\W*$")
_END = 20  # characters: in all of a long row of question marks the search would take seconds
_TOKEN = re.compile(r"<([^<>]*)>")
_CODE = re.compile(r"`+")
_QUOTE = re.compile(r"^(?:&gt;|>)+[ \t]?", re.MULTILINE)
# A mark's text holds none of its own kind: each look ends at the next one, however many are never closed.
_EMPHASIS = re.compile(r"(?<![\w*_~])([*_~])(?=\S)((?:(?!\1)[^\n])+)(?<=\S)\1(?![\w*_~])")
_ENTITY = re.compile(r"&(?:lt|gt|amp);")  # the only ones that Slack writes
_MENTION = re.compile(
    r"<@([UW]\w+)(?:\|[^<>]*)?>|<!subteam\^(S\w+)[^<>]*>|<!(here|channel|everyone)(?:\|[^<>]*)?>"
)
_LEAD = re.compile(r"^[\s,:;–—-]+")
# What stands for a thing without a label; a call to everybody is no word of a question.
_NEUTRAL = {"@": "somebody", "#": "the channel", "!subteam": "the group"}


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message, edit or deletion, and whether the bot was meant: by its name, or because nobody else is there.

    `others` are the people and groups that a message mentions beside the bot. `external` is a channel that is
    shared with another company.
    """

    request: Request
    addressed: bool
    others: frozenset[str] = frozenset()
    external: bool = False

    @property
    def is_question(self) -> bool:
        """Whether its words are a question."""
        text = self.request.text
        return bool(_BEGINS_ASKING.match(text) or _ENDS_ASKING.search(text[-_END:]))


def parse_event(body: Event, me: str) -> IncomingMessage | None:
    """Return what an event of the Events API says to the bot `me`; None where nobody says anything.

    What bots say, the bot itself included, is nothing; neither are joins and other news of a channel.
    """
    event = body.get("event") or {}
    if event.get("type") not in ("message", "app_mention") or (
        event.get("hidden") and not event.get("subtype")
    ):
        return None
    subtype = event.get("subtype")
    if subtype in _SAID:
        return _said(body, event, event, me, "question")
    if subtype == "message_deleted":
        return _deleted(body, event, event.get("previous_message") or {}, me)
    if subtype == "message_changed":
        return _changed(body, event, me)
    return None


def _changed(body: Event, event: Event, me: str) -> IncomingMessage | None:
    """Read an edit. Slack also tells of links it has unfurled so, and of deleted messages that had replies."""
    message, previous = event.get("message") or {}, event.get("previous_message") or {}
    if message.get("subtype") == "tombstone":
        return _deleted(body, event, {**message, **previous}, me)
    if message.get("subtype") not in _SAID or message.get("text") == previous.get("text"):
        return None
    return _said(body, event, message, me, "edit")


def _said(body: Event, event: Event, message: Event, me: str, kind: Kind) -> IncomingMessage | None:
    person, text = message.get("user"), message.get("text") or ""
    if not _is_person(message, me) or not message.get("ts") or not event.get("channel"):
        return None
    mentions = extract_mentions(text)
    request = _request(body, event, message, kind, text=message_text(text, me))
    assert person
    return IncomingMessage(
        request,
        addressed=request.is_direct_message or me in mentions,
        others=mentions - {me, person},
        external=bool(body.get("is_ext_shared_channel")),
    )


def _deleted(body: Event, event: Event, message: Event, me: str) -> IncomingMessage | None:
    message = {**message, "ts": event.get("deleted_ts") or message.get("ts")}
    if not _is_person(message, me) or not message["ts"]:
        return None
    request = _request(body, event, message, "delete", text="")
    addressed = request.is_direct_message or me in extract_mentions(message.get("text") or "")
    return IncomingMessage(request, addressed=addressed, external=bool(body.get("is_ext_shared_channel")))


def _request(body: Event, event: Event, message: Event, kind: Kind, *, text: str) -> Request:
    ts = str(message["ts"])
    return Request(
        kind=kind,
        channel=str(event["channel"]),
        thread=str(message.get("thread_ts") or ts),
        target=ts,
        ts=ts if kind == "question" else str(event.get("event_ts") or event.get("ts") or ts),
        person=str(message["user"]),
        team=str(message.get("user_team") or message.get("team") or body.get("team_id") or ""),
        text=text,
        event_id=str(body.get("event_id") or ""),
    )


def _is_person(message: Event, me: str) -> bool:
    return (
        bool(message.get("user"))
        and message["user"] != me
        and not (message.get("bot_id") or message.get("bot_profile") or message["user"] == "USLACKBOT")
    )


def message_text(text: str, me: str) -> str:
    """Return the plain words of a message: mentions of `me`, code marks, quote marks and markup are taken out.

    Mentions and links become their labels. Entities are read once, and last: what only looks like a mention
    stays words.
    """
    bare = _TOKEN.sub(lambda match: _label(match[1], me), text)
    bare = _QUOTE.sub("", _CODE.sub("", bare))
    for _ in range(3):  # emphasis within emphasis
        bare = _EMPHASIS.sub(r"\2", bare)
    words = _ENTITY.sub(lambda match: html.unescape(match[0]), bare)
    return strip_invisible(_LEAD.sub("", words))


def extract_mentions(text: str) -> frozenset[str]:
    """Return the ids of people (U…, W…) and groups (S…) that a message mentions, and "here" and the like."""
    return frozenset(found for match in _MENTION.finditer(text) for found in match.groups() if found)


def _label(token: str, me: str) -> str:
    name, _, label = token.partition("|")
    if me and name == f"@{me}":
        return " "
    if label:
        return label.removeprefix("@")
    if name[:1] == "!":
        return _NEUTRAL.get(name.partition("^")[0], "")
    return _NEUTRAL.get(name[:1], name.removeprefix("mailto:") if name.startswith("mailto:") else "the link")

"""Parser for Slack events and message text; it uses no stored data."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.models import Kind, Request
from bot.slack.rendering.escaping import strip_invisible

Event = Mapping[str, Any]

# Subtypes of messages by users; the others are channel events or messages of other programs.
_USER_SUBTYPES = (None, "", "file_share", "thread_broadcast")
_QUESTION_START = re.compile(
    r"(?:(?:and|but|so|or|ok|okay)\W+)?"
    r"(?:who|whom|whose|what|when|where|which|why|how|did|does|do|is|are|was|were|has|have|had|will|would|can|could)\b",
    re.IGNORECASE,
)
_QUESTION_END = re.compile(r"\?\W*$")
# Searched for a question mark: in a message of many question marks, a full search would take seconds.
_MAX_END_CHARS = 20
_TOKEN = re.compile(r"<([^<>]*)>")
_CODE_MARK = re.compile(r"`+")
_QUOTE_MARK = re.compile(r"^(?:&gt;|>)+[ \t]?", re.MULTILINE)
# The text in a pair of marks contains no such mark: each search ends at the next one, even if many are never closed.
_EMPHASIS = re.compile(r"(?<![\w*_~])([*_~])(?=\S)((?:(?!\1)[^\n])+)(?<=\S)\1(?![\w*_~])")
_ENTITY = re.compile(r"&(?:lt|gt|amp);")  # the only entities in Slack messages
_MENTION = re.compile(
    r"<@([UW]\w+)(?:\|[^<>]*)?>|<!subteam\^(S\w+)[^<>]*>|<!(here|channel|everyone)(?:\|[^<>]*)?>"
)
_LEADING_PUNCTUATION = re.compile(r"^[\s,:;–—-]+")
# Replacements for mentions and links without a label; @channel and the like are removed.
_FALLBACK_LABELS = {"@": "somebody", "#": "the channel", "!subteam": "the group"}


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """Parsed message, edit or deletion.

    Attributes:
        request: the request to the bot, if the message is for the bot.
        addressed: True if the message mentions the bot or is a direct message.
        others: ids of the other users and groups that it mentions.
        external: True if the channel is shared with another company.
    """

    request: Request
    addressed: bool
    others: frozenset[str] = frozenset()
    external: bool = False

    @property
    def is_question(self) -> bool:
        """True if the text has the form of a question."""
        text = self.request.text
        return bool(_QUESTION_START.match(text) or _QUESTION_END.search(text[-_MAX_END_CHARS:]))


def parse_event(body: Event, bot_user_id: str) -> IncomingMessage | None:
    """Parse an event of the Events API.

    Returns:
        The message, or None if the event is not from a user: messages of bots (this one included), joins and other
        channel events.
    """
    event = body.get("event") or {}
    if event.get("type") not in ("message", "app_mention") or (
        event.get("hidden") and not event.get("subtype")
    ):
        return None
    subtype = event.get("subtype")
    if subtype in _USER_SUBTYPES:
        return _parse_message(body, event, event, bot_user_id, "question")
    if subtype == "message_deleted":
        return _parse_deletion(body, event, event.get("previous_message") or {}, bot_user_id)
    if subtype == "message_changed":
        return _parse_edit(body, event, bot_user_id)
    return None


def _parse_edit(body: Event, event: Event, bot_user_id: str) -> IncomingMessage | None:
    """Parse a change event: an edit, an unfurled link (ignored), or the deletion of a message that has replies."""
    message, previous = event.get("message") or {}, event.get("previous_message") or {}
    if message.get("subtype") == "tombstone":
        return _parse_deletion(body, event, {**message, **previous}, bot_user_id)
    if message.get("subtype") not in _USER_SUBTYPES or message.get("text") == previous.get("text"):
        return None
    return _parse_message(body, event, message, bot_user_id, "edit")


def _parse_message(
    body: Event, event: Event, message: Event, bot_user_id: str, kind: Kind
) -> IncomingMessage | None:
    person, text = message.get("user"), message.get("text") or ""
    if not _is_from_user(message, bot_user_id) or not message.get("ts") or not event.get("channel"):
        return None
    mentions = extract_mentions(text)
    request = _build_request(body, event, message, kind, text=message_text(text, bot_user_id))
    assert person
    return IncomingMessage(
        request,
        addressed=request.is_direct_message or bot_user_id in mentions,
        others=mentions - {bot_user_id, person},
        external=bool(body.get("is_ext_shared_channel")),
    )


def _parse_deletion(body: Event, event: Event, message: Event, bot_user_id: str) -> IncomingMessage | None:
    message = {**message, "ts": event.get("deleted_ts") or message.get("ts")}
    if not _is_from_user(message, bot_user_id) or not message["ts"]:
        return None
    request = _build_request(body, event, message, "delete", text="")
    addressed = request.is_direct_message or bot_user_id in extract_mentions(message.get("text") or "")
    return IncomingMessage(request, addressed=addressed, external=bool(body.get("is_ext_shared_channel")))


def _build_request(body: Event, event: Event, message: Event, kind: Kind, *, text: str) -> Request:
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


def _is_from_user(message: Event, bot_user_id: str) -> bool:
    return (
        bool(message.get("user"))
        and message["user"] != bot_user_id
        and not (message.get("bot_id") or message.get("bot_profile") or message["user"] == "USLACKBOT")
    )


def message_text(text: str, bot_user_id: str) -> str:
    """Return the plain text of a message, without mentions of the bot, code marks, quote marks and other markup.

    Mentions and links are replaced by their labels. Entities are decoded once, and last, so that escaped text that
    looks like a mention is not treated as one.
    """
    bare = _TOKEN.sub(lambda match: _format_label(match[1], bot_user_id), text)
    bare = _QUOTE_MARK.sub("", _CODE_MARK.sub("", bare))
    for _ in range(3):  # nested emphasis
        bare = _EMPHASIS.sub(r"\2", bare)
    words = _ENTITY.sub(lambda match: html.unescape(match[0]), bare)
    return strip_invisible(_LEADING_PUNCTUATION.sub("", words))


def extract_mentions(text: str) -> frozenset[str]:
    """Return the ids of users (U…, W…) and groups (S…) that a message mentions, and "here", "channel" or "everyone"."""
    return frozenset(found for match in _MENTION.finditer(text) for found in match.groups() if found)


def _format_label(token: str, bot_user_id: str) -> str:
    name, _, label = token.partition("|")
    if bot_user_id and name == f"@{bot_user_id}":
        return " "
    if label:
        return label.removeprefix("@")
    if name[:1] == "!":
        return _FALLBACK_LABELS.get(name.partition("^")[0], "")
    return _FALLBACK_LABELS.get(
        name[:1], name.removeprefix("mailto:") if name.startswith("mailto:") else "the link"
    )

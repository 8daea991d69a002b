"""What an event asks for can be seen by its form."""

from __future__ import annotations

from typing import Any

import pytest

from bot.settings import load_settings
from bot.slack.events import parse_event
from bot.slack.routing import AccessDecision, decide_access

ME, ANN, BEN, NEWS, DIRECT = "U0BOT", "U0ANN", "U0BEN", "C0NEWS", "D0ANN"
SAID = {"type": "message", "channel": NEWS, "user": ANN, "text": "Who won?", "ts": "1.0"}


def wrapped(event: Any, **more: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T0TEAM", "event_id": "Ev1", "event": event, **more}


def changed(text: str, before: str = "Who won?", **more: Any) -> dict[str, Any]:
    message = {**SAID, "text": text, **more}
    return {"type": "message", "subtype": "message_changed", "channel": NEWS, "ts": "2.0", "event_ts": "2.0",
            "hidden": True, "message": message, "previous_message": {**SAID, "text": before}}  # fmt: skip


def deleted(**more: Any) -> dict[str, Any]:
    return {"type": "message", "subtype": "message_deleted", "channel": NEWS, "ts": "2.0", "event_ts": "2.0",
            "deleted_ts": "1.0", "hidden": True, "previous_message": {**SAID, **more}}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "kind", "addressed"),
    [
        (SAID, "question", False),
        ({**SAID, "text": f"<@{ME}> Who won?"}, "question", True),
        ({**SAID, "type": "app_mention", "text": f"<@{ME}|citewire> Who won?"}, "question", True),
        ({**SAID, "channel": DIRECT}, "question", True),
        ({**SAID, "subtype": "file_share"}, "question", False),
        ({**SAID, "subtype": "thread_broadcast", "thread_ts": "0.5"}, "question", False),
        (changed("Who lost?"), "edit", False),
        (changed(f"<@{ME}> Who lost?"), "edit", True),
        (changed("Who won?", subtype="tombstone", user="USLACKBOT"), "delete", False),
        (deleted(), "delete", False),
        (deleted(text=f"<@{ME}> Who won?"), "delete", True),
    ],
)
def test_an_event_asks_for_something(event: dict[str, Any], kind: str, addressed: bool) -> None:
    found = parse_event(wrapped(event), ME)
    assert found
    assert (found.request.kind, found.addressed) == (kind, addressed)
    assert (found.request.target, found.request.person, found.request.event_id) == ("1.0", ANN, "Ev1")


@pytest.mark.parametrize(
    "event",
    [
        {**SAID, "user": ME},
        {**SAID, "bot_id": "B0OTHER"},
        {**SAID, "bot_profile": {"id": "B0OTHER"}},
        {**SAID, "user": "USLACKBOT"},
        {**SAID, "subtype": "bot_message"},
        {**SAID, "subtype": "channel_join"},
        {**SAID, "subtype": "message_replied"},
        {**SAID, "user": None},
        {**SAID, "ts": None},
        changed("Who won?"),  # a link was unfurled
        changed("Who won the cup?", bot_id="B0OTHER"),
        deleted(user=ME),
        {"type": "reaction_added", "user": ANN},
    ],
)
def test_an_event_asks_for_nothing(event: dict[str, Any]) -> None:
    assert parse_event(wrapped(event), ME) is None


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Who won?", True),
        ("and when was that", True),
        ("is it true", True),
        ("I think it was France", False),
        ("No.", False),
        ("really?", True),
        ("whatever", False),
    ],
)
def test_a_question_is_known_by_its_words(text: str, asks: bool) -> None:
    found = parse_event(wrapped({**SAID, "text": text}), ME)
    assert found
    assert found.is_question is asks


def test_who_else_is_meant_is_known() -> None:
    found = parse_event(wrapped({**SAID, "text": f"<@{ME}> <@{BEN}> <@{ANN}> <!here> <!subteam^S0DESK>"}), ME)
    assert found
    assert found.others == {BEN, "here", "S0DESK"}


@pytest.mark.parametrize(
    ("settings", "channel", "person", "external", "expected"),
    [
        ({}, NEWS, ANN, False, AccessDecision.ANSWER),
        ({}, NEWS, ANN, True, AccessDecision.IGNORE),
        ({"slack_external_channels": (NEWS,)}, NEWS, ANN, True, AccessDecision.ANSWER),
        (
            {"slack_external_channels": (NEWS,), "slack_channels": ("C0DESK",)},
            NEWS,
            ANN,
            True,
            AccessDecision.ANSWER,
        ),
        ({"slack_channels": (NEWS,)}, NEWS, ANN, True, AccessDecision.IGNORE),
        ({"slack_channels": ("C0DESK",)}, NEWS, ANN, False, AccessDecision.REJECT),
        ({"slack_channels": ("C0DESK",)}, DIRECT, ANN, False, AccessDecision.ANSWER),
        ({"slack_users": (BEN,)}, NEWS, ANN, False, AccessDecision.REJECT),
        ({"slack_users": (BEN,)}, DIRECT, ANN, False, AccessDecision.REJECT),
        ({"slack_users": (ANN,), "slack_channels": (NEWS,)}, NEWS, ANN, False, AccessDecision.ANSWER),
    ],
)
def test_who_is_answered_where(
    settings: dict[str, Any], channel: str, person: str, external: bool, expected: AccessDecision
) -> None:
    assert decide_access(load_settings(**settings), channel, person, external=external) is expected

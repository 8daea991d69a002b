"""Whom the bot answers, and where."""

from __future__ import annotations

from enum import Enum

from bot.settings import Settings
from bot.slack.jobs import is_direct


class Admission(Enum):
    """Whether somebody is answered somewhere; where not, they are told so, unless it is another company's place."""

    ANSWERED = "answered"
    TOLD = "told"
    SILENCE = "silence"


def admission(settings: Settings, channel: str, person: str, *, external: bool) -> Admission:
    """Say whether `person` is answered in `channel`; all are ids, for a name can be given to another channel."""
    if external and channel not in settings.slack_external_channels:
        return Admission.SILENCE
    if settings.slack_users and person not in settings.slack_users:
        return Admission.TOLD
    in_person = is_direct(channel)  # a direct conversation is in no list of channels: its person decides
    listed = {*settings.slack_channels, *settings.slack_external_channels}
    if settings.slack_channels and channel not in listed and not in_person:
        return Admission.TOLD
    return Admission.ANSWERED

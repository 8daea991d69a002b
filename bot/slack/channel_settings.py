"""What is set for each channel: the outlets from whose articles it is answered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select

from bot.articles.article import clean_line
from bot.errors import SettingsError
from bot.indexing.filters import normalize_label
from bot.storage.article_store import ArticleStore
from bot.storage.database import upsert
from bot.storage.schema import slack_channels

_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,}")


@dataclass(frozen=True, slots=True)
class ChannelSetting:
    """What holds in one channel; no sources means all. `changed` is None where nothing was ever set.

    A source is an outlet's name as data, compared by `normalize_label`; it may have no articles any more.
    """

    sources: tuple[str, ...] = ()
    changed: datetime | None = None
    changed_by: str = ""


class ChannelSettings:
    """Keeps the settings of channels in the library's database, by the channel's id alone."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def get(self, channel: str) -> ChannelSetting:
        """Return what is set for a channel; where nothing is, it is answered from all articles."""
        query = select(slack_channels).where(slack_channels.c.channel == channel)
        with self._library.connect() as connection:
            row = connection.execute(query).first()
        return _setting(row) if row else ChannelSetting()

    def set(self, channel: str, sources: Iterable[str], by: str) -> None:
        """Answer a channel from these outlets alone, or from all where there are none; the last to set it wins.

        Raises SettingsError for what is not a channel's id.
        """
        if not _CHANNEL.fullmatch(channel):
            raise SettingsError(f"{channel[:40]!r} is not a channel's id, such as C0123ABCD")
        row = {
            "channel": channel,
            "sources": _once_each(sources),
            "changed": datetime.now(UTC).isoformat(timespec="seconds"),
            "changed_by": by,
        }
        with self._library.transaction() as connection:
            upsert(connection, slack_channels, row, key=("channel",))

    def all(self) -> dict[str, ChannelSetting]:
        """Return what was ever set, by channel."""
        with self._library.connect() as connection:
            rows = connection.execute(select(slack_channels).order_by(slack_channels.c.channel))
            return {row.channel: _setting(row) for row in rows}


def _once_each(sources: Iterable[str]) -> list[str]:
    """Return the names cleaned, each outlet once and as it is first written."""
    named: dict[str, str] = {}
    for source in map(clean_line, sources):
        named.setdefault(normalize_label(source), source)
    return [source for source in named.values() if source]


def _setting(row: Row[Any]) -> ChannelSetting:
    return ChannelSetting(tuple(row.sources), datetime.fromisoformat(row.changed), row.changed_by)

"""Settings of each channel: the sources whose articles are used to answer its questions."""

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
    """Setting of a channel.

    Attributes:
        sources: names of the sources, compared by `normalize_label`; empty for all sources. A source may no longer
            have articles.
        changed: time of the last change, or None if the channel was never set.
        changed_by: id of the user who made the last change.
    """

    sources: tuple[str, ...] = ()
    changed: datetime | None = None
    changed_by: str = ""


class ChannelSettings:
    """Store of the channel settings, by channel id, in the database of the article store."""

    def __init__(self, store: ArticleStore) -> None:
        self._store = store

    def get(self, channel: str) -> ChannelSetting:
        """Return the setting of a channel, or the default (all sources) if it was never set."""
        query = select(slack_channels).where(slack_channels.c.channel == channel)
        with self._store.connect() as connection:
            row = connection.execute(query).first()
        return _build_setting(row) if row else ChannelSetting()

    def set(self, channel: str, sources: Iterable[str], by: str) -> None:
        """Limit the answers in a channel to these sources; the last change wins.

        Args:
            sources: names of sources; empty for all sources.
            by: id of the user.

        Raises:
            SettingsError: if `channel` is not a channel id.
        """
        if not _CHANNEL.fullmatch(channel):
            raise SettingsError(f"{channel[:40]!r} is not a channel's id, such as C0123ABCD")
        row = {
            "channel": channel,
            "sources": _deduplicate_sources(sources),
            "changed": datetime.now(UTC).isoformat(timespec="seconds"),
            "changed_by": by,
        }
        with self._store.transaction() as connection:
            upsert(connection, slack_channels, row, key=("channel",))

    def all(self) -> dict[str, ChannelSetting]:
        """Return all settings ever made, by channel id."""
        with self._store.connect() as connection:
            rows = connection.execute(select(slack_channels).order_by(slack_channels.c.channel))
            return {row.channel: _build_setting(row) for row in rows}


def _deduplicate_sources(sources: Iterable[str]) -> list[str]:
    """Return the cleaned names without duplicates, each in its first spelling."""
    unique: dict[str, str] = {}
    for source in map(clean_line, sources):
        unique.setdefault(normalize_label(source), source)
    return [source for source in unique.values() if source]


def _build_setting(row: Row[Any]) -> ChannelSetting:
    return ChannelSetting(tuple(row.sources), datetime.fromisoformat(row.changed), row.changed_by)

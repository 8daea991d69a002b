"""Channels keep what was set for them, by id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from conftest import make

from bot.articles.chunking import split_passages
from bot.errors import SettingsError
from bot.slack.channel_settings import ChannelSetting, ChannelSettings
from bot.storage.article_store import ArticleStore
from bot.storage.models import PendingVersion

ADMIN, OTHER = "U0ADMIN", "W0OTHER"


@pytest.fixture
def channels(library: ArticleStore) -> ChannelSettings:
    return ChannelSettings(library)


def test_a_channel_is_answered_from_all_until_somebody_sets_it(channels: ChannelSettings) -> None:
    assert channels.get("C0NEWS") == ChannelSetting(sources=(), changed=None, changed_by="")
    assert channels.all() == {}


def test_what_was_set_last_holds_in_that_channel_alone(channels: ChannelSettings) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    channels.set("C0NEWS", ["Daily"], ADMIN)
    channels.set("G0DESK", ["Ledger"], ADMIN)
    channels.set("C0NEWS", ("Ledger", "Wire"), OTHER)
    found = channels.get("C0NEWS")
    assert (found.sources, found.changed_by) == (("Ledger", "Wire"), OTHER)
    assert found.changed is not None
    assert found.changed >= before
    assert channels.get("C0OTHER").sources == ()
    assert {channel: one.sources for channel, one in channels.all().items()} == {
        "C0NEWS": ("Ledger", "Wire"),
        "G0DESK": ("Ledger",),
    }


def test_no_sources_are_all_again_and_who_said_so_is_known(channels: ChannelSettings) -> None:
    channels.set("C0NEWS", ["Daily"], ADMIN)
    channels.set("C0NEWS", [], OTHER)
    assert (channels.get("C0NEWS").sources, channels.get("C0NEWS").changed_by) == ((), OTHER)


def test_an_outlet_outlives_its_articles(channels: ChannelSettings, library: ArticleStore) -> None:
    article = make({"id": "x", "text": "It rained.", "source": "Daily"})
    draft = PendingVersion(article, 1, tuple(split_passages("x", 1, article.text)))
    library.publish(library.write([draft]))
    assert library.sources() == [("Daily", 1)]
    channels.set("C0NEWS", ["Daily"], ADMIN)
    library.publish([], retired=["x"])
    library.drop_passages(library.stale_passages())
    assert library.sources() == []
    assert channels.get("C0NEWS").sources == ("Daily",)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["Daily", "daily", " DAILY "], ("Daily",)),
        (["Le  Monde\n"], ("Le Monde",)),
        (["Caf\u00e9", "Cafe\u0301"], ("Caf\u00e9",)),
        (["", "  "], ()),
        (["'; DROP TABLE slack_channels; --", "<!channel>", "$in", "\x00Wire"], ("'; DROP TABLE slack_channels; --", "<!channel>", "$in", "Wire")),
    ],
)  # fmt: skip
def test_outlets_are_data_each_once(
    channels: ChannelSettings, given: list[str], kept: tuple[str, ...]
) -> None:
    channels.set("C0NEWS", given, ADMIN)
    assert channels.get("C0NEWS").sources == kept


@pytest.mark.parametrize("channel", ["", "C", "#news", "news", "c0news", "U0ADMIN", "C0NEWS ", "C0NEWS\n", "C0'--", "<#C0NEWS>"])  # fmt: skip
def test_what_is_no_channels_id_is_refused(channels: ChannelSettings, channel: str) -> None:
    with pytest.raises(SettingsError, match="is not a channel's id"):
        channels.set(channel, ["Daily"], ADMIN)
    assert channels.get(channel) == ChannelSetting()
    assert channels.all() == {}


def test_people_who_set_it_at_once_leave_one_setting(channels: ChannelSettings) -> None:
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda n: channels.set("C0NEWS", [f"Outlet {n}"], ADMIN), range(40)))
    (setting,) = channels.all().values()
    assert len(setting.sources) == 1

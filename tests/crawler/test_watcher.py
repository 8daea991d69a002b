"""Feeds that are watched: what is new comes in, what is corrected replaces, what is withdrawn goes, and no more."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import WordEmbedder
from news_site import Answer, NewsSite, Story, packed, page

from bot.crawler import scheduling
from bot.crawler.lock import watcher_lock
from bot.crawler.store import CrawlStore, FeedRecord, PageRecord, page_key
from bot.crawler.watcher import Watcher
from bot.errors import CitewireError
from bot.ingestion.loaders import read_articles
from bot.ingestion.pipeline import IngestReport, ingest
from bot.services import Services
from bot.settings import load_settings
from bot.storage.article_store import ArticleStore

HOUR, DAY = 3_600.0, 86_400.0


class Desk:
    """A data folder whose clock the test moves."""

    def __init__(self, data: Path, embedder: WordEmbedder) -> None:
        settings = load_settings(data_dir=data, fetch_allow="127.0.0.1 127.0.0.2", fetch_delay=0)
        self.workspace = Services(settings, embedder=embedder)
        self.now = 1_800_000_000.0

    @property
    def ledger(self) -> CrawlStore:
        return CrawlStore(self.workspace.articles, clock=lambda: self.now)

    def watch(self) -> Watcher:
        return Watcher(self.workspace, stopping=threading.Event(), clock=lambda: self.now)

    def ingest(self, *urls: str, source: str = "") -> IngestReport:
        watch = self.watch()
        try:
            return watch.ingest_once(pages=urls, source=source)
        finally:
            watch.close()

    def add(self, *urls: str, source: str = "") -> IngestReport:
        watch = self.watch()
        try:
            return watch.ingest_once(feeds=urls, source=source)
        finally:
            watch.close()

    def once(self, *, after: float = 1.0) -> IngestReport:
        self.now += after
        watch = self.watch()
        try:
            return watch.poll_all()
        finally:
            watch.close()

    def text(self, story: Story, site: NewsSite) -> str:
        article_id = self.workspace.articles.find(site.url + story.path)
        found = self.workspace.articles.article(article_id) if article_id else None
        return found.text if found else ""

    @property
    def articles(self) -> int:
        return self.workspace.articles.totals().articles


@pytest.fixture
def desk(tmp_path: Path, embedder: WordEmbedder) -> Iterator[Desk]:
    opened = Desk(tmp_path / "data", embedder)
    yield opened
    opened.workspace.close()


@pytest.fixture
def site() -> Iterator[NewsSite]:
    with NewsSite(articles=5) as opened:
        yield opened


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed, len(report.failures)


def reasons(report: IngestReport) -> str:
    return "\n".join(map(str, report.skipped))


def rss(*items: str, title: str = "A feed") -> str:
    made = "".join(f"<item>{item}</item>" for item in items)
    return f'<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>{title}</title>{made}</channel></rss>'


# Pages


def test_a_page_is_taken_in_and_asked_for_again_only_if_it_has_changed(desk: Desk, site: NewsSite) -> None:
    url = site.url + "/news/1"
    assert counts(desk.ingest(url)) == (1, 0, 0, 0, 0)
    assert counts(desk.ingest(url)) == (0, 0, 1, 0, 0)
    assert [asked.status for asked in site.asked if asked.path == "/news/1"] == [200, 304]
    site.control("correct", 1)
    assert counts(desk.ingest(url)) == (0, 1, 0, 0, 0)
    assert "1011 million" in desk.text(site.stories[1], site)
    [headline] = desk.workspace.articles.list_articles()
    assert (headline.source, headline.author) == ("The Local Gazette (127.0.0.1)", site.stories[1].author)
    assert headline.published == site.stories[1].published


def test_pages_that_give_nothing_are_told_with_a_reason(desk: Desk, site: NewsSite) -> None:
    report = desk.ingest(
        site.url + "/nowhere",
        site.put("/film", b"\0", kind="video/mp4"),
        site.put("/empty", "<html><body></body></html>"),
        site.url + "/feed.xml",
        "http://10.0.0.1/x",
        site.url + "/news/1",
    )
    assert counts(report) == (1, 0, 0, 0, 5)
    for said in (
        "404",
        "video/mp4",
        "no article text",
        "take it in with --feed",
        "CITEWIRE_FETCH_ALLOW=10.0.0.1",
    ):
        assert said in reasons(report)


def test_a_page_named_twice_is_asked_for_once(desk: Desk, site: NewsSite) -> None:
    desk.ingest(site.url + "/news/1", site.url + "/news/1?utm_source=x")
    assert len(site.paths()) == 1


def test_a_page_gone_is_retracted_when_it_is_asked_for(desk: Desk, site: NewsSite) -> None:
    desk.ingest(site.url + "/news/1")
    site.control("gone", 1)
    assert counts(desk.ingest(site.url + "/news/1")) == (0, 0, 0, 1, 0)
    assert desk.articles == 0
    site.control("back", 1)
    assert counts(desk.ingest(site.url + "/news/1")) == (1, 0, 0, 0, 0)


def test_two_pages_of_one_article_do_not_replace_each_other(desk: Desk, site: NewsSite) -> None:
    head = f'<link rel="canonical" href="{site.url}/x">'
    desk.ingest(site.put("/x", page("The title", Story(1).paragraphs(), head=head)))
    report = desk.ingest(site.put("/amp/x", page("The title", Story(1).paragraphs()[:2], head=head)))
    assert counts(report) == (0, 0, 1, 0, 0)
    assert "free of charge" in next(iter(desk.workspace.articles.iter_versions())).article.text
    site.put("/amp/x", b"", 410)
    assert desk.ingest(site.url + "/amp/x").removed == 0


@pytest.mark.parametrize("at_once", [True, False])
def test_the_page_at_an_article_s_own_address_takes_over(desk: Desk, site: NewsSite, at_once: bool) -> None:
    head = f'<link rel="canonical" href="{site.url}/x">'
    second = site.put("/x?page=2", page("The title", Story(1).paragraphs()[1:], head=head), validated=False)
    own = site.put("/x", page("The title", Story(1).paragraphs()[:2], head=head), validated=False)
    for urls in [(second, own)] if at_once else [(second,), (own,)]:
        desk.ingest(*urls)
    article = desk.workspace.articles.article(desk.workspace.articles.find(own) or "")
    assert article
    assert article.text.split("\n\n") == Story(1).paragraphs()[:2]
    assert [desk.ledger.page(url).state for url in (second, own)] == ["copy", "ok"]
    assert desk.articles == 1


@pytest.mark.parametrize(
    ("title", "paragraphs", "said"),
    [
        (
            "Before you continue",
            ["We and our partners store cookies on your device, if you let us."] * 3,
            "notice",
        ),
        (
            "The title",
            [Story(1).paragraphs()[0], "Subscribe to continue reading this story."],
            "behind a wall",
        ),
        ("The title", [], "no article text"),
    ],
)
def test_a_wall_before_a_page_does_not_replace_its_article(
    desk: Desk, site: NewsSite, title: str, paragraphs: list[str], said: str
) -> None:
    url = site.put("/x", page("The title", Story(1).paragraphs()))
    desk.ingest(url)
    site.put("/x", page(title, paragraphs, head=f"<title>{title}</title>"))
    assert said in reasons(desk.ingest(url))
    article = desk.workspace.articles.article(desk.workspace.articles.find(url) or "")
    assert article
    assert article.text.split("\n\n") == Story(1).paragraphs()
    assert (desk.ledger.page(url).state, desk.ledger.page(url).due is None) == ("failing", False)
    site.put("/x", page("The title", Story(2).paragraphs()))
    assert counts(desk.once(after=DAY)) == (0, 1, 0, 0, 0)


def test_a_page_that_is_not_found_with_a_friendly_face_is_gone_when_that_lasts(
    desk: Desk, site: NewsSite
) -> None:
    url = site.put("/x", page("The title", Story(1).paragraphs()))
    desk.ingest(url)
    site.put("/x", page("Page not found", ["Sorry, there is nothing here for you to read."] * 3))
    assert sum(desk.once(after=DAY).removed for _ in range(4)) == 1
    assert desk.articles == 0


def test_a_page_that_changes_its_address_brings_its_article_along(desk: Desk, site: NewsSite) -> None:
    text = Story(1).paragraphs()
    desk.ingest(site.put("/old", page("The title", text)))
    site.put("/new", page("The title", text))
    site.redirect("/old", "/new", 301)
    assert counts(desk.ingest(site.url + "/old")) == (1, 0, 0, 1, 0)
    assert [headline.url for headline in desk.workspace.articles.list_articles()] == [site.url + "/new"]


# Feeds


@pytest.mark.parametrize("path", ["/feed.xml", "/atom.xml", "/sitemap.xml"])
def test_a_feed_is_taken_in_and_a_round_without_news_asks_for_little(
    desk: Desk, site: NewsSite, path: str
) -> None:
    assert counts(desk.add(site.url + path)) == (5, 0, 0, 0, 0)
    site.asked.clear()
    assert counts(desk.once(after=0)) == (0, 0, 0, 0, 0)
    assert site.paths() == [path]
    assert site.asked[-1].status == 304


def test_no_page_is_visited_twice_in_one_poll(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bot.crawler.watcher._MAX_BATCH_PAGES", 10
    )  # the first are remembered before the last are visited
    with NewsSite(articles=120) as site:
        watch = Watcher(desk.workspace, stopping=threading.Event(), clock=time.time)
        assert watch.ingest_once(feeds=[site.url + "/feed.xml"]).added == 120
        watch.close()
        assert len(site.paths()) == 121


@pytest.mark.parametrize("path", ["/feed.xml", "/atom.xml", "/sitemap.xml"])
def test_what_a_feed_says_has_changed_is_visited_at_once(desk: Desk, site: NewsSite, path: str) -> None:
    desk.add(site.url + path)
    site.control("correct", 2)
    site.control("publish")
    site.asked.clear()
    assert counts(desk.once(after=0)) == (1, 1, 0, 0, 0)
    assert sorted(site.paths()) == sorted([path, "/news/2", "/news/6"])
    assert "1012 million" in desk.text(site.stories[2], site)


def test_pages_are_looked_at_again_less_and_less_until_they_are_a_month_old(
    desk: Desk, site: NewsSite
) -> None:
    desk.add(site.url + "/feed.xml")
    site.control("quietly", 3)
    assert counts(desk.once(after=300)) == (0, 1, 4, 0, 0)
    looks = 0
    for _ in range(4 * 40):
        looks += desk.once(after=6 * HOUR).unchanged
    assert 5 * 8 < looks < 5 * 40
    site.control("quietly", 3)
    assert counts(desk.once(after=DAY)) == (0, 0, 0, 0, 0)


def test_a_page_gone_takes_its_article_along_and_is_asked_for_no_more(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    site.control("gone", 4)
    assert counts(desk.once()) == (0, 0, 4, 1, 0)
    assert desk.text(site.stories[4], site) == ""
    site.asked.clear()
    desk.once(after=DAY)
    assert "/news/4" not in site.paths()


def test_a_page_that_is_missing_is_gone_only_when_that_lasts(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    site.control("missing", 4)
    assert counts(desk.once()) == (0, 0, 4, 0, 1)
    assert desk.articles == 5
    for _ in range(8):
        desk.once(after=HOUR)
    assert desk.articles == 5
    site.control("back", 4)
    desk.once(after=6 * HOUR)
    assert desk.ledger.page(site.url + "/news/4").misses == 0
    site.control("missing", 4)
    removed = sum(desk.once(after=6 * HOUR).removed for _ in range(12))
    assert removed == 1
    assert desk.articles == 4


def test_a_dead_link_that_leads_to_the_front_page_counts_as_missing(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    site.put("/", page("The Local Gazette", Story(1).paragraphs()))
    site.redirect("/news/2", "/")
    assert "front page" in reasons(desk.once())
    assert desk.articles == 5


def test_a_tombstone_takes_an_article_back(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/atom.xml")
    site.control("withdraw", 2)
    assert counts(desk.once(after=0)) == (0, 0, 0, 1, 0)
    assert counts(desk.once(after=0)) == (0, 0, 0, 0, 0)
    assert desk.articles == 4


def test_a_feed_takes_back_only_what_came_from_it_and_is_its_own(desk: Desk, site: NewsSite) -> None:
    with NewsSite(host="127.0.0.2") as other:
        entry = f"<entry><id>tag:gazette,2</id><title>x</title><link href='{site.url}/news/2'/></entry>"
        feed = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0"><title>x</title>{}</feed>'
        dead = "<at:deleted-entry ref='tag:gazette,2' when='2026-03-09T00:00:00Z'/>"
        url = other.put("/atom", feed.format(entry), kind="application/atom+xml")
        assert desk.add(url).added == 1
        other.put("/atom", feed.format(dead), kind="application/atom+xml")
        assert desk.once(after=0).removed == 0
        assert desk.add(site.url + "/atom.xml").added == 4
        assert desk.once(after=0).removed == 0
        assert desk.articles == 5


def test_an_article_that_came_from_a_file_last_is_not_retracted(
    desk: Desk, site: NewsSite, tmp_path: Path
) -> None:
    desk.add(site.url + "/feed.xml")
    record = {"url": site.url + "/news/1", "title": "From the archive", "text": "The archive's own text."}
    (tmp_path / "a.jsonl").write_text(json.dumps(record), "utf-8")
    with desk.workspace.index_writer() as indexer:
        ingest(indexer, desk.workspace.articles, read_articles([tmp_path / "a.jsonl"]))
    site.control("gone", 1)
    assert desk.once().removed == 0
    assert desk.articles == 5


def test_a_feed_that_is_gone_is_polled_no_more_and_its_articles_stay(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    site.control("feed-gone")
    report = desk.once(after=0)
    assert "the feed is gone (410): it is polled no more, its articles stay" in reasons(report)
    [feed] = desk.ledger.feeds()
    assert feed.state == "gone"
    site.asked.clear()
    desk.once(after=DAY)
    assert "/feed.xml" not in site.paths()
    assert desk.articles == 5


def test_a_failing_feed_is_left_longer_each_time_until_it_is_back(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    site.put("/feed.xml", b"", 500)
    pauses = []
    for _ in range(4):
        desk.once(after=0)
        [feed] = desk.ledger.feeds()
        pauses.append(feed.due - desk.now)
    assert feed.state == "failing"
    assert feed.failures == 4
    assert "500" in feed.problem
    assert pauses == sorted(pauses)
    assert pauses[-1] > 4 * pauses[0]
    del site.answers["/feed.xml"]
    desk.once(after=0)
    [feed] = desk.ledger.feeds()
    assert (feed.state, feed.failures, feed.problem) == ("ok", 0, "")


def test_a_feed_that_asks_to_be_left_is_left_that_long(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    site.put("/feed.xml", b"", 429, headers={"Retry-After": "40000"})
    desk.once(after=0)
    [feed] = desk.ledger.feeds()
    assert feed.due - desk.now > 39_000


def test_a_feed_that_has_moved_is_asked_for_where_it_is(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml", source="The Gazette")
    body = site.rss()
    site.redirect("/feed.xml", "/rss", 301)
    site.put("/rss", body, kind="application/rss+xml")
    desk.once(after=0)
    [feed] = desk.ledger.feeds()
    assert (feed.url, feed.source) == (site.url + "/rss", "The Gazette")
    assert desk.ledger.page(site.url + "/news/1").feed == feed.url
    site.asked.clear()
    desk.once(after=0)
    assert site.paths() == ["/rss"]


def test_an_address_that_is_no_feed_is_not_remembered(desk: Desk, site: NewsSite) -> None:
    report = desk.add(site.url + "/news/1", site.url + "/nowhere")
    assert counts(report) == (0, 0, 0, 0, 2)
    assert "neither RSS, Atom, JSON Feed nor a sitemap" in reasons(report)
    assert desk.ledger.feeds() == []


def test_a_page_that_names_its_feed_stands_for_it(desk: Desk, site: NewsSite) -> None:
    link = '<link rel="alternate" type="application/rss+xml" href="feed.xml">'
    assert desk.add(site.put("/", page("The Gazette", [], head=link))).added == 5
    assert [feed.url for feed in desk.ledger.feeds()] == [site.url + "/feed.xml"]


def test_an_index_of_sitemaps_is_gone_through_and_old_parts_are_passed_over(
    desk: Desk, site: NewsSite
) -> None:
    body = site.sitemap()
    site.put("/old.xml.gz", packed(body), kind="application/gzip")
    part = f"<sitemap><loc>{site.url}/old.xml.gz</loc><lastmod>2026-03-02</lastmod></sitemap>"
    itself = f"<sitemap><loc>{site.url}/index.xml</loc></sitemap>"
    site.put(
        "/index.xml", f"<sitemapindex>{part}{itself}</sitemapindex>", kind="application/xml", validated=False
    )
    assert desk.add(site.url + "/index.xml").added == 5
    site.asked.clear()
    desk.once(after=0)
    assert "/old.xml.gz" not in site.paths()
    assert site.paths().count("/index.xml") < 5


def test_an_entry_named_twice_is_visited_once(desk: Desk, site: NewsSite) -> None:
    item = f"<title>{{}}</title><link>{site.url}/news/1</link>"
    url = site.put(
        "/twice", rss(item.format("One"), item.format("Two")), kind="application/rss+xml", validated=False
    )
    desk.add(url)
    desk.once(after=0)
    assert site.paths().count("/news/1") == 1


def test_a_page_in_two_feeds_is_the_first_ones(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    desk.add(site.url + "/atom.xml")
    assert site.paths().count("/news/1") == 1
    desk.once(after=0)
    assert site.paths().count("/news/1") == 1


def test_an_entry_that_is_a_feed_or_a_film_is_passed_over(desk: Desk, site: NewsSite) -> None:
    site.put("/film", "<html><body><video></video></body></html>")
    items = [f"<title>x</title><link>{site.url}{path}</link>" for path in ("/feed.xml", "/film")]
    report = desk.add(site.put("/mixed", rss(*items), kind="application/rss+xml"))
    assert counts(report) == (0, 0, 0, 0, 0)
    assert [skip.expected for skip in report.skipped] == [True, True]
    site.asked.clear()
    desk.once(after=DAY)
    assert site.paths() == ["/mixed"]


FULL = "".join(f"<p>{text}</p>" for text in Story(9).paragraphs() + Story(8).paragraphs())


@pytest.mark.parametrize("status", [200, 403, 402])
def test_a_feed_that_holds_the_article_stands_in_for_a_page_without_text(desk: Desk, site: NewsSite, status: int) -> None:  # fmt: skip
    site.put("/bare", "<html><body></body></html>", status)
    item = f"<title>Whole</title><link>{site.url}/bare</link><content:encoded><![CDATA[{FULL}]]></content:encoded>"
    url = site.put("/full", rss(item), kind="application/rss+xml")
    assert desk.add(url).added == 1
    assert "number 9" in next(iter(desk.workspace.articles.iter_versions())).article.text


def test_a_feed_does_not_speak_for_another_sites_article(desk: Desk, site: NewsSite) -> None:
    with NewsSite(host="127.0.0.2") as other:
        site.put("/bare", "<html><body></body></html>")
        item = f"<title>Whole</title><link>{site.url}/bare</link><content:encoded><![CDATA[{FULL}]]></content:encoded>"
        assert desk.add(other.put("/full", rss(item), kind="application/rss+xml")).added == 0


def test_trouble_is_not_answered_with_the_feeds_text_but_tried_again(desk: Desk, site: NewsSite) -> None:
    site.put("/bare", "", 500)
    item = f"<title>Whole</title><link>{site.url}/bare</link><content:encoded><![CDATA[{FULL}]]></content:encoded>"
    report = desk.add(site.put("/full", rss(item), kind="application/rss+xml"))
    assert counts(report) == (0, 0, 0, 0, 1)
    site.put("/bare", page("Whole", Story(9).paragraphs()))
    assert desk.once(after=HOUR).added == 1


def test_what_the_feed_says_stays_with_the_article_when_only_the_page_is_read_again(
    desk: Desk, site: NewsSite
) -> None:
    site.put("/x", page("", Story(1).paragraphs()), validated=False)
    item = f"<title>From the feed</title><link>{site.url}/x</link><pubDate>Fri, 17 Jun 2022 23:30:00 -0400</pubDate>"
    desk.add(site.put("/f", rss(item), kind="application/rss+xml"), source="The Gazette")
    assert counts(desk.once(after=HOUR)) == (0, 0, 1, 0, 0)
    [headline] = desk.workspace.articles.list_articles()
    assert (headline.title, headline.source) == ("From the feed", "The Gazette")


def test_a_feed_s_name_is_the_outlet_of_its_own_site_alone(desk: Desk, site: NewsSite) -> None:
    with NewsSite(articles=1, host="127.0.0.2") as other:
        items = [f"<link>{one.url}/news/1</link>" for one in (site, other)]
        desk.add(site.put("/f", rss(*items), kind="application/rss+xml"), source="My Gazette")
    found = {headline.source for headline in desk.workspace.articles.list_articles()}
    assert found == {"My Gazette", "The Local Gazette (127.0.0.2)"}


def test_pages_that_gave_nothing_are_remembered_for_half_a_year(desk: Desk, site: NewsSite) -> None:
    item = f"<title>A gallery</title><link>{site.put('/gallery', '<html><body></body></html>')}</link>"
    desk.add(site.put("/f", rss(item), kind="application/rss+xml"))
    desk.ingest(site.url + "/news/1")
    assert desk.ledger.page(site.url + "/gallery").state == "empty"
    site.put("/f", rss(), kind="application/rss+xml")
    for after, state in ((DAY, "empty"), (181 * DAY, "new")):
        desk.once(after=after)
        assert desk.ledger.page(site.url + "/gallery").state == state
    assert desk.ledger.page(site.url + "/news/1").state == "ok"


def test_what_the_user_has_forgotten_comes_back_only_when_asked_for(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml")
    article_id = desk.workspace.articles.find(site.url + "/news/1")
    with desk.workspace.index_writer() as indexer:
        indexer.publish(retired=[str(article_id)])
    site.control("correct", 1)
    desk.once(after=0)
    desk.once(after=DAY)
    desk.add(site.url + "/feed.xml")
    assert desk.articles == 4
    assert desk.ingest(site.url + "/news/1").added == 1


def test_a_feed_that_was_removed_is_left_and_its_articles_stay(desk: Desk, site: NewsSite) -> None:
    desk.add(site.url + "/feed.xml", site.url + "/atom.xml")
    assert desk.ledger.remove_feed(site.url + "/feed.xml")
    assert not desk.ledger.remove_feed(site.url + "/feed.xml")
    assert desk.articles == 5
    site.asked.clear()
    desk.once(after=DAY)
    assert "/feed.xml" not in site.paths()


def test_a_slow_host_keeps_no_other_waiting(
    desk: Desk, site: NewsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.crawler.watcher._BATCH_SECONDS", 0.2)
    release = threading.Event()

    def late(_headers: dict[str, str]) -> Answer:
        assert release.wait(10)
        return Answer(b"", 404)

    with NewsSite(articles=3, host="127.0.0.2") as slow:
        slow.answers["/robots.txt"] = late
        for one in (slow, site):
            desk.ledger.put_feed(FeedRecord(url=one.url + "/feed.xml"))
        seen: list[int] = []

        def told(report: IngestReport) -> None:
            seen.append(report.added)
            if sum(seen) == 5:
                release.set()

        watch = desk.watch()
        assert watch.poll_all(on_report=told).added == 8
        watch.close()


@pytest.mark.parametrize(
    "broken", ["bot.crawler.page_fetch.article_from_page", "bot.crawler.feeds.rss_atom._build_entry"]
)
def test_what_a_reader_breaks_on_does_not_end_the_watch(
    desk: Desk, site: NewsSite, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise AttributeError("from the depths")

    monkeypatch.setattr(broken, explode)
    desk.ledger.put_feed(FeedRecord(url=site.url + "/feed.xml"))
    assert "cannot be read (AttributeError)" in reasons(desk.once())
    monkeypatch.undo()
    assert desk.once(after=HOUR).added == 5


# Running


def test_it_runs_until_it_is_to_stop_and_puts_away_what_it_has(desk: Desk, site: NewsSite) -> None:
    desk.ledger.put_feed(FeedRecord(url=site.url + "/feed.xml"))
    stopping = threading.Event()
    watch = Watcher(desk.workspace, stopping=stopping, clock=lambda: desk.now)
    reports: list[IngestReport] = []

    def told(report: IngestReport) -> None:
        reports.append(report)
        if sum(one.added for one in reports) == 5:
            stopping.set()

    watch.run(on_report=told)
    watch.close()
    assert desk.articles == 5
    [feed] = desk.ledger.feeds()
    assert feed.due > desk.now


def test_it_goes_on_when_the_library_could_not_be_used(desk: Desk, site: NewsSite, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    desk.ledger.put_feed(FeedRecord(url=site.url + "/feed.xml"))
    monkeypatch.setattr("bot.crawler.watcher._ERROR_PAUSE_SECONDS", 0.01)
    stopping = threading.Event()
    watch = Watcher(desk.workspace, stopping=stopping, clock=lambda: desk.now)
    put_away, broken = watch._writer._publish, [True]

    def publish(*args: object) -> None:
        if broken.pop() if broken else False:
            raise CitewireError("the library cannot be used")
        put_away(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(watch._writer, "_publish", publish)
    watch.run(on_report=lambda report: stopping.set() if report.added else None)
    watch.close()
    assert desk.articles == 5


CRASHING = """
import os, signal, sys, threading
sys.path[:0] = {path!r}
from pathlib import Path
from conftest import WordEmbedder
from bot.settings import load_settings
from bot.crawler.store import CrawlStore
from bot.crawler.watcher import Watcher
from bot.services import Services

settings = load_settings(data_dir=Path({data!r}), fetch_allow="127.0.0.1", fetch_delay=0)
setattr({owner}, {name!r}, lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL))
Watcher(Services(settings, embedder=WordEmbedder()), stopping=threading.Event()).{call}
"""


@pytest.mark.parametrize("call", ["ingest_once(feeds=[{feed!r}])", "poll_all()"])
@pytest.mark.parametrize("point", ["CrawlStore.put_pages", "CrawlStore.update_feed"])
def test_a_kill_at_any_moment_loses_nothing(
    desk: Desk, site: NewsSite, tmp_path: Path, call: str, point: str
) -> None:
    feed = site.url + "/feed.xml"
    desk.ledger.put_feed(FeedRecord(url=feed))
    owner, _, name = point.partition(".")
    here = Path(__file__).parents[1]
    script = CRASHING.format(
        path=[str(here), str(here / "helpers"), str(here.parent)],
        data=str(tmp_path / "data"),
        owner=owner,
        name=name,
        call=call.format(feed=feed),
    )
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert desk.articles == 5  # published, and not yet remembered
    assert (desk.ledger.page(site.url + "/news/1").etag == "") is (name == "put_pages")
    site.control("quietly", 1)
    report = desk.once()
    assert report.changed == 1
    assert desk.articles == 5
    desk.once()
    [known] = desk.ledger.feeds()
    assert known.etag


def test_only_one_watches_and_the_next_takes_over(desk: Desk) -> None:
    stopping = threading.Event()
    entered = threading.Event()

    def second() -> None:
        with watcher_lock(desk.workspace, wait=True, stopping=stopping):
            entered.set()

    with watcher_lock(desk.workspace, wait=False, stopping=stopping):
        with (
            pytest.raises(CitewireError, match="another `citewire watch` polls these feeds"),
            watcher_lock(desk.workspace, wait=False, stopping=stopping),
        ):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()


def test_two_machines_on_one_database_do_not_watch_both(tmp_path: Path, empty_postgres: str) -> None:
    one, other = (
        Services(load_settings(data_dir=tmp_path / name, database_url=empty_postgres))
        for name in ("one", "other")
    )
    stopping = threading.Event()
    with (
        watcher_lock(one, wait=False, stopping=stopping),
        pytest.raises(CitewireError, match="another"),
        watcher_lock(other, wait=False, stopping=stopping),
    ):
        pass
    with watcher_lock(other, wait=False, stopping=stopping):
        pass
    one.close()
    other.close()


# What is remembered


def test_the_ledger_keeps_feeds_and_pages(library: ArticleStore) -> None:
    now = [1_000.0]
    ledger = CrawlStore(library, clock=lambda: now[0])
    feed = FeedRecord(url="https://a.example/f", title="A", due=2_000.0, source="The A")
    ledger.put_feed(feed)
    assert ledger.feeds() == [feed]
    assert ledger.due_feeds() == []
    now[0] = 2_000.0
    assert ledger.due_feeds() == [feed]
    page_record = PageRecord(
        key=page_key("https://www.a.example/1?utm_source=x"), url="https://www.a.example/1", feed=feed.url,
        entry="e1", about={"title": "t"}, state="ok", article_id="x", due=1_500.0, first_seen=1_000.0,
    )  # fmt: skip
    ledger.put_pages([page_record])
    assert ledger.page("http://a.example/1") == page_record
    assert ledger.due_pages(feed.url) == [page_record]
    assert (
        ledger.pages_in_feed(feed.url, ["e1"])
        == ledger.pages_in_feed(feed.url, ["https://a.example/1"])
        == [page_record]
    )
    assert ledger.pages_in_feed("https://b.example/f", ["e1"]) == []
    assert ledger.source_pages(["x", "y"]) == {"x": page_record.key}
    moved = FeedRecord(url="https://b.example/f")
    ledger.put_feed(moved, moved_from=feed.url)
    assert ledger.feeds() == [moved]
    assert ledger.page("http://a.example/1").feed == moved.url
    ledger.update_feed(FeedRecord(url="https://removed.example/f"))
    assert ledger.feeds() == [moved]
    ledger.set_backoff("a.example", 3_000.0)
    ledger.set_backoff("a.example", 4_000.0)
    ledger.set_backoff("b.example", 1_000.0)
    assert ledger.backoffs() == {"a.example": 4_000.0}


def test_a_host_that_asked_to_be_left_is_left_by_the_next_process_too(desk: Desk, site: NewsSite) -> None:
    desk.now = time.time()
    desk.add(site.url + "/feed.xml")
    site.put("/news/6", b"", 503, headers={"Retry-After": "5000"})
    site.stories[6] = Story(6)
    desk.once()
    site.asked.clear()
    desk.once()
    assert site.asked == []


# The schedule


def test_a_feed_is_polled_as_often_as_it_changes() -> None:
    pause = 0.0
    pauses = []
    for changed in [True] * 4 + [False] * 20:
        pause = scheduling.next_interval(pause, changed=changed, min_interval=300, requested=0)
        pauses.append(pause)
    assert min(pauses) == 300
    assert pauses[-1] == 86_400
    assert scheduling.next_interval(300, changed=True, min_interval=300, requested=7_200) == 7_200
    assert scheduling.next_interval(300, changed=True, min_interval=300, requested=9e9) == 86_400
    assert scheduling.next_interval(300, changed=True, min_interval=10, requested=0) == 150
    assert scheduling.next_interval(0, changed=False, min_interval=200_000, requested=0) == 200_000


def test_jitter_only_lengthens() -> None:
    assert all(100 <= scheduling.with_jitter(100) <= 110 for _ in range(100))

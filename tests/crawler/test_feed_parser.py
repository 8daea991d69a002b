"""Feeds of all kinds, told by what is in them, and harmless however they are made."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from news_site import packed

from bot.crawler.feeds.models import Entry, Feed
from bot.crawler.feeds.parser import find_feed_link, read_feed
from bot.crawler.fetcher import FetchResult
from bot.errors import FetchError

BASE = "https://gazette.example/feeds/all"


def feed(body: str | bytes, url: str = BASE, **options: Any) -> Feed:
    data = body.encode() if isinstance(body, str) else body
    return read_feed(FetchResult(url=url, status=200, body=data, **options))


def entries(body: str | bytes, **options: Any) -> list[Entry]:
    return list(feed(body, **options).entries)


RSS2 = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:sy="http://purl.org/rss/1.0/modules/syndication/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
<title>The Gazette</title><link>https://gazette.example/</link><ttl>30</ttl>
<item><title>Tram &amp; line</title><link>/news/1</link><guid isPermaLink="false">g1</guid><dc:creator>Ines Varga</dc:creator>
<pubDate>Fri, 17 Jun 2022 23:30:00 -0400</pubDate><description>Short.</description><content:encoded><![CDATA[<p>Long.</p>]]></content:encoded></item>
<item><title>No link</title></item></channel></rss>"""
RSS1 = """<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel><title>Old</title></channel><item><title>One</title><link>https://gazette.example/news/1</link></item></rdf:RDF>"""
RSS091 = '<rss version="0.91"><channel><title>Older</title><item><title>One</title><link>https://gazette.example/news/1</link></item></channel></rss>'
ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://gazette.example/">
<title>The Gazette</title><entry><id>tag:1</id><title type="html">Tram &amp;amp; line</title>
<link rel="enclosure" href="/a.mp3"/><link href="news/1"/><published>2022-06-17T23:30:00-04:00</published>
<updated>2022-06-18T10:00:00Z</updated><author><name>Ines Varga</name></author>
<content type="html">&lt;p&gt;Long.&lt;/p&gt;</content></entry></feed>"""
JSON_FEED = json.dumps(
    {"version": "https://jsonfeed.org/version/1.1", "title": "The Gazette", "items": [
        {"id": "1", "url": "/news/1", "title": "Tram & line", "date_published": "2022-06-17T23:30:00-04:00",
         "authors": [{"name": "Ines Varga"}], "content_html": "<p>Long.</p>"},
        {"id": "2"}, 7]}
)  # fmt: skip
SITEMAP = """<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
 xmlns:news="http://www.google.com/schemas/sitemap-news/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
<url><image:image><image:loc>https://gazette.example/a.jpg</image:loc><image:title>A picture</image:title></image:image>
<loc>https://gazette.example/news/1</loc><lastmod>2022-06-18</lastmod><news:news><news:publication>
<news:name>The Gazette</news:name><news:language>en</news:language></news:publication>
<news:publication_date>2022-06-17T23:30:00-04:00</news:publication_date><news:title>Tram &amp; line</news:title></news:news></url>
<url><loc>ftp://gazette.example/x</loc></url></urlset>"""


@pytest.mark.parametrize("body", [RSS2, ATOM, JSON_FEED, SITEMAP, packed(SITEMAP), packed(RSS2), "\ufeff" + RSS2, "\n\n " + RSS2])  # fmt: skip
def test_feeds_are_told_by_what_is_in_them(body: str | bytes) -> None:
    [entry] = entries(body, content_type="text/plain")
    assert entry.link == "https://gazette.example/news/1"
    assert entry.metadata["title"] == "Tram & line"
    assert entry.metadata["published"] == "2022-06-17T23:30:00-04:00"
    assert entry.metadata.get("author", "Ines Varga") == "Ines Varga"


@pytest.mark.parametrize("body", [RSS1, RSS091])
def test_old_dialects_are_read(body: str) -> None:
    assert [(entry.link, entry.metadata["title"]) for entry in entries(body)] == [
        ("https://gazette.example/news/1", "One")
    ]


@pytest.mark.parametrize(("body", "content"), [(RSS2, "<p>Long.</p>"), (ATOM, "<p>Long.</p>"), (JSON_FEED, "<p>Long.</p>"), (SITEMAP, ""), (RSS091, "")])  # fmt: skip
def test_what_a_feed_holds_of_an_article_comes_along(body: str, content: str) -> None:
    assert entries(body)[0].content == content


def test_a_feed_says_its_name_and_how_often_it_may_be_asked() -> None:
    assert feed(RSS2).title == "The Gazette"
    assert feed(RSS2).min_interval == 1_800
    period = "<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency>"
    assert feed(RSS2.replace("<ttl>30</ttl>", period)).min_interval == 1_800
    assert feed(RSS2.replace("<ttl>30</ttl>", period.replace("hourly", "daily"))).min_interval == 43_200
    assert feed(RSS2.replace("<ttl>30</ttl>", "<ttl>often</ttl>")).min_interval == 0


@pytest.mark.parametrize(
    ("body", "before", "after"),
    [
        (RSS2, "Short.", "Short, corrected."),
        (RSS2, "Long.", "Longer."),
        (RSS2, "Tram &amp; line", "Tram line"),
        (ATOM, "2022-06-18T10:00:00Z", "2022-06-18T11:00:00Z"),
        (SITEMAP, "<lastmod>2022-06-18", "<lastmod>2022-06-19"),
        (JSON_FEED, "Long.", "Longer."),
    ],
)
def test_the_mark_changes_with_the_entry(body: str, before: str, after: str) -> None:
    assert before in body
    assert (
        entries(body)[0].fingerprint
        == entries(body)[0].fingerprint
        != entries(body.replace(before, after))[0].fingerprint
    )


def test_broken_xml_gives_what_can_be_read() -> None:
    broken = RSS2.replace("&amp; line", "& line &nbsp; <b>").replace("</channel></rss>", "")
    assert [entry.link for entry in entries(broken)] == ["https://gazette.example/news/1"]
    assert [entry.link for entry in entries(SITEMAP.replace("</urlset>", ""))] == [
        "https://gazette.example/news/1"
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("&amp; line", "& line"),
        ("<item>", "<media:thumbnail url='x'/><item>"),  # a prefix that is not declared
        ("<item>", f"<item><description>{'<br>x' * 5_000}</description>"),  # took its parser seconds
        ("</channel>", f"<item>{'<a ' * 5_000}"),
        ("</channel>", "<x>" * 20_000),
    ],
)
def test_what_is_broken_costs_no_more_than_itself(before: str, after: str) -> None:
    assert before in RSS2
    assert [entry.link for entry in entries(RSS2.replace(before, after))] == [
        "https://gazette.example/news/1"
    ]


@pytest.mark.parametrize("body", [b"", b"<html><body>x", b"{}", b"{", b'{"items": 7}', b"\x89PNG", b"plain text", b"[" * 9999, packed(b"x"), b"\x1f\x8bno gzip"])  # fmt: skip
def test_what_is_no_feed_is_told(body: bytes) -> None:
    with pytest.raises(FetchError):
        feed(body)


LETTERS = "abcdefghijkl"
NESTED = "".join(f'<!ENTITY {LETTERS[n + 1]} "{10 * ("&" + LETTERS[n] + ";")}">' for n in range(10))
BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">{NESTED}]>'
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY k SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("body", [RSS2, ATOM, SITEMAP])
@pytest.mark.parametrize(("doctype", "entity"), [(BOMB, "&k;"), (EXTERNAL, "&k;")])
def test_entities_blow_nothing_up_and_read_no_file(body: str, doctype: str, entity: str) -> None:
    made = body.replace('<?xml version="1.0"?>', doctype).replace("Tram", f"Tram {entity}")
    secret = Path("/etc/hostname").read_text("utf-8").strip()
    tracemalloc.start()
    try:
        said = "".join(entry.metadata.get("title", "") for entry in entries(made))
    except FetchError:
        said = ""
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert len(said) < 1_000
    assert secret not in said


def test_a_packed_bomb_is_not_unpacked() -> None:
    with pytest.raises(FetchError, match="larger than"):
        feed(packed(b"\0" * 60_000_000))


def test_an_index_names_its_sitemaps() -> None:
    index = """<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap><loc>/a.xml.gz</loc>
    <lastmod>2022-06-18</lastmod></sitemap><sitemap><loc>https://gazette.example/b.xml</loc></sitemap></sitemapindex>"""
    assert feed(index).sub_sitemaps == (
        ("https://gazette.example/a.xml.gz", "2022-06-18"),
        ("https://gazette.example/b.xml", ""),
    )


def test_a_large_sitemap_is_gone_through_entry_by_entry() -> None:
    urls = "".join(f"<url><loc>https://gazette.example/news/{n}</loc></url>" for n in range(50_000))
    data = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'.encode()
    found = feed(data).entries
    tracemalloc.start()
    count = sum(1 for _ in found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 50_000
    assert peak < 1_000_000


TOMBSTONES = ATOM.replace(
    "<entry>",
    "<at:deleted-entry xmlns:at='http://purl.org/atompub/tombstones/1.0' ref='tag:9' when='2022-06-19T00:00:00Z'/><entry>",
)


def test_an_atom_feed_takes_entries_back() -> None:
    assert feed(TOMBSTONES).tombstones == ("tag:9",)
    quoted = ATOM.replace("Long.", "&lt;at:deleted-entry ref='tag:9'/&gt;")
    inside = ATOM.replace(
        "<updated>",
        "<at:deleted-entry xmlns:at='http://purl.org/atompub/tombstones/1.0' ref='tag:9'/><updated>",
    )
    assert feed(quoted).tombstones == feed(inside).tombstones == ()


def test_a_page_names_its_feed() -> None:
    head = '<link rel="alternate" hreflang="de" href="/de"><link rel="alternate" type="application/rss+xml" href="../rss.xml">'
    page = FetchResult(
        url=BASE, status=200, body=f"<html><head>{head}</head></html>".encode(), content_type="text/html"
    )
    assert find_feed_link(page) == "https://gazette.example/rss.xml"
    without = FetchResult(url=BASE, status=200, body=b"<html></html>", content_type="text/html")
    assert find_feed_link(without) == ""


@given(st.sampled_from([RSS2, ATOM, SITEMAP, JSON_FEED]), st.data())
def test_no_feed_breaks_the_reader(body: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body) - 1))
    end = data.draw(st.integers(start, min(len(body), start + 40)))
    cut = body[:start] + data.draw(st.text(max_size=12)) + body[end:]
    try:
        for entry in entries(cut.encode("utf-8", "surrogatepass")):
            assert entry.link.startswith("http")
    except FetchError:
        pass

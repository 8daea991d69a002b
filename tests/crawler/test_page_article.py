"""What is read from a page: JSON-LD first, the address it may claim, and what its feed adds."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from news_site import Story, page
from pdf_factory import pdf

from bot.articles.article import Article, article_from_record, parse_date
from bot.articles.chunking import Passage
from bot.crawler.fetcher import FetchResult
from bot.crawler.page_article import article_from_entry, article_from_page
from bot.crawler.same_site import is_same_site, is_valid_canonical
from bot.errors import ParseError
from bot.ingestion.html.extract import parse_html
from bot.ingestion.html.publisher import publisher_name
from bot.storage.article_store import ArticleStore
from bot.storage.models import PendingVersion

TEXT = Story(7).paragraphs()
HERE = "https://www.gazette.example/news/7"


def with_data(
    *documents: object, head: str = "", paragraphs: list[str] = TEXT, title: str = "Tram line opens"
) -> str:
    scripts = "".join(
        f'<script type="application/ld+json">{one if isinstance(one, str) else json.dumps(one)}</script>'
        for one in documents
    )
    return page(title, paragraphs, head=f"<title>{title}</title>{head}{scripts}")


def fetched(html: str | bytes, url: str = HERE, **options: Any) -> FetchResult:
    body = html.encode() if isinstance(html, str) else html
    return FetchResult(url=url, status=200, body=body, **{"content_type": "text/html", **options})


def article(
    html: str | bytes, url: str = HERE, about: dict[str, str] | None = None, **options: Any
) -> Article:
    return article_from_page(fetched(html, url, **options), metadata=about or {}, origin=url)


DATA = {
    "@context": "https://schema.org",
    "@type": "NewsArticle",
    "headline": "Tram line opens",
    "datePublished": "2026-03-02T08:00:00+01:00",
    "author": {"@type": "Person", "name": "Ines Varga"},
    "publisher": {"@type": "Organization", "name": "The Gazette"},
}


@pytest.mark.parametrize(
    "document",
    [
        DATA,
        [DATA],
        [[{"@type": "BreadcrumbList"}], DATA],
        {"@context": "https://schema.org", "@graph": [{"@type": "WebPage"}, DATA]},
        {"@type": "WebPage", "mainEntity": DATA},
        {**DATA, "@type": ["Thing", "ReportageNewsArticle"]},
        {**DATA, "@type": "http://schema.org/Article"},
        {**DATA, "@type": "BlogPosting"},
        {**DATA, "author": [{"name": "Ines Varga"}]},
        {**DATA, "author": "Ines Varga"},
        {**DATA, "headline": "Tram&#32;line opens"},
        {**DATA, "isAccessibleForFree": False},
        json.dumps(DATA)[:-1] + ",}",  # a comma too many
        json.dumps(DATA).replace("Ines Varga", "Ines\nVarga"),  # a newline within a string
        f"<!-- {json.dumps(DATA)} -->",
        f"/*<![CDATA[*/{json.dumps(DATA)}/*]]>*/",
    ],
)
def test_json_ld_says_what_the_article_is(document: object) -> None:
    found = article(with_data(document))
    assert found.title == "Tram line opens"
    assert found.published == datetime.fromisoformat("2026-03-02T08:00:00+01:00")
    assert found.author == "Ines Varga"
    assert found.source == "The Gazette"
    assert TEXT[0] in found.text


@pytest.mark.parametrize(
    "document",
    [
        "{broken",
        "",
        "null",
        "[" * 5_000,
        '{"@type": "NewsArticle", "headline": 7, "datePublished": {"a": []}, "author": [[[]]], "publisher": 3}',
        {"@type": "Organization", "name": "The Gazette"},
        {"@type": "ItemList", "itemListElement": [{**DATA, "headline": "Another story"}]},  # only listed
        {**DATA, "headline": "Another story", "url": "https://www.gazette.example/news/9"},
        [{**DATA, "headline": "One"}, {**DATA, "headline": "Two"}],  # neither is this page's
    ],
)
def test_json_ld_that_does_not_tell_is_passed_over(document: object) -> None:
    found = article(with_data(document, head=f'<link rel="canonical" href="{HERE}">'))
    assert found.title == "Tram line opens"
    assert found.published is None
    assert found.source == "gazette.example"


def test_among_several_articles_it_is_the_one_of_this_address_or_headline() -> None:
    others = [{**DATA, "headline": "Another", "datePublished": "2020-01-01"}]
    by_title = article(with_data([*others, DATA]))
    named = {**DATA, "headline": "A tram for Colwen", "mainEntityOfPage": {"@id": HERE}}
    by_address = article(with_data([*others, named], head=f'<link rel="canonical" href="{HERE}">'))
    assert by_title.published == by_address.published == parse_date(DATA["datePublished"])
    assert by_address.title == "A tram for Colwen"


def test_a_date_that_is_none_leaves_the_page_its_own() -> None:
    head = '<meta property="article:published_time" content="2026-03-05T10:00:00Z">'
    found = article(with_data({**DATA, "datePublished": "last Tuesday"}, head=head))
    assert found.published == parse_date("2026-03-05")


LONG = "\n\n".join(f"{text} It was said {number} times." for number in range(8) for text in TEXT)


@pytest.mark.parametrize(
    ("paragraphs", "body", "used"),
    [
        ([], LONG, True),  # the page shows nothing without its scripts
        (TEXT, "A teaser, no more.", False),
        (TEXT, "\n".join(TEXT), False),
        (TEXT, LONG.replace("The town", "What nobody is shown, a town"), False),  # another text than is shown
    ],
)
def test_the_text_in_json_ld_is_used_where_the_page_has_no_other(
    paragraphs: list[str], body: str, used: bool
) -> None:
    found = article(with_data({**DATA, "articleBody": body}, paragraphs=paragraphs))
    assert (found.text == body) is used


def test_markup_in_json_ld_is_taken_off() -> None:
    body = "".join(f"<p>{text} &amp; more</p>" for text in TEXT)
    found = article(with_data({**DATA, "articleBody": body}, paragraphs=[]))
    assert found.text.split("\n\n")[0] == TEXT[0] + " & more"


def test_files_gain_from_json_ld_too(tmp_path: Path) -> None:
    record = parse_html(with_data(DATA, head=f'<link rel="canonical" href="{HERE}">'))
    assert record["url"] == HERE
    assert record["author"] == "Ines Varga"
    assert record["published"] == DATA["datePublished"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.just("NewsArticle"), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["@type", "@graph", "headline", "author", "name", "datePublished", "articleBody", "url", "mainEntityOfPage", "publisher"]), inner)))  # fmt: skip
def test_no_json_ld_makes_a_page_unreadable(document: object) -> None:
    data = json.dumps(document).replace("</", "<\\/")
    assert TEXT[0] in str(parse_html(with_data(data))["text"])


# What is on a page and not of its article

OTHER = "The minister of transport resigned on Friday over nine million crowns, a court in Farrow heard."


@pytest.mark.parametrize(
    "markup",
    [
        f"<p hidden>{OTHER}</p>",
        f'<p aria-hidden="true">{OTHER}</p>',
        f'<div style="color: red; display : none !important"><p>{OTHER}</p></div>',
        f'<p style="visibility:hidden">{OTHER}</p>',
        f'<p style="font-size:0px">{OTHER}</p>',
        f'<p style="position:absolute;left:-9999px">{OTHER}</p>',
        f'<p class="note sr-only">{OTHER}</p>',
        f'<p class="hidden">{OTHER}</p>',
        f"<p>It is <span hidden>{OTHER}</span> said that visitors may see all of it until the end.</p>",
        f"<p>It cost <del>{OTHER}</del> <ins>ten</ins> crowns, as the council said in its statement.</p>",
        f"<p>It cost <s>{OTHER}</s> ten crowns, as the council said in its statement on Monday.</p>",
        f"<template><p>{OTHER}</p></template>",
        f"<dialog><p>{OTHER}</p></dialog>",
        f'<div role="dialog"><p>{OTHER}</p></div>',
        f'<p>It is <span role="tooltip">{OTHER}</span> free, the council said in its statement.</p>',
        f'<div class="article-promo"><p>{OTHER}</p></div>',
        f'<div class="ad-slot"><p>{OTHER}</p></div>',
        f'<div class="sponsored-content"><p>{OTHER}</p></div>',
        f'<div id="onetrust-consent-sdk"><p>{OTHER}</p></div>',
        f'<article class="card"><h3><a href="/news/9">Another story</a></h3><p>{OTHER}</p></article>',
        f'<a href="/news/9"><h3>Another story</h3><p>{OTHER}</p></a>',
        f'<ul><li><a href="/news/9">{OTHER}</a></li><li><a href="/news/8">{OTHER}</a></li></ul>',
        "<p>Subscribe now to continue reading: the minister of transport and all other stories.</p>",
    ],
)
def test_what_is_hidden_struck_out_or_of_other_stories_is_not_the_article(markup: str) -> None:
    html = with_data().replace(f"<p>{TEXT[2]}", f"{markup}<p>{TEXT[2]}")
    assert markup in html
    found = article(html).text
    assert "minister of transport" not in found
    assert all(text in found for text in TEXT)


@pytest.mark.parametrize(
    "markup",
    [
        f'<article id="p1"><h2><a href="#p1">10:05</a></h2><p>{OTHER}</p></article>',
        f'<article><h2><a href="/news/7/p1">10:05</a></h2><p>{OTHER}</p></article>',
        f"<h2>What the court heard</h2><p>{OTHER}</p>",
        f'<div class="hidden md:block"><p>{OTHER}</p></div>',
        f'<div class="no-ads"><p>{OTHER}</p></div>',
        f'<div class="{"_" * 60}"><p>{OTHER}</p></div>',  # made to keep a pattern busy
        f"<details><summary>In court</summary><p>{OTHER}</p></details>",
        f"<p>The full report is available to members of parliament. {OTHER}</p>",
    ],
)
def test_what_only_looks_like_that_stays(markup: str) -> None:
    html = with_data(head=f'<link rel="canonical" href="{HERE}">')
    assert OTHER in article(html.replace(f"<p>{TEXT[2]}", f"{markup}<p>{TEXT[2]}")).text


WALLED = ["Sorry, but there is nothing for you to read at this address of ours."] * 3


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Page not found", "there is no such page"),
        ("404 | The Gazette", "there is no such page"),
        ("Oops! That page can’t be found", "there is no such page"),
        ("Sorry, this article is no longer available", "there is no such page"),
        ("Just a moment...", "no article but a notice"),
        ("Access Denied", "no article but a notice"),
        ("Before you continue to The Gazette", "no article but a notice"),
        ("Log in - The Gazette", "no article but a notice"),
        ("We'll be back soon", "no article but a notice"),
        ("503 Service Unavailable", "no article but a notice"),
    ],
)
def test_what_a_site_shows_in_place_of_an_article_is_none(title: str, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        article(with_data(title=title, paragraphs=WALLED))


@pytest.mark.parametrize(
    "title",
    [
        "Access denied: how a town lost its library",
        "404 days without a tram",
        "500 jobs lost at the tram works",
        "We’ll be back, says the coach",
        "Subscribe, says the mayor",
    ],
)
def test_an_article_about_such_things_is_one(title: str) -> None:
    assert article(with_data(title=title)).title == title


def test_a_page_that_lists_stories_is_none() -> None:
    items = "".join(f'<div><h3><a href="/news/{n}">Story {n}</a></h3><p>{OTHER}</p></div>' for n in range(9))
    with pytest.raises(ParseError, match="no article text found"):
        article(
            f"<html><head><title>World</title></head><body><h1>World</h1><main>{items}</main></body></html>"
        )


@pytest.mark.parametrize(
    ("claimed", "url", "outlet"),
    [
        ("Reuters", "https://www.reuters.com/a", "Reuters"),
        ("The Gazette", "https://news.gazette.co.uk/a", "The Gazette"),
        ("Le Monde.fr", "https://www.lemonde.fr/a", "Le Monde.fr"),
        ("Reuters", "https://evil.example/a", "Reuters (evil.example)"),
        ("Reuters", "https://reuters.evil.example/a", "Reuters (reuters.evil.example)"),
        ("Reuters", "https://reuters.github.io/a", "Reuters (reuters.github.io)"),
        ("Reuters", "https://rеuters.com/a", "Reuters (rеuters.com)"),  # with a Cyrillic е
        ("BBC News", "https://www.bbc.co.uk/a", "BBC News (bbc.co.uk)"),
        ("Reuters", "http://127.0.0.1:81/a", "Reuters (127.0.0.1)"),
        ("", "https://evil.example/a", ""),
    ],
)
def test_an_outlet_that_its_address_does_not_bear_is_named_with_its_host(
    claimed: str, url: str, outlet: str
) -> None:
    assert publisher_name(claimed, url) == outlet


def test_what_the_user_calls_an_outlet_comes_before_what_its_page_claims() -> None:
    claims = fetched(with_data({**DATA, "publisher": {"name": "Reuters"}}))
    assert article_from_page(claims, metadata={}, origin=HERE).source == "Reuters (gazette.example)"
    assert article_from_page(claims, metadata={}, origin=HERE, source="Gazette Ltd").source == "Gazette Ltd"


# The address


@pytest.mark.parametrize(
    ("claimed", "fetched_from", "believed"),
    [
        ("https://gazette.example/a", "https://www.gazette.example/b", True),
        ("https://www.gazette.example/a", "http://gazette.example/b", True),
        ("https://www.gazette.example/a", "https://amp.gazette.example/b", True),
        ("https://amp.gazette.example/a", "https://gazette.example/b", False),
        ("https://other.example/a", "https://gazette.example/b", False),
        ("https://gazette.example.evil.example/a", "https://gazette.example/b", False),
        ("https://evilgazette.example/a", "https://gazette.example/b", False),
        ("https://co.uk/a", "https://evil.co.uk/b", False),
        ("https://github.io/a", "https://evil.github.io/b", False),
        ("https://victim.github.io/a", "https://evil.github.io/b", False),
        ("https://gazette.example/", "https://gazette.example/b", False),  # a careless template
        ("https://gazette.example/?p=7", "https://gazette.example/b", True),
        ("http://127.0.0.1:81/a", "http://127.0.0.1:80/b", False),
        ("https://com/a", "https://evil.com/b", False),
        ("javascript:alert(1)", "https://gazette.example/b", False),
        ("http://[::1/", "https://gazette.example/b", False),
    ],
)
def test_a_page_may_only_claim_an_address_of_its_own_site(
    claimed: str, fetched_from: str, believed: bool
) -> None:
    assert is_valid_canonical(claimed, fetched_from) is believed
    found = article(with_data(head=f'<link rel="canonical" href="{claimed}">'), url=fetched_from)
    assert found.url == (claimed if believed else fetched_from)


def test_a_feed_and_its_articles_may_lie_on_domains_above_each_other() -> None:
    assert is_same_site("https://feeds.gazette.example/rss", "https://gazette.example/a")
    assert is_same_site("https://gazette.example/rss", "https://www.gazette.example/a")
    assert not is_same_site("https://gazette.example/rss", "https://other.example/a")


def test_another_outlets_article_cannot_be_replaced() -> None:
    theirs = article(
        with_data(head='<link rel="canonical" href="https://bank.example/news">'),
        url="https://bank.example/news",
    )
    ours = article(
        with_data(head='<link rel="canonical" href="https://bank.example/news">'),
        url="https://evil.example/x",
    )
    assert ours.id != theirs.id


def test_a_base_is_no_address_of_a_page() -> None:
    assert article(with_data(head='<base href="https://www.gazette.example/">')).url == HERE


# What else a page may be


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"%PDF-1.7 ...", "application/pdf", "this PDF cannot be read"),
        (b"ID3", "audio/mpeg", "no page but audio/mpeg"),
        (b"{}", "application/json", "no page but application/json"),
        (b"\x89PNG\r\n\x1a\n\0\0", "text/html", "a binary file"),
        (
            b"<?xml version='1.0'?><rss><channel/></rss>",
            "text/xml",
            "a feed, not an article: take it in with --feed",
        ),
        (b"<!doctype html><title>x</title>", "text/html", "no article text found"),
    ],
)
def test_what_is_no_page_is_told(body: bytes, kind: str, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        article(body, content_type=kind)


@pytest.mark.parametrize("kind", ["application/pdf", "application/octet-stream"])
def test_a_pdf_is_an_article_with_pages_and_its_feed_s_date(kind: str) -> None:
    body = pdf(
        [["The council met on Monday."], ["It voted for the tram."]],
        info="/Title(Minutes of the council)/CreationDate(D:20200101000000Z)",
    )
    read = article(body, HERE, {"published": "2026-03-02"}, content_type=kind)
    assert (read.title, read.url, read.source) == ("Minutes of the council", HERE, "gazette.example")
    assert read.published == parse_date("2026-03-02")
    assert read.page_number(read.text.index("voted")) == 2


def test_a_page_about_feeds_is_a_page() -> None:
    assert article(with_data(paragraphs=[*TEXT, "Write <rss> at the top."])).title == "Tram line opens"


RUSSIAN = "Мост через реку открыли в понедельник, сообщили в городском совете города Ардмор."


@pytest.mark.parametrize(
    ("head", "encoding", "options"),
    [
        ("", "windows-1251", {"charset": "windows-1251"}),  # only the server says
        ('<meta charset="windows-1251">', "windows-1251", {}),
        ('<meta charset="iso-8859-1">', "utf-8", {"charset": "iso-8859-1"}),  # both wrong
        ("", "utf-8", {"content_type": ""}),  # nobody says anything
        ("", "utf-16", {}),
        (
            '<meta charset="windows-1251">',
            "windows-1251",
            {"charset": "unicode_escape"},
        ),  # no charset of pages
    ],
)
def test_pages_are_decoded_whatever_is_said_of_them(
    head: str, encoding: str, options: dict[str, str]
) -> None:
    html = with_data(head=head, paragraphs=[RUSSIAN] * 3 + [f"{RUSSIAN} Вот так {n}." for n in range(5)])
    assert RUSSIAN in article(html.encode(encoding), **options).text


# What the feed adds


def test_the_page_wins_and_its_feed_fills_what_is_missing() -> None:
    about = {"title": "From the feed", "published": "2026-03-09", "author": "Owen Price", "source": "A wire"}
    bare = article(page("", TEXT), about=about)
    assert (bare.title, bare.author, bare.source) == (
        "From the feed",
        "Owen Price",
        "A wire (gazette.example)",
    )
    assert bare.published == parse_date("2026-03-09")
    full = article(with_data(DATA), about=about)
    assert (full.title, full.author, full.source) == ("Tram line opens", "Ines Varga", "The Gazette")
    assert full.published == parse_date(DATA["datePublished"])


def test_an_entry_can_hold_the_article_itself() -> None:
    content = "".join(f"<p>{text}</p>" for text in TEXT)
    found = article_from_entry(content, HERE, metadata={"title": "Tram <line> opens"}, origin=HERE)
    assert found.text.split("\n\n") == TEXT
    assert found.title == "Tram <line> opens"
    assert found.url == HERE


# The author


def test_articles_without_author_keep_the_hash_they_had() -> None:
    old = article_from_record({"text": "x", "url": HERE, "title": "t"}, origin="f")
    assert old.content_hash == "50c5846eb90f09db24882410960335d094249427e02df1859ee9106f7ad52156"
    named = article_from_record({"text": "x", "url": HERE, "title": "t", "author": "Ines Varga"}, origin="f")
    assert named.content_hash != old.content_hash


@pytest.mark.parametrize(("value", "author"), [("Ines  Varga", "Ines Varga"), (["A", "B"], "A, B"), (None, ""), (7, ""), ({"name": "A"}, "")])  # fmt: skip
def test_authors_are_read_from_records(value: object, author: str) -> None:
    assert article_from_record({"text": "x", "author": value}, origin="f").author == author


def test_the_author_is_kept_with_the_version(library: ArticleStore) -> None:
    one = article_from_record({"id": "a", "text": "x", "author": "Ines Varga"}, origin="f")
    library.publish(library.write([PendingVersion(one, 1, (Passage("p", "a", 0, 1, "x"),))]))
    assert library.article("a") == one
    assert [headline.author for headline in library.list_articles()] == ["Ines Varga"]

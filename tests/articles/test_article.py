import re
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.articles.article import (
    Article,
    article_from_record,
    canonical_url,
    clean_line,
    clean_text,
    is_web_url,
    parse_date,
    short_hash,
)
from bot.errors import CitewireError, ParseError


def make(place: str = "", **fields: object) -> Article:
    return article_from_record({"text": "x"} | fields, origin="/news/a.jsonl", key=place)


any_text = st.text(st.characters(exclude_categories=()))


# Text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\rc\nd\u2028e\u2029f\x85g", "a\nb\nc\nd\ne\nf\ng"),
        ("a\tb", "a\tb"),
        ("\ufeffa\x00b\x1bc\x7fd\x9fe", "abcde"),
        ("pay \u202edetarepo\u202c \u2066now\u2069", "pay detarepo now"),
        ("a\ud800b\uffffc", "abc"),
        ("Türkiye – “naïve” 🚀 \u200d 日本", "Türkiye – “naïve” 🚀 \u200d 日本"),
        ("", ""),
    ],
)
def test_clean_text_keeps_what_an_article_means_to_show(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@given(any_text)
def test_clean_text_changes_nothing_the_second_time_and_can_be_stored(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert "\r" not in cleaned
    cleaned.encode()


@given(any_text)
def test_clean_line_is_one_line_and_changes_nothing_the_second_time(text: str) -> None:
    line = clean_line(text)
    assert clean_line(line) == line
    assert not re.search(r"\n|  |^ | $", line)


def test_a_form_feed_does_not_glue_words_together() -> None:
    assert clean_text("the end.\x0cNext page").split() == ["the", "end.", "Next", "page"]


# Addresses


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://www.Paper.example/a/", "https://paper.example/a"),
        ("HTTPS://paper.example:443/a#part", "https://paper.example/a"),
        ("http://paper.example:80/a", "https://paper.example/a"),
        ("http://paper.example:8080/a", "https://paper.example:8080/a"),
        ("https://paper.example./", "https://paper.example"),
        ("  https://paper.example/a \n", "https://paper.example/a"),
        ("https://paper.example/a?utm_source=x&UTM_Medium=y&fbclid=1&gclid=2", "https://paper.example/a"),
        ("https://paper.example/a?page=2&id=1", "https://paper.example/a?id=1&page=2"),
        ("https://paper.example/a?id=&x=%C3%A9", "https://paper.example/a?id=&x=%C3%A9"),
        ("https://paper.example/A", "https://paper.example/A"),
        ("nq:123", "nq:123"),
        ("mailto:a@b.example", "mailto:a@b.example"),
        ("http://[broken", "http://[broken"),
        ("https://paper.example:99999/", "https://paper.example:99999/"),
        ("a/relative/path/", "a/relative/path/"),
        ("", ""),
    ],
)
def test_canonical_url(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


words = st.text("abcxyz0123456789-", min_size=1, max_size=8)
hosts = st.lists(words.map(lambda word: f"h{word}".strip("-")), min_size=1, max_size=3).map(".".join)
paths = st.lists(words | st.sampled_from(["%C3%A9", "é", "A", "a.html", "~x", "a b"]), max_size=3)
queries = st.lists(st.tuples(words, words), max_size=3)


@given(
    host=hosts,
    path=paths.map("/".join),
    query=queries,
    scheme=st.sampled_from(["http://", "https://", "HTTP://"]),
    www=st.sampled_from(["", "www.", "WWW."]),
    slash=st.sampled_from(["", "/"]),
    tracking=st.lists(
        st.sampled_from(["utm_source=x", "utm_campaign=y%20z", "fbclid=1", "smid=tw"]), max_size=2
    ),
    fragment=st.sampled_from(["", "#top", "#:~:text=x"]),
    data=st.data(),
)
@settings(max_examples=200)
def test_variants_of_an_address_are_one(
    host, path, query, scheme, www, slash, tracking, fragment, data
) -> None:
    pairs = [f"{key}={value}" for key, value in query]
    plain = canonical_url(f"https://{host}/{path}" + (f"?{'&'.join(pairs)}" if pairs else ""))
    shuffled = data.draw(st.permutations(pairs + tracking))
    variant = f"{scheme}{www}{host.upper()}/{path}{slash if path else ''}?{'&'.join(shuffled)}{fragment}"
    assert canonical_url(variant) == plain
    assert canonical_url(plain) == plain


@given(st.text() | st.text("htps:/w.[]@?#&=%\\ a1\u00e9", max_size=40).map(lambda rest: f"http://{rest}"))
def test_canonical_url_takes_any_text(url: str) -> None:
    assert isinstance(canonical_url(url), str)


@given(words.map(lambda word: f"nq:{word}"))
def test_what_is_no_web_address_stays_as_it_stands(key: str) -> None:
    assert canonical_url(key) == key


def test_canonical_url_takes_lone_surrogates() -> None:
    canonical_url("http://paper.example/?q=\ud800")


def test_canonical_url_keeps_the_brackets_of_ipv6() -> None:
    assert canonical_url("http://[::1]:8080/x") == "https://[::1]:8080/x"


@pytest.mark.parametrize("url", ["https://www.www.paper.example/", "https://paper.example/ /"])
def test_canonical_url_is_idempotent_for_odd_addresses(url: str) -> None:
    assert canonical_url(canonical_url(url)) == canonical_url(url)


@pytest.mark.parametrize(
    ("url", "is_web"),
    [
        ("https://paper.example/a?b=1", True),
        ("HTTP://paper.example", True),
        (None, False),
        ("", False),
        ("nq:123", False),
        ("https://", False),
        ("https:///path", False),
        ("//paper.example/a", False),
        ("paper.example/a", False),
        ("javascript:alert(1)//http://paper.example", False),
        ("https://paper.example/a b", False),
        ("https://paper.example/<b>", False),
        ("https://paper.example|evil", False),
        ("http://[broken", False),
    ],
)
def test_only_web_addresses_become_links(url: str | None, is_web: bool) -> None:
    assert is_web_url(url) is is_web


@given(any_text)
def test_short_hash_takes_any_text(text: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", short_hash(text))


# Dates

CEST = timezone(timedelta(hours=2))
DATES = [
    (None, None),
    ("", None),
    (date(2022, 6, 17), datetime(2022, 6, 17, tzinfo=UTC)),
    (datetime.fromisoformat("2022-06-17T08:00"), datetime(2022, 6, 17, 8, tzinfo=UTC)),
    (datetime(2022, 6, 17, 8, tzinfo=CEST), datetime(2022, 6, 17, 8, tzinfo=CEST)),
    ("2022-06-17", datetime(2022, 6, 17, tzinfo=UTC)),
    (" 2022-06-17\n", datetime(2022, 6, 17, tzinfo=UTC)),
    ("20220617", datetime(2022, 6, 17, tzinfo=UTC)),
    (20220617, datetime(2022, 6, 17, tzinfo=UTC)),
    ("2022/06/17", datetime(2022, 6, 17, tzinfo=UTC)),
    ("2022-06-17T08:00:00", datetime(2022, 6, 17, 8, tzinfo=UTC)),
    ("2022-06-17T08:00:00Z", datetime(2022, 6, 17, 8, tzinfo=UTC)),
    ("2022-06-17T08:00:00.123+02:00", datetime(2022, 6, 17, 8, 0, 0, 123_000, tzinfo=CEST)),
    ("2022-06-17 08:00:00 +0200", datetime(2022, 6, 17, 8, tzinfo=CEST)),
    ("Fri, 17 Jun 2022 08:00:00 GMT", datetime(2022, 6, 17, 8, tzinfo=UTC)),
    ("Fri, 17 Jun 2022 08:00:00 +0200", datetime(2022, 6, 17, 8, tzinfo=CEST)),
    ("Fri, 17 Jun 2022 08:00:00 -0000", datetime(2022, 6, 17, 8, tzinfo=UTC)),
    ("June 17, 2022", datetime(2022, 6, 17, tzinfo=UTC)),
    ("Jun 17, 2022", datetime(2022, 6, 17, tzinfo=UTC)),
    ("17 June 2022", datetime(2022, 6, 17, tzinfo=UTC)),
    ("17 Jun 2022", datetime(2022, 6, 17, tzinfo=UTC)),
]


@pytest.mark.parametrize(("value", "moment"), DATES, ids=repr)
def test_dates_are_read_with_their_zone(value: object, moment: datetime | None) -> None:
    found = parse_date(value)
    assert found == moment
    assert found is None or (found.tzinfo is not None and found.utcoffset() == moment.utcoffset())


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "June 2022",
        "2022",
        2022,
        "12/10/2022",
        "17.06.2022",
        "2022-13-01",
        "2022-02-30",
        "2022-06-17T25:00",
        "Friday",
        "17 June",
        1655424000,
        1655424000.5,
        True,
        float("nan"),
        [],
        ["2022-06-17"],
        {"date": "2022-06-17"},
        "0000-00-00",
        "2022-06-17 or so",
        "x" * 5_000,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_date_is_never_guessed(value: object) -> None:
    with pytest.raises(ParseError, match=r"published: .{2,90} is not a date \(write it as 2022-06-17\)"):
        parse_date(value)


@given(st.text() | st.text("0123456789-+:/TZ ,JunFrigmt", max_size=30))
def test_any_text_is_a_date_with_a_zone_or_is_refused(value: str) -> None:
    try:
        moment = parse_date(value)
    except ParseError:
        return
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize(
    "value", ["Fri, 17 Jun 2022 08:00:00 +99999999999999999999", "17 Jun 99999999999999999999 08:00:00"]
)
def test_numbers_beyond_all_dates_are_refused(value: str) -> None:
    with pytest.raises(ParseError, match="is not a date"):
        parse_date(value)


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"])
def test_every_moment_has_a_form_in_utc(value: str) -> None:
    try:
        moment = parse_date(value)
    except ParseError:
        return
    assert moment is not None
    moment.astimezone(UTC)


@pytest.mark.parametrize("value", ["June 17, 2022, 8:00 pm", "17 Jun 2022 08:00:00 CEST", "1 Jan 0000 00:00"])
def test_a_time_is_not_read_as_another_time(value: str) -> None:
    right = {"June 17, 2022, 8:00 pm": "2022-06-17T20:00", "17 Jun 2022 08:00:00 CEST": "2022-06-17T06:00"}
    try:
        moment = parse_date(value)
    except ParseError:
        return
    assert moment is not None
    assert moment.astimezone(UTC).isoformat().startswith(right.get(value, "refused"))


# Records


def test_a_full_record_becomes_an_article() -> None:
    found = make(
        id=" a-1 ",
        text="\ufeff\n One.\r\nTwo. \n",
        title="Plan\n goes  ahead",
        url=" https://www.paper.example/a?utm_source=x ",
        published="2022-06-17",
        source=" The\tPaper ",
        tags=["World", "vote", "World", " "],
        extra={"ignored": True},
    )
    assert found == Article(
        id="a-1",
        text="One.\nTwo.",
        title="Plan goes ahead",
        url="https://www.paper.example/a?utm_source=x",
        published=datetime(2022, 6, 17, tzinfo=UTC),
        source="The Paper",
        tags=("World", "vote"),
        origin="/news/a.jsonl",
    )


def test_only_text_is_required() -> None:
    found = make()
    assert (found.title, found.url, found.published, found.source, found.tags) == ("", None, None, "", ())
    nulls = dict.fromkeys(("id", "title", "url", "published", "source", "tags"))
    assert make(**nulls) == found


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": None}, "the article has no text"),
        ({"text": ""}, "the article has no text"),
        ({"text": " \u202e\n\x00"}, "the article has no text"),
        ({"text": 5}, "text: expected text, found int"),
        ({"text": ["a"]}, "text: expected text, found list"),
        ({"title": 5}, "title: expected text, found int"),
        ({"title": "x" * 2_001}, "title: longer than 2,000 characters"),
        ({"url": "http://a.example/" + "x" * 2_000}, "url: longer than 2,000 characters"),
        ({"source": {}}, "source: expected text, found dict"),
        ({"id": True}, "id: expected text, found bool"),
        ({"id": 1.5}, "id: expected text, found float"),
        ({"published": "soon"}, "published: 'soon' is not a date"),
        ({"tags": 5}, "tags: expected a list of words"),
        ({"tags": {"a": 1}}, "tags: expected a list of words"),
        ({"tags": [["a"]]}, "tags: expected a list of words"),
        ({"tags": [None]}, "tags: expected a list of words"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_field_that_cannot_be_used_is_named(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ParseError, match=f"^{re.escape(reason)}"):
        make(**fields)


def test_errors_of_reading_belong_to_the_family() -> None:
    error = ParseError("reason", line=3)
    assert isinstance(error, CitewireError)
    assert (str(error), error.reason, error.line) == ("reason", "reason", 3)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "javascript :alert(1)",
        "vbscript:x",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "blob:https://paper.example/x",
        "about:blank",
    ],
)
def test_dangerous_addresses_are_refused(url: str) -> None:
    with pytest.raises(ParseError, match=r"^url: .* is not a web address"):
        make(url=url)


@pytest.mark.parametrize("url", ["nq:123", "urn:isbn:1", "https://paper.example/javascript:x", "data-desk/1"])
def test_other_addresses_are_taken(url: str) -> None:
    assert make(url=url).url == url


@pytest.mark.parametrize(
    ("value", "own"), [("a", "a"), (" a\nb ", "a b"), (7, "7"), (0, "0"), (-1, "-1"), ("007", "007")]
)
def test_the_id_of_a_record_is_its_own(value: object, own: str) -> None:
    assert make(id=value, url="https://paper.example/a").id == own


def test_without_an_id_the_address_is_the_identity() -> None:
    found = make(url="http://www.paper.example/a/?utm_source=x")
    assert found.id == make(url="https://paper.example/a", place="elsewhere", text="other").id
    assert found.id == short_hash("https://paper.example/a")
    assert found.id != make(url="https://paper.example/b").id


def test_without_id_and_address_the_place_is_the_identity() -> None:
    assert make(place="1").id == make(place="1", text="other").id
    assert len({make().id, make(place="1").id, make(place="2").id}) == 3
    elsewhere = article_from_record({"text": "x"}, origin="/news/b.jsonl")
    assert elsewhere.id != make().id


@pytest.mark.parametrize("empty", [None, "", " ", "\x00"])
def test_an_empty_id_is_none(empty: str | None) -> None:
    assert make(id=empty).id == make().id


@pytest.mark.parametrize(
    ("own", "given_source", "url", "source"),
    [
        ("Own", "Wire", "https://www.paper.example/a", "Own"),
        (None, "Wire", "https://www.paper.example/a", "Wire"),
        (" ", "Wire", None, "Wire"),
        (None, "", "https://www.paper.example/a", "paper.example"),
        (None, "", "https://News.Paper.example:8080/a", "news.paper.example"),
        (None, "", "nq:123", ""),
        (None, "", "http://[broken", ""),
        (None, "", None, ""),
    ],
)
def test_the_source_is_the_records_own_then_the_given_then_the_host(
    own: str | None, given_source: str, url: str | None, source: str
) -> None:
    record = {"text": "x", "url": url, "source": own}
    assert article_from_record(record, origin="o", source=given_source).source == source


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, ()),
        ([], ()),
        ("", ()),
        ("world, vote,,world", ("world", "vote")),
        (["b", "a", "b"], ("b", "a")),
        ([2022, 1.5, " x\ny "], ("2022", "1.5", "x y")),
    ],
)
def test_tags_are_words_each_once_in_order(value: object, tags: tuple[str, ...]) -> None:
    assert make(tags=value).tags == tags


# The hash

ARTICLE = Article(
    id="1",
    text="Text.",
    title="Title",
    url="https://paper.example/a",
    published=datetime(2022, 6, 17, tzinfo=UTC),
    source="The Paper",
    tags=("a", "b"),
    origin="/news/a.jsonl",
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "Text"),
        ("title", "Other"),
        ("title", ""),
        ("url", "https://paper.example/b"),
        ("url", None),
        ("published", datetime(2022, 6, 18, tzinfo=UTC)),
        ("published", None),
        ("source", "Other"),
        ("tags", ("a",)),
        ("tags", ("a,b",)),
    ],
)
def test_the_hash_changes_with_all_that_a_reader_sees(field: str, value: object) -> None:
    assert replace(ARTICLE, **{field: value}).content_hash != ARTICLE.content_hash


@pytest.mark.parametrize(("field", "value"), [("origin", "/elsewhere"), ("id", "2"), ("tags", ("b", "a"))])
def test_the_hash_does_not_change_with_what_no_reader_sees(field: str, value: object) -> None:
    assert replace(ARTICLE, **{field: value}).content_hash == ARTICLE.content_hash


def test_the_hash_does_not_confuse_neighbouring_fields() -> None:
    one, two = make(title="ab", text="c"), make(title="a", text="bc")
    assert one.content_hash != two.content_hash
    assert re.fullmatch("[0-9a-f]{64}", one.content_hash)


def test_an_address_with_a_lone_surrogate_does_not_break_the_hash() -> None:
    assert make(url="http://paper.example/\ud800").content_hash


def test_an_article_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'text'"):
        ARTICLE.text = "other"  # type: ignore[misc]

"""Text fragments: the link selects the quote and nothing before it, or it is the plain link."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answering.citations import pdf_page_url, text_fragment_url

URL = "https://news.example/story"


def link(text: str, quote: str, *, title: str = "", url: str | None = URL, nth: int = 0) -> str | None:
    start = -1
    for _ in range(nth + 1):
        start = text.index(quote, start + 1)
    return text_fragment_url(url, title=title, text=text, start=start, end=start + len(quote))


@pytest.mark.parametrize(
    ("text", "quote", "expected"),
    [
        ("It rained. It poured.", "It poured.", "#:~:text=It%20poured."),
        ("A well-known, rich & old man.", "A well-known, rich & old man.", "#:~:text=A%20well%2Dknown%2C%20rich%20%26%20old%20man."),
        ("Türkiye’s quake – 7.8.", "Türkiye’s quake – 7.8.", "#:~:text=T%C3%BCrkiye%E2%80%99s%20quake%20%E2%80%93%207.8."),
        ("One\ntwo three.", "One\ntwo three.", ""),  # over a paragraph's end, and too short for a range
    ],
)  # fmt: skip
def test_fragments(text: str, quote: str, expected: str) -> None:
    assert link(text, quote) == URL + expected


def test_a_second_occurrence_is_told_apart_by_what_stands_before_it() -> None:
    text = "On Monday he said: We won. On Tuesday she said: We won."
    assert link(text, "We won.") == f"{URL}#:~:text=We%20won."
    assert unquote(link(text, "We won.", nth=1) or "") == f"{URL}#:~:text=Tuesday she said:-,We won."


def test_the_title_stands_before_the_text() -> None:
    assert unquote(link("It begins: Rain falls.", "Rain falls.", title="Rain falls.") or "").endswith(
        "-,Rain falls."
    )


def test_a_quote_that_cannot_be_told_apart_gets_the_plain_link() -> None:
    assert link("Rain. " * 30, "Rain.", nth=20) == URL


def test_a_long_quote_is_named_by_its_edges() -> None:
    words = " ".join(f"word{n}" for n in range(80)) + "."
    assert (
        link(f"Before. {words} After.", words)
        == f"{URL}#:~:text=word0%20word1%20word2%20word3,word76%20word77%20word78%20word79."
    )


def test_an_address_with_a_fragment_keeps_it() -> None:
    assert link("It rained.", "It rained.", url=f"{URL}#part") == f"{URL}#part:~:text=It%20rained."


@pytest.mark.parametrize(
    "url", [None, "nq:123", "javascript:alert(1)", "https://", "https://a b/", "ftp://x/y"]
)
def test_only_web_addresses_get_a_fragment(url: str | None) -> None:
    assert link("It rained.", "It rained.", url=url) == url


@given(
    words=st.lists(st.sampled_from(["a", "B", "é", "-", ",", "&", "#", "%", "rain", "Rain", "\n", "了", "x" * 50]), min_size=3, max_size=60),
    data=st.data(),
)  # fmt: skip
def test_what_the_fragment_names_is_found_first_at_the_quote(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    quote = text[start:end].strip()
    if not quote:
        return
    start = text.index(quote, start)
    made = text_fragment_url(URL, title="", text=text, start=start, end=start + len(quote)) or ""
    fragment = made.removeprefix(URL).removeprefix("#:~:text=")
    assert not set(fragment) & set(' #"<>&\n')
    if fragment and "," not in fragment:
        folded = " ".join(unquote(fragment).split()).casefold()
        assert folded == " ".join(quote.split()).casefold()
        assert " ".join(text[:start].split()).casefold().find(folded) == -1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/a.pdf", "https://a.example/a.pdf#page=3"),
        ("https://a.example/a.pdf#x", "https://a.example/a.pdf#x"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("nq:640", "nq:640"),
        (None, None),
    ],
)
def test_a_page_is_opened_where_the_address_can_name_it(url: str | None, expected: str | None) -> None:
    assert pdf_page_url(url, 3) == expected

"""Passages: nothing lost, nothing overlapping, whole sentences where they fit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.articles.article import clean_text
from bot.articles.chunking import MAX_PASSAGE_CHARS, Span, passage_id, split_passages, split_sentences

news_like = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["He said so. ", "Mr. Smith won 3.5 % – twice!\n\n", "“Really?” ", "…", "\n", "a" * 900, "x " * 500, "№1; "]),
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(text=news_like.map(clean_text), max_chars=st.integers(1, 900))
def test_passages_and_gaps_give_back_the_text(text: str, max_chars: int) -> None:
    passages = split_passages("a", 1, text, max_chars=max_chars)
    rebuilt, end = "", 0
    for passage in passages:
        gap = text[end : passage.start]
        assert gap.strip() == ""
        assert passage.start >= end
        assert 0 < len(passage.text) <= max_chars
        assert passage.text == text[passage.start : passage.end]
        rebuilt += gap + passage.text
        end = passage.end
    assert text[end:].strip() == ""
    assert rebuilt + text[end:] == text
    assert len({passage.id for passage in passages}) == len(passages)


@given(text=news_like.map(clean_text))
def test_sentences_are_stripped_ordered_and_cover_every_word(text: str) -> None:
    spans = split_sentences(text)
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)
    assert all(one.end <= two.start for one, two in pairwise(spans))
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("Mr. Smith left the U.S. on Monday. He flew.", ["Mr. Smith left the U.S. on Monday.", "He flew."]),
        ("It cost $3.5 million. Really?", ["It cost $3.5 million.", "Really?"]),
        ("A headline\n\nThe story begins.", ["A headline", "The story begins."]),
        ("“It is late,” he said. “Go.”", ["“It is late,” he said.", "“Go.”"]),
        ("   \n ", []),
        ("", []),
    ],
)
def test_sentence_boundaries(text: str, sentences: list[str]) -> None:
    assert [text[a:b] for a, b in split_sentences(text)] == sentences


def test_line_breaks_end_sentences_unless_the_text_is_wrapped() -> None:
    paragraph = "The delegation stayed for two hours and left by the northern gate, where the cars had waited since the early morning of that day."
    unwrapped = f"Secrecy to the last\n{paragraph}\nNot the first time"
    assert [unwrapped[a:b] for a, b in split_sentences(unwrapped)] == unwrapped.split("\n")
    wrapped = "The delegation stayed for two hours and left\nby the northern gate. It was\nlate."
    assert [wrapped[a:b] for a, b in split_sentences(wrapped)] == [wrapped[:66], "It was\nlate."]


def test_whole_sentences_are_packed_up_to_the_limit() -> None:
    text = " ".join(f"Sentence number {n} ends here." for n in range(100))
    passages = split_passages("a", 1, text)
    assert all(passage.text.endswith(".") for passage in passages)
    assert all(len(passage.text) > MAX_PASSAGE_CHARS - 60 for passage in passages[:-1])


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    text = "first clause " * 40 + "ends, " + "second clause " * 40 + "ends."
    pieces = split_passages("a", 1, text)
    assert pieces[0].text.endswith("ends,")


def test_ids_depend_on_article_version_and_offsets() -> None:
    ids = {
        passage_id(article, version, Span(start, 9))
        for article in "ab"
        for version in (1, 2)
        for start in (0, 1)
    }
    assert len(ids) == 8

"""Quotes in parts: the words that answer are set apart, and Markdown shows them in bold and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.answering.answer import Answer, ArticleRef, Citation
from bot.answering.quotes import QuoteParts, bold_markdown, nearest_heading, other_articles, split_quote

PIECES = ("*", "**", "_", "`", "\\", "~~", "<b>", "&amp;", "[x](http://evil.example)", "www", ".evil.example", "http:", "//evil.example",
          " ", "\n", "\u00a0", "\t ", "word", "34", "$9", "(", ")", "é", "中文", "“", "!", "- ")  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def citation(quote: str, start: int | None = None, end: int | None = None, **fields: Any) -> Citation:
    """`start` and `end` are offsets in the quote, which is in the middle of its article."""
    shift = 100
    return Citation(**{
        "n": 1, "passage_id": "p", "article_id": "a", "version": 1, "start": shift, "end": shift + len(quote), "quote": quote,
        "title": "t", "source": "s", "published": None, "url": None, "link": None,
        "answer_start": None if start is None else shift + start, "answer_end": None if end is None else shift + end, **fields,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("quote", "span", "parts"),
    [
        ("At least 34 people died.", (9, 18), ("At least ", "34 people", " died.")),
        ("At  least\n 34 \t people died.", (11, 23), ("At least ", "34 people", " died.")),
        ("At least 34 people died.", (8, 19), ("At least ", "34 people", " died.")),
        (" 34 people\n", (0, 11), ("", "34 people", "")),
        ("$34m", (1, 3), ("$", "34", "m")),
        ("34 people", (0, 9), ("", "34 people", "")),
        ("At  least 34", (None, None), ("At least 34", "", "")),
        ("At least 34", (3, None), ("At least 34", "", "")),
        ("At least 34", (-1, 3), ("At least 34", "", "")),
        ("At least 34", (3, 12), ("At least 34", "", "")),
        ("At least 34", (5, 5), ("At least 34", "", "")),
        ("At   least 34", (2, 4), ("At least 34", "", "")),
    ],
)
def test_a_quote_is_parted_at_the_words_that_answer(
    quote: str, span: tuple[int, int], parts: tuple[str, str, str]
) -> None:
    assert split_quote(citation(quote, *span)) == parts


@given(texts, st.integers(0, 40), st.integers(0, 40))
def test_the_parts_are_the_quote_on_one_line(quote: str, start: int, end: int) -> None:
    parts = split_quote(citation(quote, start, end))
    assert "".join(parts) == " ".join(quote.split())
    assert parts.words in ("", " ".join(quote[start:end].split()))


def escape(line: str) -> str:
    return re.sub(r"([\\`*_~<>\[\]()&!-])|:(?=//)|(?<=www)\.", r"\\\g<0>", line)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        (("At least ", "34 people", " died."), "At least **34 people** died."),
        (("It cost ", "$9", "."), "It cost **$9**."),
        (("(", "34", ")"), "\\(**34**\\)"),
        (("5", "$", "9"), "5$9"),
        (("a*", "34", "*b"), "a\\*34\\*b"),
        (("www", ".evil.example", ""), "www\\.evil.example"),
        (("At least 34", "", ""), "At least 34"),
    ],
)
def test_words_are_bold_in_markdown_if_it_is_certain_to_be_read_so(
    parts: tuple[str, str, str], shown: str
) -> None:
    assert bold_markdown(QuoteParts(*parts), escape) == shown


@given(texts, texts, texts)
def test_markdown_shows_a_quote_with_no_other_markup_than_its_bold_words(
    before: str, words: str, after: str
) -> None:
    quote = f"x{before}{words}{after}x"
    parts = split_quote(citation(quote, 1 + len(before), 1 + len(before) + len(words)))
    tokens = MarkdownIt("commonmark", {"linkify": False}).enable("strikethrough").parseInline(
        f"“{bold_markdown(parts, escape)}”"
    )[0].children  # fmt: skip
    assert tokens is not None
    kinds = {token.type for token in tokens}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}
    assert "".join(token.content for token in tokens) == f"“{''.join(parts)}”"
    names = [token.type for token in tokens]
    if "strong_open" in names:
        inside = tokens[names.index("strong_open") : names.index("strong_close")]
        assert "".join(token.content for token in inside) == parts.words
        assert names.count("strong_open") == 1


def near(article_id: str) -> ArticleRef:
    return ArticleRef(article_id=article_id, title="t", source="s", published=None, url=None)


def test_the_article_of_the_closest_passage_is_not_among_the_others() -> None:
    answer = Answer(
        question="q", standalone_question="q", status="not_found", answerer="extractive", nearest=(near("a"), near("b"))
    )  # fmt: skip
    assert other_articles(answer) == answer.nearest
    assert nearest_heading(answer) == "The nearest articles:"
    unsure = answer.model_copy(update={"closest": (citation("34 people died."),)})
    assert other_articles(unsure) == (near("b"),)
    assert nearest_heading(unsure) == "Other articles that came near:"

"""Markup: a reader sees words, and nothing that a page, a chat or a terminal would make a link of."""

from __future__ import annotations

import pytest

from bot.answering.generation.sanitizer import contains_link_or_mention, split_citation_markers, strip_markup


@pytest.mark.parametrize(
    ("text", "bare", "cited"),
    [
        ("It rained [3, 1] and [2].", "It rained and.", (3, 1, 2)),
        ("It rained [1; 2 & 3].", "It rained.", (1, 2, 3)),
        ("It rained [sources 1 and 2].", "It rained.", (1, 2)),
        ("It rained [[1]](#a).", "It rained.", (1,)),
        ("It rained (6).", "It rained (6).", ()),
        ("It rained (5).", "It rained.", (5,)),
        ("“[He] left” [sic] in [2020s].", "“[He] left” [sic] in [2020s].", ()),
        ("It rained [9-1].", "It rained.", (9, 1)),
        ("It rained [1-999].", "It rained.", (1, 999)),
    ],
)
def test_marks_are_taken_off(text: str, bare: str, cited: tuple[int, ...]) -> None:
    assert split_citation_markers(text, 5) == (bare.replace("and.", "and."), cited)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a ![x](http://e.example/p.png) b", "a b"),
        ("a ![x][1] b", "a b"),
        ("[Click](javascript:alert(1)) here", "Click here"),
        ("<a href='http://e.example'>Click</a>", "Click"),
        ("<@U1> <!channel> <#C1|x> a", "a"),
        ("**a** _b_ ~~c~~ `d` ***e***", "a b c d e"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("less < 5 and > 3", "less < 5 and > 3"),
        ("a\u202eb\x00\n c", "ab c"),
        ("th\u200bree\u00ad\u2060 t\U000e0041o", "three to"),  # what nobody sees hides nothing from a check
        ("AT&amp;T &lt;!channel&gt; &#x3c;b&#62;left &amp;lt;i&amp;gt;", "AT&T left"),
        ("<<b>script>a", "a"),
    ],
)
def test_markup_is_taken_off(text: str, expected: str) -> None:
    assert strip_markup(text) == expected


@pytest.mark.parametrize(
    "text",
    ["see https://e.example", "see HTTP://e.example", "www.e.example", "mailto:a@e.example", "write to a@e.example",
     "javascript:alert(1)", "data:text/html,x", "slack://open", "ftp://e.example/x", "evil.example/x", "(evil.com)",
     "//evil.example/x", "evil。com", "me＠evil.com", "xn--80ak6aa92e.com", "@channel look", "at @jane", "in #general",
     "so :skull: it is", "<!-- a", "<script a"],
)  # fmt: skip
def test_addresses_are_seen(text: str) -> None:
    assert contains_link_or_mention(text)


@pytest.mark.parametrize(
    "text",
    [
        "It cost $5: too much.",
        "The ratio was 3:2.",
        "He said: yes.",
        "Call 911.",
        "data: none",
        "a@b",
        "The U.S. left at 4 p.m. on Sunday.",
        "It took 3.5 hours, i.e. long.",
        "He ran at 9:15:20.",
        "She is #1.",
        "less <5",
    ],
)
def test_words_are_no_addresses(text: str) -> None:
    assert not contains_link_or_mention(text)


@pytest.mark.parametrize(
    ("text", "known", "held"),
    [
        ("Amazon.com fell.", "Shares of Amazon.com Inc fell.", False),
        ("Amazon.com fell.", "Shares of Amazon fell.", True),
        ("#MeToo grew.", "The #metoo movement grew.", False),
        ("@channel rose.", "@channel rose.", True),
        ("See evil.com/x.", "See evil.com/x.", True),
    ],
)
def test_a_name_that_looks_like_an_address_may_stand_where_an_article_has_it(
    text: str, known: str, held: bool
) -> None:
    assert contains_link_or_mention(text, known) is held

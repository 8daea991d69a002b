"""Markup: a reader sees words, and nothing that a page, a chat or a terminal would make a link of."""

from __future__ import annotations

import pytest

from bot.answers.markup import claim_marks, holds_address, plain


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
    assert claim_marks(text, 5) == (bare.replace("and.", "and."), cited)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a ![x](http://e.example/p.png) b", "a b"),
        ("a ![x][1] b", "a b"),
        ("[Click](javascript:alert(1)) here", "Click) here"),
        ("<a href='http://e.example'>Click</a>", "Click"),
        ("<@U1> <!channel> <#C1|x> a", "a"),
        ("**a** _b_ ~~c~~ `d` ***e***", "a b c d e"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("less < 5 and > 3", "less < 5 and > 3"),
        ("a\u202eb\x00\n c", "ab c"),
    ],
)
def test_markup_is_taken_off(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    "text",
    ["see https://e.example", "see HTTP://e.example", "www.e.example", "mailto:a@e.example", "write to a@e.example",
     "javascript:alert(1)", "data:text/html,x", "slack://open", "ftp://e.example/x"],
)  # fmt: skip
def test_addresses_are_seen(text: str) -> None:
    assert holds_address(text)


@pytest.mark.parametrize(
    "text", ["It cost $5: too much.", "The ratio was 3:2.", "He said: yes.", "Call 911.", "data: none", "a@b"]
)
def test_words_are_no_addresses(text: str) -> None:
    assert not holds_address(text)

"""What others wrote comes out of Slack's syntaxes as it is, and what people write in Slack as words."""

from __future__ import annotations

import re

import pytest
from hostile_strings import PIECES, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_scanner import assert_harmless, bare, read_markdown, read_mrkdwn

from bot.answering.quotes import QuoteParts
from bot.articles.article import clean_line
from bot.slack.events import extract_mentions, message_text
from bot.slack.rendering.escaping import (
    bold_words,
    clip,
    clip_and_escape,
    clip_and_neutralize,
    clip_quote,
    escape_markdown,
    escape_mrkdwn,
    neutralize,
    strip_invisible,
)


def _original(text: str) -> str:
    return clean_line(re.sub("[\u200e\u200f\u061c\u2060]", "", text))


@pytest.mark.parametrize("piece", PIECES)
def test_nothing_of_others_does_anything(piece: str) -> None:
    for around in ("{}", "so {} it is", "({})", "“{}”", "x{}y"):
        text = around.format(piece)
        read = read_mrkdwn(escape_mrkdwn(text))
        assert not read.links
        assert not read.mentions
        assert_harmless(read.texts[0])
        assert_harmless(neutralize(text))
        assert_harmless(read_markdown(escape_markdown(text)))


@settings(max_examples=1_000, deadline=None)
@given(texts)
def test_what_is_shown_are_the_words_as_they_were(text: str) -> None:
    words = strip_invisible(text)
    assert words in (_original(text), "")
    assert bare(read_mrkdwn(escape_mrkdwn(text)).texts[0]) == words
    assert bare(neutralize(text)) == words
    assert bare(read_markdown(escape_markdown(text))) == words
    for shown in (
        read_mrkdwn(escape_mrkdwn(text)).texts[0],
        neutralize(text),
        read_markdown(escape_markdown(text)),
    ):
        assert_harmless(shown)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("AT&T < BT > O2", "AT&amp;T &lt; BT &gt; O2"),
        ("&lt;", "&amp;\u2060lt;"),
        ("Mr. Smith said: 3.5% of the U.S. at 12:30", "Mr. Smith said: 3.5% of the U.S. at 12:30"),
        ("snake_case and 5*3 and it's ~5", "snake_case and 5*3 and it's \u2060~\u20605"),
        ("  two\n lines\u2028 ", "two lines"),
        ("\u200b\u200d", ""),
    ],
)
def test_only_what_has_to_be_escaped_is(text: str, escaped: str) -> None:
    assert escape_mrkdwn(text) == escaped


@pytest.mark.parametrize(
    ("text", "limit", "clipped"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two …"),
        ("one, two, three", 11, "one, two …"),
        ("abcdefghij", 6, "abcd…"),
        ("aaae\u0301\u0301b", 6, "aaa…"),
        ("abc", 1, "…"),
    ],
)
def test_text_is_cut_behind_a_word(text: str, limit: int, clipped: str) -> None:
    assert clip(text, limit) == clipped


@settings(max_examples=300, deadline=None)
@given(texts)
def test_an_escaped_text_is_cut_between_its_characters(text: str) -> None:
    for limit in (1, 20, 200):
        escaped = clip_and_escape(text, limit)
        assert len(escaped) <= limit
        shown = bare(read_mrkdwn(escaped).texts[0]).rstrip("…").rstrip()
        assert strip_invisible(text).startswith(shown)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<@UBOT> Who won the cup?", "Who won the cup?"),
        ("<@UBOT>: who won?", "who won?"),
        ("<@UBOT|citewire> who <@UBOT>won?", "who won?"),
        ("What did <@U1> tell <@U2|ann>?", "What did somebody tell ann?"),
        ("Who was in <#C1|general> or <#C2>?", "Who was in general or the channel?"),
        ("<!here> <!channel|channel> who won?", "channel who won?"),
        ("Ask <!subteam^S1|@desk> and <!subteam^S2>", "Ask desk and the group"),
        ("Since <!date^1392734382^{date}|18 February 2014>?", "Since 18 February 2014?"),
        ("Is <http://amazon.com|amazon.com> big? See <https://a.b/c>", "Is amazon.com big? See the link"),
        ("Mail <mailto:a@b.c|a@b.c> or <mailto:d@e.f>", "Mail a@b.c or d@e.f"),
        ("AT&amp;T &lt;b&gt;", "AT&T <b>"),
        ("&amp;lt;!channel&amp;gt;", "&lt;!channel&gt;"),
        ("&lt;!channel&gt; &lt;@U1&gt;", "<!channel> <@U1>"),
        ("&gt; He said so\n&gt;again. Is it true?", "He said so again. Is it true?"),
        ("```\nwho won?\n```", "who won?"),
        ("*Who* _won_ ~the~ `cup`?", "Who won the cup?"),
        ("*_Who_* won 5*3 snake_case?", "Who won 5*3 snake_case?"),
        ("who won :trophy:?", "who won :trophy:?"),
        ("\u202ewho won\x00?", "who won?"),
        ("<@UBOT>", ""),
        ("", ""),
    ],
)
def test_what_a_person_wrote_becomes_words(text: str, words: str) -> None:
    assert message_text(text, "UBOT") == words


@settings(max_examples=500, deadline=None)
@given(texts)
def test_an_escaped_text_reads_back_as_its_words(text: str) -> None:
    plain = re.sub(r"[*_~`]|^\W+", "", strip_invisible(text))
    written = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert message_text(written, "UBOT") == strip_invisible(re.sub(r"^[\s,:;–—-]+|^(>+ ?)", "", plain))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("<@U1> and <@W2|ann>", {"U1", "W2"}),
        ("<!subteam^S1|@desk> <!subteam^S2>", {"S1", "S2"}),
        ("<!here> <!channel|channel> <!everyone>", {"here", "channel", "everyone"}),
        ("&lt;@U1&gt; @ann <#C1|general> <https://a.b/@U1>", set()),
    ],
)
def test_who_is_mentioned(text: str, ids: set[str]) -> None:
    assert extract_mentions(text) == ids


@settings(max_examples=1_000, deadline=None)
@given(texts, texts, texts, st.integers(1, 200))
def test_a_quote_in_parts_is_the_literal_text(before: str, words: str, after: str, limit: int) -> None:
    parts = (" ".join(part.split()) for part in (before, words, after))
    quote = QuoteParts(*parts)
    shown = clip_quote(quote, limit, opening="“", closing="”")
    assert "".join(shown) == clip_and_neutralize(f"“{clip(''.join(quote), limit)}”", 3_000)
    assert strip_invisible(quote.words).startswith(bare(shown.words))
    assert read_markdown(bold_words(shown).replace("**", "")) == "".join(shown) or "*" in "".join(shown)

"""Strings and answers made to break out of a Slack message, for property tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from bot.answering.answer import Answer, ArticleRef, Citation, Sentence
from bot.indexing.filters import TimeWindow

PIECES = (
    "<!channel>", "<!here|here>", "<!everyone>", "<@U0123ABCD>", "<@U1|ann>", "<#C0123ABCD|general>", "<!subteam^S1|@desk>",
    "<https://evil.example/x|a link>", "<https://evil.example>", "<mailto:a@evil.example|post>", "<!date^1^{date}^https://evil.example|x>",
    "\\u003c!channel\\u003e", "\\x3c!channel\\x3e", "&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;", "&#60;!channel&#62;", "&#x3c;@U1&#x3e;", "%3C!channel%3E",
    "[text](https://evil.example)", "![image](https://evil.example/x.png)", "[1]: https://evil.example", "[1][2]", "<b>bold</b>", "<script>alert(1)</script>",
    "@channel", "@here", "@everyone", "@U0123ABCD", "#general", "a@evil.example", "https://evil.example/a?b=c&d=e|f>", "evil.example", "www.evil.example", "evil。com",
    "slack://open", "javascript:alert(1)", "mailto:a@evil.example", "tel:+123", ":skull:", ":white_check_mark::skin-tone-2:", "12:30:45",
    "*bold*", "_italic_", "~strike~", "`code`", "```block```", "**bold**", "__b__", "> quote", ">>> all", "• item", "- item", "1. item", "# heading", "| a | b |", "---",
    "\u202egnirts\u202c", "\u2066x\u2069", "\u200f", "\u200e", "\u061c", "\u200b", "\u2060", "\u00ad", "\ufeff", "\x00", "\x1b[31m", "\x85", "\u2028", "\ud800",
    "]]>", "|", "||", "<", ">", "&", "<<", ">>", "&&", "\\", "\"", "'", "“", "\n", "\r\n", "\t", "   ", "`", "_", "*", "~", "^", "{}", "${x}", "%s",
    "é", "中文字", "العربية", "עברית", "👍🏽", "👨‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301", "The dam broke on Monday.", "Ministers met in Ankara", "3.5 per cent", "U.S.",
)  # fmt: skip

_LONG = st.builds(
    lambda piece, times: (piece * (12_000 // max(1, len(piece))))[:times],
    st.sampled_from([*PIECES, "a", "word ", "<!channel> ", "x" * 900 + " "]),
    st.integers(600, 12_000),
)
texts = st.one_of(
    st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from([" ", "", "a", ". "])), max_size=12).map(
        "".join
    ),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map(" ".join),
    st.text(max_size=80),
    _LONG,
)
urls = st.one_of(
    st.none(),
    texts,
    st.sampled_from(["https://news.example/a", "http://news.example/b?c=d&e=f", "nq:640", "ftp://news.example", "//news.example"]),
    texts.map(lambda tail: f"https://news.example/{tail}"),
    texts.map(lambda tail: f"https://news.example/{''.join(tail.split())}"),
    st.integers(100, 5_000).map(lambda length: "https://news.example/" + "a" * length),
)  # fmt: skip
moments = st.one_of(
    st.none(), st.integers(-2_000_000_000, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
)
nearest = st.builds(
    ArticleRef, article_id=st.just("a"), title=texts, source=texts, published=moments, url=urls
)
_windows = st.one_of(
    st.none(),
    moments.map(lambda at: TimeWindow(at, at + timedelta(days=30) if at else None, "then")),
    moments.map(lambda at: TimeWindow(None, at, "before")),
)


@st.composite
def citations(draw: st.DrawFn, n: int) -> Citation:
    return Citation(
        n=n, passage_id="p", article_id="a", version=1, start=0, end=1, quote=draw(texts), title=draw(texts), source=draw(texts),
        published=draw(moments), url=draw(urls), link=draw(urls), copies=tuple(draw(st.lists(nearest, max_size=3))),
        page=draw(st.none() | st.integers(1, 9_999)),
    )  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    cited = tuple(draw(citations(n)) for n in range(1, draw(st.integers(0, 4)) + 1))
    numbers = st.lists(st.integers(1, max(1, len(cited))), max_size=2).map(tuple)
    support = st.sampled_from(["verbatim", "supported", "weak"])
    sentences = draw(
        st.lists(st.builds(Sentence, text=texts, citations=numbers, support=support), max_size=4)
    )
    if cited and draw(st.booleans()):
        sentences = [Sentence(text=citation.quote, citations=(citation.n,)) for citation in cited]
    return Answer(
        question=draw(texts), standalone_question="q", status=draw(st.sampled_from(["answered", "not_found", "small_talk", "error"])),
        notice=draw(st.one_of(st.just(""), texts)), sentences=tuple(sentences), citations=cited,
        nearest=tuple(draw(st.lists(nearest, max_size=3))), as_of=draw(moments), window=draw(_windows), answerer=draw(texts),
    )  # fmt: skip

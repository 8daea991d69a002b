"""How an answer looks in Slack: what it says is all there, within Slack's limits, and nothing else can be followed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hostile_strings import answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_scanner import Seen, assert_harmless, assert_takeable, bare, read_markdown, read_mrkdwn, scan

from bot.answering.answer import Answer, ArticleRef, Citation, Sentence
from bot.answering.question import Notice
from bot.articles.article import clean_text
from bot.indexing.filters import TimeWindow
from bot.slack.rendering.answer import (
    Message,
    answer_message,
    closing_blocks,
    partial_message,
    to_stream_markdown,
)
from bot.slack.rendering.escaping import strip_invisible

DAY = datetime(2025, 9, 3, 14, tzinfo=UTC)
QUOTE = "The dam above Derna broke on Monday night."


def citation(n: int = 1, **fields: Any) -> Citation:
    return Citation(**{
        "n": n, "passage_id": "p", "article_id": "a", "version": 1, "start": 0, "end": 10, "quote": QUOTE, "title": "A dam breaks",
        "source": "bbc.com", "published": DAY, "url": "https://bbc.com/dam", "link": "https://bbc.com/dam#:~:text=The%20dam", **fields,
    })  # fmt: skip


def an_answer(**fields: Any) -> Answer:
    return Answer(**{
        "id": "0123456789ab", "question": "When did the dam break?", "standalone_question": "When did the dam break?", "status": "answered",
        "sentences": (Sentence(text="It broke on a Monday.", citations=(1,), support="supported"),), "citations": (citation(),),
        "as_of": DAY, "answerer": "openai:gpt-5", **fields,
    })  # fmt: skip


def seen(message: Message) -> Seen:
    assert_takeable(message.blocks)
    read = read_mrkdwn(message.text)
    assert not read.links
    assert not read.mentions
    return scan(message.blocks)


def test_a_model_s_answer_shows_its_sentences_marks_and_sources() -> None:
    copies = (ArticleRef(article_id="b", title="x", source="AP", published=None, url=None),) * 2
    window = TimeWindow(datetime(2025, 9, 1, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC), "in September")
    message = answer_message(an_answer(citations=(citation(copies=copies, page=3),), window=window))
    shown = seen(message).shown
    assert "It broke on a Monday." in shown
    for said in (
        "[1]",
        "[1] bbc.com · 3 September 2025 · p. 3",
        "A dam breaks",
        f"“{QUOTE}”",
        "also carried by AP",
    ):
        assert said in shown
    assert "Articles of September 2025 · As of 3 September 2025 · Written by openai:gpt-5" in shown
    assert seen(message).links == ["https://bbc.com/dam#:~:text=The%20dam"]
    assert bare(message.text).startswith(
        "It broke on a Monday. [1]\n[1] bbc.com · 3 September 2025 · p. 3 · A dam breaks"
    )


def test_quotes_are_shown_once_with_their_source_beneath() -> None:
    answer = an_answer(sentences=(Sentence(text=QUOTE, citations=(1,)),), answerer="extractive")
    shown = seen(answer_message(answer)).shown
    assert shown.count(QUOTE) == 1
    assert shown.index("[1]") < shown.index(QUOTE) < shown.index("A dam breaks")
    assert "Quoted word for word" in shown
    assert "extractive" not in shown


def test_weak_support_is_told() -> None:
    weak = (Sentence(text="It broke.", citations=(1,), support="weak"),)
    message = answer_message(an_answer(sentences=weak))
    assert "It broke.\n [1]\n (weakly supported)" in seen(message).shown
    assert "It broke. [1] (weakly supported)" in message.text


def test_what_must_be_known_first_stands_first() -> None:
    message = answer_message(an_answer(notice="As of 3 September 2025:"))
    assert seen(message).texts[0] == "As of 3 September 2025:"
    assert seen(message).shown.count("As of 3 September 2025") == 1
    assert message.text.startswith("As of 3 September 2025: It broke")


def test_a_window_that_was_not_kept_to_is_not_claimed() -> None:
    window = TimeWindow(datetime(2022, 6, 1, tzinfo=UTC), datetime(2022, 7, 1, tzinfo=UTC), "June 2022")
    answer = an_answer(
        window=window, notice="No article is from the time asked about; this is from another time."
    )
    assert "Articles of June 2022" not in seen(answer_message(answer)).shown


def test_nothing_found_is_said_with_what_came_near() -> None:
    near = ArticleRef(
        article_id="a",
        title="Floods in Libya",
        source="bbc.com",
        published=None,
        url="https://bbc.com/floods",
    )
    window = TimeWindow(datetime(2022, 6, 1, tzinfo=UTC), None, "since June")
    answer = an_answer(
        status="not_found", sentences=(), citations=(), as_of=None, nearest=(near,), window=window
    )
    message = answer_message(answer, helpers=True)
    shown = seen(message).shown
    assert "The articles do not say." in shown
    assert "The nearest articles:\nbbc.com · undated\n · \nFloods in Libya" in shown
    assert "Articles since 1 June 2022" in shown
    assert seen(message).links == ["https://bbc.com/floods"]
    assert message.text == "The articles do not say."
    assert actions(message) == {"feedback", "ask_person"}


def test_small_talk_is_text_alone() -> None:
    answer = an_answer(
        status="small_talk", sentences=(Sentence(text="Hello.", citations=()),), citations=(), as_of=None
    )
    message = answer_message(answer, helpers=True, private=True)
    assert message.text == "Hello."
    assert [block["type"] for block in message.blocks] == ["rich_text"]


def actions(message: Message) -> set[str]:
    return set(re.findall(r'"action_id": "([^"]+)"', json.dumps(message.blocks)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"feedback", "citation:1", "sources"}),
        ({"helpers": True}, {"feedback", "citation:1", "sources", "ask_person"}),
        ({"private": True}, {"feedback_right", "feedback_wrong", "citation:1", "sources", "share"}),
    ],
)
def test_what_can_be_said_back(options: dict[str, bool], expected: set[str]) -> None:
    message = answer_message(an_answer(), **options)
    assert_takeable(message.blocks)
    assert actions(message) == expected
    values = json.dumps(message.blocks)
    for value in (
        "right:0123456789ab",
        "wrong:0123456789ab",
        "unsupported:1:0123456789ab",
        "outdated:1:0123456789ab",
    ):
        assert value in values


def test_a_shared_answer_says_who_asked_what() -> None:
    found = seen(answer_message(an_answer(), shared_by="U1"))
    assert found.mentions == ['{"type": "user", "user_id": "U1"}']
    assert " asked: \nWhen did the dam break?" in found.shown


@pytest.mark.parametrize(
    "url",
    [None, "nq:640", "javascript:alert(1)", "https://a.b/x|y", "https://a.b/<x>", "https://a b", "https://"],
)
def test_only_a_web_address_is_a_link(url: str | None) -> None:
    message = answer_message(an_answer(citations=(citation(url=url, link=url),)))
    assert seen(message).links == []
    assert "A dam breaks" in seen(message).shown


def test_an_address_keeps_no_character_that_nobody_sees() -> None:
    message = answer_message(an_answer(citations=(citation(link="https://a.b/x\u202e\u200by"),)))
    assert seen(message).links == ["https://a.b/x%E2%80%8By"]


def long_answer(sentences: int, citations: int, quote: int, **fields: Any) -> Answer:
    words = "The dam above Derna broke on Monday night and took houses with it. " * 20
    cited = tuple(
        citation(
            n,
            quote=words[:quote],
            link=f"https://bbc.com/dam/{n}#:~:text=" + "The%20dam" * 20,
            url=f"https://bbc.com/dam/{n}",
            **fields,
        )
        for n in range(1, citations + 1)
    )
    said = tuple(
        Sentence(text=f"Sentence {n} tells what happened in the town of Derna on the night in question, in so many words.", citations=(1 + n % citations,), support="supported")
        for n in range(sentences)
    )  # fmt: skip
    return an_answer(sentences=said, citations=cited)


@pytest.mark.parametrize(
    ("sentences", "citations", "quote"),
    [(12, 5, 800), (30, 10, 800), (12, 10, 800), (3, 25, 800), (30, 25, 1_300), (40, 40, 800), (2, 60, 800), (200, 10, 100)],
)  # fmt: skip
@pytest.mark.parametrize(
    "fields",
    [{}, {"title": "中" * 300, "source": "文" * 300}, {"title": "&<>" * 700}],
    ids=["plain", "wide", "marks"],
)
def test_whatever_is_cut_no_source_is(
    sentences: int, citations: int, quote: int, fields: dict[str, str]
) -> None:
    answer = long_answer(sentences, citations, quote, **fields)
    message = answer_message(answer, helpers=True)
    shown = seen(message).shown
    for n in range(1, citations + 1):
        assert re.search(rf"\[{n}\]\s+\S+( …)? · 3 September 2025", shown), f"no source line {n}"
    told = [n for n in range(sentences) if f"Sentence {n} tells" in shown]
    assert told == list(range(len(told)))
    assert told
    left = re.search(r"… \((\d+) more sentences?: see Sources\)", shown)
    assert len(told) + (int(left[1]) if left else 0) == sentences


def test_quotes_are_shortened_before_sentences_go() -> None:
    message = answer_message(long_answer(10, 10, 800))
    shown = seen(message).shown
    assert all(f"Sentence {n} tells" in shown for n in range(10))
    assert len(re.findall("“The dam above Derna broke on Monday night and took houses .* …”", shown)) == 10
    assert len(set(seen(message).links)) == 10


def test_an_ordinary_answer_is_whole() -> None:
    answer = long_answer(6, 4, 600)
    shown = seen(answer_message(answer, helpers=True)).shown
    assert "…" not in shown
    assert shown.count(answer.citations[0].quote.strip()) == 4


def test_a_streamed_sentence_shows_its_marks() -> None:
    assert (
        to_stream_markdown(Sentence(text="It broke.", citations=(1, 2), support="supported"))
        == "It broke. [1][2] "
    )
    assert (
        to_stream_markdown(Sentence(text="It *broke*.", citations=(1,), support="weak"))
        == "It \\*broke\\*. [1] _(weakly supported)_ "
    )
    assert to_stream_markdown(Notice("As of today:")) == "_As of today:_\n\n"


def test_what_closes_a_stream_is_all_but_the_sentences() -> None:
    answer = an_answer(notice="As of 3 September 2025: The chat model did not finish.")
    blocks = closing_blocks(
        answer, notice="As of 3 September 2025:", above="It broke on a Monday. [1] ", helpers=True
    )
    assert_takeable(blocks)
    shown = scan(blocks).shown
    assert "It broke on a Monday" not in shown
    assert shown.startswith("The chat model did not finish.\n[1] bbc.com · 3 September 2025")
    assert "sources" in json.dumps(blocks)


def test_what_closes_a_stream_of_quotes_does_not_repeat_them() -> None:
    answer = an_answer(sentences=(Sentence(text=QUOTE, citations=(1,)),), answerer="extractive")
    blocks = closing_blocks(answer, above=to_stream_markdown(answer.sentences[0]))
    assert_takeable(blocks)
    shown = scan(blocks).shown
    assert QUOTE not in shown
    assert "[1] bbc.com · 3 September 2025" in shown
    assert "A dam breaks" in shown


def test_a_beginning_is_shown_where_nothing_can_be_streamed() -> None:
    parts = [
        Notice("As of 3 September 2025:"),
        Sentence(text="It <!channel> broke.", citations=(1,), support="supported"),
    ]
    message = partial_message(parts)
    shown = seen(message).shown
    assert shown.split("\n") == ["As of 3 September 2025:", "It <!channel> broke.", " [1]", " ", "…"]
    assert bare(message.text) == "As of 3 September 2025: It &lt;!channel&gt; broke. [1]"


def test_a_long_stream_leaves_room_for_sources() -> None:
    answer = long_answer(30, 10, 800)
    above = "".join(map(to_stream_markdown, answer.sentences))
    blocks = closing_blocks(answer, above=above)
    assert_takeable(blocks, room=12_000 - len(above))
    assert all(f"[{n}]" in scan(blocks).shown for n in range(1, 11))


def allowed(answer: Answer) -> set[str]:
    given = [*answer.citations, *answer.nearest]
    addresses = [article.url for article in given] + [cited.link for cited in answer.citations]
    return {strip_invisible(address or "") for address in addresses}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers())
def test_no_text_of_others_rings_a_bell_or_can_be_followed(answer: Answer) -> None:
    for private in (False, True):
        message = answer_message(answer, helpers=True, private=private)
        found = seen(message)
        assert not found.mentions
        assert all(re.match(r"https?://[^\s<>|\"]+$", link) for link in found.links)
        for text in [*found.texts, *read_mrkdwn(message.text).texts]:
            assert_harmless(text)
    for n in range(1, len(answer.citations) + 1):
        assert f"[{n}]" in found.shown
    blocks = closing_blocks(answer)
    if blocks:
        assert_takeable(blocks)
        assert not scan(blocks).mentions
    for sentence in answer.sentences:
        written = to_stream_markdown(sentence)
        assert_harmless(written)
        marks = "".join(f"[{n}]" for n in sentence.citations)
        assert (
            read_markdown(written.replace("_(weakly supported)_", "").rstrip().removesuffix(marks))
            is not None
        )


def spanned(words: str, quote: str = QUOTE, **fields: Any) -> Citation:
    """A citation whose words that answer are these."""
    start = quote.index(words)
    return citation(quote=quote, start=50, end=50 + len(quote), answer_start=50 + start, answer_end=50 + start + len(words), **fields)  # fmt: skip


def quoted(*cited: Citation, **fields: Any) -> Answer:
    """An answer whose sentences are its citations' quotes."""
    sentences = tuple(Sentence(text=one.quote, citations=(one.n,)) for one in cited)
    return an_answer(sentences=sentences, citations=cited, answerer="extractive", **fields)


def unsure(*closest: Citation, **fields: Any) -> Answer:
    empty = {"status": "not_found", "sentences": (), "citations": (), "as_of": None, "answerer": "extractive"}
    return an_answer(**{**empty, "closest": closest, **fields})


def runs(node: Any) -> list[tuple[str, dict[str, bool]]]:
    """Every run of rich text with its style."""
    if isinstance(node, dict):
        own = [(bare(node["text"]), node.get("style") or {})] if node.get("type") == "text" else []
        return own + [run for value in node.values() for run in runs(value)]
    return [run for item in node for run in runs(item)] if isinstance(node, list | tuple) else []


def bold(node: Any) -> list[str]:
    """What is bold and no mark of a citation."""
    return [
        text for text, style in runs(node) if style.get("bold") and not re.fullmatch(r" (\[\d+\])+", text)
    ]


def test_the_words_that_answer_are_bold_in_a_source() -> None:
    message = answer_message(quoted(spanned("on Monday night")))
    assert bold(message.blocks) == ["on Monday night"]
    assert "“The dam above Derna broke \non Monday night\n.”" in seen(message).shown
    assert QUOTE in message.text


def test_words_are_bold_in_a_quote_with_odd_white_space() -> None:
    message = answer_message(
        quoted(spanned("on\n  Monday\t night", "The  dam\nbroke  on\n  Monday\t night ."))
    )
    assert bold(message.blocks) == ["on Monday night"]
    assert "“The dam broke \non Monday night\n .”" in seen(message).shown


def test_words_are_bold_in_a_sentence_that_is_a_quote() -> None:
    answer = quoted(spanned("on Monday night"))
    other = Sentence(text="It was old.", citations=(1,), support="supported")
    message = answer_message(answer.model_copy(update={"sentences": (*answer.sentences, other)}))
    assert bold(message.blocks) == ["on Monday night"] * 2  # in the sentence and in its source
    assert "It was old." in seen(message).shown


def test_a_model_s_words_are_not_bold() -> None:
    cited = spanned("on Monday night")
    said = Sentence(text=QUOTE, citations=(1,), support="supported")
    assert bold(answer_message(an_answer(sentences=(said,), citations=(cited,))).blocks[:1]) == []


def test_without_known_words_a_quote_is_one_run() -> None:
    message = answer_message(quoted(citation()))
    assert (f"“{QUOTE}”", {}) in runs(message.blocks)
    assert bold(message.blocks) == []


def test_a_quote_that_is_struck_through_has_no_bold_words() -> None:
    message = answer_message(quoted(spanned("on Monday night", standing="withdrawn")))
    assert (f"“{QUOTE}”", {"strike": True}) in runs(message.blocks)
    assert bold(message.blocks) == []


@pytest.mark.parametrize(
    "words",
    ["<@U123>", "*bold*", "<script>alert(1)</script>", ":skull:", "https://evil.example", "<!channel|x>", "_", "&lt;b&gt;", "evil.example"],
)  # fmt: skip
def test_bold_words_of_others_do_nothing(words: str) -> None:
    answer = quoted(spanned(words, f"He said {words} twice."))
    message = answer_message(answer, helpers=True)
    found = seen(message)
    assert not found.mentions
    assert found.links == ["https://bbc.com/dam#:~:text=The%20dam"]
    assert bold(message.blocks) == [words]
    for text in [*found.texts, *read_mrkdwn(message.text).texts]:
        assert_harmless(text)


@pytest.mark.parametrize(
    "at", ["<|@U123>", "<!|channel>", "@|channel", ":sk|ull:", "https:|//evil.example", "www|.evil.example"]
)
def test_what_bold_words_cut_through_does_nothing_either(at: str) -> None:
    before, after = at.split("|")
    quote = f"He said {before}{after} twice."
    cut = citation(quote=quote, start=0, end=len(quote), answer_start=len(f"He said {before}"), answer_end=len(quote))  # fmt: skip
    message = answer_message(quoted(cut))
    assert bold(message.blocks) == [f"{after} twice."]
    assert not seen(message).mentions
    joined = "".join(text for text, _ in _raw_runs(message.blocks))
    assert_harmless(joined)


def _raw_runs(node: Any) -> list[tuple[str, None]]:
    if isinstance(node, dict):
        own = [(node["text"], None)] if node.get("type") == "text" else []
        return own + [run for value in node.values() for run in _raw_runs(value)]
    return [run for item in node for run in _raw_runs(item)] if isinstance(node, list | tuple) else []


def test_words_are_bold_as_far_as_a_shortened_quote_shows_them() -> None:
    long = "The dam above Derna broke on Monday night and took houses with it. " * 12
    cited = [
        citation(n, quote=long, start=0, end=len(long), answer_start=start, answer_end=start + 500, link=None)
        for n, start in enumerate((4, 60, 700), start=1)
    ]
    sentences = tuple(
        Sentence(text="It broke. " * 190, citations=(n,), support="supported") for n in (1, 2, 3)
    )
    many = tuple(citation(n, quote=long, link=None) for n in range(4, 10))
    message = answer_message(an_answer(sentences=sentences, citations=(*cited, *many)))
    shown = bold(message.blocks)
    assert len(shown) == 2  # the third one's are beyond what is shown
    assert all(long[start:].startswith(words) for start, words in zip((4, 60), shown, strict=True))
    assert "…" not in "".join(shown)
    assert sum(text == " …”" for text, _ in runs(message.blocks)) == 2


def test_words_are_bold_in_a_stream() -> None:
    cited = spanned("on Monday night")
    sentence = Sentence(text=QUOTE, citations=(1,))
    assert to_stream_markdown(sentence, (cited,)) == "The dam above Derna broke **on Monday night**. [1] "
    assert to_stream_markdown(sentence, (citation(),)) == to_stream_markdown(sentence) == f"{QUOTE} [1] "


@pytest.mark.parametrize(
    ("before", "words", "after"),
    [("He said ", "*34*", " twice."), ("a*", "34", "*b"), ("", "34 `people`", ""), ("", "> 34", " people"), ("x ", "<@U123>", " y"),
     ("x", "[34](https://evil.example)", "y"), ("5", "$", "9")],
)  # fmt: skip
def test_bold_words_in_a_stream_are_no_other_markup(before: str, words: str, after: str) -> None:
    quote = f"{before}{words}{after}"
    sentence = Sentence(text=quote, citations=(1,))
    written = to_stream_markdown(sentence, (spanned(words, quote),)).removesuffix(" [1] ")
    assert_harmless(written.replace("\\", ""))
    pieces = re.split(r"(?<!\\)\*\*", written)
    assert len(pieces) in (1, 3)
    assert bare("".join(map(read_markdown, pieces))) == quote


def test_if_it_is_not_sure_the_closest_passage_is_shown_and_not_cited() -> None:
    other = ArticleRef(
        article_id="b", title="Rain in Libya", source="AP", published=None, url="https://ap.example/rain"
    )
    same = other.model_copy(update={"article_id": "a", "title": "The same article"})
    copies = (ArticleRef(article_id="c", title="x", source="AFP", published=None, url=None),)
    answer = unsure(spanned("on Monday night", copies=copies), nearest=(same, other))
    message = answer_message(answer, helpers=True)
    shown = seen(message).shown
    assert shown.startswith(
        "I am not sure the articles answer this. The closest passage:\nbbc.com · 3 September 2025\n"
        "“The dam above Derna broke \non Monday night\n.”\nA dam breaks\n · \nalso carried by AFP\n"
    )
    assert bold(message.blocks)[1:] == ["on Monday night"]
    assert "Other articles that came near:\nAP · undated\n · \nRain in Libya" in shown
    assert "The same article" not in shown
    assert "[1]" not in shown + message.text
    assert "Quoted word for word" not in shown
    assert seen(message).links == ["https://bbc.com/dam#:~:text=The%20dam", "https://ap.example/rain"]
    assert actions(message) == {"feedback", "ask_person"}
    assert bare(message.text) == (
        f"I am not sure the articles answer this. The closest passage: “{QUOTE}”\nbbc.com · 3 September 2025 · A dam breaks"
    )


def test_a_closest_passage_is_private_and_shared_like_any_answer() -> None:
    answer = unsure(spanned("on Monday night"))
    private = answer_message(answer, private=True)
    assert actions(private) == {"feedback_right", "feedback_wrong", "share"}
    assert "The nearest articles" not in seen(private).shown
    shared = answer_message(answer, shared_by="U1")
    assert "I am not sure the articles answer this." in seen(shared).shown


def test_a_closest_passage_from_another_time_does_not_claim_the_window() -> None:
    window = TimeWindow(datetime(2022, 6, 1, tzinfo=UTC), datetime(2022, 7, 1, tzinfo=UTC), "June 2022")
    assert "Articles of June 2022" not in seen(answer_message(unsure(citation(), window=window))).shown


def test_a_stream_that_has_begun_with_a_notice_is_closed_by_what_was_found() -> None:
    notice = "No article is from June."
    blocks = closing_blocks(unsure(spanned("on Monday night"), notice=notice), notice=notice, above=notice)
    shown = scan(blocks).shown
    assert shown.startswith("I am not sure the articles answer this. The closest passage:\nbbc.com")
    assert bold(blocks)[1:] == ["on Monday night"]
    none = closing_blocks(unsure(notice=notice), notice=notice, above=notice)
    assert scan(none).shown.startswith("The articles do not say.")


def with_words(answer: Answer, start: int, end: int) -> Answer:
    """The same answer, each quote with words that answer; quotes are clean, as the articles are."""
    cited = tuple(
        one.model_copy(
            update={
                "quote": clean_text(one.quote),
                "start": 0,
                "end": len(one.quote),
                "answer_start": start,
                "answer_end": end,
            }
        )
        for one in answer.citations
    )
    sentences = (one.model_copy(update={"text": clean_text(one.text)}) for one in answer.sentences)
    answer = answer.model_copy(update={"sentences": tuple(sentences)})
    if answer.status == "not_found":
        return answer.model_copy(update={"closest": cited[:1], "citations": (), "sentences": ()})
    return answer.model_copy(update={"citations": cited})


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers(), st.integers(0, 30), st.integers(0, 3_000))
def test_no_bold_words_of_others_ring_a_bell_or_can_be_followed(answer: Answer, start: int, end: int) -> None:
    spans = with_words(answer, start, end)
    message = answer_message(spans, helpers=True)
    found = seen(message)
    assert not found.mentions
    for text in found.texts:
        assert_harmless(text)
    for near in spans.closest:
        assert "I am not sure the articles answer this. The closest passage:" in found.shown
        assert near.quote.strip() == "" or "“" in found.shown
    for sentence in spans.sentences:
        written = to_stream_markdown(sentence, spans.citations)
        assert_harmless(written.replace("**", ""))
        assert written.replace("**", "") == to_stream_markdown(sentence).replace("**", "")

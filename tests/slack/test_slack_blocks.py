"""How an answer looks in Slack: what it says is all there, within Slack's limits, and nothing else can be followed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hostile import answers
from hypothesis import HealthCheck, given, settings
from slack_scanner import Seen, assert_harmless, assert_takeable, bare, read_markdown, read_mrkdwn, scan

from bot.answers.answer import Answer, Citation, Nearest, Sentence
from bot.answers.turn import Notice
from bot.retrieval.window import Window
from bot.slack.blocks import Message, answer_message, closing_blocks, partial_message, streamed
from bot.slack.text import visible

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
    copies = (Nearest(article_id="b", title="x", source="AP", published=None, url=None),) * 2
    window = Window(datetime(2025, 9, 1, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC), "in September")
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
    window = Window(datetime(2022, 6, 1, tzinfo=UTC), datetime(2022, 7, 1, tzinfo=UTC), "June 2022")
    answer = an_answer(
        window=window, notice="No article is from the time asked about; this is from another time."
    )
    assert "Articles of June 2022" not in seen(answer_message(answer)).shown


def test_nothing_found_is_said_with_what_came_near() -> None:
    near = Nearest(
        article_id="a",
        title="Floods in Libya",
        source="bbc.com",
        published=None,
        url="https://bbc.com/floods",
    )
    window = Window(datetime(2022, 6, 1, tzinfo=UTC), None, "since June")
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
    assert streamed(Sentence(text="It broke.", citations=(1, 2), support="supported")) == "It broke. [1][2] "
    assert (
        streamed(Sentence(text="It *broke*.", citations=(1,), support="weak"))
        == "It \\*broke\\*. [1] _(weakly supported)_ "
    )
    assert streamed(Notice("As of today:")) == "_As of today:_\n\n"


def test_what_closes_a_stream_is_all_but_the_sentences() -> None:
    answer = an_answer(notice="As of 3 September 2025: The chat model did not finish.")
    blocks = closing_blocks(
        answer, said="As of 3 September 2025:", above="It broke on a Monday. [1] ", helpers=True
    )
    assert_takeable(blocks)
    shown = scan(blocks).shown
    assert "It broke on a Monday" not in shown
    assert shown.startswith("The chat model did not finish.\n[1] bbc.com · 3 September 2025")
    assert "sources" in json.dumps(blocks)


def test_what_closes_a_stream_of_quotes_does_not_repeat_them() -> None:
    answer = an_answer(sentences=(Sentence(text=QUOTE, citations=(1,)),), answerer="extractive")
    blocks = closing_blocks(answer, above=streamed(answer.sentences[0]))
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
    above = "".join(map(streamed, answer.sentences))
    blocks = closing_blocks(answer, above=above)
    assert_takeable(blocks, room=12_000 - len(above))
    assert all(f"[{n}]" in scan(blocks).shown for n in range(1, 11))


def allowed(answer: Answer) -> set[str]:
    given = [*answer.citations, *answer.nearest]
    addresses = [article.url for article in given] + [cited.link for cited in answer.citations]
    return {visible(address or "") for address in addresses}


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
        written = streamed(sentence)
        assert_harmless(written)
        marks = "".join(f"[{n}]" for n in sentence.citations)
        assert (
            read_markdown(written.replace("_(weakly supported)_", "").rstrip().removesuffix(marks))
            is not None
        )

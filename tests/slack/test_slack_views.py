"""What opens beside a conversation: within Slack's limits, and of others' words nothing but the words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hostile_strings import answers, texts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_scanner import Seen, assert_harmless, assert_takeable, scan
from slack_sdk.models.views import View

from bot.answering.answer import Answer, Citation, Sentence
from bot.answering.fact_check import CheckResult
from bot.articles.article import Article
from bot.slack.channel_settings import ChannelSetting
from bot.slack.rendering.messages import (
    failure_message,
    help_wanted_message,
    question_message,
    suggested_prompts,
)
from bot.slack.rendering.views import (
    channel_settings_view,
    check_view,
    home_view,
    notice_view,
    source_options,
    sources_view,
)
from bot.storage.models import ArticleSummary, StoreStats

DAY = datetime(2025, 9, 3, tzinfo=UTC)
TEXT = f"{'Rain had fallen for days. ' * 40}The dam broke. {'Houses fell into the sea. ' * 40}"
START = TEXT.index("The dam broke.")
QUOTE = "The dam broke."


def citation(n: int = 1, **fields: Any) -> Citation:
    return Citation(**{
        "n": n, "passage_id": "p", "article_id": "a", "version": 2, "start": START, "end": START + len(QUOTE), "quote": QUOTE, "title": "A dam breaks",
        "source": "bbc.com", "published": DAY, "url": "https://bbc.com/dam", "link": "https://bbc.com/dam#:~:text=The%20dam", **fields,
    })  # fmt: skip


def an_answer(*citations: Citation, **fields: Any) -> Answer:
    sentences = (Sentence(text="It broke.", citations=(1,), support="supported"),)
    return Answer(**{
        "id": "0123456789ab", "question": "q", "standalone_question": "q", "status": "answered", "sentences": sentences, "citations": citations,
        "answerer": "openai:gpt-5", **fields,
    })  # fmt: skip


def seen(view: dict[str, Any]) -> Seen:
    View(**view).validate_json()  # the SDK's own checks
    assert_takeable(view["blocks"], most=100, room=None)
    found = scan(view)
    for text in found.texts:
        assert_harmless(text)
    return found


def test_a_source_is_shown_within_what_stands_around_it() -> None:
    article = Article(id="a", text=TEXT)
    found = seen(sources_view(an_answer(citation()), {("a", 2): article}))
    assert "It broke.\n [1]" in found.shown
    assert "[1] bbc.com · 3 September 2025" in found.shown
    around = found.shown.partition("September 2025")[2]
    assert re.search(r"… \S.*fallen for days\.\n \nThe dam broke\.\n \nHouses fell .* …\n", around, re.S)
    assert found.links == ["https://bbc.com/dam#:~:text=The%20dam"]


@pytest.mark.parametrize("articles", [{}, {("a", 1): Article(id="a", text="Other words.")}])
def test_a_source_whose_article_is_gone_is_its_quote(articles: dict[tuple[str, int], Article]) -> None:
    assert f"\n{QUOTE}\n" in seen(sources_view(an_answer(citation()), articles)).shown


def test_quotes_are_not_told_twice() -> None:
    answer = an_answer(citation(), sentences=(Sentence(text=QUOTE, citations=(1,)),))
    assert seen(sources_view(answer, {})).shown.count(QUOTE) == 1


@pytest.mark.parametrize("count", [1, 49, 60, 140])
def test_all_sources_are_there(count: int) -> None:
    view = sources_view(
        an_answer(*(citation(n) for n in range(1, count + 1))), {("a", 2): Article(id="a", text=TEXT)}
    )
    found = seen(view)
    for n in range(1, count + 1):
        assert re.search(rf"\[{n}\]\s+bbc.com · 3 September 2025", found.shown)


@pytest.mark.parametrize("count", [10, 49, 100])
def test_views_are_no_larger_than_slack_takes(count: int) -> None:
    wide = "中文字 " * 750
    cited = [
        citation(n, quote=wide, title=wide, source=wide, start=3_000, end=6_000) for n in range(1, count + 1)
    ]
    article = Article(id="a", text=wide * 3)
    views = (
        sources_view(an_answer(*cited), {("a", 2): article}),
        check_view([CheckResult(wide, "weak", 1.0, wide, (cited[0],))] * count, done=False),
        home_view(StoreStats(1, 1), None, channels={f"C{n}": ChannelSetting((wide,)) for n in range(count)}),
    )
    for view in views:
        seen(view)
        assert len(json.dumps(view)) <= 250_000


def test_a_check_says_of_each_sentence_what_the_articles_say() -> None:
    checked = (
        CheckResult("The dam broke.", "supported", 0.1, "the passage says so", (citation(),)),
        CheckResult("It was old.", "weak", 0.5, "nearly", (citation(),)),
        CheckResult("Nobody died.", "unsupported", 9.0, "no article comes near it"),
    )
    found = seen(check_view(checked, done=True))
    assert found.texts[2] == "The articles support 1 of 3 sentences, 1 more weakly."
    for said in (
        "Supported: \nThe dam broke.",
        "Weakly supported: \nIt was old.",
        "Not supported: \nNobody died.",
        "no article comes near it",
        f"“{QUOTE}”",
    ):
        assert said in found.shown


@pytest.mark.parametrize(
    ("checked", "done", "said"),
    [
        ((), False, "Reading the articles …"),
        ((), True, "There is no sentence in this message that could be checked."),
        ((CheckResult("A.", "weak", 1, "r"),), False, "Reading the articles …"),
        (tuple(CheckResult(f"Sentence {n}.", "weak", 1, "r") for n in range(150)), True, "… and 110 more"),
    ],
)  # fmt: skip
def test_a_check_under_way_or_without_sentences_says_so(
    checked: tuple[CheckResult, ...], done: bool, said: str
) -> None:
    assert said in seen(check_view(checked, done=done)).shown


def test_a_message_can_stand_in_a_view() -> None:
    assert "Reference: ab12" in seen(notice_view(failure_message("ab12"))).shown


@pytest.mark.parametrize(
    ("totals", "newest", "said"),
    [
        (StoreStats(1014, 9000), DAY, "I answer from 1,014 articles, the newest of 3 September 2025."),
        (StoreStats(1, 3), None, "I answer from one article."),
        (StoreStats(0, 0), None, "I have no articles to answer from yet."),
    ],
)
def test_the_home_tab_says_what_is_known_and_how_to_ask(
    totals: StoreStats, newest: datetime | None, said: str
) -> None:
    found = seen(home_view(totals, newest, channels=None))
    assert said in found.shown
    assert "/cite" in found.shown
    assert "Channels" not in found.texts


def test_the_home_tab_shows_settings_to_those_who_may_set_them() -> None:
    channels = {"C0NEWS": ChannelSetting(("bbc.com", "<!channel>")), "C0ALL": ChannelSetting()}
    found = seen(home_view(StoreStats(1, 1), None, channels=channels))
    assert found.mentions == ['{"type": "channel", "channel_id": "C0NEWS"}']
    assert ": \nbbc.com, <!channel>" in found.shown
    assert "Set a channel's outlets" in found.texts
    many = seen(
        home_view(
            StoreStats(1, 1), None, channels={f"C{n}": ChannelSetting(("bbc.com",)) for n in range(300)}
        )
    )
    assert "… and 250 more" in many.shown


def test_the_form_for_a_channel_asks_for_channel_and_outlets() -> None:
    view = channel_settings_view()
    seen(view)
    assert view["callback_id"] == "channel_sources"
    assert [block["element"]["action_id"] for block in view["blocks"]] == ["channel", "outlets"]


def test_outlets_are_offered_by_their_names() -> None:
    options = source_options(["bbc.com", "", "\u200b", "x" * 151, "y" * 150, "<!channel>"])
    assert [option["value"] for option in options] == ["bbc.com", "y" * 150, "<!channel>"]
    assert all(len(option["text"]["text"]) <= 75 for option in options)


def test_a_call_for_help_calls_those_it_names_alone() -> None:
    message = help_wanted_message("S1", asked_by="U1", question="Who told <!channel>?")
    assert (
        message.text == "<!subteam^S1> could you help with this question? “Who told &lt;\u2060!channel&gt;?”"
    )
    assert scan(message.blocks).mentions == [
        '{"type": "usergroup", "usergroup_id": "S1"}',
        '{"type": "user", "user_id": "U1"}',
    ]
    person = help_wanted_message("U2", asked_by="U1", question="x" * 2_000)
    assert person.text.startswith("<@U2> could")
    assert_takeable(person.blocks)


def test_prompts_name_articles_without_calling_anybody() -> None:
    headlines = [
        ArticleSummary("a", 1, f"<!channel> {'word ' * 60}", "s", None, None),
        ArticleSummary("b", 1, "", "s", None, None),
    ]
    prompts = suggested_prompts(headlines)
    assert len(prompts) == 2
    for prompt in prompts:
        assert len(prompt["title"]) <= 75
        assert_harmless(prompt["title"])
        assert_harmless(prompt["message"])


checks = st.builds(
    lambda sentence, verdict, reason, answer: CheckResult(sentence, verdict, 1.0, reason, answer.citations),
    texts, st.sampled_from(["supported", "weak", "unsupported"]), texts, answers(),
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers(), texts, checks, st.booleans())
def test_no_text_of_others_does_anything_in_a_view(
    answer: Answer, text: str, checked: CheckResult, done: bool
) -> None:
    articles = {("a", 1): Article(id="a", text=text)}
    channels = {"C1": ChannelSetting((text, text))}
    for view in (
        sources_view(answer, articles),
        check_view([checked], done=done),
        home_view(StoreStats(1, 1), None, channels=channels),
    ):
        found = seen(view)
        assert all(mention == '{"type": "channel", "channel_id": "C1"}' for mention in found.mentions)
        assert all(re.match(r"https?://[^\s<>|\"]+$", link) for link in found.links)
    for option in source_options([text]):
        assert_harmless(option["text"]["text"])
    assert_takeable(question_message(text).blocks)

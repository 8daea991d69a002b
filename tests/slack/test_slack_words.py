"""What is shown in Slack of the words that answer, and of a passage that may not answer at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from slack_app import ANN, ME, NEWS, App, replies, words
from slack_server import SlackServer

from bot.answering.answer import Answer, Citation, Sentence
from bot.answering.langchain import AnswerChain
from bot.answering.question import AnswerTrace, Notice, Question
from bot.indexing.filters import SearchFilters

QUOTE = "Argentina won the final against France on penalties."
UNSURE = "I am not sure the articles answer this. The closest passage:"
Start = Callable[..., App]
Say = Callable[..., None]


def citation(quote: str = QUOTE, words: str = "on penalties") -> Citation:
    start = quote.index(words)
    return Citation(
        n=1, passage_id="p", article_id="cup", version=1, start=0, end=len(quote), quote=quote, title="Final won on penalties",
        source="Daily", published=datetime(2022, 12, 18, tzinfo=UTC), url="https://daily.example/cup", link="https://daily.example/cup",
        answer_start=start, answer_end=start + len(words),
    )  # fmt: skip


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Have every question answered with these fields of an answer, after these parts of it; `pause` in seconds."""

    def says(*parts: Notice | Sentence, pause: float = 0.0, **fields: Any) -> None:
        def traced(_: AnswerChain, question: Question) -> Iterator[Notice | Sentence | AnswerTrace]:
            for part in parts:
                yield part
                time.sleep(pause)
            given = {
                "question": question.text,
                "standalone_question": question.text,
                "answerer": "extractive",
            }
            answer = Answer(id=question.answer_id, **given, **fields)
            yield AnswerTrace(answer, question, datetime.now(UTC), SearchFilters())

        monkeypatch.setattr(AnswerChain, "stream_with_trace", traced)

    return says


def asked(slack: SlackServer, app: App) -> dict[str, Any]:
    ts = slack.say(NEWS, ANN, f"{ME} How did Argentina win?")
    replies(slack, NEWS, ts)
    app.quiet()
    [reply] = replies(slack, NEWS, ts)
    return reply


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_quotes_are_streamed_with_the_words_that_answer_in_bold(
    slack: SlackServer, app: App, says: Say, pause: float
) -> None:
    cited = citation()
    sentence = Sentence(text=QUOTE, citations=(1,))
    says(sentence, pause=pause, status="answered", sentences=(sentence,), citations=(cited,))
    reply = asked(slack, app)
    assert reply["text"] == "Argentina won the final against France **on penalties**. [1] "
    assert not slack.called("chat.update")  # which would show it all once more
    assert "[1] Daily · 18 December 2022" in words(reply)


def test_hostile_words_are_streamed_as_text(slack: SlackServer, app: App, says: Say) -> None:
    quote = "He said *<@U123>* and <!channel> :skull: [x](https://evil.example) twice."
    cited = citation(quote, "<@U123>* and <!channel> :skull: [x](https://evil.example)")
    sentence = Sentence(text=quote, citations=(1,))
    says(sentence, status="answered", sentences=(sentence,), citations=(cited,))
    assert "[1] Daily" in words(asked(slack, app))  # the server notes what Slack would read in it


@pytest.mark.parametrize("streams", [True, False])
def test_without_a_stream_the_words_are_bold_in_the_message(
    slack: SlackServer, start: Start, says: Say, streams: bool
) -> None:
    if not streams:
        slack.without("chat.startStream")
    sentence = Sentence(text=QUOTE, citations=(1,))
    says(*([] if streams else [sentence]), status="answered", sentences=(sentence,), citations=(citation(),))
    reply = asked(slack, start())
    assert json.dumps({"type": "text", "text": "on penalties", "style": {"bold": True}}) in json.dumps(reply["blocks"])  # fmt: skip


@pytest.mark.parametrize("notice", ["", "No article is from June."])
def test_the_closest_passage_is_shown_with_nothing_to_judge_it_by(
    slack: SlackServer, app: App, says: Say, notice: str
) -> None:
    says(*([Notice(notice)] if notice else []), status="not_found", closest=(citation(),), notice=notice)
    reply = asked(slack, app)
    shown = words(reply)
    assert bool(slack.called("chat.startStream")) is bool(notice)
    assert shown.index(UNSURE) < shown.index("on penalties") < shown.index("Final won on penalties")
    assert shown.count(UNSURE) == 1
    assert "[1]" not in shown
    actions = json.dumps(reply["blocks"])
    assert '"feedback"' in actions
    assert "citation:" not in actions
    assert '"sources"' not in actions


def test_the_closest_passage_is_private_until_it_is_shared(slack: SlackServer, app: App, says: Say) -> None:
    slack.allowed_mentions.add(f"@{ANN}")  # who shares it is named
    says(status="not_found", closest=(citation(),))
    slack.command(ANN, NEWS, "How did Argentina win?").answer()
    [private] = slack.wait_for(lambda: slack.shown_to(ANN))
    assert UNSURE in words(private)
    value = private["blocks"][-1]["elements"][-1]["value"]
    slack.click(ANN, NEWS, private["ts"], "share", value).answer()
    [shared] = slack.wait_for(lambda: slack.messages(NEWS, by="U0BOT"))
    assert UNSURE in words(shared)
    assert " asked: " in words(shared)


def test_a_closest_passage_is_not_what_was_answered_before(slack: SlackServer, app: App, says: Say) -> None:
    says(status="not_found", closest=(citation(),))
    ts = slack.say(NEWS, ANN, f"{ME} How did Argentina win?")
    replies(slack, NEWS, ts)
    app.quiet()
    histories: list[Any] = []

    def traced(_: AnswerChain, question: Question) -> Iterator[AnswerTrace]:
        histories.append(question.turns)
        answer = Answer(
            question=question.text, standalone_question="q", status="not_found", answerer="extractive"
        )
        yield AnswerTrace(answer, question, datetime.now(UTC), SearchFilters())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AnswerChain, "stream_with_trace", traced)
        slack.say(NEWS, ANN, "And when was it?", thread_ts=ts)
        replies(slack, NEWS, ts, 2)
        app.quiet()
    assert [(one.question, one.answer) for one in histories[0]] == [("How did Argentina win?", "")]


def test_a_withdrawn_article_corrects_no_closest_passage(slack: SlackServer, app: App, says: Say) -> None:
    says(status="not_found", closest=(citation(),))
    asked(slack, app)
    with app.workspace.index_writer() as indexer:
        indexer.publish(retired=["cup"])
    assert app.workspace.citation_audit.find_affected_ids() == []

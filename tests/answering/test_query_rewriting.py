"""Conversations: follow-ups are joined to what they lean on, and small talk is no question."""

from __future__ import annotations

import pytest

from bot.answering.query_rewriting import (
    MAX_HISTORY_CHARS,
    small_talk_reply,
    standalone_question,
    trim_history,
)
from bot.answering.question import ConversationTurn


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "Hello!",
        "good morning",
        "Thanks a lot.",
        "thank you",
        "help",
        "Who are you?",
        "OK",
        "Thank you, Citewire!",
    ],
)
def test_small_talk_gets_a_reply(text: str) -> None:
    assert small_talk_reply(text)


@pytest.mark.parametrize(
    "text",
    [
        "Who won?",
        "hi, who won the final?",
        "Thanks to whom did it land?",
        "What is this year's inflation rate?",
        "help wanted ads",
        "",
    ],
)
def test_questions_are_not_small_talk(text: str) -> None:
    assert small_talk_reply(text) is None


FINAL = "Who won the 2022 World Cup final?"


@pytest.mark.parametrize(
    ("question", "history", "standalone"),
    [
        ("Who scored for Argentina?", [], "Who scored for Argentina?"),
        ("And who scored?", [FINAL], f"{FINAL} And who scored?"),
        ("When was that?", [FINAL], f"{FINAL} When was that?"),
        (
            "Where did it take place exactly this time?",
            [FINAL],
            f"{FINAL} Where did it take place exactly this time?",
        ),
        ("Which stadium?", [FINAL], f"{FINAL} Which stadium?"),
        ("Did Croatia adopt the euro?", [FINAL], "Did Croatia adopt the euro?"),
        *(
            (alone, [FINAL], alone)
            for alone in (
                "is there a vaccine against malaria in children?",
                "how long does it take to fly to mars?",
                "is it true that vaccines cause autism?",
            )
        ),
        *(
            (leaning, [FINAL], f"{FINAL} {leaning}")
            for leaning in (
                "is there any news of the negotiations today?",
                "who was there on that day in the end?",
            )
        ),
        ("What did Powell say about its rates?", [FINAL], "What did Powell say about its rates?"),
        ("And when?", [FINAL, "And who scored?"], f"{FINAL} And who scored? And when?"),
        ("And who scored?", [FINAL, "thanks"], f"{FINAL} And who scored?"),
        ("And when?", ["  "], "And when?"),
        ("How long is its border with Russia?", [FINAL], f"{FINAL} How long is its border with Russia?"),
        ("Did he join Inter Miami?", [FINAL], f"{FINAL} Did he join Inter Miami?"),
        ("When did Powell say his bank would act?", [FINAL], "When did Powell say his bank would act?"),
        ("And did Croatia adopt the euro in 2023?", [FINAL], "And did Croatia adopt the euro in 2023?"),
        ("So when did Powell raise it?", [FINAL], f"{FINAL} So when did Powell raise it?"),
    ],
)
def test_a_follow_up_is_joined_to_what_it_leans_on(
    question: str, history: list[str], standalone: str
) -> None:
    assert standalone_question(question, [ConversationTurn(line) for line in history]) == standalone


@pytest.mark.parametrize(
    ("question", "earlier", "standalone"),
    [
        ("What about 2019?", "Who won the World Cup in 2018?", "Who won the World Cup in 2019?"),
        ("What about in 2018?", "Who won the 2022 World Cup final?", "Who won the 2018 World Cup final?"),
        ("And in France?", "What does bread cost in Norway?", "What does bread cost in France?"),
        ("and in France?", "Who won the election?", "Who won the election in France?"),
        ("And last year?", "Who won in 2022?", "Who won last year?"),
        ("What about yesterday?", "What did the Fed say in July 2023?", "What did the Fed say yesterday?"),
        ("and since Monday?", "What did the Fed say in July 2023?", "What did the Fed say since Monday?"),
        ("What about June 2022?", "How many died in Texas?", "How many died in Texas in June 2022?"),
        (
            "And in May 2020?",
            "How many died in June and in July?",
            "How many died in June and in July? And in May 2020?",
        ),
        ("And for women?", "Who won the 2022 final?", "Who won the 2022 final? And for women?"),
        (
            "And what about in 2019 did he say?",
            "Who won in 2018?",
            "Who won in 2018? And what about in 2019 did he say?",
        ),
    ],
)
def test_a_follow_up_may_change_one_thing_of_the_earlier_question(
    question: str, earlier: str, standalone: str
) -> None:
    assert standalone_question(question, [ConversationTurn(earlier)]) == standalone


def test_the_names_of_the_answer_stand_in_where_the_earlier_question_names_nobody() -> None:
    history = [ConversationTurn("which team won the cup?", "Argentina won the cup against France in Qatar.")]
    assert standalone_question("Who is their coach?", history) == (
        "which team won the cup? Argentina France Qatar Who is their coach?"
    )
    history = [ConversationTurn("Did Croatia join the euro?", "Yes, says Ursula von der Leyen.")]
    assert standalone_question("And when?", history) == "Did Croatia join the euro? And when?"


def test_memory_keeps_the_newest_exchanges_that_it_has_room_for() -> None:
    history = [ConversationTurn(f"Question {n}?", "a" * (MAX_HISTORY_CHARS // 3)) for n in range(9)]
    assert trim_history([*history, ConversationTurn("thanks"), ConversationTurn(" ")]) == tuple(history[-2:])
    longer = ConversationTurn("q" * 2 * MAX_HISTORY_CHARS)
    assert trim_history([*history, longer]) == (longer,)  # the last one is always kept
    assert trim_history([]) == ()

"""Conversations: follow-ups are joined to what they lean on, and small talk is no question."""

from __future__ import annotations

import pytest

from bot.answers.conversation import small_talk_reply, standalone_question


@pytest.mark.parametrize(
    "text", ["hi", "Hello!", "good morning", "Thanks a lot.", "thank you", "help", "Who are you?", "OK"]
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
        ("What did Powell say about its rates?", [FINAL], "What did Powell say about its rates?"),
        ("And when?", [FINAL, "And who scored?"], f"{FINAL} And who scored? And when?"),
        ("And who scored?", [FINAL, "thanks"], f"{FINAL} And who scored?"),
        ("And when?", ["  "], "And when?"),
    ],
)
def test_a_follow_up_is_joined_to_what_it_leans_on(
    question: str, history: list[str], standalone: str
) -> None:
    assert standalone_question(question, history) == standalone

"""What a question asks for, and whether a sentence holds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answers.expected import full_names, names, names_and_numbers, offers


@pytest.mark.parametrize(
    ("question", "sentence", "expected"),
    [
        ("How many people died?", "At least 40 people died.", True),
        ("How many people died?", "Two people died.", True),
        ("How many of the 40 died?", "The 40 were lost.", False),
        ("How much does it cost?", "It is dear.", False),
        ("When did it open?", "It opened in 1971.", True),
        ("When did it open?", "It opened on Monday.", True),
        ("When did it open?", "It may open.", False),
        ("Who won?", "The cup went to Argentina.", True),
        ("Did Argentina win, and who scored?", "The cup went to Argentina.", False),
        ("Which team won?", "They won the cup.", False),
        ("Why did it fail?", "It failed for lack of money.", False),
        ("What league did he join?", "He joined the NBA.", True),
        ("What did he join?", "He joined the NBA.", False),
        ("What is the league?", "He joined the NBA.", False),
    ],
)
def test_offers(question: str, sentence: str, expected: bool) -> None:
    assert offers(question, sentence) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The mayor met Ana Ruiz. She left.", ["Ana", "Ruiz"]),
        ("“Never,” said Lee: No one knew.", ["Lee"]),
        ("nothing here", []),
        ("", []),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When did Norway join the EU?", ["Norway", "EU"]),
        ("Who won? And Mbappé in 2022?", ["Mbappé", "2022"]),
        ("What is R21", ["R21"]),
        ("", []),
    ],
)
def test_names_and_numbers(question: str, expected: list[str]) -> None:
    assert names_and_numbers(question) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who blocked the Suez Canal?", [("Suez", "Canal")]),
        ("Did Ana Maria Ruiz win?", [("Ana", "Maria"), ("Maria", "Ruiz")]),
        ("Did Ana, Maria or the Ruiz family win in March 2024?", []),
        ("Is Notre-Dame open?", []),
        ("", []),
    ],
)
def test_names_of_several_words(text: str, expected: list[tuple[str, str]]) -> None:
    assert full_names(text) == expected


@given(st.text(), st.text())
def test_no_text_can_raise(question: str, sentence: str) -> None:
    assert offers(question, sentence) in (True, False)
    assert all(name in question for name in names_and_numbers(question))

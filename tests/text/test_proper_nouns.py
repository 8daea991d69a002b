"""Names and numbers are found by their capital letters and digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text.proper_nouns import full_names, names, names_and_numbers


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


@given(st.text())
def test_no_text_can_raise(question: str) -> None:
    assert all(name in question for name in names_and_numbers(question))

"""Sentences that can be quoted: whole, of the article itself, and clear by themselves."""

from __future__ import annotations

import pytest
from conftest import make, take_in

from bot.answers.sentences import candidates, is_quotable
from bot.workspace import Workspace


@pytest.mark.parametrize(
    "text",
    [
        "The lander touched down on the Moon at noon.",
        "“We have landed,” the director said.",
        "By Monday the water had gone down.",
        "Sign language interpreters were hired for the trial.",
        "Photographs of the crash were shown to the jury.",
        "He told readers to follow the money.",
    ],
)
def test_quotable(text: str) -> None:
    assert is_quotable(text)


@pytest.mark.parametrize(
    "text",
    [
        "Read more about the landing here.",
        "Sign up for our daily newsletter today.",
        "Get the weekly newsletter: sign up here to get it every Tuesday.",
        "We use cookies to improve your experience.",
        "Editor’s note: this story was updated on Friday.",
        "By Ana Ruiz, Daily Planet staff writer.",
        "Photo by Lee Chang for the Daily.",
        "This story has been updated with new figures.",
        "Contributing: The Associated Press and wire reports.",
        "The lander on the Moon",
        "Not this.",
        "",
    ],
)
def test_not_quotable(text: str) -> None:
    assert not is_quotable(text)


@pytest.mark.parametrize(
    "dateline",
    [
        "(CNN) ",
        "PARIS (AP) — ",
        "Paris (CNN Business) ",
        "ENGLEWOOD, Colo. (AP) - ",
        "LONDON/KYIV (Reuters) – ",
    ],
)
def test_where_a_report_was_filed_is_no_part_of_its_first_sentence(
    workspace: Workspace, dateline: str
) -> None:
    take_in(
        workspace,
        [make({"id": "x", "text": f"{dateline}Rain fell on the coast all day. It stopped at night."})],
    )
    first = next(candidates(workspace.retriever.search("Rain")))
    assert first.text == "Rain fell on the coast all day."


@pytest.mark.parametrize(
    "text",
    [
        "Ana Ruiz (Spain) won the race.",
        "The WHO (UN) agency met.",
        "He (Lee) left at noon.",
        "Ann Lee (Democrat) Tuesday left the race.",
    ],
)
def test_other_brackets_stay(workspace: Workspace, text: str) -> None:
    take_in(workspace, [make({"id": "x", "text": text})])
    assert [found.text for found in candidates(workspace.retriever.search("race agency noon"))] == [text]


def test_a_pronoun_brings_the_sentence_before_it_but_no_furniture(workspace: Workspace) -> None:
    text = "Ada wrote the first program. She published it in 1843.\n\nRead more about her life here.\n\nHer notes are still read today."
    take_in(workspace, [make({"id": "x", "text": text})])
    found = list(candidates(workspace.retriever.search("Ada program")))
    shown = [c.hit.passage.text[c.clear.start : c.clear.end] for c in found]
    assert shown == [
        "Ada wrote the first program.",
        "Ada wrote the first program. She published it in 1843.",
        "Her notes are still read today.",
    ]
    assert [c.points_back for c in found] == [False, True, True]

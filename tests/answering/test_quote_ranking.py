"""Sentences that can be quoted: whole, of the article itself, and clear by themselves."""

from __future__ import annotations

import pytest
from conftest import make, take_in

from bot.answering.quote_ranking import is_quotable, iter_candidates
from bot.services import Services


@pytest.mark.parametrize(
    "text",
    [
        "The lander touched down on the Moon at noon.",
        "“We have landed,” the director said.",
        "By Monday the water had gone down.",
        "Sign language interpreters were hired for the trial.",
        "Photographs of the crash were shown to the jury.",
        "He told readers to follow the money.",
        "“Why did the lander fall?” she asked.",
        "Ten of the 24/7 shops by the AP office were closed.",
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
        "Ana Ruiz/AFP/Getty Images The lander rests on the Moon after its landing.",
        "The lander rests on the Moon (AP Photo/Ana Ruiz).",
        "Which lander touched down on the Moon at noon?",
        "“Which lander touched down on the Moon at noon?”",
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
        "BOGOTA, Colombia — ",
        "ST. JOHN’S – ",
        "NEW YORK -- ",
    ],
)
def test_where_a_report_was_filed_is_no_part_of_its_first_sentence(
    workspace: Services, dateline: str
) -> None:
    take_in(
        workspace,
        [make({"id": "x", "text": f"{dateline}Rain fell on the coast all day. It stopped at night."})],
    )
    first = next(iter_candidates(workspace.retriever.search("Rain")))
    assert first.text == "Rain fell on the coast all day."


@pytest.mark.parametrize(
    "text",
    [
        "Ana Ruiz (Spain) won the race.",
        "The WHO (UN) agency met.",
        "He (Lee) left at noon.",
        "Ann Lee (Democrat) Tuesday left the race.",
        "NASA’s race — The first of its kind — began at noon.",
        "UK - The race was won at noon.",
    ],
)
def test_other_brackets_stay(workspace: Services, text: str) -> None:
    take_in(workspace, [make({"id": "x", "text": text})])
    assert [found.text for found in iter_candidates(workspace.retriever.search("race agency noon"))] == [text]


def test_a_pronoun_brings_the_sentence_before_it_but_no_furniture(workspace: Services) -> None:
    text = "Ada wrote the first program. She published it in 1843.\n\nRead more about her life here.\n\nHer notes are still read today."
    take_in(workspace, [make({"id": "x", "text": text})])
    found = list(iter_candidates(workspace.retriever.search("Ada program")))
    shown = [c.hit.passage.text[c.readable_span.start : c.readable_span.end] for c in found]
    assert shown == [
        "Ada wrote the first program.",
        "Ada wrote the first program. She published it in 1843.",
        "Her notes are still read today.",
    ]
    assert [c.starts_with_anaphor for c in found] == [False, True, True]
    assert [c.has_unresolved_anaphor for c in found] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "dangles"),
    [
        ("She published it in 1843.", True),
        ("She was a countess by marriage. She published it in 1843.", True),
        ("Ada was a countess by marriage. She published it in 1843.", False),
        ("This week she published it at last.", False),
        ("This made her known to everyone.", True),
    ],
)
def test_what_a_reader_could_not_understand_is_known(workspace: Services, text: str, dangles: bool) -> None:
    take_in(workspace, [make({"id": "x", "text": text})])
    *_, last = iter_candidates(workspace.retriever.search("published known countess"))
    assert last.has_unresolved_anaphor is dangles

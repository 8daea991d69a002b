"""The lies that the benchmark plants: each false by its making, each truth true, the same at every run."""

from __future__ import annotations

import re

import pytest
from bench.planting import INVENTED, LIES, TRUTHS, VERBATIM, WRONG_PASSAGE, Said, answer
from bench.planting.world import World, read_prompt

PROMPT = """\
<passage n="1" id="c0de" title="Lander &amp; rover touch down" outlet="Daily" published="23 August 2023">
A lander of the space agency touched down near the south pole of the Moon on Wednesday, according to Mission Control. \
Its rover rolled out four hours later and drove 120 metres in the first week. \
“The people of the whole country are watching this landing with great pride,” the minister Anita Rao said in Delhi. \
The rover has two cameras and a drill, which are to work for fourteen days. \
Engineers said that the battery of the lander is in good order. \
Another lander is to follow next year, which will bring soil of the Moon back to Earth.
</passage id="c0de">
<passage n="2" id="c0de" title="Bank fails" outlet="Ledger" published="10 March 2023">
A bank in California failed on Friday after its customers withdrew $42 billion within a day. \
The regulators in Sacramento closed its branches and were looking for a buyer. \
“Nobody who kept savings with this institution will lose a single dollar,” the governor Marcus Bell told reporters. \
The bank was founded in 1983 and had 8,500 employees. \
Shares of other lenders fell for days, including those of some in Europe.
</passage id="c0de">
<passage n="3" id="c0de" title="Final won on penalties" outlet="Daily" published="18 December 2022">
Argentina won the final in Qatar against France on penalties on December 18 after a draw. \
The captain Lionel Messi scored twice and was named the best player of the tournament. \
More than 88,000 people filled the stadium in Lusail, the organisers said.
</passage id="c0de">

<question id="c0de">
What did the rover of the lander do on the Moon?
</question id="c0de">"""


@pytest.fixture
def world() -> World:
    return read_prompt(PROMPT)


@pytest.fixture
def said(world: World) -> dict[str, Said]:
    return {one.kind: one for one in answer(world)}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def test_the_prompt_is_read_from_its_fences(world: World) -> None:
    assert world.question == "What did the rover of the lander do on the Moon?"
    assert [passage.n for passage in world.passages] == [1, 2, 3]
    assert world.passages[0].article == "Lander & rover touch down\nDaily\n23 August 2023"
    assert world.passages[1].text.startswith("A bank in California failed")


def test_an_answer_holds_a_sentence_of_every_kind_and_a_true_one_first(
    world: World, said: dict[str, Said]
) -> None:
    assert said.keys() == {*LIES, *TRUTHS}
    assert answer(read_prompt(PROMPT))[0].kind == VERBATIM


def test_the_same_prompt_gives_the_same_answer() -> None:
    assert answer(read_prompt(PROMPT)) == answer(read_prompt(PROMPT))


@pytest.mark.parametrize("kind", ["wrong number", "wrong date", "wrong name", "altered quotation"])
def test_a_lie_holds_a_word_that_its_passage_does_not(world: World, said: dict[str, Said], kind: str) -> None:
    lie = said[kind]
    passage = world.passages[lie.cited - 1]
    assert lie.line in passage.text
    assert words(lie.text) - words(passage.text)


def test_a_quotation_is_altered_between_its_marks(said: dict[str, Said]) -> None:
    lie = said["altered quotation"]
    before, after = (re.findall(r"“[^”]*”", text) for text in (lie.line, lie.text))
    assert before != after
    assert re.sub(r"“[^”]*”", "", lie.line) == re.sub(r"“[^”]*”", "", lie.text)


def test_a_negation_is_one_word_more_or_less(said: dict[str, Said]) -> None:
    lie = said["negated"]
    assert abs(len(lie.text.split()) - len(lie.line.split())) <= 2
    assert ("not" in lie.text.split()) != ("not" in lie.line.split())


def test_a_sentence_is_misplaced_into_another_article(world: World, said: dict[str, Said]) -> None:
    lie = said[WRONG_PASSAGE]
    assert lie.text not in world.passages[lie.cited - 1].text
    assert any(lie.text in passage.text for passage in world.passages)


def test_an_invention_stands_in_no_passage(world: World, said: dict[str, Said]) -> None:
    assert not any(said[INVENTED].text in passage.text for passage in world.passages)


def test_a_true_sentence_brings_no_word_but_those_that_say_who_says_so(
    world: World, said: dict[str, Said]
) -> None:
    for kind in TRUTHS:
        true = said[kind]
        new = words(true.text) - words(world.passages[true.cited - 1].text)
        assert new <= {"and", "according", "to", "said", "told", "stated"}, true
    assert said[VERBATIM].text == said[VERBATIM].line


def test_every_sentence_is_marked_once(said: dict[str, Said]) -> None:
    for one in said.values():
        assert re.fullmatch(rf"[^\[\]]+ \[{one.cited}\]\.?", one.marked)

"""Claims: whatever dress a model puts its sentences in, and however a stream cuts them, the same ones come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answering.generation.output_parser import CitedSentence, StreamingAnswerParser

Expected = list[tuple[str, tuple[int, ...]]]


def parsed(text: str, *, cut: bool = False, passages: int = 5) -> list[CitedSentence]:
    parser = StreamingAnswerParser(passages)
    return [*parser.feed(text), *parser.close(cut=cut)]


WRITTEN: dict[str, tuple[str, Expected]] = {
    "before the stop": ("It rained [1]. It snowed [2].", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "behind the stop": ("It rained. [1] It snowed. [2]", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "at the stop": ("It rained.[1][3] It snowed.[1, 2]", [("It rained.", (1, 3)), ("It snowed.", (1, 2))]),
    "within": ("It rained [1] and snowed [2].", [("It rained and snowed.", (1, 2))]),
    "on a line of their own": ("It rained.\n[1]\nIt snowed.\n[2]", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "lenticular": ("It rained 【1】. It snowed 【2†source】.", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "round": ("It rained (1). It snowed (2, 3).", [("It rained.", (1,)), ("It snowed.", (2, 3))]),
    "round, but no mark": ("He came (19) in 2022 (2022).", [("He came (19) in 2022 (2022).", ())]),
    "footnotes": ("It rained [^1].\n\n[^1]: Daily, 4 May.", [("It rained.", (1,))]),
    "ranges and words": ("It rained [1-3]. It snowed [Passage 2].", [("It rained.", (1, 2, 3)), ("It snowed.", (2,))]),
    "as links": ("It rained [1](https://evil.example).", [("It rained.", (1,))]),
    "twice": ("It rained [1][1] [1].", [("It rained.", (1,))]),
    "out of range": ("It rained [9].", [("It rained.", (9,))]),
    "none": ("It rained.", [("It rained.", ())]),
    "marks alone": ("[1]", []),
    "a list": ("- It rained [1]\n- It snowed [2]\n", [("It rained", (1,)), ("It snowed", (2,))]),
    "a numbered list": ("1. It rained [1].\n2) It snowed [2].", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "headings": ("## Weather\n\n**Summary**\n\nIt rained [1].\n\n---\nSources:\n", [("It rained.", (1,))]),
    "a table": (
        "| Day | Rain |\n|---|---|\n| Monday | 3 mm [1] |\n| Friday | 4 mm [2] |\nIt rained [3].",
        [("Monday, 3 mm", (1,)), ("Friday, 4 mm", (2,)), ("It rained.", (3,))],
    ),
    "a fence": ("```markdown\nIt rained [1].\n```", [("It rained.", (1,))]),
    "a block quote": ("> It rained [1].\n> It snowed [2].", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "emphasis": ("It **really *rained*** on `Monday` [1].", [("It really rained on Monday.", (1,))]),
    "links and images": ("It rained ![x](http://e.example/x.png) on [Monday](http://e.example) [1].", [("It rained on Monday.", (1,))]),
    "tags": ("It <b>rained</b> <!channel> <@U123> [1].", [("It rained.", (1,))]),
    "a quotation of two sentences": (
        'He said: "It is over. We won." [1] Then “he left. Alone.” he wrote [2].',
        [('He said: "It is over. We won."', (1,)), ("Then “he left. Alone.” he wrote.", (2,))],
    ),
    "a sentence that begins with a quotation": (
        "It cost $1.2 million [1]. “Too much”, he said [2].",
        [("It cost $1.2 million.", (1,)), ("“Too much”, he said.", (2,))],
    ),
    "abbreviations": (
        "The U.S. Fed met Dr. Smith at 5 p.m. on Friday [1]. It rained [2].",
        [("The U.S. Fed met Dr. Smith at 5 p.m. on Friday.", (1,)), ("It rained.", (2,))],
    ),
    "a mark behind an abbreviation": (
        "He met her in Washington, DC [2]. “I am glad,” she said [1].",
        [("He met her in Washington, DC.", (2,)), ("“I am glad,” she said.", (1,))],
    ),
    "an hour with its zone": ("It shook at 4:54 p.m. ET on Tuesday [1].", [("It shook at 4:54 p.m. ET on Tuesday.", (1,))]),
    "a wrapped line": ("It rained on\nMonday [1].", [("It rained on", ()), ("Monday.", (1,))]),
    "a wrapped line that goes on": ("It rained\non Monday [1].", [("It rained on Monday.", (1,))]),
    "an introduction": ("Answer: It rained [1].\nThe answer is: It snowed [2].", [("It rained.", (1,)), ("It snowed.", (2,))]),
    "a thought": ("<think>Did it [1]? Yes.</think>\nIt rained [1].", [("It rained.", (1,))]),
    "a thought alone": ("<think>Did it rain", []),
    "a word": ("Idaho [1]", [("Idaho", (1,))]),
    "nothing": ("", []),
    "white space": (" \n \n", []),
    "a refusal": ("The articles do not say.", [("The articles do not say.", ())]),
    "JSON": ('{"answer": "It rained [1]. It snowed.", "citations": [2]}', [("It rained.", (1,)), ("It snowed.", (2,))]),
    "JSON in a fence": ('```json\n{"text": "It rained.", "sources": ["[1]"]}\n```', [("It rained.", (1,))]),
    "JSON by sentences": (
        '{"sentences": [{"text": "It rained.", "citations": [1]}, {"text": "It snowed.", "citations": ["2"]}]}',
        [("It rained.", (1,)), ("It snowed.", (2,))],
    ),
    "a JSON list": ('["It rained [1].", "It snowed [2]."]', [("It rained.", (1,)), ("It snowed.", (2,))]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_what_models_write_is_read(name: str) -> None:
    text, expected = WRITTEN[name]
    assert [(claim.text, claim.cited) for claim in parsed(text)] == expected
    assert all(claim.complete for claim in parsed(text))


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("It rained [1]. It sno", [True, False]),
        ("It rained [1].", [True]),
        ("It rained [1]", [False]),
        ("It rained. [1]", [True]),
        ("It rained. [1", [True]),
        ("| Monday | 3 mm [1] |\n| Fri", [True, False]),
        ('{"answer": "It rai', [False]),
        ('{"answer": ' * 3000 + '"It rained."' + "}" * 3000, [False]),  # deeper than any reader goes
    ],
)
def test_what_was_cut_off_is_no_whole_claim(text: str, complete: list[bool]) -> None:
    assert [claim.complete for claim in parsed(text, cut=True)] == complete


@pytest.mark.parametrize(
    "text",
    [f"<think>{'Did it rain? ' * 20_000}</think>", f'{{"answer": "{"rain " * 40_000}"}}\n', f"{'rain ' * 40_000}\n", " " * 99_999],
)  # fmt: skip
def test_a_flood_of_words_keeps_nobody_waiting(text: str) -> None:
    assert [claim.text for claim in parsed(f"{text}It rained [1].") if claim.complete] == ["It rained."]


def test_a_sentence_is_given_as_soon_as_the_next_one_begins() -> None:
    parser = StreamingAnswerParser(3)
    assert list(parser.feed("It rained [1]. It")) == []
    assert list(parser.feed(" s")) == [CitedSentence("It rained.", (1,))]


def test_what_never_ends_is_not_kept_for_ever_and_is_no_whole_claim() -> None:
    (claim,) = parsed("x" * 1_000_000)
    assert len(claim.text) < 5_000
    assert not claim.complete


PIECES = st.sampled_from(
    [
        "It rained", "He said “It is over. We won.”", ".", " ", "\n", "\n\n", "[1]", "[2, 3]", "【1】", "(1)", "[^2]", "[", "]", "(",
        "- ", "1. ", "| a | b |\n", "|---|---|\n", "```\n", "```json\n", "{", "}", '"', "“", "”", "# Head\n", "**", "U.S.", "5 p.m.",
        "Dr. ", "?", "!", "…", "<think>", "</think>", "x.example", "é", "2022", "A", "and so on",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join), st.lists(st.integers(1, 9), max_size=60), st.booleans())
def test_however_a_stream_is_cut_the_claims_are_the_same(text: str, cuts: list[int], cut: bool) -> None:
    parser = StreamingAnswerParser(3)
    streamed: list[CitedSentence] = []
    rest = text
    for size in cuts:
        streamed += parser.feed(rest[:size])
        rest = rest[size:]
    streamed += [*parser.feed(rest), *parser.close(cut=cut)]
    assert streamed == parsed(text, cut=cut, passages=3)


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error_and_without_marks_of_markup(text: str) -> None:
    for claim in parsed(text):
        assert claim.text.strip() == claim.text != ""
        assert "\n" not in claim.text


@given(
    st.dictionaries(
        st.sampled_from(["answer", "text", "citations", "x"]),
        st.recursive(
            st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
        ),
        max_size=4,
    )
)
def test_any_json_is_read_without_an_error(value: object) -> None:
    import json

    parsed(json.dumps(value))

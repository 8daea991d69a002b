"""Answer matching: whole tokens, numbers by value, offsets into the original."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.text.tokens import contains_answer, find_answer, tokens

MEET = [
    ("two hours", "It took 2 hours."),
    ("2 hours", "It took two hours."),
    ("$1.2 million", "a deal worth 1.2m"),
    ("1.2m", "a deal worth $1,200,000"),
    ("$1,200,000", "a $1.2-million deal"),
    ("1.5bn", "£1.5 billion of it"),
    ("1,500,000,000", "€1.5bn of it"),
    ("3.14", "so it is (3.14)."),
    ("5%", "5 percent of them"),
    ("5 percent", "five per cent of them"),
    ("5 per cent", "5 % of them"),
    ("first", "on June 1st"),
    ("1st", "the First Lady"),
    ("twenty-first", "the 21st century"),
    ("101st", "the one hundred and first of them"),
    ("1.2345 million", "1,234,500 people"),
    ("two hundred thousand", "200,000 people"),
    ("200 thousand", "two hundred thousand people"),
    ("2,300,000", "two million three hundred thousand"),
    ("99", "ninety-nine red balloons"),
    ("99", "ninety nine red balloons"),
    ("100", "a hundred of them"),
    ("1,000,005", "a million and five"),
    ("500,000", "half a million people"),
    ("202,000", "two hundred and two thousand"),
    ("0.5", "by .50 points"),
    ("100000", "Rs 1,00,000"),
    ("10,000", "10 000 metres"),
    ("10,000", "10\u202f000 metres"),
    ("10,000", "10\u00a0000 metres"),
    ("10,000", "10K followers"),
    ("$5", "US$5 a gallon"),
    ("5 million", "5million"),
    ("2022", "in 2022."),
    ("12 June", "on 12 June 2022"),
    ("10 p.m.", "at 10pm"),
    ("10km", "a 10 km run"),
    ("Türkiye", "in TÜRKİYE"),
    ("Türkiye", "in Tu\u0308rkiye"),
    ("Tu\u0308rkiye", "in Türkiye's south"),
    ("STRASSE", "die Straße"),
    ("“Squid Game”", 'the "squid game" is on'),
    ("The Tony Awards", "at Tony Awards night"),
    ("Tony Awards", "at the Tony Awards"),
    ("cat on a mat", "the cat on the mat"),
    ("The Who", "who played"),
    ("Messi's goal", "Messi goal"),
    ("Messi", "MESSI’S goal"),
    ("the players’ union", "The players union"),
    ("isn’t", "It isn't."),
    ("O'Brien", "O’Brien"),
    ("state of the art", "state-of-the-art"),
    ("U.S.", "the US Army"),
    ("US", "the U.S.'s army"),
    ("Johnson & Johnson", "Johnson and Johnson"),
    ("BA.5", "the BA.5 variant"),
    ("3.11.7", "Python 3.11.7."),
    ("A", "Plan A"),
    ("Serie A", "in the Serie A this year"),
    ("the Vitamin A", "lack of vitamin A"),
    ("US$1.2 million", "$1.2m"),
    ("A$5", "5 dollars"),
    ("$1.2m", "C$ 1.2 million"),
    ("two", "the two-hundred club, two of them"),
]  # fmt: skip
APART = [
    ("10,000", "100,000 people"),
    ("10,000", "10,000,000 people"),
    ("9", "90 people"),
    ("9", "19 or 9.5 or 1.9 or 2,009"),
    ("000", "10,000"),
    ("314", "(3.14)"),
    ("$5", "$50"),
    ("5", "$5.9 or 5 million or 5m or 5bn or 5th"),
    ("5", "twenty-five"),
    ("20", "twenty-five"),
    ("two", "two hundred"),
    ("200", "two hundred and fifty"),
    ("hundred", "two hundred"),
    ("5%", "5 of them"),
    ("1", "the first"),
    ("first", "one of them"),
    ("90", "the 90s and the 1990s"),
    ("102", "between one hundred and two hundred"),
    ("1,000,002", "between one million and two million"),
    ("201st", "two hundred first responders"),
    ("5", "5G"),
    ("2", "2½ hours"),
    ("Türkiye", "Turkiye"),
    ("art", "state of the artist"),
    ("Messi goal", "the goal of Messi"),
    ("A", "a dog"),
    ("Serie A", "relegated to Serie B"),
    ("Vitamin A", "a vitamin"),
    ("100,000", "10,000"),
    ("3.14", "314"),
    ("", "anything"),
    ("?!", "what?!"),
    ("x", ""),
    ("", ""),
]


@pytest.mark.parametrize(("answer", "text"), MEET)
def test_an_answer_is_found_however_it_is_written(answer: str, text: str) -> None:
    assert contains_answer(text, answer)


@pytest.mark.parametrize(("answer", "text"), APART)
def test_what_is_another_word_or_number_is_not_found(answer: str, text: str) -> None:
    assert find_answer(text, answer) is None


@pytest.mark.parametrize(
    ("text", "answer", "matched"),
    [
        ("He paid $1.2 million for it.", "$1,200,000", "1.2 million"),
        ("He paid $1.2m for it.", "1.2 million", "1.2m"),
        ("In the U.S. (3.14) is", "3.14", "3.14"),
        ("Messi’s goal", "messi", "Messi"),
        ("By five per cent, then", "5%", "five per cent"),
        ("‘The Lord of the Rings’", "lord of rings", "Lord of the Rings"),
        ("90, then 9, then 9", "9", "9"),
        ("in Tu\u0308rkiye.", "Türkiye", "Tu\u0308rkiye"),
    ],
)
def test_the_span_holds_the_words_that_matched(text: str, answer: str, matched: str) -> None:
    span = find_answer(text, answer)
    assert span is not None
    assert text[span[0] : span[1]] == matched


def test_tokens_are_numbers_by_value_and_words_folded() -> None:
    assert [token.text for token in tokens("The 21st: “Türkiye’s” $2.50, twenty-two & a U.S. 5%")] == [
        "21th", "türkiye", "2.5", "22", "and", "us", "5", "percent",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["two million ", "123 ", "12,12,", "one hundred and ", "a.", "1.2.", "x'", "\u00dc\u0308"]
)
def test_a_long_text_is_read_in_one_go(text: str) -> None:
    begun = time.process_time()
    assert tokens(text * 20_000)
    assert time.process_time() - begun < 5


# Words that the reading of numbers hinges on, any letters, and what stands between them.
WORDS = "a A US$ the an one two five twenty hundred thousand million first second and half per cent pct 5 10 000 1,000 1.5 .5 1.2m 1st 5G 5% U.S. 's Messi's it’s & $ £5 bn é e\u0301 ʼ"
pieces = st.one_of(st.sampled_from(WORDS.split()), st.text(max_size=4))
gaps = st.sampled_from([" ", " ", " ", "-", ", ", ". ", "\n", "", "’", "'", ",", "."])
texts = st.lists(st.tuples(pieces, gaps), max_size=12).map(lambda parts: "".join(a + b for a, b in parts))


@given(texts, st.data())
def test_a_slice_of_whole_tokens_is_found(text: str, data: st.DataObject) -> None:
    found = tokens(text)
    if not found:
        assert not contains_answer(text, text)
        return
    first = data.draw(st.integers(0, len(found) - 1))
    last = data.draw(st.integers(first, len(found) - 1))
    span = find_answer(text, text[found[first].start : found[last].end])
    assert span is not None
    assert span[0] <= found[first].start
    assert contains_answer(text, text)


@given(texts)
def test_tokens_stand_in_order_and_say_themselves(text: str) -> None:
    end = 0
    for token in tokens(text):
        assert end <= token.start < token.end <= len(text)
        assert token.text
        assert [again.text for again in tokens(text[token.start : token.end])] == [token.text]
        end = token.end


@given(texts, texts)
def test_what_is_found_says_the_same(text: str, answer: str) -> None:
    span = find_answer(text, answer)
    if span is not None:
        assert [token.text for token in tokens(text[span[0] : span[1]])] == [t.text for t in tokens(answer)]


@given(texts)
@example("\u00d9.1 ")
def test_composed_and_decomposed_letters_are_the_same(text: str) -> None:
    words = [token.text for token in tokens("x " + unicodedata.normalize("NFD", text))]
    assert words == [token.text for token in tokens("x " + unicodedata.normalize("NFC", text))]


numbers = st.one_of(st.integers(0, 120), st.integers(0, 10**7), st.integers(0, 10**15))
styles = st.sampled_from(["{}", "{:,}", "${:,}", "({:,})", "{:,}%", "{:,}.", "{:,}.0", "about {:,}, said"])


@given(numbers, numbers, styles, st.sampled_from(["{}", "{:,}", "${:,}"]))
def test_a_number_is_found_only_in_itself(there: int, sought: int, style: str, other: str) -> None:
    assert contains_answer(style.format(there), other.format(sought)) == (there == sought)


@given(st.integers(0, 10**15 - 1), st.booleans(), st.sampled_from([" ", "-"]))
def test_numbers_in_words_are_read(value: int, linked: bool, tens: str) -> None:
    assert [token.text for token in tokens(spelled(value, " and " if linked else " ", tens))] == [str(value)]


ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]  # fmt: skip


def spelled(value: int, link: str, tens: str) -> str:
    """Write a number in words."""
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (tens + ONES[value % 10] if value % 10 else "")
    for scale, name in (
        (10**12, "trillion"),
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if value >= scale:
            rest = value % scale
            after = (link if rest < 100 else " ") + spelled(rest, link, tens) if rest else ""
            return f"{spelled(value // scale, link, tens)} {name}{after}"
    raise AssertionError(value)

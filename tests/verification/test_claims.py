"""What a sentence claims and a text lacks: numbers, dates, quotations and names, and the equals of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.verification.claims.dates import missing_dates
from bot.verification.claims.missing import find_missing
from bot.verification.claims.names import is_substituted_name, missing_names
from bot.verification.claims.negation import has_modality_mismatch, has_negation_mismatch
from bot.verification.claims.numbers import missing_numbers
from bot.verification.claims.quotations import find_verbatim, missing_quotations, quotations


@pytest.mark.parametrize(
    ("sentence", "text", "missing"),
    [
        ("Two men died.", "2 men died.", []),
        ("It cost $1.2 million.", "It cost $1,200,000.", []),
        ("It cost $1.2m.", "It cost 1.2 million dollars.", []),
        ("It cost £5.", "It cost $5.", ["5"]),
        ("10,000 came.", "10000 came.", []),
        ("12 people came.", "1.2 people came.", ["12"]),
        ("She came third.", "She came 3rd.", []),
        ("She came third.", "She came 4th.", ["third"]),
        ("50 percent agreed.", "50% agreed.", []),
        ("50% agreed.", "Half of them agreed.", []),
        ("50% agreed.", "50 agreed.", ["50"]),
        ("He scored a dozen times.", "He scored twice.", ["dozen"]),
        ("He scored thrice.", "He scored three times.", []),
        ("He scored thrice.", "He scored twice.", ["thrice"]),
        ("Two dozen came.", "About two dozen people came.", []),
        ("Two dozen came.", "24 came, or 2 a minute.", []),
        ("Two dozen came.", "12 came, 2 left.", ["dozen"]),
        ("It doubled twice.", "It doubled two times.", []),
        ("He scored ③ times.", "He scored twice.", ["③"]),
        ("He scored ³ times.", "He scored 3 times.", []),
        ("It is ½ full.", "It is ½ full.", []),
        ("Rates were 5.25%.", "Rates were 5.25 to 5.5 percent.", []),
        ("From 5 to 6 million watched.", "From 5 million to 6 million watched.", []),
        ("24 eggs broke.", "Two dozen eggs broke.", []),
        ("Two brothers won.", "Both brothers won.", []),
        ("In the 1990s it grew.", "It grew in the '90s.", []),
        ("The 2018–19 season began.", "The 2018-2019 season began.", []),
        # rounded, and said to be
        ("About 1,200 people came.", "1,187 people came.", []),
        ("1,200 people came.", "1,187 people came.", ["1,200"]),
        ("More than 1,000 people came.", "1,187 people came.", []),
        ("More than 1,200 people came.", "1,187 people came.", ["1,200"]),
        ("Nearly 52 people came.", "50 people came.", ["52"]),
        # the same number, of something else
        ("3 months later it rose.", "It took 3 doses. 6 months later it rose.", ["3"]),
        ("Game 3 was lost.", "Game 1 was lost after 3 errors.", ["3"]),
        ("One of them left.", "They left.", []),
        ("One soldier left.", "Two soldiers left.", ["One"]),
    ],
)  # fmt: skip
def test_numbers(sentence: str, text: str, missing: list[str]) -> None:
    assert missing_numbers(sentence, text) == missing


@pytest.mark.parametrize(
    ("sentence", "text", "context", "missing"),
    [
        ("It opened on June 12.", "It opened on 12 June 2022.", "", []),
        ("It opened on Jun. 12, 2022.", "It opened on the 12th of June.", "Gazette 2022-06-17", []),
        ("It opened on 2022-06-12.", "It opened on June 12, 2022.", "", []),
        ("It opened on June 13.", "It opened on June 12.", "", ["June 13"]),
        ("It opened on July 12.", "It opened on June 12.", "", ["July 12"]),
        ("It opened on June 12, 2021.", "It opened on June 12, 2022.", "", ["June 12, 2021"]),
        ("It ran from June 12 to 14.", "It ran 12-14 June.", "", []),
        ("It opened on June 17.", "It opened on Friday.", "Gazette 2022-06-17", []),
        ("It opened on June 18.", "It opened on Friday.", "Gazette 2022-06-17", ["June 18"]),
        ("It opened on June 16, 2022.", "It opened yesterday.", "17 June 2022", []),
        ("It opened in 2021.", "It opened last year.", "17 June 2022", []),
        ("It opened in 2020.", "It opened last year.", "17 June 2022", ["2020"]),
        ("It opened on Monday.", "It opened on Tuesday.", "", ["Monday"]),
        ("It opened on Friday.", "It opened on Tuesday.", "Gazette 2022-06-17", ["Friday"]),
        ("It opened in May.", "It may open in June.", "", ["May"]),
        ("It may open.", "It opens.", "", []),
        ("They had 2000 men.", "They had 2,000 men.", "", []),
        ("In 1999 it opened.", "It opened.", "", ["1999"]),
    ],
)  # fmt: skip
def test_dates(sentence: str, text: str, context: str, missing: list[str]) -> None:
    assert missing_dates(sentence, text, context=context) == missing


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ('He said "we won" and "we lost".', ["we won", "we lost"]),
        ("He said “we won. Then “they” lost.", ["we won. Then ", "they"]),
        ('"We did it.', ["We did it."]),
        ('It was hard," he said.', ["It was hard,"]),
        ("He is 6'2\" tall and it's ‘odd’.", []),
        ("‘We don’t do this,’ he said.", ["We don’t do this,"]),
        ("« On a gagné »", [" On a gagné "]),
    ],
)
def test_what_a_quotation_is(sentence: str, expected: list[str]) -> None:
    assert list(quotations(sentence)) == expected


@pytest.mark.parametrize(
    ("sentence", "text", "missing"),
    [
        ("He said “we have won”.", 'He said: "We have won," and left.', []),
        ("He said “we have lost”.", 'He said: "We have won," and left.', ["we have lost"]),
        ("A “special operation” began.", "The special operation began.", []),
        ("A “special attack” began.", "The special operation began.", ["special attack"]),
        ("He said “we … won”.", "He said we have at last won.", []),
        ("He said “won … we”.", "He said we have at last won.", ["won … we"]),
        ("He said “[the team] won”.", "The team left. They won.", []),
        ("He said “[the army] won”.", "The team left. They won.", ["[the army] won"]),
        ("He said “don’t go”.", "He said don't go.", []),
    ],
)
def test_quotations(sentence: str, text: str, missing: list[str]) -> None:
    assert missing_quotations(sentence, [text]) == missing


@pytest.mark.parametrize(
    ("sentence", "text", "missing"),
    [
        ("Then Barack Obama spoke.", "Obama spoke.", []),
        ("Then Michelle Obama spoke.", "Barack Obama spoke.", ["Michelle"]),
        ("Then Obama spoke.", "Barack Obama spoke.", []),
        ("Then Biden spoke.", "Barack Obama spoke.", ["Biden"]),
        ("Biden said no.", "Barack Obama said no.", ["Biden"]),
        ("Biden's dog barked.", "Obama's dog barked.", ["Biden"]),
        ("Researchers agree.", "Scientists agree.", []),
        ("In the US it rained.", "In the United States it rained.", []),
        ("In the U.S. it rained.", "America had rain.", []),
        ("It rained on American soil.", "It rained on us.", ["American"]),
        ("In Britain it rained.", "In the UK it rained.", []),
        ("Some Ukrainian ships left.", "Ships left Ukraine.", []),
        ("Some Chinese ships left.", "Ships left China.", []),
        ("Some French ships left.", "Ships left France.", []),
        ("Some French ships left.", "Ships left Germany.", ["French"]),
        ("Then SVB failed.", "Silicon Valley Bank failed.", []),
        ("Then Silicon Valley Bank failed.", "SVB failed.", []),
        ("Then SBV failed.", "Silicon Valley Bank failed.", ["SBV"]),
        ("Where Türkiye's team won.", "Turkiye won.", []),
        ("MEN WALK ON MOON AND COME BACK", "Two did.", []),
    ],
)
def test_names(sentence: str, text: str, missing: list[str]) -> None:
    assert [name.word for name in missing_names(sentence, text)] == missing


def test_a_name_that_takes_anothers_place_is_told_from_one_that_is_added() -> None:
    text = "On Monday President Ruiz opened the new bridge."
    [other] = missing_names("On Monday President Lopez opened the new bridge.", text)
    [added] = missing_names("The new bridge in Lisbon is open.", text)
    assert is_substituted_name(other, "On Monday President Lopez opened the new bridge.", text)
    assert not is_substituted_name(added, "The new bridge in Lisbon is open.", text)


@pytest.mark.parametrize(
    ("sentence", "text", "expected"),
    [
        ("The bank did not fail.", "The bank failed.", True),
        ("The bank failed.", "The bank didn't fail.", True),
        ("The bank failed.", "The bank failed.", False),
        ("He denied that the bank failed.", "He said that the bank failed.", True),
        ("The bank never failed.", "The bank did not fail.", False),
        ("The dam held, the bank did not.", "The dam held.", False),
    ],
)
def test_denials(sentence: str, text: str, expected: bool) -> None:
    assert has_negation_mismatch(sentence, text) is expected


@pytest.mark.parametrize(
    ("sentence", "text", "expected"),
    [
        ("The bank bought it.", "The bank may have bought it.", True),
        ("The bank buys it.", "The bank plans to buy it.", True),
        ("The bank plans to buy it.", "The bank plans to buy it.", False),
        ("The bank may buy it.", "The bank buys it.", False),
    ],
)
def test_plans_told_as_done(sentence: str, text: str, expected: bool) -> None:
    assert has_modality_mismatch(sentence, text) is expected


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("The mayor said “it is open”.", "The mayor said  \"it is open\"."),
        ("the mayor said \"it is open\"", "The mayor said  \"it is open\"."),
        ("It rained.", "It rained."),
        ("The dam broke in May.", "Nobody knew, the dam broke in May."),
        ("Knew, the dam", None),
        ("The mayor said “it is shut”.", None),
        ("Rained.", None),
        ("", None),
    ],
)  # fmt: skip
def test_verbatim(sentence: str, found: str | None) -> None:
    text = "The mayor said  \"it is open\". It rained. Nobody knew, the dam broke in May."  # fmt: skip
    place = find_verbatim(sentence, ["Elsewhere.", text])
    assert (place and text[place[1].start : place[1].end]) == found
    assert place is None or place[0] == 1


def test_a_part_that_the_text_denies_is_not_verbatim() -> None:
    assert find_verbatim("The bank failed in May.", ["Nobody says the bank failed in May."]) is None


@given(st.text(), st.text(), st.text())
def test_no_text_can_raise(sentence: str, text: str, context: str) -> None:
    find_missing(sentence, [text], context=context)
    for name in missing_names(sentence, text):
        is_substituted_name(name, sentence, text)
    assert has_negation_mismatch(sentence, sentence) is False
    assert has_modality_mismatch(sentence, sentence) is False
    find_verbatim(sentence, [text])


@given(st.text())
def test_a_text_lacks_nothing_of_its_own(text: str) -> None:
    assert missing_numbers(text, text) == []
    assert missing_dates(text, text) == []
    assert missing_names(text, text) == []

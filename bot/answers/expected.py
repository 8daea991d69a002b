"""What kind of thing a question asks for: a number, a date or a name that the question does not hold itself."""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(
    r"\d\S*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|half|double|triple|"
    r"hundreds?|thousands?|millions?|billions?|trillions?)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:1[5-9]|20)\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|"
    r"December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b"
)
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|big|large|soon|often|tall|high|fast|deep)\b|\bpercent|\bmagnitude\b|"
    r"\bwhat (?:year|age|number|share|amount)\b",
    re.IGNORECASE,
)
_ASKS_DATE = re.compile(r"\bwhen\b|\b(?:what|which) (?:day|date|month|year)\b", re.IGNORECASE)
_ASKS_NAME = re.compile(
    r"\b(?:who|whom|whose|where|which|what (?!(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|"
    r"should|the|happen\w*)\b)\w+)\b",
    re.IGNORECASE,
)
_BEFORE_A_CAPITAL = re.compile(r"(?:^|[.?!:]\s|[“\"‘(]\s*)\W*$")  # where any word begins with one


def offers(question: str, sentence: str) -> bool:
    """Say whether `sentence` holds something of the kind that `question` asks for and does not hold itself."""
    known = {word.casefold() for word in _WORD.findall(question)}
    if _ASKS_NUMBER.search(question):
        return any(match[0].casefold() not in known for match in _NUMBER.finditer(sentence))
    if _ASKS_DATE.search(question):
        return _DATE.search(sentence) is not None
    if _ASKS_NAME.search(question):
        return any(name.casefold() not in known for name in names(sentence))
    return False


def names(text: str) -> list[str]:
    """Return the words that begin with a capital though no sentence begins there."""
    return [
        match[0]
        for match in _WORD.finditer(text)
        if match[0][0].isupper() and not _BEFORE_A_CAPITAL.search(text[: match.start()])
    ]


def full_names(text: str) -> list[tuple[str, str]]:
    """Return the neighbours in names of several words: ("Suez", "Canal") of "the Suez Canal"."""
    capitals = [match for match in _WORD.finditer(text) if match[0][0].isupper()]
    inside = set(names(text))
    return [
        (one[0], two[0])
        for one, two in pairwise(capitals)
        if text[one.end() : two.start()] == " " and {one[0], two[0]} <= inside
    ]


def names_and_numbers(question: str) -> list[str]:
    """Return the words of a question that nothing can stand in for: names, and what begins with a digit."""
    numbers = [match[0] for match in _WORD.finditer(question) if match[0][0].isdigit()]
    return [*names(question), *numbers]

"""Lies: a number, name, date or quoted word that a passage does not hold, a negation, another's sentence, an invention."""

from __future__ import annotations

import re

from .world import WORD, Line, Passage, World, content, put, quotations, without_quotations

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPELT = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
          "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
          "eighty": 80, "ninety": 90}  # fmt: skip
_DIGITS = re.compile(r"(?<![\w.,/:–-])([$€£]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![\w/:–]|[.,]\d|-\d)")
_SPELT_OUT = re.compile(rf"\b({'|'.join(_SPELT)})\b")
_HEDGE = re.compile(
    r"\b(?:(?P<least>more than|at least|over|above|exceed\w*|minimum of)|"
    r"(?P<most>(?:less|fewer|lower) than|under|below|up to|as (?:many|much) as|at most|within|maximum of)|"
    r"about|around|roughly|nearly|almost|approximately|some|estimated|close to)(?: an?| the)? $",
    re.IGNORECASE,
)
_IN_DATE = re.compile(rf"(?:{'|'.join(_MONTHS)})\.? $|(?:Jan|Feb|Aug|Sept|Oct|Nov|Dec)\. $")
_A_MONTH = re.compile(rf" (?:{'|'.join(_MONTHS)})\b")
_DATE = re.compile(
    rf"\b(?P<weekday>{'|'.join(_DAYS)})\b|\b(?P<month>{'|'.join(_MONTHS)}) (?P<day>\d\d?)(?![\d,]*\d)|"
    rf"(?<=in )(?P<alone>{'|'.join(_MONTHS)})\b|(?<![\d,.$€£])(?P<year>19\d\d|20[0-3]\d)(?![\d,]*\d|\.\d|\w|-)"
)
_NAME = re.compile(r"(?<![.?!:“\"‘(] )(?<=[\w,;] )[A-Z][\w’'-]*\w(?: [A-Z][\w’'-]*\w)*\b(?!\.\d|/)")
_SAME_PLACES = ({"us", "u.s", "united", "states", "america", "american", "americans"},
                {"uk", "britain", "british", "united", "kingdom", "england"})  # fmt: skip
_NO_NAMES = {*_MONTHS, *_DAYS, *(f"{day}s" for day in _DAYS), "Jan", "Feb", "Aug", "Sept", "Oct", "Nov", "Dec",
             "I", "I’m", "I'm", "The", "A", "AM", "PM", "ET", "GMT"}  # fmt: skip
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has|have|had|will|would|could|should|must|did|does)\b(?! not\b)(?!n[’']t)"
)
_CONTRACTED = re.compile(r"\b(is|are|was|were|has|have|had|would|could|should|did|does|do)n[’']t\b")
_INVENTIONS = (
    "{} later apologised for the mistake in a televised address.",
    "{} has denied any involvement and demands an independent inquiry.",
    "{} will donate the proceeds to a children’s hospital.",
    "A spokesman for {} confirmed that the talks resume next spring.",
    "The announcement by {} surprised analysts, who had expected a delay.",
    "{} had ignored several warnings from experts beforehand.",
    "{} signed a secret agreement with a rival over the summer.",
    "A court ordered {} to return the money with interest.",
    "Thousands of fans gathered outside to cheer {} with flowers and candles.",
    "The family of {} moved abroad because of death threats.",
    "{} blamed the failure on a software error.",
    "Critics accuse {} of having copied the idea from a student.",
    "A documentary on {} won a prize at a film festival in spring.",
    "{} refused an offer to settle the dispute out of court.",
    "Insurers have agreed to compensate {} for the damage.",
    "{} promised to plant a tree for every ticket sold.",
)


def _values(text: str) -> set[float]:
    digits = {float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}
    return digits | {
        float(_SPELT[word.casefold()]) for word in WORD.findall(text) if word.casefold() in _SPELT
    }


def wrong_number(line: Line, world: World) -> str | None:
    """Change a number to one that stands nowhere in its passage, in digits or in words."""
    known = _values(line.passage.known)
    digits = [m for m in _DIGITS.finditer(line.text) if not _is_of_date(line.text, m)]
    spots = [*digits, *_SPELT_OUT.finditer(line.text)]
    for spot in world.chance.sample(spots, len(spots)):
        others = [
            text
            for text, value in _other_numbers(spot, world)
            if value not in known and _is_false(value, spot, line.text)
        ]
        if others:
            return put(line.text, spot, others[0])
    return None


def _is_false(value: float, spot: re.Match[str], text: str) -> bool:
    """Say whether a number is wrong there: "more than 10" is true of what is "more than 12", "about 99" of "about 100"."""
    [true] = _values(spot[0])
    hedge = _HEDGE.search(text[: spot.start()])
    if hedge is None:
        return True
    if hedge["least"]:
        return value > 1.25 * true
    return value < 0.75 * true if hedge["most"] else abs(value - true) > 0.25 * true


def _is_of_date(text: str, spot: re.Match[str]) -> bool:
    year = re.fullmatch(r"(?:19|20)\d\d", spot[0]) is not None
    return year or bool(_IN_DATE.search(text[: spot.start()]) or _A_MONTH.match(text[spot.end() :]))


def _other_numbers(spot: re.Match[str], world: World) -> list[tuple[str, float]]:
    if spot.re is _SPELT_OUT:
        words = [word for word in _SPELT if word != spot[0]]
        return [(word, float(_SPELT[word])) for word in world.chance.sample(words, len(words))]
    sign, whole, rest = spot[1], spot[2], spot[3] or ""
    value = int(whole.replace(",", ""))
    near = {value + 1, value + 2, value - 1} if value < 1000 else set()
    values = near | {value + 10, value * 2, value * 10, value * 6 // 5, value * 2 // 3}
    grouped = "," if "," in whole else ""
    return [
        (f"{sign}{v:{grouped}}{rest}", float(f"{v}{rest}"))
        for v in world.chance.sample(sorted(values), len(values))
        if v > 1 and v != value
    ]


def wrong_date(line: Line, world: World) -> str | None:
    """Change a weekday, a month, a day of the month or a year to one that stands nowhere in its passage."""
    spots = list(_DATE.finditer(line.text))
    for spot in world.chance.sample(spots, len(spots)):
        if spot["weekday"]:
            others = [(day, day) for day in _DAYS]
        elif spot["alone"]:
            others = [(month, month) for month in _MONTHS]
        elif spot["day"]:
            others = [(f"{spot['month']} {day}", str(day)) for day in range(1, 29)]
        else:
            others = [(str(int(spot["year"]) + by), str(int(spot["year"]) + by)) for by in (-3, -2, -1, 1, 2)]
        free = [text for text, sign in others if not re.search(rf"\b{sign}\b", line.passage.known)]
        if free:
            return put(line.text, spot, world.chance.choice(free))
    return None


def names(text: str) -> list[re.Match[str]]:
    """Return the names in a sentence but one at its beginning, without a possessive's ending."""
    found = [m for m in _NAME.finditer(text) if not _NO_NAMES & set(m[0].split())]
    return [m for m in found if not re.search(r"\d|[A-Z]{5}", m[0])]


def wrong_name(line: Line, world: World) -> str | None:
    """Swap a name for one of as many words from another article, which its passage does not hold."""
    spots = names(line.text)
    for spot in world.chance.sample(spots, len(spots)):
        if free := _other_names(_bare(spot[0]), line.passage, world):
            return put(line.text, spot, world.chance.choice(free) + spot[0][len(_bare(spot[0])) :])
    return None


def _other_names(name: str, passage: Passage, world: World) -> list[str]:
    known, size = passage.words, len(name.split())
    others = {_bare(m[0]) for other in world.elsewhere(passage) for m in names(other.text)}
    return sorted(
        other
        for other in others
        if len(other.split()) == size
        and not known & _parts(other)
        and not _is_same(other, name)
        and not (size == 1 and world.is_ordinary(other))
    )


def _bare(name: str) -> str:
    return re.sub(r"[’']s?$", "", name)


def _parts(name: str) -> set[str]:
    return {word.casefold() for word in WORD.findall(name)} | {
        word.casefold() for word in re.split(r"[-\s]", name)
    }


def _is_same(a: str, b: str) -> bool:
    """Say whether two names may mean the same: by a shared beginning, by initials, or one of the usual places."""
    shared = {word[:4] for word in _parts(a)} & {word[:4] for word in _parts(b)}
    initials = any("".join(word[0] for word in x.split()) == y for x, y in ((a, b), (b, a)))
    return bool(shared) or initials or any(_parts(a) & place and _parts(b) & place for place in _SAME_PLACES)


def altered_quotation(line: Line, world: World) -> str | None:
    """Swap a word within a quotation for one of the same ending, which its passage does not hold."""
    known = {word[:5] for word in line.passage.words}
    others = sorted({w for other in world.passages for w in _plain_words(other.text) if w[:5] not in known})
    for quoted in quotations(line.text):
        if len(quoted[0].split()) < 4:
            continue
        spots = [m for m in WORD.finditer(line.text, *quoted.span()) if _plain_words(m[0])]
        for spot in world.chance.sample(spots, len(spots)):
            free = [word for word in others if _ending(word) == _ending(spot[0])]
            if free:
                return put(line.text, spot, world.chance.choice(free))
    return None


def _plain_words(text: str) -> list[str]:
    return [w for w in WORD.findall(text) if len(w) > 4 and w.isalpha() and w.islower() and w not in _COMMON]


_COMMON = {"about", "above", "after", "again", "against", "among", "around", "because", "before", "being", "below", "between",
           "could", "doing", "during", "every", "further", "their", "there", "these", "thing", "things", "those", "through",
           "under", "until", "where", "which", "while", "whose", "would", "should", "might", "other", "another", "still",
           "since", "never", "always"}  # fmt: skip


def _ending(word: str) -> str:
    return next((ending for ending in ("ing", "ed", "ly", "s") if word.endswith(ending)), "")


def negated(line: Line, world: World) -> str | None:
    """Put a "not" into what the sentence itself says, or take one out; quotations stay as they are."""
    bare = without_quotations(line.text)
    if "not only" in bare:
        return None
    if spot := re.search(r"\bnot ", bare):
        return put(line.text, spot, "")
    if spot := _CONTRACTED.search(bare):
        return put(line.text, spot, spot[1])
    if spot := _AUXILIARY.search(bare):
        return put(line.text, spot, f"{spot[0]} not")
    spot = re.search(r"\bsaid\b", bare)
    return put(line.text, spot, "did not say") if spot else None


def wrong_passage(line: Line, world: World) -> int | None:
    """Return the number of a passage of another article that has less than half of a sentence's words."""
    sense = content(line.text)
    wrong = [p.n for p in world.elsewhere(line.passage) if len(content(p.text) & sense) < 0.5 * len(sense)]
    return world.chance.choice(wrong) if wrong else None


def invented(world: World) -> tuple[str, int] | None:
    """Make something up about a name of the question (else of a passage), with the first passage that has the name."""
    about = [_bare(m[0]) for m in names(f"so {world.question[:1].lower()}{world.question[1:]}")]
    about = about or [_bare(m[0]) for passage in world.passages for m in names(passage.text)]
    if not about:
        return None
    name = world.chance.choice(about[:3])
    made = [text.format(name) for text in world.chance.sample(_INVENTIONS, len(_INVENTIONS))]
    new = [text for text in made if all(_share(text, passage) < 0.6 for passage in world.passages)]
    return (new[0], next((p.n for p in world.passages if name in p.text), 1)) if new else None


def _share(text: str, passage: Passage) -> float:
    sense = content(text)
    return len(sense & content(passage.text)) / len(sense)

"""Reads the publication window that a question asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from bot.errors import QuestionError
from bot.indexing.filters import TimeWindow
from bot.retrieval.date_expressions import DATE, WEEKDAY, Kind, parse_date_expression
from bot.retrieval.date_range import DateRange, ReferenceTime

_CONTEXT_CHARS = 80  # on each side of a date
_LAST = ("last", "past", "previous")
_PERIOD_LEADS = r"since|before|prior\s+to|until|till|after|in|during|throughout"
_DATED = (
    rf"(?<![\w-])(?:(?P<lead>(?ai:{_PERIOD_LEADS}|up\s+to|on|over|within|by|between))\s+(?:the\s+year\s+)?)?"
    rf"(?P<date>{DATE})"
)
_RANGE = rf"(?<![\w-])(?ai:between|from)\s+(?P<first>{DATE})\s+(?:and|to|through|until|till)\s+(?P<last>{DATE}|now\b)"
_HAS_RANGE = re.compile(r"\b(?:between|from)\s", re.I)
_PERIOD_LEAD = re.compile(_PERIOD_LEADS, re.I)
_YEAR = re.compile(r"[0-9]{4}|last|year")
_AFTER = re.compile(r"\s*(?:\Z|[,.;:!?…)\]](?![0-9])|\s[–—-]\s|(?<=\s)(?P<word>[^\W\d_]+)\b)")
_SMALL_WORD = re.compile(
    "a|about|after|against|ago|all|alone|also|although|amid|an|and|are|as|at|because|before|but|by|"
    "can|could|did|do|does|due|during|following|for|from|had|has|have|he|her|his|how|if|in|into|is|"
    "it|its|my|not|of|on|only|onward|onwards|or|our|over|she|should|since|so|than|that|the|their|"
    "then|there|they|this|though|through|to|under|until|versus|was|we|were|what|when|where|whether|"
    "which|while|who|whom|whose|why|with|without|would|you|your"
)
_COMPARED = re.compile(
    r"\b(?:than|versus|vs\.?|compar(?:e[sd]?|ing|ison)"
    r"|(?:up|down|rose|risen|fell|fallen|chang(?:e[sd]?|ing)|differ\w*|increased?|drop(?:ped)?) from)"
    r"(?:\s+(?:to|with|it|they|he|she|we|is|was|were|are|did|had|in|on|at|the|same|time|period|levels?|prices?))*\s+$"
)
_ROUGHLY = re.compile(
    r"(?:\bhalf|\b(?:more|less) than|\bover|\bunder|\bat least|\bup to|\bnearly|\balmost|[–-]|\w (?:to|or))\s*$"
)
_OWNED = re.compile(r"(?:\b(?:his|her|its|their|my|our|your|whose|the)|['’]s)\s+$")
_AS_OF = re.compile(r"\bas of\s+$")
_ONE_OF = re.compile(r"\s+of\b")
_OTHER_DAY = re.compile(r"\b(?:next|every|each|coming|following|most|any|a)\s+$")
_PART_OF_NAME = re.compile(
    r"\s+(?:(?:Night|Morning|Afternoon|Evening)\b|(?:night|morning|afternoon|evening)s\b)"
)
_VERBISH = re.compile(
    r"(?<![\w-])(?!(?:with|from|like|called|named|about|than|that|film|show|song|movie)\s)[a-z]{4,}\s+$"
)
_FUTURE = re.compile(
    r"(?:\bwill|\bwon['’]t|\b(?:going to|expected to|set to|scheduled|upcoming)|['’]ll)\b[^.?!]*\Z", re.I
)
_USUAL = re.compile(r"\b(?:average|usually|typically|normally|always|every|days in)\b", re.I)
_PAST = re.compile(r"\b(?:was|were|did|had|happened)\b", re.I)
_PRESENT = re.compile(
    r"(?<!at the )(?<!by the )\blatest\b|\b(?:newest|most recent|currently|at the moment|these days|nowadays|today)\b"
    r"|(?<!direct )(?<!alternating )(?<!electric )(?<!electrical )(?<!ocean )(?<!rip )"
    r"\bcurrent (?!(?:in|of|and|or|is|are|was|were|at|to|through|from|flow\w*|affairs)\b)(?=\w)"
    r"|\bso far\b(?!-| (?:away|apart|from|behind|ahead|as|right|left|out|off)\b)"
)
_NOW = re.compile(
    r"(?<!\bby )(?<!\bjust )(?<!what is )(?<!what's )(?<!what’s )(?<![\w-])now\b"
    r"(?!-| (?:and|called|known|named|owned|defunct|former|famous)\b)"
)
_THEN = re.compile(r"\bthen\b")
_NAMES = re.compile(  # titles in quotation marks, and names that contain a day
    r"“[^“”]*”|\"[^\"]*\"|«[^«»]*»|(?i:\b(?:9/11|(?:fourth|4th) of july|may day|april fools?|march madness"
    r"|march (?:for our lives|on washington)|(?:usa|russia|india|psychology) today|last week tonight"
    r"|(?:black|bloody|good|super|ash|easter|palm|holy|cyber|giving|fat|shrove|whit|maundy|freaky|ruby|blue"
    r"|manic|sheffield|happy|casual) (?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|(?:mon|thurs|fri|satur|sun)day night (?:football|live|lights|fever|raw)|friday the 13th"
    r"|sunday (?:school|times|telegraph|mirror|express|brunch|roast))\b)"
)
_FIRST_WORD = re.compile(  # of a sentence, in which a capital has no meaning
    r"(?:\A|(?<=[.!?:;]\s))\s*(?!(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun))[A-Z]"
    r"(?![A-Z])"
)


def parse_window(since: str, until: str) -> TimeWindow | None:
    """Return the window between two days, months or years, both included, or None if both are empty.

    Args:
        since: a day (2022-06-17), month (2022-06) or year (2022), or empty.
        until: the same.

    Raises:
        QuestionError: if one cannot be parsed, or `until` is before `since`.
    """
    first, last = _parse_bound(since), _parse_bound(until)
    if first and last and last[1] and first[0] >= last[1]:
        raise QuestionError(f"since {since} lies after until {until}")
    window = TimeWindow(first[0] if first else None, last[1] if last else None)
    return window if first or last else None


def _parse_bound(text: str) -> tuple[datetime, datetime | None] | None:
    """Return start and end of a day, month or year; the end is None for the last year of the calendar."""
    if not text:
        return None
    for form, step in (
        ("%Y-%m-%d", timedelta(days=1)),
        ("%Y-%m", timedelta(days=31)),
        ("%Y", timedelta(days=366)),
    ):
        try:
            first = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if first.year == date.max.year:
            return first, None
        after = first + step
        return first, after.replace(
            day=after.day if form == "%Y-%m-%d" else 1, month=1 if form == "%Y" else after.month
        )
    raise QuestionError(f"{text!r} is not a day such as 2022-06-17")


def extract_window(question: str, now: datetime) -> TimeWindow | None:
    """Return the publication window that a question asks for, or None if it has none.

    Args:
        question: the question.
        now: time of the question with a time zone, which the window has too.
    """
    text, clock = _mask_names(question), ReferenceTime(now, now.date())
    found = _find_range(text, clock) or _merge_dates(list(_find_dates(text, clock)))
    if not found or not (found.since or found.until):
        return None
    return TimeWindow(found.since, found.until, question[found.start : found.end])


def asks_about_present(question: str) -> bool:
    """Return True if a question is about the present."""
    text = _mask_names(question)
    if _PRESENT.search(text):
        return True
    then, now = _THEN.search(text), _NOW.search(text)
    return bool(now) and not (then and now and then.start() < now.start())


def _mask_names(question: str) -> str:
    """Mask names that look like dates, and lowercase first letters of sentences, without changing any offset."""
    text = _NAMES.sub(lambda m: "\0" * len(m[0]), question)
    return _FIRST_WORD.sub(lambda m: m[0].lower(), text)


@dataclass(frozen=True, slots=True)
class _DateBounds:
    """Publication bounds of a date expression, and its character offsets in the question."""

    since: datetime | None
    until: datetime | None
    start: int
    end: int


def _find_range(text: str, clock: ReferenceTime) -> _DateBounds | None:
    if not _HAS_RANGE.search(text):  # compile the long pattern only if it is needed
        return None
    for m in re.finditer(_RANGE, text):
        last = parse_date_expression("today" if m["last"] == "now" else m["last"], clock)
        # "between June and August 2021": a start without a year is before the end, not before now.
        first = last and parse_date_expression(m["first"], replace(clock, latest=last.span.since.date()))
        if (
            first
            and last
            and (last.kind in {"day", "weekday", "relative"} or _is_standalone(text, m.start(), m.end()))
        ):
            since, until = first.span.since, last.span.until
            if since < until and since <= clock.now:
                return _DateBounds(since, until, m.start(), m.end())
    return None


def _find_dates(text: str, clock: ReferenceTime) -> Iterator[_DateBounds]:
    for m in re.finditer(_DATED, text):
        reading = parse_date_expression(m["date"], clock)
        if reading and _is_publication_date(text, m, reading.kind):
            since, until = _publication_bounds(" ".join((m["lead"] or "").lower().split()), reading.span)
            # No article is published in the future, so the articles are about that date.
            if (since or until or clock.now) <= clock.now:
                yield _DateBounds(since, until, m.start(), m.end())


def _publication_bounds(lead: str, span: DateRange) -> tuple[datetime | None, datetime | None]:
    if lead == "since":
        return span.since, None
    if lead == "after":
        return span.until, None
    if lead in {"before", "prior to"}:
        return None, span.since
    if lead in {"until", "till", "up to"}:
        is_day = span.until - span.since <= timedelta(days=1)
        return None, span.since if is_day else span.until
    return span.since, span.reported


def _merge_dates(dates: list[_DateBounds]) -> _DateBounds | None:
    """Return bounds that include all dates: a window that is too wide costs some rank, one too narrow the answer."""
    if not dates:
        return None
    since = [dated.since for dated in dates if dated.since]
    until = [dated.until for dated in dates if dated.until]
    # "after 2019, before 2021"
    both = len(dates) == 2 and len(since) == len(until) == 1 and since[0] < until[0]
    return _DateBounds(
        min(since) if both or len(since) == len(dates) else None,
        max(until) if both or len(until) == len(dates) else None,
        dates[0].start,
        dates[-1].end,
    )


def _is_publication_date(text: str, m: re.Match[str], kind: Kind) -> bool:
    """Return True if a date is a time of reporting, and not a part of a name or a comparison."""
    start, words, lead = m.start("date"), m["date"], m["lead"] or ""
    before = text[max(0, start - _CONTEXT_CHARS) : start]
    if lead.lower() == "by" or _COMPARED.search(before):
        return False
    if kind in {"ago", "relative"}:
        owned = _ROUGHLY if kind == "ago" else _OWNED if words.startswith(_LAST) else _AS_OF
        return not owned.search(before) and not _ONE_OF.match(text, m.end())
    has_year = bool(_YEAR.search(words))
    if not has_year and _is_unspecific_day(before, text[start : m.end() + _CONTEXT_CHARS]):
        return False
    free = _is_standalone(text, m.start(), m.end())
    if kind == "weekday":
        return _is_latest_weekday(text, m, before, free)
    if kind == "year" or (kind == "month" and not has_year):
        return free and bool(_PERIOD_LEAD.fullmatch(lead))
    return bool(lead) or free or (has_year and kind == "day")


def _is_latest_weekday(text: str, m: re.Match[str], before: str, free: bool) -> bool:
    if _PART_OF_NAME.match(text, m.end()) or _OTHER_DAY.search(before):
        return False
    named = m["lead"] or not re.fullmatch(WEEKDAY, m["date"]) or text[m.end() : m.end() + 2] in {"'s", "’s"}
    # News style has no "on": "were without power Thursday due to".
    return bool(named) or (free and m["date"][0].isupper() and bool(_VERBISH.search(before)))


def _is_standalone(text: str, start: int, end: int) -> bool:
    """Return True if a date is not the start of a longer name, such as "2022 World Cup" or "2021 dollars"."""
    after = _AFTER.match(text, end)
    if not after or not after["word"]:
        return bool(after)
    opens_sentence = text[max(0, start - _CONTEXT_CHARS) : start].rstrip()[-1:] in ".?!:;"
    return bool(_SMALL_WORD.fullmatch(after["word"])) or (opens_sentence and after["word"][0].isupper())


def _is_unspecific_day(before: str, after: str) -> bool:
    """Return True if a Monday or a June between these texts is a future or unspecific one."""
    around = before + after
    return bool(_FUTURE.search(before) or (_USUAL.search(around) and not _PAST.search(around)))

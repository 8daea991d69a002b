"""Dates in questions: which stretch of publication they ask for, in the asker's zone, and which are no dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.indexing.filters import TimeWindow
from bot.retrieval.time_filter import asks_about_present, extract_window

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2022, 6, 16, 15, tzinfo=PARIS)  # a Thursday


def moment(text: str, zone: ZoneInfo = PARIS) -> datetime | None:
    """Read "2022-06-16" or "2022-06-16T15:00" in a zone; "" is no bound."""
    return datetime.fromisoformat(text).replace(tzinfo=zone) if text else None


def bounds(question: str, now: datetime = NOW) -> tuple[datetime | None, datetime | None]:
    window = extract_window(question, now)
    assert window, question
    assert window.words, question
    assert window.words in question, question
    return window.since, window.until


@pytest.mark.parametrize(
    ("question", "since", "until"),
    [
        # days near now
        ("What happened today?", "2022-06-16", "2022-06-17"),
        ("Today, who resigned?", "2022-06-16", "2022-06-17"),
        ("Who resigned this morning?", "2022-06-16", "2022-06-17"),
        ("Who plays tonight?", "2022-06-16", "2022-06-17"),
        ("What did the Fed do yesterday?", "2022-06-15", "2022-06-17"),
        ("Who won last night?", "2022-06-15", "2022-06-17"),
        ("Who won the day before yesterday?", "2022-06-14", "2022-06-16"),
        ("What burned three days ago?", "2022-06-13", "2022-06-15"),
        ("What burned 10 days ago?", "2022-06-06", "2022-06-08"),
        ("What burned a week ago?", "2022-06-06", "2022-06-13"),
        ("What burned two weeks ago?", "2022-05-30", "2022-06-06"),
        ("Who resigned two months ago?", "2022-04-01", "2022-05-01"),
        ("Who resigned a couple of months ago?", "2022-04-01", "2022-05-01"),
        ("Who resigned a year ago?", "2021-01-01", "2022-01-01"),
        # weeks, months, years, seasons near now
        ("Who was arrested this week?", "2022-06-09", "2022-06-17"),
        ("Who was arrested earlier this week?", "2022-06-09", "2022-06-17"),
        ("Who won last week?", "2022-06-06", "2022-06-14"),
        ("Who won this weekend?", "2022-06-11", "2022-06-14"),
        ("Who won last weekend?", "2022-06-11", "2022-06-14"),
        ("Who won over the weekend?", "2022-06-11", "2022-06-14"),
        ("Which banks failed this month?", "2022-06-01", "2022-06-17"),
        ("What is this year's inflation rate?", "2022-01-01", "2022-06-17"),
        ("Which banks failed last month?", "2022-05-01", "2022-06-01"),
        ("Which banks failed last year?", "2021-01-01", "2022-01-01"),
        ("Which banks failed late last year?", "2021-01-01", "2022-01-01"),
        ("Where did it burn last summer?", "2021-06-01", "2021-09-01"),
        ("Where did it burn in summer 2020?", "2020-06-01", "2020-09-01"),
        ("Where did it burn in the early spring of 2021?", "2021-03-01", "2021-06-01"),
        ("Where did it burn last winter?", "2021-12-01", "2022-03-01"),
        ("Where did it burn last spring?", "2022-03-01", "2022-06-01"),
        ("Where did it burn last fall?", "2021-09-01", "2021-12-01"),
        ("Where did it burn last autumn?", "2021-09-01", "2021-12-01"),
        ("Who died in the past 24 hours?", "2022-06-15T15:00", "2022-06-17"),
        ("Who resigned in the last three weeks?", "2022-05-26T15:00", "2022-06-17"),
        ("What rose over the last year?", "2021-06-16T15:00", "2022-06-17"),
        ("What rose in the past month?", "2022-05-16T15:00", "2022-06-17"),
        ("What rose in the previous 2 years?", "2020-06-16T15:00", "2022-06-17"),
        # weekdays
        ("Who was sworn in on Tuesday?", "2022-06-14", "2022-06-17"),
        ("who was sworn in on tuesday?", "2022-06-14", "2022-06-17"),
        ("Who retired on Thursday?", "2022-06-16", "2022-06-17"),
        ("Who retired last Thursday?", "2022-06-09", "2022-06-17"),
        ("Who retired last Monday?", "2022-06-13", "2022-06-17"),
        ("What did Monday's ruling say?", "2022-06-13", "2022-06-17"),
        ("Who won Monday night?", "2022-06-13", "2022-06-17"),
        ("Which bridge collapsed early Thursday?", "2022-06-16", "2022-06-17"),
        ("Which minister resigned Friday over the leak?", "2022-06-10", "2022-06-17"),
        ("The court on Monday struck down which law?", "2022-06-13", "2022-06-17"),
        ("The mayor on Wednesday opened a bridge. Who will pay?", "2022-06-15", "2022-06-17"),
        ("What has happened since Monday?", "2022-06-13", ""),
        # months and years
        ("What happened in June 2022?", "2022-06-01", "2022-07-01"),
        ("What happened during June 2021?", "2021-06-01", "2021-07-01"),
        ("Which of the storms of June 2021 was the worst?", "2021-06-01", "2021-07-01"),
        ("What happened in early June 2021?", "2021-06-01", "2021-07-01"),
        ("What happened in mid-June 2021?", "2021-06-01", "2021-07-01"),
        ("What happened in late Dec. 2021?", "2021-12-01", "2022-01-01"),
        ("What happened in March of last year?", "2021-03-01", "2021-04-01"),
        ("What happened in June?", "2022-06-01", "2022-07-01"),
        ("what happened in june?", "2022-06-01", "2022-07-01"),
        ("What happened in July?", "2021-07-01", "2021-08-01"),
        ("What happened in May?", "2022-05-01", "2022-06-01"),
        ("What happened last June?", "2021-06-01", "2021-07-01"),
        ("In March Biden signed which law?", "2022-03-01", "2022-04-01"),
        ("Which law was signed in 2021?", "2021-01-01", "2022-01-01"),
        ("In 2021, which law was signed?", "2021-01-01", "2022-01-01"),
        ("In 2021 Biden signed which law?", "2021-01-01", "2022-01-01"),
        ("Who in 2021 was the richest?", "2021-01-01", "2022-01-01"),
        ("What did Iran and Iraq sign in 2019 and 2021?", "2019-01-01", "2022-01-01"),
        # days with a month
        ("What happened on 6 January 2021?", "2021-01-06", ""),
        ("What happened on the 6th of January 2021?", "2021-01-06", ""),
        ("What happened on January 6, 2021?", "2021-01-06", ""),
        ("What happened on Wednesday, Jan. 6, 2021?", "2021-01-06", ""),
        ("What happened on 2021-01-06?", "2021-01-06", ""),
        ("What happened on 13/6/2021?", "2021-06-13", ""),
        ("What happened on 6/13/2021?", "2021-06-13", ""),
        ("What happened on January 6th?", "2022-01-06", ""),
        ("What happened on 6 Jan?", "2022-01-06", ""),
        ("What happened on June 17?", "2021-06-17", ""),
        ("What happened on June 16?", "2022-06-16", ""),
        ("What happened on 29 February?", "2020-02-29", ""),
        ("What happened on May 5?", "2022-05-05", ""),
        ("Who met on 10-17 June 2021?", "2021-06-10", "2021-06-18"),
        ("Who met on June 10–12, 2021?", "2021-06-10", "2021-06-13"),
        # open ends and ranges
        ("What has happened since last summer?", "2021-06-01", ""),
        ("What has happened since summer 2020?", "2020-06-01", ""),
        ("What has happened since the beginning of the year?", "2022-01-01", ""),
        ("What has happened since the start of this month?", "2022-06-01", ""),
        ("Who has resigned since June 2021?", "2021-06-01", ""),
        ("Who has resigned since 2019?", "2019-01-01", ""),
        ("Who has resigned since 6 January 2021?", "2021-01-06", ""),
        ("Who had resigned before 6 January 2021?", "", "2021-01-06"),
        ("Who led it prior to 2021?", "", "2021-01-01"),
        ("Who led it before last week?", "", "2022-06-06"),
        ("Who led it until May 2022?", "", "2022-06-01"),
        ("Who led it until 6 January 2021?", "", "2021-01-06"),
        ("Who led it after June 2021?", "2021-07-01", ""),
        ("Who led it after 2019?", "2020-01-01", ""),
        ("Who resigned after Monday?", "2022-06-14", ""),
        ("Who led it between 2019 and 2021?", "2019-01-01", "2022-01-01"),
        ("Who led it from 2019 to 2020?", "2019-01-01", "2021-01-01"),
        ("Who led it from May 2021 until now?", "2021-05-01", "2022-06-17"),
        ("What burned between June and August 2021?", "2021-06-01", "2021-09-01"),
        ("What burned between December and February?", "2021-12-01", "2022-03-01"),
        ("What burned from 5 June to 10 June 2022?", "2022-06-05", "2022-06-11"),
        ("What burned between 5 and 10 June 2022?", "2022-06-05", "2022-06-11"),
        ("What burned between Friday and Tuesday?", "2022-06-10", "2022-06-15"),
        # several dates
        ("Who was in charge after 2019 and before 2021?", "2020-01-01", "2021-01-01"),
        ("What was said in May 2022 and in June 2021?", "2021-06-01", "2022-06-01"),
        ("Who was tried this week for the fire of June 2021?", "2021-06-01", "2022-06-17"),
        ("How many flew in May 2022 compared with May 2021?", "2022-05-01", "2022-06-01"),
        ("Which 2022 World Cup stadium opened in June 2021?", "2021-06-01", "2021-07-01"),
    ],
)
def test_dates_say_when_the_articles_were_published(question: str, since: str, until: str) -> None:
    assert bounds(question) == (moment(since), moment(until))


@pytest.mark.parametrize(
    "question",
    [
        "",
        "Who won?",
        "What was agreed before the summit?",
        "Who rebuilt the city after the war?",
        "What has changed since the war began?",
        "What do children do after school?",
        "Who won the 2022 World Cup?",
        "Who won the 2020 election?",
        "Who won World Cup 2022?",
        "What is Agenda 2030?",
        "What did it cost in 2021 dollars?",
        "Who won in 2022 World Cup qualifying?",
        "Is it sold in 1500 stores?",
        "Is it sold in 2000 stores?",
        "How many of up to 2000 were saved?",
        "Which series ran in 2019-2020?",
        "What did they grow in 1500?",
        "What will the climate be in 2050?",
        "Which team won by June 2022?",
        "What has Biden done recently?",
        "What has happened in recent days?",
        "What is the latest on the strike?",
        "Who is currently the chancellor?",
        "What did the governor do earlier this year?",
        "How many cuts are expected later this year?",
        "What comes out early next month?",
        "Who plays at next year's halftime show?",
        "Who said so years ago?",
        "Who founded it more than a year ago?",
        "Who founded it half a year ago?",
        "How much dearer is it than a year ago?",
        "How full are the lakes compared to a year ago?",
        "Was it higher than in 2021?",
        "How far are prices up from last year?",
        "Which bands were big in the 1990s?",
        "Which bands were big in the 90s?",
        "Who is the 34-year-old singer?",
        "What changed after 9/11?",
        "Who cancelled their Fourth of July fireworks?",
        "What is Cinco de Mayo?",
        "Where do people march on May Day?",
        "What is on sale on Black Friday?",
        "What happened on Bloody Sunday?",
        "Who teaches at Sunday school?",
        "Who won on Super Tuesday?",
        "Are shops open on Good Friday?",
        "Who won on Monday Night Football?",
        "Who hosts Saturday Night Live?",
        "Do they meet on Mondays?",
        "Do they meet every Monday night?",
        "Who plays next Monday?",
        "What will happen on Monday?",
        "When are payments set to restart in August?",
        "How many days in April are holidays?",
        "Does it usually snow in November?",
        "Where do the bands march?",
        "Who may win?",
        "How many of us may march in august company?",
        "What did Theresa May say?",
        "Who voted in May elections?",
        "Who acted in August Wilson's play?",
        "What did the January 6 committee find?",
        "Did it happen on 6/1/2021?",
        "Did it happen on 30 February 2021?",
        'Who sang “Yesterday” and "Summer of 2021 in June 2021"?',
        "Who owns USA Today?",
        "Who hosts Last Week Tonight?",
        "Who wrote This Week in Tech?",
        "What was Obama's last year like?",
        "What did he do in his last two years?",
        "What happened in the last week of the war?",
        "How many cases are there as of today?",
        "Who led it before 2025?",
        "What happened in July 2023?",
        "Who sings Manic Monday?",
        "What happened 10,000 years ago?",
        "Is the store open 24/7?",
    ],
)
def test_what_only_looks_like_a_date_is_none(question: str) -> None:
    assert extract_window(question, NOW) is None


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who has resigned since Monday?", "since Monday"),
        ("Last week, who won?", "Last week"),
        ("Who led it between 2019 and 2021?", "between 2019 and 2021"),
        ("What rose over the last year, and why?", "over the last year"),
        ("Who met in May 2022 or in June 2021 here?", "in May 2022 or in June 2021"),
    ],
)
def test_the_words_are_those_of_the_question(question: str, words: str) -> None:
    window = extract_window(question, NOW)
    assert window
    assert window.words == words


@pytest.mark.parametrize(
    ("zone", "since", "until"),
    [
        ("Europe/Paris", "2022-06-16", "2022-06-17"),
        ("Pacific/Auckland", "2022-06-17", "2022-06-18"),
        ("America/Los_Angeles", "2022-06-16", "2022-06-17"),
    ],
)
def test_the_day_is_the_askers(zone: str, since: str, until: str) -> None:
    there = ZoneInfo(zone)
    found = bounds("What happened today?", NOW.astimezone(there))
    assert found == (moment(since, there), moment(until, there))
    assert all(bound and bound.tzinfo is there for bound in found)


@pytest.mark.parametrize(
    ("question", "now", "since", "until"),
    [
        ("Who won yesterday?", "2024-03-01T09:00", "2024-02-29", "2024-03-02"),
        ("Who won on 29 February?", "2024-02-28T09:00", "2020-02-29", ""),
        ("What rose over the last year?", "2024-02-29T09:00", "2023-02-28T09:00", "2024-03-01"),
        ("What rose in the past month?", "2022-03-31T09:00", "2022-02-28T09:00", "2022-04-01"),
        ("Who won last week?", "2022-01-03T09:00", "2021-12-27", "2022-01-04"),
        ("Who won last month?", "2022-01-31T09:00", "2021-12-01", "2022-01-01"),
        ("Who won last winter?", "2022-01-10T09:00", "2020-12-01", "2021-03-01"),
        ("Who won in December?", "2022-01-10T09:00", "2021-12-01", "2022-01-01"),
        ("Who won this week?", "2022-01-02T09:00", "2021-12-26", "2022-01-03"),
        ("Who won this weekend?", "2022-06-18T09:00", "2022-06-18", "2022-06-21"),
        ("Who won last weekend?", "2022-06-19T09:00", "2022-06-18", "2022-06-21"),
        ("Who won a year ago?", "2024-02-29T09:00", "2023-01-01", "2024-01-01"),
    ],
)
def test_the_calendars_edges(question: str, now: str, since: str, until: str) -> None:
    asked = moment(now)
    assert asked
    assert bounds(question, asked) == (moment(since), moment(until))


def test_a_day_on_which_the_clocks_change_runs_from_midnight_to_midnight() -> None:
    since, until = bounds("What happened today?", datetime(2022, 3, 27, 12, tzinfo=PARIS))
    assert since
    assert until
    assert until.astimezone(UTC) - since.astimezone(UTC) == timedelta(hours=23)


def test_hours_are_counted_through_a_change_of_the_clocks() -> None:
    now = datetime(2022, 3, 27, 12, tzinfo=PARIS)
    since, _ = bounds("What happened in the past 24 hours?", now)
    assert since == datetime(2022, 3, 26, 11, tzinfo=PARIS)


@pytest.mark.parametrize(
    ("since", "until", "named"),
    [
        ("2022-06-10", "2022-06-18", "10–17 June 2022"),
        ("2022-06-17", "2022-06-18", "17 June 2022"),
        ("2022-06-01", "2022-07-01", "June 2022"),
        ("2022-06-01", "2022-09-01", "June–August 2022"),
        ("2021-12-01", "2022-03-01", "December 2021 – February 2022"),
        ("2021-01-01", "2022-01-01", "2021"),
        ("2019-01-01", "2022-01-01", "2019–2021"),
        ("2022-05-28", "2022-06-04", "28 May – 3 June 2022"),
        ("2021-12-30", "2022-01-03", "30 December 2021 – 2 January 2022"),
        ("2021-06-10", "2022-06-11", "10 June 2021 – 10 June 2022"),
        ("2022-06-15T15:00", "2022-06-17", "15–16 June 2022"),
        ("2021-01-06", "", "since 6 January 2021"),
        ("", "2022-06-01", "before 1 June 2022"),
        ("", "2022-06-01T12:00", "before 2 June 2022"),
        ("", "9999-12-31T12:00", "before 31 December 9999"),
        ("", "", ""),
    ],
)
def test_a_window_is_named_as_people_write_it(since: str, until: str, named: str) -> None:
    assert TimeWindow(moment(since), moment(until)).label == named


@pytest.mark.parametrize(
    "question",
    [
        "What is the latest on the strike?",
        "Latest on the strike?",
        "What is Apple's newest phone?",
        "Who won the most recent election?",
        "Who is the current president?",
        "Who is currently in charge?",
        "What is happening right now?",
        "Who is in charge now?",
        "Who is now prime minister?",
        "What is the price of gas today?",
        "How many cases are there as of today?",
        "How many have died so far?",
        "What do people eat these days?",
        "Which is the largest at the moment?",
    ],
)
def test_questions_about_now(question: str) -> None:
    assert asks_about_present(question)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "Who won?",
        "Who founded the now-defunct airline?",
        "What was it called then and what is it now?",
        "Who directed Apocalypse Now?",
        "Who leads NOW?",
        "Who owns USA Today?",
        "Who sang “Right now”?",
        "What happens now and then?",
        "What is now Ukraine was part of what?",
        "Which company is now called Meta?",
        "How is current in a wire measured?",
        "Who invented the alternating current motor?",
        "Why is it so far away?",
        "When is it due at the latest?",
        "Who knows?",
    ],
)
def test_questions_that_only_sound_like_now(question: str) -> None:
    assert not asks_about_present(question)


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "in on since before until between from to and the last past this early late of by , . - – “ ” 's ago 0 1 2 12 29"
        " 31 999 2021 2022 1800 9999 0001-01-01 9999-12-31 2021-02-30 30/2/2021 Feb May January June December Monday week"
        " weekend month year hours days years today yesterday summer winter night now will compared than ſept Frıday",
    )
)
PHRASES = st.lists(WORDS, max_size=12).map(" ".join)
ZONES = st.sampled_from([PARIS, ZoneInfo("Pacific/Auckland"), UTC, timezone(timedelta(hours=-12))])
MOMENTS = st.one_of(
    st.datetimes(timezones=ZONES),
    st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]),
    st.datetimes(datetime(2020, 1, 1), datetime(2024, 12, 31), timezones=ZONES),  # noqa: DTZ001 - hypothesis takes bounds without a zone
)


@given(st.one_of(PHRASES, st.text()), MOMENTS)
def test_any_text_at_any_time_gives_a_window_in_order_or_none(question: str, now: datetime) -> None:
    asks_about_present(question)
    window = extract_window(question, now)
    if window:
        assert window.words in question
        assert window.words
        assert window.label
        assert window.since or window.until
        assert all(bound.tzinfo is now.tzinfo for bound in (window.since, window.until) if bound)
        if window.since and window.until:
            assert window.since < window.until


@pytest.mark.parametrize(
    "text",
    ["“" * 20_000, "in " * 20_000, "from May " * 5_000, " " * 50_000, "6 " * 20_000, "now then " * 9_000],
)
def test_long_texts_are_read_in_time(text: str) -> None:
    started = datetime.now(UTC)
    extract_window(text, NOW)
    asks_about_present(text)
    assert datetime.now(UTC) - started < timedelta(seconds=5)

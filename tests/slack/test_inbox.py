"""The inbox keeps each request once, hands each out once, in the order of its thread and fairly among people."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock

import pytest

from bot.answering.answer import Answer, Sentence
from bot.answering.answer_store import Journal
from bot.answering.question import Question, Trace
from bot.indexing.filters import Filters
from bot.slack.models import Job, Request
from bot.slack.queue import LEASE, Inbox, Taken
from bot.storage.article_store import Library


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(library: Library, clock: Clock) -> Inbox:
    return Inbox(library, waiting=100, clock=clock)


def asked(
    target: str, *, person: str = "U0ANN", channel: str = "C0NEWS", thread: str = "", **more: object
) -> Request:
    about = {"thread": thread or target, "target": target, "ts": target, "text": f"question {target}"}
    fields = {"kind": "question", **about, **more}
    return Request(channel=channel, person=person, **fields)  # type: ignore[arg-type]


def claimed(inbox: Inbox) -> list[str]:
    """Claim all that can be claimed, and return what it is about."""
    found = []
    while job := inbox.claim():
        found.append(job.ts)
    return found


def done(inbox: Inbox, job: Job | None) -> str:
    assert job
    inbox.close(job)
    return job.ts


def answer_of(text: str, said: str, *, status: str = "answered") -> Trace:
    answer = Answer(
        question=text,
        standalone_question=text,
        status=status,  # type: ignore[arg-type]
        sentences=(Sentence(text=said, citations=()),),
        answerer="extractive",
    )
    return Trace(answer, Question(text), datetime.now(UTC), Filters())


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ({"event_id": "Ev1"}, Taken.SEEN),  # delivered again
        ({"event_id": "Ev2"}, Taken.SEEN),  # the same message as app_mention and as message
        ({"event_id": "Ev1", "ts": "2.0"}, Taken.SEEN),  # an id that is known, whatever it holds
        ({"event_id": "Ev2", "ts": "2.0"}, Taken.NEW),
        ({"event_id": "Ev2", "kind": "delete", "ts": "3.0"}, Taken.NEW),
        ({"event_id": "Ev2", "kind": "edit", "ts": "3.0"}, Taken.NEW),
    ],
)
def test_a_request_is_taken_once(inbox: Inbox, again: dict[str, str], expected: Taken) -> None:
    assert inbox.take(asked("1.0", event_id="Ev1")) is Taken.NEW
    target = again.get("ts", "1.0") if again.get("kind", "question") == "question" else "1.0"
    assert inbox.take(asked(target, **again)) is expected  # type: ignore[arg-type]


def test_events_without_an_id_are_known_by_what_they_are_about(inbox: Inbox) -> None:
    assert [inbox.take(asked("1.0")) for _ in range(2)] == [Taken.NEW, Taken.SEEN]


def test_each_edit_is_one_of_its_own(inbox: Inbox) -> None:
    edits = [asked("1.0", kind="edit", ts=ts) for ts in ("2.0", "3.0", "3.0")]
    assert [inbox.take(edit) for edit in edits] == [Taken.NEW, Taken.NEW, Taken.SEEN]


def test_two_processes_take_one_request_once(library: Library) -> None:
    inboxes = [Inbox(library, waiting=100) for _ in range(2)]
    for n in range(10):
        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(lambda box, n=n: box.take(asked(f"{n}.0")), inboxes * 2))
        assert Counter(taken) == {Taken.NEW: 1, Taken.SEEN: 3}


def test_one_thread_is_worked_on_in_the_order_in_which_it_was_written(inbox: Inbox) -> None:
    for ts in ("1.0", "3.0", "2.0"):  # as it arrived
        inbox.take(asked(ts, thread="1.0"))
    inbox.take(asked("4.0"))
    first = inbox.claim()
    other = inbox.claim()
    assert first
    assert other
    assert (first.ts, other.ts) == ("1.0", "4.0")
    assert inbox.claim() is None
    assert done(inbox, first) == "1.0"
    assert done(inbox, inbox.claim()) == "2.0"
    assert done(inbox, inbox.claim()) == "3.0"


def test_a_direct_conversation_is_one_thread_but_private_answers_wait_for_none(inbox: Inbox) -> None:
    inbox.take(asked("1.0", channel="D0ANN"))
    inbox.take(asked("2.0", channel="D0ANN"))
    inbox.take(asked("3.0", channel="D0ANN", kind="command", thread=""))
    assert claimed(inbox) == ["1.0", "3.0"]


def test_people_take_turns(inbox: Inbox) -> None:
    for n in range(3):
        inbox.take(asked(f"1.{n}", person="U0BUSY"))
    inbox.take(asked("2.0", person="U0ANN"))
    inbox.take(asked("2.1", person="U0BEN"))
    assert claimed(inbox) == ["1.0", "2.0", "2.1", "1.1", "1.2"]


def test_who_has_too_many_open_is_told_so_and_may_ask_again_later(library: Library) -> None:
    inbox = Inbox(library, waiting=2)
    assert [inbox.take(asked(f"{n}.0")) for n in range(3)] == [Taken.NEW, Taken.NEW, Taken.TOO_MANY]
    assert inbox.take(asked("9.0", person="U0BEN")) is Taken.NEW
    assert inbox.take(asked("1.0", kind="delete", ts="9.1")) is Taken.NEW  # taking back is never too much
    job = inbox.claim()
    done(inbox, job)
    assert inbox.take(asked("4.0")) is Taken.TOO_MANY  # one waits, one is to be deleted
    while job := inbox.claim():
        inbox.close(job)
    assert inbox.take(asked("5.0")) is Taken.NEW


def test_a_job_of_a_process_that_died_is_claimed_by_another_when_its_lease_is_over(
    library: Library, clock: Clock
) -> None:
    dead, alive = (Inbox(library, waiting=9, clock=clock) for _ in range(2))
    dead.take(asked("1.0"))
    job = dead.claim()
    assert job
    assert dead.about_to_post(job)
    clock.now += LEASE - 1
    assert alive.claim() is None
    clock.now += 2
    again = alive.claim()
    assert again
    assert (again.id, again.tries, again.posting) == (job.id, 2, True)
    assert not dead.about_to_post(job)  # it was only slow: it may say nothing more
    dead.posted(job, "7.0")
    dead.close(job)
    assert alive.about_to_post(again)
    assert alive.said.reply_to("C0NEWS", "1.0") == ""


def test_a_lease_is_renewed_while_somebody_works(library: Library, clock: Clock) -> None:
    mine, other = (Inbox(library, waiting=9, clock=clock) for _ in range(2))
    mine.take(asked("1.0"))
    job = mine.claim()
    assert job
    for _ in range(5):
        clock.now += LEASE - 1
        mine.renew([job])
    assert other.claim() is None


def test_many_processes_claim_each_job_once(library: Library) -> None:
    inboxes = [Inbox(library, waiting=100) for _ in range(4)]
    for n in range(40):
        inboxes[0].take(asked(f"{n:02}.0", person=f"U0{n % 5}"))
    with ThreadPoolExecutor(4) as pool:
        found = [ts for part in pool.map(claimed, inboxes) for ts in part]
    assert sorted(found) == [f"{n:02}.0" for n in range(40)]


def test_who_was_too_slow_is_told_apart_from_who_took_over_in_one_process_too(
    inbox: Inbox, clock: Clock
) -> None:
    inbox.take(asked("1.0"))
    slow = inbox.claim()
    assert slow
    clock.now += LEASE + 1  # as when the database was locked for long, and no lease could be renewed
    again = inbox.claim()
    assert again
    inbox.renew([slow])
    assert not inbox.about_to_post(slow)
    inbox.answered(slow, "another's")
    inbox.close(slow)
    assert inbox.about_to_post(again)
    clock.now += LEASE + 1
    last = inbox.claim()
    assert last
    assert (last.tries, last.answer_id) == (3, "")


def test_what_comes_late_waits_for_what_is_worked_on_in_its_thread(inbox: Inbox, clock: Clock) -> None:
    inbox.take(asked("3.0", thread="1.0"))
    ahead = inbox.claim()
    inbox.take(asked("2.0", thread="1.0"))  # written before, delivered after
    assert inbox.claim() is None
    assert done(inbox, ahead) == "3.0"
    assert done(inbox, inbox.claim()) == "2.0"


def test_who_died_with_a_late_question_behind_it_blocks_no_thread(inbox: Inbox, clock: Clock) -> None:
    inbox.take(asked("3.0", thread="1.0"))
    inbox.claim()
    inbox.take(asked("2.0", thread="1.0"))
    clock.now += LEASE + 1
    assert done(inbox, inbox.claim()) == "2.0"
    assert done(inbox, inbox.claim()) == "3.0"


def test_of_one_thread_never_are_two_jobs_out_at_once(library: Library) -> None:
    """Four processes work while the questions of two threads arrive in any order."""
    inboxes = [Inbox(library, waiting=1_000) for _ in range(4)]
    held: Counter[str] = Counter()
    watch = Lock()

    def work(number: int) -> int:
        inbox, most = inboxes[number], 0
        for n in range(40):
            inbox.take(asked(f"{99 - n:02}.{number}", thread=f"{n % 2}.0", person=f"U{n}"))
            if job := inbox.claim():
                with watch:
                    held[job.thread] += 1
                    most = max(most, held[job.thread])
                inbox.overtaken(job)  # which takes a moment
                with watch:  # before it is closed: after that another may hold it
                    held[job.thread] -= 1
                inbox.close(job)
        return most

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) == 1


def test_a_released_job_is_begun_again_after_a_while(inbox: Inbox, clock: Clock) -> None:
    inbox.take(asked("1.0"))
    job = inbox.claim()
    assert job
    inbox.release(job, after=30)
    clock.now += 29
    assert inbox.claim() is None
    clock.now += 2
    assert inbox.claim()


def test_a_thread_is_gone_on_with_until_people_talk_to_each_other(inbox: Inbox) -> None:
    assert inbox.said.partner("C0NEWS", "1.0") is None
    inbox.take(asked("1.0"), follow=True)
    assert inbox.said.partner("C0NEWS", "1.0") == "U0ANN"
    inbox.take(asked("2.0", thread="1.0", person="U0BEN"), follow=True)
    assert inbox.said.partner("C0NEWS", "1.0") == "U0BEN"
    inbox.said.fall_quiet("C0NEWS", "1.0")
    assert inbox.said.partner("C0NEWS", "1.0") is None
    inbox.take(asked("3.0", thread="1.0"), follow=True)
    assert inbox.said.partner("C0NEWS", "1.0") == "U0ANN"


@pytest.mark.parametrize(("kind", "expected"), [("edit", True), ("delete", True), ("question", False)])
def test_what_changes_a_question_overtakes_it(inbox: Inbox, kind: str, expected: bool) -> None:
    inbox.take(asked("1.0"))
    inbox.take(asked("1.0" if kind != "question" else "2.0", kind=kind, ts="2.0"))
    job = inbox.claim()
    assert job
    assert inbox.overtaken(job) is expected


def test_the_conversation_so_far_is_that_of_the_thread(library: Library, inbox: Inbox) -> None:
    journal = Journal(library)

    def answered(request: Request, trace: Trace) -> None:
        inbox.take(request)
        job = inbox.claim()
        assert job
        journal.remember(trace)
        inbox.answered(job, trace.answer.id)
        inbox.posted(job, f"{job.ts}1")
        inbox.close(job)

    answered(asked("1.0", thread="1.0"), answer_of("Who won?", "Argentina won."))
    answered(asked("1.5", thread="1.5"), answer_of("Elsewhere?", "Yes."))
    answered(asked("2.0", thread="1.0"), answer_of("And lost?", "", status="not_found"))
    answered(
        asked("1.0", thread="1.0", kind="edit", ts="2.5"), answer_of("Who won the cup?", "Argentina won it.")
    )
    answered(asked("3.0", thread="1.0"), answer_of("When?", "In 2022."))
    inbox.take(asked("4.0", thread="1.0"))
    job = inbox.claim()
    assert job
    expected = [("Who won the cup?", "Argentina won it."), ("And lost?", ""), ("When?", "In 2022.")]
    assert [tuple(exchange) for exchange in inbox.said.history(job)] == expected
    assert inbox.said.replies("C0NEWS", "1.0") == {"1.01", "2.01", "2.51", "3.01"}
    assert inbox.said.reply_to("C0NEWS", "1.0") == "2.51"
    inbox.said.withdraw("C0NEWS", "1.0")
    assert [tuple(exchange) for exchange in inbox.said.history(job)] == expected[1:]
    assert inbox.said.reply_to("C0NEWS", "1.0") == ""


def test_a_direct_conversation_is_remembered_for_an_hour(
    library: Library, inbox: Inbox, clock: Clock
) -> None:
    journal = Journal(library)
    for ts in ("1.0", "2.0"):
        inbox.take(asked(ts, channel="D0ANN"))
        job = inbox.claim()
        assert job
        trace = answer_of(f"Question {ts}", "Yes.")
        journal.remember(trace)
        inbox.answered(job, trace.answer.id)
        inbox.close(job)
        clock.now += 3_000
    inbox.take(asked("3.0", channel="D0ANN"))
    job = inbox.claim()
    assert job
    assert [exchange.question for exchange in inbox.said.history(job)] == ["Question 2.0"]


def test_old_events_are_forgotten_and_new_ones_are_not(inbox: Inbox, clock: Clock) -> None:
    inbox.first_time("C0NEWS", "old", "share")
    clock.now += 8 * 86_400
    inbox.first_time("C0NEWS", "new", "share")
    inbox.forget_old()
    assert inbox.first_time("C0NEWS", "old", "share")
    assert not inbox.first_time("C0NEWS", "new", "share")

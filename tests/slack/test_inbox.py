"""The inbox keeps each request once, hands each out once, in the order of its thread and fairly among people."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock

import pytest

from bot.answering.answer import Answer, Sentence
from bot.answering.answer_store import AnswerStore
from bot.answering.question import AnswerTrace, Question
from bot.indexing.filters import SearchFilters
from bot.slack.models import Job, Request
from bot.slack.queue import LEASE_SECONDS, EnqueueResult, JobQueue
from bot.storage.article_store import ArticleStore


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
def inbox(library: ArticleStore, clock: Clock) -> JobQueue:
    return JobQueue(library, waiting=100, clock=clock)


def asked(
    target: str, *, person: str = "U0ANN", channel: str = "C0NEWS", thread: str = "", **more: object
) -> Request:
    about = {"thread": thread or target, "target": target, "ts": target, "text": f"question {target}"}
    fields = {"kind": "question", **about, **more}
    return Request(channel=channel, person=person, **fields)  # type: ignore[arg-type]


def claimed(inbox: JobQueue) -> list[str]:
    """Claim all that can be claimed, and return what it is about."""
    found = []
    while job := inbox.claim():
        found.append(job.ts)
    return found


def done(inbox: JobQueue, job: Job | None) -> str:
    assert job
    inbox.close(job)
    return job.ts


def answer_of(text: str, said: str, *, status: str = "answered") -> AnswerTrace:
    answer = Answer(
        question=text,
        standalone_question=text,
        status=status,  # type: ignore[arg-type]
        sentences=(Sentence(text=said, citations=()),),
        answerer="extractive",
    )
    return AnswerTrace(answer, Question(text), datetime.now(UTC), SearchFilters())


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ({"event_id": "Ev1"}, EnqueueResult.DUPLICATE),  # delivered again
        ({"event_id": "Ev2"}, EnqueueResult.DUPLICATE),  # the same message as app_mention and as message
        ({"event_id": "Ev1", "ts": "2.0"}, EnqueueResult.DUPLICATE),  # an id that is known, whatever it holds
        ({"event_id": "Ev2", "ts": "2.0"}, EnqueueResult.NEW),
        ({"event_id": "Ev2", "kind": "delete", "ts": "3.0"}, EnqueueResult.NEW),
        ({"event_id": "Ev2", "kind": "edit", "ts": "3.0"}, EnqueueResult.NEW),
    ],
)
def test_a_request_is_taken_once(inbox: JobQueue, again: dict[str, str], expected: EnqueueResult) -> None:
    assert inbox.enqueue(asked("1.0", event_id="Ev1")) is EnqueueResult.NEW
    target = again.get("ts", "1.0") if again.get("kind", "question") == "question" else "1.0"
    assert inbox.enqueue(asked(target, **again)) is expected  # type: ignore[arg-type]


def test_events_without_an_id_are_known_by_what_they_are_about(inbox: JobQueue) -> None:
    assert [inbox.enqueue(asked("1.0")) for _ in range(2)] == [EnqueueResult.NEW, EnqueueResult.DUPLICATE]


def test_each_edit_is_one_of_its_own(inbox: JobQueue) -> None:
    edits = [asked("1.0", kind="edit", ts=ts) for ts in ("2.0", "3.0", "3.0")]
    assert [inbox.enqueue(edit) for edit in edits] == [
        EnqueueResult.NEW,
        EnqueueResult.NEW,
        EnqueueResult.DUPLICATE,
    ]


def test_two_processes_take_one_request_once(library: ArticleStore) -> None:
    inboxes = [JobQueue(library, waiting=100) for _ in range(2)]
    for n in range(10):
        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(lambda box, n=n: box.enqueue(asked(f"{n}.0")), inboxes * 2))
        assert Counter(taken) == {EnqueueResult.NEW: 1, EnqueueResult.DUPLICATE: 3}


def test_one_thread_is_worked_on_in_the_order_in_which_it_was_written(inbox: JobQueue) -> None:
    for ts in ("1.0", "3.0", "2.0"):  # as it arrived
        inbox.enqueue(asked(ts, thread="1.0"))
    inbox.enqueue(asked("4.0"))
    first = inbox.claim()
    other = inbox.claim()
    assert first
    assert other
    assert (first.ts, other.ts) == ("1.0", "4.0")
    assert inbox.claim() is None
    assert done(inbox, first) == "1.0"
    assert done(inbox, inbox.claim()) == "2.0"
    assert done(inbox, inbox.claim()) == "3.0"


def test_a_direct_conversation_is_one_thread_but_private_answers_wait_for_none(inbox: JobQueue) -> None:
    inbox.enqueue(asked("1.0", channel="D0ANN"))
    inbox.enqueue(asked("2.0", channel="D0ANN"))
    inbox.enqueue(asked("3.0", channel="D0ANN", kind="command", thread=""))
    assert claimed(inbox) == ["1.0", "3.0"]


def test_people_take_turns(inbox: JobQueue) -> None:
    for n in range(3):
        inbox.enqueue(asked(f"1.{n}", person="U0BUSY"))
    inbox.enqueue(asked("2.0", person="U0ANN"))
    inbox.enqueue(asked("2.1", person="U0BEN"))
    assert claimed(inbox) == ["1.0", "2.0", "2.1", "1.1", "1.2"]


def test_who_has_too_many_open_is_told_so_and_may_ask_again_later(library: ArticleStore) -> None:
    inbox = JobQueue(library, waiting=2)
    assert [inbox.enqueue(asked(f"{n}.0")) for n in range(3)] == [
        EnqueueResult.NEW,
        EnqueueResult.NEW,
        EnqueueResult.TOO_MANY,
    ]
    assert inbox.enqueue(asked("9.0", person="U0BEN")) is EnqueueResult.NEW
    assert (
        inbox.enqueue(asked("1.0", kind="delete", ts="9.1")) is EnqueueResult.NEW
    )  # taking back is never too much
    job = inbox.claim()
    done(inbox, job)
    assert inbox.enqueue(asked("4.0")) is EnqueueResult.TOO_MANY  # one waits, one is to be deleted
    while job := inbox.claim():
        inbox.close(job)
    assert inbox.enqueue(asked("5.0")) is EnqueueResult.NEW


def test_a_job_of_a_process_that_died_is_claimed_by_another_when_its_lease_is_over(
    library: ArticleStore, clock: Clock
) -> None:
    dead, alive = (JobQueue(library, waiting=9, clock=clock) for _ in range(2))
    dead.enqueue(asked("1.0"))
    job = dead.claim()
    assert job
    assert dead.mark_posting(job)
    clock.now += LEASE_SECONDS - 1
    assert alive.claim() is None
    clock.now += 2
    again = alive.claim()
    assert again
    assert (again.id, again.tries, again.posting) == (job.id, 2, True)
    assert not dead.mark_posting(job)  # it was only slow: it may say nothing more
    dead.mark_posted(job, "7.0")
    dead.close(job)
    assert alive.mark_posting(again)
    assert alive.threads.reply_to("C0NEWS", "1.0") == ""


def test_a_lease_is_renewed_while_somebody_works(library: ArticleStore, clock: Clock) -> None:
    mine, other = (JobQueue(library, waiting=9, clock=clock) for _ in range(2))
    mine.enqueue(asked("1.0"))
    job = mine.claim()
    assert job
    for _ in range(5):
        clock.now += LEASE_SECONDS - 1
        mine.renew([job])
    assert other.claim() is None


def test_many_processes_claim_each_job_once(library: ArticleStore) -> None:
    inboxes = [JobQueue(library, waiting=100) for _ in range(4)]
    for n in range(40):
        inboxes[0].enqueue(asked(f"{n:02}.0", person=f"U0{n % 5}"))
    with ThreadPoolExecutor(4) as pool:
        found = [ts for part in pool.map(claimed, inboxes) for ts in part]
    assert sorted(found) == [f"{n:02}.0" for n in range(40)]


def test_who_was_too_slow_is_told_apart_from_who_took_over_in_one_process_too(
    inbox: JobQueue, clock: Clock
) -> None:
    inbox.enqueue(asked("1.0"))
    slow = inbox.claim()
    assert slow
    clock.now += LEASE_SECONDS + 1  # as when the database was locked for long, and no lease could be renewed
    again = inbox.claim()
    assert again
    inbox.renew([slow])
    assert not inbox.mark_posting(slow)
    inbox.mark_answered(slow, "another's")
    inbox.close(slow)
    assert inbox.mark_posting(again)
    clock.now += LEASE_SECONDS + 1
    last = inbox.claim()
    assert last
    assert (last.tries, last.answer_id) == (3, "")


def test_what_comes_late_waits_for_what_is_worked_on_in_its_thread(inbox: JobQueue, clock: Clock) -> None:
    inbox.enqueue(asked("3.0", thread="1.0"))
    ahead = inbox.claim()
    inbox.enqueue(asked("2.0", thread="1.0"))  # written before, delivered after
    assert inbox.claim() is None
    assert done(inbox, ahead) == "3.0"
    assert done(inbox, inbox.claim()) == "2.0"


def test_who_died_with_a_late_question_behind_it_blocks_no_thread(inbox: JobQueue, clock: Clock) -> None:
    inbox.enqueue(asked("3.0", thread="1.0"))
    inbox.claim()
    inbox.enqueue(asked("2.0", thread="1.0"))
    clock.now += LEASE_SECONDS + 1
    assert done(inbox, inbox.claim()) == "2.0"
    assert done(inbox, inbox.claim()) == "3.0"


def test_of_one_thread_never_are_two_jobs_out_at_once(library: ArticleStore) -> None:
    """Four processes work while the questions of two threads arrive in any order."""
    inboxes = [JobQueue(library, waiting=1_000) for _ in range(4)]
    held: Counter[str] = Counter()
    watch = Lock()

    def work(number: int) -> int:
        inbox, most = inboxes[number], 0
        for n in range(40):
            inbox.enqueue(asked(f"{99 - n:02}.{number}", thread=f"{n % 2}.0", person=f"U{n}"))
            if job := inbox.claim():
                with watch:
                    held[job.thread] += 1
                    most = max(most, held[job.thread])
                inbox.is_superseded(job)  # which takes a moment
                with watch:  # before it is closed: after that another may hold it
                    held[job.thread] -= 1
                inbox.close(job)
        return most

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) == 1


def test_a_released_job_is_begun_again_after_a_while(inbox: JobQueue, clock: Clock) -> None:
    inbox.enqueue(asked("1.0"))
    job = inbox.claim()
    assert job
    inbox.release(job, after=30)
    clock.now += 29
    assert inbox.claim() is None
    clock.now += 2
    assert inbox.claim()


def test_a_thread_is_gone_on_with_until_people_talk_to_each_other(inbox: JobQueue) -> None:
    assert inbox.threads.active_user("C0NEWS", "1.0") is None
    inbox.enqueue(asked("1.0"), follow=True)
    assert inbox.threads.active_user("C0NEWS", "1.0") == "U0ANN"
    inbox.enqueue(asked("2.0", thread="1.0", person="U0BEN"), follow=True)
    assert inbox.threads.active_user("C0NEWS", "1.0") == "U0BEN"
    inbox.threads.pause("C0NEWS", "1.0")
    assert inbox.threads.active_user("C0NEWS", "1.0") is None
    inbox.enqueue(asked("3.0", thread="1.0"), follow=True)
    assert inbox.threads.active_user("C0NEWS", "1.0") == "U0ANN"


@pytest.mark.parametrize(("kind", "expected"), [("edit", True), ("delete", True), ("question", False)])
def test_what_changes_a_question_overtakes_it(inbox: JobQueue, kind: str, expected: bool) -> None:
    inbox.enqueue(asked("1.0"))
    inbox.enqueue(asked("1.0" if kind != "question" else "2.0", kind=kind, ts="2.0"))
    job = inbox.claim()
    assert job
    assert inbox.is_superseded(job) is expected


def test_the_conversation_so_far_is_that_of_the_thread(library: ArticleStore, inbox: JobQueue) -> None:
    journal = AnswerStore(library)

    def answered(request: Request, trace: AnswerTrace) -> None:
        inbox.enqueue(request)
        job = inbox.claim()
        assert job
        journal.save(trace)
        inbox.mark_answered(job, trace.answer.id)
        inbox.mark_posted(job, f"{job.ts}1")
        inbox.close(job)

    answered(asked("1.0", thread="1.0"), answer_of("Who won?", "Argentina won."))
    answered(asked("1.5", thread="1.5"), answer_of("Elsewhere?", "Yes."))
    answered(asked("2.0", thread="1.0"), answer_of("And lost?", "", status="not_found"))
    answered(
        asked("1.0", thread="1.0", kind="edit", ts="2.5"), answer_of("Who won the cup?", "Argentina won it.")
    )
    answered(asked("3.0", thread="1.0"), answer_of("When?", "In 2022."))
    inbox.enqueue(asked("4.0", thread="1.0"))
    job = inbox.claim()
    assert job
    expected = [("Who won the cup?", "Argentina won it."), ("And lost?", ""), ("When?", "In 2022.")]
    assert [tuple(exchange) for exchange in inbox.threads.history(job)] == expected
    assert inbox.threads.replies("C0NEWS", "1.0") == {"1.01", "2.01", "2.51", "3.01"}
    assert inbox.threads.reply_to("C0NEWS", "1.0") == "2.51"
    inbox.threads.remove_question("C0NEWS", "1.0")
    assert [tuple(exchange) for exchange in inbox.threads.history(job)] == expected[1:]
    assert inbox.threads.reply_to("C0NEWS", "1.0") == ""


def test_a_direct_conversation_is_remembered_for_an_hour(
    library: ArticleStore, inbox: JobQueue, clock: Clock
) -> None:
    journal = AnswerStore(library)
    for ts in ("1.0", "2.0"):
        inbox.enqueue(asked(ts, channel="D0ANN"))
        job = inbox.claim()
        assert job
        trace = answer_of(f"Question {ts}", "Yes.")
        journal.save(trace)
        inbox.mark_answered(job, trace.answer.id)
        inbox.close(job)
        clock.now += 3_000
    inbox.enqueue(asked("3.0", channel="D0ANN"))
    job = inbox.claim()
    assert job
    assert [exchange.question for exchange in inbox.threads.history(job)] == ["Question 2.0"]


def test_old_events_are_forgotten_and_new_ones_are_not(inbox: JobQueue, clock: Clock) -> None:
    inbox.mark_seen("C0NEWS", "old", "share")
    clock.now += 8 * 86_400
    inbox.mark_seen("C0NEWS", "new", "share")
    inbox.prune()
    assert inbox.mark_seen("C0NEWS", "old", "share")
    assert not inbox.mark_seen("C0NEWS", "new", "share")

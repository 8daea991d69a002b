"""The pipeline: steps side by side, batches in their order, never more than three of them, errors where they belong."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bot.indexing import index_writer


def test_every_batch_is_worked_on_and_finished_in_its_order() -> None:
    finished: list[tuple[int, int]] = []
    index_writer.run_concurrent_stages(
        range(1, 40), lambda n: n * n, lambda n, square: finished.append((n, square))
    )
    assert finished == [(n, n * n) for n in range(1, 40)]
    index_writer.run_concurrent_stages(iter(()), lambda n: n, lambda n, same: finished.append((n, same)))
    assert len(finished) == 39


def test_the_next_is_made_and_the_last_is_finished_while_one_is_worked_on() -> None:
    made, finishing = threading.Event(), threading.Event()

    def batches() -> Iterator[str]:
        yield "first"
        yield "second"
        made.set()
        yield "third"

    def work(batch: str) -> None:
        if batch == "second":
            assert made.wait(30)
            assert finishing.wait(30)

    index_writer.run_concurrent_stages(batches(), work, lambda batch, _: finishing.set())


def test_what_is_made_ahead_waits_for_what_is_finished() -> None:
    held, most, lock = 0, 0, threading.Lock()

    def change(by: int) -> None:
        nonlocal held, most
        with lock:
            held += by
            most = max(most, held)

    def batches() -> Iterator[int]:
        for number in range(1, 200):
            change(+1)
            yield number

    index_writer.run_concurrent_stages(batches(), lambda n: n, lambda n, _: change(-1))
    assert (held, most <= 4) == (
        0,
        True,
    )  # one that is made, one worked on, one finished and one waiting for that


@pytest.mark.parametrize("failing", ["making", "working", "finishing", "interrupted"])
def test_what_any_step_raises_ends_all_and_is_raised(failing: str) -> None:
    begun: list[int] = []

    def batches() -> Iterator[int]:
        for number in range(1, 1000):
            if failing == "making" and number == 5:
                raise OSError("gone")
            yield number

    def work(number: int) -> int:
        begun.append(number)
        if failing == "working" and number == 5:
            raise OSError("gone")
        if failing == "interrupted" and number == 5:
            raise KeyboardInterrupt
        return number

    def finish(number: int, _: int) -> None:
        if failing == "finishing" and number == 5:
            raise OSError("gone")

    with pytest.raises(KeyboardInterrupt if failing == "interrupted" else OSError):
        index_writer.run_concurrent_stages(batches(), work, finish)
    assert len(begun) < 10

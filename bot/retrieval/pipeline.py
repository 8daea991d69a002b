"""Keeps a slow step busy: while it works on one batch, the next is made and the one before is put away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


def run(
    batches: Iterable[_Batch], work: Callable[[_Batch], _Result], finish: Callable[[_Batch, _Result], None]
) -> None:
    """Work on each batch in its turn; a thread makes the next one meanwhile, another finishes the last one.

    Three batches at most are held at once. What any of the three raises ends the others and is raised here.
    """
    rest = iter(batches)
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:
        coming = ahead.submit(next, rest, None)
        finished: Future[None] | None = None
        while (batch := coming.result()) is not None:
            coming = ahead.submit(next, rest, None)
            result = work(batch)
            if finished:
                finished.result()
            finished = behind.submit(finish, batch, result)
        if finished:
            finished.result()

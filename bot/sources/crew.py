"""Lets several hosts be visited side by side, while one thread puts away what comes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from bot.sources.hosts import Stopped

_Item = TypeVar("_Item")
_WORKERS = 8  # they mostly wait
_WAITING = 64  # items that wait to be put away; then the workers wait


@dataclass(frozen=True, slots=True)
class _Ended:
    name: str
    problem: Exception | None


class Crew(Generic[_Item]):
    """Works on named jobs, each in one thread, until it is left; then what is under way ends soon."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._items: queue.Queue[_Item | _Ended] = queue.Queue(_WAITING)
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="visit")
        self._left = False
        self._problem: Exception | None = None
        self.busy = set[
            str
        ]()  # names of jobs that are not put away yet; only the one who collects changes it

    @property
    def has_more(self) -> bool:
        """Whether there is something to collect, now or later."""
        return bool(self.busy or self._problem)

    def send(self, name: str, job: Callable[[], Iterator[_Item]]) -> None:
        """Begin a job as soon as somebody is free for it."""
        self.busy.add(name)
        self._pool.submit(self._work, name, job)

    def collect(self, *, seconds: float, most: int) -> tuple[list[_Item], list[str]]:
        """Return what came within so many seconds from the first on, and the names of jobs that ended with it.

        Raises what a job has raised.
        """
        items: list[_Item] = []
        ended: list[str] = []
        until = time.monotonic() + seconds
        while len(items) < most and len(ended) < len(self.busy):
            try:
                item = self._items.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if not isinstance(item, _Ended):
                items.append(item)
                continue
            ended.append(item.name)
            self._problem = self._problem or item.problem
        if self._problem and not items:  # what came before it is put away first
            self.busy.difference_update(ended)
            problem, self._problem = self._problem, None
            raise problem
        return items, ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _work(self, name: str, job: Callable[[], Iterator[_Item]]) -> None:
        problem: Exception | None = None
        try:
            for item in job():
                self._put(item)
                if self._stopping.is_set():
                    break
        except Stopped:
            pass
        except Exception as exc:  # noqa: BLE001 - it is raised where the items are collected
            problem = exc
        self._put(_Ended(name, problem))

    def _put(self, item: _Item | _Ended) -> None:
        while not self._left:  # nobody collects any more
            try:
                return self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
        return None

"""Runs the chain beside the event loop: its parts come as they are ready."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_END = object()


async def batches(parts: Callable[[], Iterator[_T]]) -> AsyncIterator[list[_T]]:
    """Yield what a blocking iterator yields, run in a thread of its own: all that is ready at a time together.

    Raises what it raises. When nobody wants more, the thread stops at the next part; it never holds up the end of
    the process, however long a model is silent.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[object] = asyncio.Queue()
    unwanted = threading.Event()

    def tell(item: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            loop.call_soon_threadsafe(ready.put_nowait, item)

    def run() -> None:
        try:
            for part in parts():
                if unwanted.is_set():
                    return
                tell(part)
        except Exception as exc:  # noqa: BLE001 - told to who awaits it
            tell(_Failed(exc))
        finally:
            tell(_END)

    threading.Thread(target=run, daemon=True, name="answering").start()
    try:
        while True:
            batch = [await ready.get()]
            while not ready.empty():
                batch.append(ready.get_nowait())
            failed = next((item for item in batch if isinstance(item, _Failed)), None)
            if good := [item for item in batch if item is not _END and not isinstance(item, _Failed)]:
                yield good  # type: ignore[misc]  # the queue holds parts and its own marks
            if failed:
                raise failed.error
            if _END in batch:
                return
    finally:
        unwanted.set()


class _Failed:
    def __init__(self, error: Exception) -> None:
        self.error = error

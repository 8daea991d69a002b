"""Run a blocking iterator in a thread as an async stream."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

_T = TypeVar("_T")


class _Sentinel:
    """End of the stream, with the exception if the iterator failed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


async def stream_in_thread(
    parts: Callable[[], Iterator[_T]], *, on_end: Callable[[], None] = lambda: None
) -> AsyncGenerator[list[_T]]:
    """Run a blocking iterator in a thread, and yield its items in batches of those that are ready.

    Exceptions of the iterator are raised again. When the consumer stops, the thread stops at the next item. The
    thread never delays process exit, however long a model takes to respond.

    Args:
        parts: creates the iterator.
        on_end: called in the event loop when the thread has stopped.
    """
    ready: asyncio.Queue[_T | _Sentinel] = asyncio.Queue()
    cancelled = threading.Event()
    _start_thread(parts, ready, cancelled, on_end)
    end: _Sentinel | None = None
    try:
        while end is None:
            batch = [await ready.get()]
            while not ready.empty():
                batch.append(ready.get_nowait())
            end = next((item for item in batch if isinstance(item, _Sentinel)), None)
            if good := [item for item in batch if not isinstance(item, _Sentinel)]:
                yield good
    finally:
        cancelled.set()
    if end.error:
        raise end.error


def _start_thread(
    parts: Callable[[], Iterator[_T]],
    ready: asyncio.Queue[_T | _Sentinel],
    cancelled: threading.Event,
    on_end: Callable[[], None],
) -> None:
    loop = asyncio.get_running_loop()

    def send(item: _T | _Sentinel) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is no consumer anymore
            loop.call_soon_threadsafe(ready.put_nowait, item)

    def run() -> None:
        try:
            for part in parts():
                if cancelled.is_set():
                    break
                send(part)
        except Exception as exc:  # noqa: BLE001 - raised again in the consumer
            send(_Sentinel(exc))
        else:
            send(_Sentinel())
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(on_end)

    context = contextvars.copy_context()  # log records and spans of the thread belong to the request
    threading.Thread(target=context.run, args=(run,), daemon=True, name="answering").start()

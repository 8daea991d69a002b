"""Runs the chain beside the event loop: its parts come as they are ready."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

_T = TypeVar("_T")


class _Sentinel:
    """Stands behind the last part, with what went wrong, if anything did."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


async def stream_in_thread(
    parts: Callable[[], Iterator[_T]], *, ended: Callable[[], None] = lambda: None
) -> AsyncGenerator[list[_T]]:
    """Yield what a blocking iterator yields, run in a thread of its own: all that is ready at a time together.

    Raises what it raises. When nobody wants more, the thread stops at the next part; it never holds up the end of
    the process, however long a model is silent. `ended` is called in the loop when the thread has stopped.
    """
    ready: asyncio.Queue[_T | _Sentinel] = asyncio.Queue()
    unwanted = threading.Event()
    _start(parts, ready, unwanted, ended)
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
        unwanted.set()
    if end.error:
        raise end.error


def _start(
    parts: Callable[[], Iterator[_T]],
    ready: asyncio.Queue[_T | _Sentinel],
    unwanted: threading.Event,
    ended: Callable[[], None],
) -> None:
    loop = asyncio.get_running_loop()

    def tell(item: _T | _Sentinel) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            loop.call_soon_threadsafe(ready.put_nowait, item)

    def run() -> None:
        try:
            for part in parts():
                if unwanted.is_set():
                    break
                tell(part)
        except Exception as exc:  # noqa: BLE001 - told to who awaits it
            tell(_Sentinel(exc))
        else:
            tell(_Sentinel())
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended)

    own = contextvars.copy_context()  # its log lines and spans are the asker's
    threading.Thread(target=own.run, args=(run,), daemon=True, name="answering").start()

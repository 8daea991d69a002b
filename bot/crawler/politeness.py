"""Takes turns with each host: one request at a time, a pause between two, and none while it asks to be left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.errors import FetchError

if TYPE_CHECKING:
    from protego import Protego

MAX_WAIT = 60.0  # seconds that a request waits for its host; longer ones are for the next time
LONGEST_REST = 86_400.0  # what a host may ask for at most
_MAX_CRAWL_DELAY = 30.0


class CrawlStopped(Exception):  # noqa: N818 - no error: whoever runs it has asked for an end
    """The work is to end now; nothing is wrong with what was being fetched."""


@dataclass
class Host:
    """What is known of one host in this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | None = None  # of its robots.txt
    rules_until: float = 0.0
    rules_problem: str = ""
    free_at: float = 0.0


class HostThrottle:
    """All hosts that were asked; safe to share between threads."""

    def __init__(
        self,
        *,
        delay: float,
        stopping: threading.Event,
        resting: Mapping[str, float] | None = None,
        on_rest: Callable[[str, float], None] = lambda host, until: None,
    ) -> None:
        """Pause `delay` seconds between two requests; `resting` says until when hosts are to be left."""
        self._delay = delay
        self._stopping = stopping
        self._resting = dict(resting or {})
        self._on_rest = on_rest
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, name: str) -> Iterator[Host]:
        """Hold the one connection to a host. Raises FetchError while it wants to be left for longer."""
        with self._lock:
            host = self._hosts.setdefault(name, Host())
        with host.lock:
            yield host

    def wait(self, name: str, host: Host, *, own: bool) -> None:
        """Wait until the host may be asked again; the user's own are not spared. Raises FetchError, CrawlStopped."""
        rest = self._resting.get(name, 0.0) - time.time()
        if rest > MAX_WAIT:
            raise FetchError(f"{name} asks to be left alone for {rest / 60:,.0f} more minutes", wait=rest)
        pause = 0.0 if own else host.free_at - time.monotonic()
        if self._stopping.wait(max(rest, pause, 0.0)):
            raise CrawlStopped

    def record_request(self, host: Host, agent: str) -> None:
        """Note that the host has just been asked."""
        asked_for = (host.rules.crawl_delay(agent) or 0.0) if host.rules else 0.0
        host.free_at = time.monotonic() + max(self._delay, min(asked_for, _MAX_CRAWL_DELAY))

    def back_off(self, name: str, seconds: float) -> None:
        """Note that a host asks to be left alone for so long."""
        until = time.time() + min(seconds, LONGEST_REST)
        self._resting[name] = until
        self._on_rest(name, until)

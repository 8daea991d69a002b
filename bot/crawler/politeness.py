"""Per-host request limits: one request at a time, crawl delays and Retry-After."""

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

MAX_WAIT_SECONDS = 60.0  # a request that would wait longer for its host fails
MAX_BACKOFF_SECONDS = 86_400.0  # longer Retry-After values are reduced to this
_MAX_CRAWL_DELAY_SECONDS = 30.0


class CrawlStopped(Exception):  # noqa: N818 - not an error: the caller requested the shutdown
    """The crawl is shutting down; the page being fetched is not at fault."""


@dataclass
class Host:
    """State of one host in this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | None = None  # from robots.txt
    rules_until: float = 0.0
    rules_problem: str = ""
    free_at: float = 0.0


class HostThrottle:
    """Limits the requests to each host; safe to share between threads."""

    def __init__(
        self,
        *,
        delay: float,
        stopping: threading.Event,
        backoffs: Mapping[str, float] | None = None,
        on_backoff: Callable[[str, float], None] = lambda host, until: None,
    ) -> None:
        """Prepare the throttle.

        Args:
            delay: seconds between two requests to a host.
            stopping: aborts waiting requests when set.
            backoffs: hosts that must not be requested yet, with the time until then (seconds since 1970).
            on_backoff: called with a host and the end of its backoff when it requests one.
        """
        self._delay = delay
        self._stopping = stopping
        self._backoffs = dict(backoffs or {})
        self._on_backoff = on_backoff
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def acquire(self, name: str) -> Iterator[Host]:
        """Hold the only connection to a host."""
        with self._lock:
            host = self._hosts.setdefault(name, Host())
        with host.lock:
            yield host

    def wait(self, name: str, host: Host, *, allowlisted: bool) -> None:
        """Wait until the host may be requested again.

        Args:
            name: name of the host, with its port if that is not the default.
            host: state of the host.
            allowlisted: skip the crawl delay, because the host is the user's own.

        Raises:
            FetchError: if the host requires a longer wait than `MAX_WAIT_SECONDS`.
            CrawlStopped: if the crawl is shutting down.
        """
        rest = self._backoffs.get(name, 0.0) - time.time()
        if rest > MAX_WAIT_SECONDS:
            raise FetchError(f"{name} asks to be left alone for {rest / 60:,.0f} more minutes", wait=rest)
        pause = 0.0 if allowlisted else host.free_at - time.monotonic()
        if self._stopping.wait(max(rest, pause, 0.0)):
            raise CrawlStopped

    def record_request(self, host: Host, agent: str) -> None:
        """Record a request to a host, which starts its crawl delay."""
        requested = (host.rules.crawl_delay(agent) or 0.0) if host.rules else 0.0
        host.free_at = time.monotonic() + max(self._delay, min(requested, _MAX_CRAWL_DELAY_SECONDS))

    def back_off(self, name: str, seconds: float) -> None:
        """Record that a host must not be requested for some seconds."""
        until = time.time() + min(seconds, MAX_BACKOFF_SECONDS)
        self._backoffs[name] = until
        self._on_backoff(name, until)

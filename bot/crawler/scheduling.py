"""Says when a feed is polled next and a page is looked at again."""

from __future__ import annotations

import random

SHORTEST, LONGEST = 300.0, 86_400.0  # seconds between two polls of a feed
_FIRST_PAUSE = 900.0
_JITTER = 0.1  # of a pause, so that feeds added together are not polled together for ever
_RECHECK_SHARE = 0.25  # a page is looked at again when a quarter of its age has passed since the last time
_RECHECK_AGE = 30 * 86_400.0  # and no more when it is this old
_RETRY = 600.0
_MISSES, _MISSING = 3, 86_400.0  # not found so many times over so long is gone


def next_interval(pause: float, *, changed: bool, shortest: float, wanted: float) -> float:
    """Return the pause after a poll: shorter where the feed had something new, but not than it `wanted` itself."""
    pause = pause or _FIRST_PAUSE
    longest = max(LONGEST, shortest)
    adapted = pause / 2 if changed else pause * 1.5
    return min(max(adapted, min(wanted, longest), shortest), longest)


def backoff_interval(pause: float, failures: int, *, shortest: float, wait: float = 0.0) -> float:
    """Return the pause after so many failed polls in a row; `wait` is what the host has asked for."""
    doubled = max(pause, shortest) * 2.0 ** min(failures, 10)
    return max(min(doubled, max(LONGEST, shortest)), wait)


def with_jitter(pause: float) -> float:
    """Return a pause that is up to a tenth longer."""
    return pause * (1 + random.random() * _JITTER)


def next_recheck(*, first_seen: float, now: float) -> float | None:
    """Return when a page is looked at again though its feed says nothing of it; None when it is too old."""
    age = now - first_seen
    return now + age * _RECHECK_SHARE if age < _RECHECK_AGE else None


def next_retry(*, first_seen: float, now: float, misses: int, wait: float = 0.0) -> float | None:
    """Return when a page that failed so many times is tried again."""
    pause = max(min(_RETRY * 2.0 ** min(misses, 10), LONGEST), wait)
    return now + pause if now - first_seen < _RECHECK_AGE else None


def is_gone(*, misses: int, missed: float, now: float) -> bool:
    """Say whether a page that was not found so many times, since then, is taken for gone."""
    return misses >= _MISSES and now - missed > _MISSING

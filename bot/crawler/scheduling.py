"""Poll intervals, backoff and recheck times."""

from __future__ import annotations

import random

MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS = 300.0, 86_400.0  # between two polls of a feed
_FIRST_INTERVAL_SECONDS = 900.0
_JITTER_SHARE = 0.1  # of an interval, so that feeds added together are not always polled together
_RECHECK_SHARE = 0.25  # a page is rechecked after a quarter of its age has passed since the last check
_MAX_RECHECK_AGE_SECONDS = 30 * 86_400.0  # older pages are not rechecked
_FIRST_RETRY_SECONDS = 600.0
_MIN_MISSES, _MIN_MISSING_SECONDS = 3, 86_400.0  # thresholds after which a missing page is gone


def next_interval(interval: float, *, changed: bool, min_interval: float, requested: float) -> float:
    """Return the interval before the next poll, in seconds.

    Args:
        interval: the previous interval; 0 at the first poll.
        changed: True if the feed had new entries, which shortens the interval.
        min_interval: lower limit set by the user.
        requested: minimum interval requested by the feed.
    """
    interval = interval or _FIRST_INTERVAL_SECONDS
    max_interval = max(MAX_INTERVAL_SECONDS, min_interval)
    adapted = interval / 2 if changed else interval * 1.5
    return min(max(adapted, min(requested, max_interval), min_interval), max_interval)


def backoff_interval(interval: float, failures: int, *, min_interval: float, wait: float = 0.0) -> float:
    """Return the interval after failed polls, in seconds.

    Args:
        interval: interval before the first failure.
        failures: number of consecutive failures.
        min_interval: lower limit set by the user.
        wait: waiting time requested by the host.
    """
    doubled = max(interval, min_interval) * 2.0 ** min(failures, 10)
    return max(min(doubled, max(MAX_INTERVAL_SECONDS, min_interval)), wait)


def with_jitter(interval: float) -> float:
    """Return an interval that is up to a tenth longer, at random."""
    return interval * (1 + random.random() * _JITTER_SHARE)


def next_recheck(*, first_seen: float, now: float) -> float | None:
    """Return the time at which a page is rechecked even if its feed does not report a change; None if it is too old."""
    age = now - first_seen
    return now + age * _RECHECK_SHARE if age < _MAX_RECHECK_AGE_SECONDS else None


def next_retry(*, first_seen: float, now: float, misses: int, wait: float = 0.0) -> float | None:
    """Return the time at which a failed page is retried, or None if it is too old.

    Args:
        first_seen: time at which the page was first seen.
        now: current time.
        misses: number of consecutive failures.
        wait: waiting time requested by the host, in seconds.
    """
    interval = max(min(_FIRST_RETRY_SECONDS * 2.0 ** min(misses, 10), MAX_INTERVAL_SECONDS), wait)
    return now + interval if now - first_seen < _MAX_RECHECK_AGE_SECONDS else None


def is_gone(*, misses: int, missed: float, now: float) -> bool:
    """Return True if a page that was not found is considered gone.

    Args:
        misses: number of consecutive requests that did not find it.
        missed: time of the first one.
        now: current time.
    """
    return misses >= _MIN_MISSES and now - missed > _MIN_MISSING_SECONDS

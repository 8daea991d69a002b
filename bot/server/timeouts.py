"""Timeouts and connection limits of the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts and intervals in seconds, and the maximum number of connections."""

    grace: float = 25.0  # for answers in flight at shutdown; the process manager kills the process later
    request_head: float = 10.0  # for the head of a request, from the time when the connection is idle
    write_stall: float = 20.0  # in which the client reads nothing of a response
    max_connections: int = 500  # concurrent ones; further ones receive a 503
    first_event: float = 2.0  # in which an answer that fails still gets its own status code
    keep_alive: float = 10.0  # without an event, after which a comment is sent
    slack_retry_min: float = 1.0  # before a connection to Slack is retried; doubled with each failure
    slack_ping_timeout: float = 15.0  # for a response of Slack, including waits that it asks for
    slack_ping_interval: float = 60.0  # between two checks of the connection; maximum before a retry


DEFAULT_TIMEOUTS = Timeouts()

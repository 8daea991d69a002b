"""How long a service waits for whom, and for how many at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, but for `connections`."""

    grace: float = 25.0  # for answers under way when the process is told to stop: whoever told it kills next
    request_head: float = 10.0  # for a request's head, from when the connection stands idle
    write_stall: float = 20.0  # without taking in anything of a response
    max_connections: int = 500  # at once; more are told to come again
    first_event: float = 2.0  # in which an answer that fails still gets a status of its own
    keep_alive: float = 10.0  # without an event, after which a comment says that there will be one
    slack_retry_min: float = 1.0  # before Slack is tried again; doubled with each try
    slack_ping_timeout: float = (
        15.0  # for Slack to say that it is there, also where it asks to be asked less often
    )
    slack_ping_interval: float = (
        60.0  # between two looks whether Slack is still there, and at most before a try
    )


DEFAULT_TIMEOUTS = Timeouts()

"""How long a service waits for whom, and for how many at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, but for `connections`."""

    grace: float = 25.0  # for answers under way when the process is told to stop: whoever told it kills next
    head: float = 10.0  # for a request's head, from when the connection stands idle
    stalled: float = 20.0  # without taking in anything of a response
    connections: int = 500  # at once; more are told to come again
    quick: float = 2.0  # in which an answer that fails still gets a status of its own
    keep_alive: float = 10.0  # without an event, after which a comment says that there will be one
    slack_away: float = 1.0  # before Slack is tried again; doubled with each try
    slack_answer: float = 15.0  # for Slack to say that it is there, also where it asks to be asked less often
    slack_there: float = 60.0  # between two looks whether Slack is still there, and at most before a try


USUAL = Patience()

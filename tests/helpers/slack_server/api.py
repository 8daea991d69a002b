"""The table of the Web API: what a method does, the scopes it needs, and the arguments without which it is refused.

A method gets the server and the call's arguments and returns what the answer holds besides `"ok": true`, or raises
`Refused` with Slack's own error code. What Slack accepts and silently mishandles goes to `slack.problem(…)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slack_server.state import BOT, BOT_ID, TEAM

if TYPE_CHECKING:
    from slack_server.server import SlackServer


Arguments = dict[str, Any]
Handler = Callable[["SlackServer", Arguments], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """A method: what it does, and the scopes of which it needs one; `{}` stands for the channel's kind."""

    run: Handler
    scopes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


METHODS: dict[str, Method] = {}


def method(name: str, *scopes: str, needs: str = "") -> Callable[[Handler], Handler]:
    """Put a function into the table; `needs` are the arguments without which Slack refuses."""

    def put(run: Handler) -> Handler:
        METHODS[name] = Method(run, scopes, tuple(needs.split()))
        return run

    return put


def needed(slack: SlackServer, name: str, given: Arguments) -> tuple[str, ...]:
    """Give the scopes of which a call needs one."""
    known = slack.channels.get(str(given.get("channel", "")))
    return tuple(scope.format(known.scope if known else "channels") for scope in METHODS[name].scopes)


@method("auth.test")
def auth_test(slack: SlackServer, _: Arguments) -> dict[str, Any]:
    return {"url": "https://team.slack.example/", "team": "Team", "user": "citewire", "team_id": TEAM, "user_id": BOT,
            "bot_id": BOT_ID, "is_enterprise_install": False}  # fmt: skip


@method("apps.connections.open")
def connections_open(slack: SlackServer, _: Arguments) -> dict[str, Any]:
    return {"url": slack.socket_url()}

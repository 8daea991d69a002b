"""One question to Slack's Web API, and in plain words what it refuses; no token in any of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.articles.article import clean_line
from bot.errors import SlackError, SlackRefusedError
from bot.slack.scopes import APP_SCOPE

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from bot.settings import Settings

TIMEOUT = 10  # seconds for a call
APPS = "https://api.slack.com/apps"
REINSTALL = "bring the app's manifest up to deploy/slack-manifest.yaml, and install the app again"
WHERE = {
    "SLACK_BOT_TOKEN": "OAuth & Permissions → Bot User OAuth Token",
    "SLACK_APP_TOKEN": f"Basic Information → App-Level Tokens, with the scope {APP_SCOPE}",
    "SLACK_SIGNING_SECRET": "Basic Information → Signing Secret",
}
_FORMS = {
    "SLACK_BOT_TOKEN": re.compile(r"xoxb-[\w-]+", re.ASCII),
    "SLACK_APP_TOKEN": re.compile(r"xapp-[\w-]+", re.ASCII),
    "SLACK_SIGNING_SECRET": re.compile(r"(?!x\w+-)[!-~]+"),
}

# Slack's words for what went wrong, in ours: what it is, and what to do.
_UNKNOWN = "the token is not known to Slack; copy it again"
REFUSALS = {
    "invalid_auth": _UNKNOWN,
    "not_authed": _UNKNOWN,
    "account_inactive": "the app was taken out of the workspace; install it again and copy the new token",
    "token_revoked": "the token was revoked; install the app again and copy the new token",
    "token_expired": "the token has expired; switch token rotation off, install the app again, copy the new token",
    "not_allowed_token_type": "that is a token of another sort; copy the one that is meant",
    "forbidden_team": f"Socket Mode is not on; switch it on at {APPS} → Socket Mode",
    "channel_not_found": "no such channel, or a private one that the bot is not in; "
    "compare the id, and in a private channel type `/invite @{bot}`",
    "missing_scope": "the scope {needed} is missing; " + REINSTALL,
    "ratelimited": "Slack asks to be asked less often; try again in a minute",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What Slack said."""

    data: Mapping[str, Any]
    headers: Mapping[str, str]

    def text(self, *path: str) -> str:
        """Return what stands at a path, on one line and without control characters; "?" where nothing does."""
        value: Any = self.data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return clean_line(str(value or "?"))


def secret(settings: Settings, name: str) -> str:
    """Return what is set under a Slack variable. Raises SlackError: what is not of its form is sent to nobody."""
    value: str = getattr(settings, name.lower()).get_secret_value()
    if not value:
        raise SlackError(f"{name} is not set; at {APPS}: {WHERE[name]}")
    if not _FORMS[name].fullmatch(value):
        raise SlackError(f"{name} holds something else; at {APPS}: {WHERE[name]}")
    return value


def open_client(settings: Settings, name: str) -> WebClient:
    """Return a client with the token set under this variable, for a few questions in a row. Raises SlackError."""
    from slack_sdk import WebClient
    from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler

    silent = logging.Logger("slack")  # its own errors may hold a header that it could not send
    silent.disabled = True
    return WebClient(
        secret(settings, name),
        base_url=settings.slack_api_url,
        timeout=TIMEOUT,
        logger=silent,
        retry_handlers=[ConnectionErrorRetryHandler(), RateLimitErrorRetryHandler()],
    )


def call(client: WebClient, method: str, *, bot: str = "", **params: str) -> Answer:
    """Ask; `bot` is whom a refusal says to invite. Raises SlackError."""
    from http.client import HTTPException

    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        answer = client.api_call(method, params=params)
    except SlackApiError as exc:
        raise SlackError(_refusal(method, exc.response.data, bot)) from None
    except (OSError, HTTPException, SlackClientError, ValueError) as exc:
        raise SlackError(
            f"{client.base_url} cannot be reached ({_reason(exc)}); "
            "look at the network, the proxy and CITEWIRE_SLACK_API_URL"
        ) from None
    return Answer(answer.data if isinstance(answer.data, dict) else {}, answer.headers)


def refused(name: str, exc: SlackRefusedError) -> SlackError:
    """Return what to tell whoever set the token of this name, which Slack refuses."""
    why = _refusal(exc.method, {"error": exc.reason}, "")
    return SlackError(f"Slack refuses {name}: {why}; `citewire doctor --slack` says more")


def _refusal(method: str, answer: object, bot: str) -> str:
    fields = answer if isinstance(answer, dict) else {}
    error = str(fields.get("error", ""))
    if error in REFUSALS:
        needed = fields.get("needed") or (APP_SCOPE if method.startswith("apps.") else "it needs")
        return f"{method}: " + REFUSALS[error].format(bot=bot, needed=clean_line(str(needed)))
    if re.fullmatch(r"\w{1,80}", error, re.ASCII):
        return f"{method} was refused: {error}; https://docs.slack.dev/reference/methods/{method} says why that is"
    return (
        f"{method} was answered by something that is not Slack; look at CITEWIRE_SLACK_API_URL and the proxy"
    )


def _reason(exc: Exception) -> str:
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, TimeoutError):
        return f"no answer in {TIMEOUT} seconds"
    return clean_line(str(reason)) if isinstance(reason, OSError) else type(exc).__name__

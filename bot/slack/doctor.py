"""Checks of tokens, scopes and channels for `citewire doctor --slack`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.articles.article import clean_line
from bot.doctor import Check, failed_check, run_check
from bot.errors import SlackError, SlackRejectedError
from bot.slack.scopes import APP_SCOPE, BOT_SCOPES

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from bot.settings import Settings

_PAGE_SIZE = 200
TIMEOUT = 10  # seconds per call
APPS_URL = "https://api.slack.com/apps"
REINSTALL = "bring the app's manifest up to deploy/slack-manifest.yaml, and install the app again"
TOKEN_LOCATIONS = {
    "SLACK_BOT_TOKEN": "OAuth & Permissions → Bot User OAuth Token",
    "SLACK_APP_TOKEN": f"Basic Information → App-Level Tokens, with the scope {APP_SCOPE}",
    "SLACK_SIGNING_SECRET": "Basic Information → Signing Secret",
}
_TOKEN_PATTERNS = {
    "SLACK_BOT_TOKEN": re.compile(r"xoxb-[\w-]+", re.ASCII),
    "SLACK_APP_TOKEN": re.compile(r"xapp-[\w-]+", re.ASCII),
    "SLACK_SIGNING_SECRET": re.compile(r"(?!x\w+-)[!-~]+"),
}
# Explanations for the error codes of Slack: the cause and the remedy.
_UNKNOWN_TOKEN = "the token is not known to Slack; copy it again"
REFUSALS = {
    "invalid_auth": _UNKNOWN_TOKEN,
    "not_authed": _UNKNOWN_TOKEN,
    "account_inactive": "the app was taken out of the workspace; install it again and copy the new token",
    "token_revoked": "the token was revoked; install the app again and copy the new token",
    "token_expired": "the token has expired; switch token rotation off, install the app again, copy the new token",
    "not_allowed_token_type": "that is a token of another sort; copy the one that is meant",
    "forbidden_team": f"Socket Mode is not on; switch it on at {APPS_URL} → Socket Mode",
    "channel_not_found": "no such channel, or a private one that the bot is not in; "
    "compare the id, and in a private channel type `/invite @{bot}`",
    "missing_scope": "the scope {needed} is missing; " + REINSTALL,
    "ratelimited": "Slack asks to be asked less often; try again in a minute",
}


@dataclass(frozen=True, slots=True)
class _BotIdentity:
    name: str
    person: str
    team: str
    scopes: frozenset[str] | None  # None if the server does not return them


def examine_slack(settings: Settings) -> list[Check]:
    """Run all checks against Slack's Web API; a failed check does not prevent the others."""
    return list(_run_checks(settings))


def _run_checks(settings: Settings) -> Iterator[Check]:
    try:
        bot = _identify_bot(settings)
        yield Check("slack token", ok=True, detail=f"{bot.name} ({bot.person}) in {bot.team}")
    except SlackError as exc:
        bot = None
        yield failed_check("slack token", exc)
    if bot:
        yield _check_scopes(bot)
    yield run_check("slack connection", lambda: _check_connection(settings))
    if settings.slack_signing_secret.get_secret_value():
        yield run_check("slack secret", lambda: _check_signing_secret(settings))
    if bot:
        yield from _check_channels(settings, bot)
    yield _check_helpers(settings.slack_helpers)


def _identify_bot(settings: Settings) -> _BotIdentity:
    answer = call_api(open_client(settings, "SLACK_BOT_TOKEN"), "auth.test")
    scopes = next((value for name, value in answer.headers.items() if name.lower() == "x-oauth-scopes"), None)
    return _BotIdentity(
        name=answer.text("user"),
        person=answer.text("user_id"),
        team=answer.text("team"),
        scopes=None if scopes is None else frozenset(re.split(r"[\s,]+", scopes)) - {""},
    )


def _check_scopes(bot: _BotIdentity) -> Check:
    if bot.scopes is None:
        return Check(
            "slack scopes",
            ok=False,
            detail="the server does not say which the token has",
            remedy="ask Slack itself: CITEWIRE_SLACK_API_URL=https://slack.com/api/",
        )
    missing = [f"{name} ({scope.why})" for name, scope in BOT_SCOPES.items() if name not in bot.scopes]
    if missing:
        return Check("slack scopes", ok=False, detail=f"missing: {', '.join(missing)}", remedy=REINSTALL)
    extra = sorted(clean_line(name) for name in bot.scopes - BOT_SCOPES.keys())
    suffix = f"; it has more than it uses: {', '.join(extra)}" if extra else ""
    return Check("slack scopes", ok=True, detail=f"all {len(BOT_SCOPES)} are there{suffix}")


def _check_connection(settings: Settings) -> Check:
    """Check that a Socket Mode connection can be requested, or that HTTP mode is set up."""
    name = "slack connection"
    if settings.slack_app_token.get_secret_value():
        call_api(open_client(settings, "SLACK_APP_TOKEN"), "apps.connections.open")
        return Check(name, ok=True, detail="Socket Mode, with `citewire slack`")
    if settings.slack_signing_secret.get_secret_value():
        detail = "HTTP mode, with `citewire slack --http`; Socket Mode needs SLACK_APP_TOKEN"
        return Check(name, ok=True, detail=detail)
    raise SlackError(
        "neither SLACK_APP_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET (HTTP mode) is set; "
        f"at {APPS_URL}: {TOKEN_LOCATIONS['SLACK_APP_TOKEN']}"
    )


def _check_signing_secret(settings: Settings) -> Check:
    get_token(settings, "SLACK_SIGNING_SECRET")
    return Check("slack secret", ok=True, detail="set; only a signed request shows that it is the right one")


def _check_channels(settings: Settings, bot: _BotIdentity) -> Iterator[Check]:
    client = open_client(settings, "SLACK_BOT_TOKEN")
    external = settings.slack_external_channels
    for channel in dict.fromkeys((*settings.slack_channels, *external)):
        if not channel.startswith("D"):  # the bot cannot be invited to a direct message
            yield run_check(
                f"slack channel {channel}",
                lambda channel=channel: _check_channel(client, channel, bot, external=channel in external),  # type: ignore[misc]  # binds the current value
            )
    if not settings.slack_channels:
        yield run_check("slack channels", lambda: _check_memberships(client, bot))


def _check_channel(client: WebClient, channel: str, bot: _BotIdentity, *, external: bool) -> Check:
    answer = call_api(client, "conversations.info", bot=bot.name, channel=channel)
    facts = answer.data.get("channel") or {}
    problem, remedy = "", ""
    if facts.get("is_archived"):
        problem, remedy = "it is archived", "bring it back, or take its id off the list"
    elif not facts.get("is_member"):
        problem, remedy = "the bot is not in it", f"type `/invite @{bot.name}` there"
    elif facts.get("is_ext_shared") and not external:
        problem = "it is shared with another company, and there the bot is silent"
        remedy = "add its id to CITEWIRE_SLACK_EXTERNAL_CHANNELS if it shall answer"
    detail = f"#{answer.text('channel', 'name')}: {problem or 'the bot is in it'}"
    return Check(f"slack channel {channel}", ok=not problem, detail=detail, remedy=remedy)


def _check_memberships(client: WebClient, bot: _BotIdentity) -> Check:
    count = sum(_iter_page_sizes(client))
    if count:
        return Check("slack channels", ok=True, detail=f"it answers in every one that it is in: {count}")
    return Check(
        "slack channels",
        ok=True,  # a new app is not in any channel
        detail="it is in none; direct messages are answered",
        remedy=f"type `/invite @{bot.name}` in a channel",
    )


def _iter_page_sizes(client: WebClient) -> Iterator[int]:
    arguments = {
        "types": "public_channel,private_channel",
        "exclude_archived": "true",
        "limit": str(_PAGE_SIZE),
    }
    cursor = ""
    while True:
        page = call_api(
            client, "users.conversations", **arguments, **({"cursor": cursor} if cursor else {})
        ).data
        yield len(page.get("channels") or ())
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return


def _check_helpers(helpers: str) -> Check:
    subject = "the user group" if helpers.startswith("S") else "the person"
    detail = (
        f"{subject} {helpers} is called; whether it is there was not asked" if helpers else "nobody is called"
    )
    return Check("slack helpers", ok=True, detail=detail)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """Response of the Web API."""

    data: Mapping[str, Any]
    headers: Mapping[str, str]

    def text(self, *path: str) -> str:
        """Return the value at a path of keys, on one line and without control characters, or "?" if there is none."""
        value: Any = self.data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return clean_line(str(value or "?"))


def get_token(settings: Settings, name: str) -> str:
    """Return the token or secret in a setting.

    Args:
        name: name of the environment variable.

    Raises:
        SlackError: if it is not set or not of the expected form; such a value must not be sent to a server.
    """
    value: str = getattr(settings, name.lower()).get_secret_value()
    if not value:
        raise SlackError(f"{name} is not set; at {APPS_URL}: {TOKEN_LOCATIONS[name]}")
    if not _TOKEN_PATTERNS[name].fullmatch(value):
        raise SlackError(f"{name} holds something else; at {APPS_URL}: {TOKEN_LOCATIONS[name]}")
    return value


def open_client(settings: Settings, name: str) -> WebClient:
    """Return a synchronous client for a few calls.

    Args:
        name: environment variable of the token.

    Raises:
        SlackError: if the token is not set or not of the expected form.
    """
    from slack_sdk import WebClient
    from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler

    silent_logger = logging.Logger("slack")  # its errors may contain a header that could not be sent
    silent_logger.disabled = True
    return WebClient(
        get_token(settings, name),
        base_url=settings.slack_api_url,
        timeout=TIMEOUT,
        logger=silent_logger,
        retry_handlers=[ConnectionErrorRetryHandler(), RateLimitErrorRetryHandler()],
    )


def call_api(client: WebClient, method: str, *, bot: str = "", **params: str) -> ApiResponse:
    """Call a method.

    Args:
        bot: name of the bot, for the error message that asks the user to invite it.

    Raises:
        SlackError: if the server is unavailable or rejects the call.
    """
    from http.client import HTTPException

    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        answer = client.api_call(method, params=params)
    except SlackApiError as exc:
        raise SlackError(_explain_error(method, exc.response.data, bot)) from None
    except (OSError, HTTPException, SlackClientError, ValueError) as exc:
        raise SlackError(
            f"{client.base_url} cannot be reached ({_describe_network_error(exc)}); "
            "look at the network, the proxy and CITEWIRE_SLACK_API_URL"
        ) from None
    return ApiResponse(answer.data if isinstance(answer.data, dict) else {}, answer.headers)


def build_token_error(name: str, exc: SlackRejectedError) -> SlackError:
    """Return the error for a token that Slack rejects; `name` is its environment variable."""
    why = _explain_error(exc.method, {"error": exc.reason}, "")
    return SlackError(f"Slack refuses {name}: {why}; `citewire doctor --slack` says more")


def _explain_error(method: str, answer: object, bot: str) -> str:
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


def _describe_network_error(exc: Exception) -> str:
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, TimeoutError):
        return f"no answer in {TIMEOUT} seconds"
    return clean_line(str(reason)) if isinstance(reason, OSError) else type(exc).__name__

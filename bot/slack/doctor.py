"""`citewire doctor --slack`: are the tokens, the scopes and the channels as the bot needs them?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.articles.article import clean_line
from bot.doctor import Check, attempt, failure
from bot.errors import SlackError
from bot.slack.api import APPS, REINSTALL, WHERE, call, open_client, secret
from bot.slack.scopes import BOT_SCOPES

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from bot.settings import Settings

_PAGE = 200


@dataclass(frozen=True, slots=True)
class _Bot:
    name: str
    person: str
    team: str
    scopes: frozenset[str] | None  # None: the server does not say


def examine_slack(settings: Settings) -> list[Check]:
    """Run every check against Slack's Web API; one that fails does not keep the others from running."""
    return list(_checks(settings))


def _checks(settings: Settings) -> Iterator[Check]:
    try:
        bot = _who(settings)
        yield Check("slack token", ok=True, detail=f"{bot.name} ({bot.person}) in {bot.team}")
    except SlackError as exc:
        bot = None
        yield failure("slack token", exc)
    if bot:
        yield _scopes(bot)
    yield attempt("slack connection", lambda: _connection(settings))
    if settings.slack_signing_secret.get_secret_value():
        yield attempt("slack secret", lambda: _signing_secret(settings))
    if bot:
        yield from _channels(settings, bot)
    yield _helpers(settings.slack_helpers)


def _who(settings: Settings) -> _Bot:
    answer = call(open_client(settings, "SLACK_BOT_TOKEN"), "auth.test")
    scopes = next((value for name, value in answer.headers.items() if name.lower() == "x-oauth-scopes"), None)
    return _Bot(
        name=answer.text("user"),
        person=answer.text("user_id"),
        team=answer.text("team"),
        scopes=None if scopes is None else frozenset(re.split(r"[\s,]+", scopes)) - {""},
    )


def _scopes(bot: _Bot) -> Check:
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
    more = f"; it has more than it uses: {', '.join(extra)}" if extra else ""
    return Check("slack scopes", ok=True, detail=f"all {len(BOT_SCOPES)} are there{more}")


def _connection(settings: Settings) -> Check:
    """Ask for the address of a Socket Mode connection, or find that HTTP mode is meant."""
    name = "slack connection"
    if settings.slack_app_token.get_secret_value():
        call(open_client(settings, "SLACK_APP_TOKEN"), "apps.connections.open")
        return Check(name, ok=True, detail="Socket Mode, with `citewire slack`")
    if settings.slack_signing_secret.get_secret_value():
        detail = "HTTP mode, with `citewire slack --http`; Socket Mode needs SLACK_APP_TOKEN"
        return Check(name, ok=True, detail=detail)
    raise SlackError(
        "neither SLACK_APP_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET (HTTP mode) is set; "
        f"at {APPS}: {WHERE['SLACK_APP_TOKEN']}"
    )


def _signing_secret(settings: Settings) -> Check:
    secret(settings, "SLACK_SIGNING_SECRET")
    return Check("slack secret", ok=True, detail="set; only a signed request shows that it is the right one")


def _channels(settings: Settings, bot: _Bot) -> Iterator[Check]:
    client = open_client(settings, "SLACK_BOT_TOKEN")
    external = settings.slack_external_channels
    for channel in dict.fromkeys((*settings.slack_channels, *external)):
        if not channel.startswith("D"):  # nobody is invited to a direct message
            yield attempt(
                f"slack channel {channel}",
                lambda channel=channel: _channel(client, channel, bot, external=channel in external),  # type: ignore[misc]  # bound now
            )
    if not settings.slack_channels:
        yield attempt("slack channels", lambda: _memberships(client, bot))


def _channel(client: WebClient, channel: str, bot: _Bot, *, external: bool) -> Check:
    answer = call(client, "conversations.info", bot=bot.name, channel=channel)
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


def _memberships(client: WebClient, bot: _Bot) -> Check:
    count = sum(_pages(client))
    if count:
        return Check("slack channels", ok=True, detail=f"it answers in every one that it is in: {count}")
    return Check(
        "slack channels",
        ok=True,  # a new app is in none
        detail="it is in none; direct messages are answered",
        remedy=f"type `/invite @{bot.name}` in a channel",
    )


def _pages(client: WebClient) -> Iterator[int]:
    asked = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": str(_PAGE)}
    cursor = ""
    while True:
        page = call(client, "users.conversations", **asked, **({"cursor": cursor} if cursor else {})).data
        yield len(page.get("channels") or ())
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return


def _helpers(helpers: str) -> Check:
    who = "the user group" if helpers.startswith("S") else "the person"
    detail = (
        f"{who} {helpers} is called; whether it is there was not asked" if helpers else "nobody is called"
    )
    return Check("slack helpers", ok=True, detail=detail)

"""`citewire doctor --slack`: names what is missing in Slack, what to do, and no token."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator

import pytest
from slack_server import SlackServer
from typer.testing import CliRunner

from bot.cli.main import app
from bot.doctor import Check
from bot.settings import load_settings
from bot.slack.doctor import REFUSALS, examine_slack
from bot.slack.scopes import BOT_SCOPES

Set = Callable[..., None]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.scopes = set(BOT_SCOPES)
        yield server


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Set variables by their names, CITEWIRE_SLACK_ left out of those that have it; None unsets."""

    def put(**values: str | None) -> None:
        for name, value in values.items():
            variable = name if name.startswith("SLACK_") else f"CITEWIRE_SLACK_{name}"
            if value is None:
                monkeypatch.delenv(variable, raising=False)
            else:
                monkeypatch.setenv(variable, value)

    return put


@pytest.fixture(autouse=True)
def connected(slack: SlackServer, variables: Set) -> None:
    variables(SLACK_BOT_TOKEN=slack.bot_token, SLACK_APP_TOKEN=slack.app_token, API_URL=slack.url)


def examined() -> dict[str, Check]:
    return {check.name.removeprefix("slack "): check for check in examine_slack(load_settings())}


def failing(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if not check.ok]


def test_an_app_made_from_the_manifest_is_well(slack: SlackServer) -> None:
    checks = examined()
    assert list(checks) == ["token", "scopes", "connection", "channels", "helpers"]
    assert failing(checks) == []
    assert not any(check.remedy for check in checks.values())
    assert checks["token"].detail == "citewire (U0BOT) in Team"
    assert checks["scopes"].detail == f"all {len(BOT_SCOPES)} are there"
    assert checks["connection"].detail == "Socket Mode, with `citewire slack`"
    assert checks["channels"].detail == "it answers in every one that it is in: 3"
    assert slack.problems == []


# Tokens


@pytest.mark.parametrize(
    ("name", "value", "check", "said"),
    [
        ("SLACK_BOT_TOKEN", None, "token", "SLACK_BOT_TOKEN is not set"),
        ("SLACK_BOT_TOKEN", "xapp-test-app", "token", "SLACK_BOT_TOKEN holds something else"),
        ("SLACK_BOT_TOKEN", "xoxb-test-bot\n", "token", "SLACK_BOT_TOKEN holds something else"),
        ("SLACK_BOT_TOKEN", "xoxb-wrong-7391", "token", "auth.test: the token is not known to Slack"),
        ("SLACK_APP_TOKEN", "xoxb-test-bot", "connection", "SLACK_APP_TOKEN holds something else"),
        ("SLACK_APP_TOKEN", "xapp-wrong-7391", "connection", "apps.connections.open: the token is not known to Slack"),
        ("SLACK_SIGNING_SECRET", "xoxb-test-bot", "secret", "SLACK_SIGNING_SECRET holds something else"),
        ("SLACK_SIGNING_SECRET", "a b", "secret", "SLACK_SIGNING_SECRET holds something else"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_one_is_named_and_the_rest_is_still_examined(
    variables: Set, name: str, value: str | None, check: str, said: str
) -> None:
    variables(**{name: value})
    checks = examined()
    assert failing(checks) == [check]
    assert checks[check].detail == said
    assert re.search("copy|at https://api.slack.com/apps: ", checks[check].remedy)
    assert ("scopes" in checks) == (check != "token")


def test_what_is_not_of_a_token_s_form_is_sent_to_nobody(slack: SlackServer, variables: Set) -> None:
    variables(SLACK_BOT_TOKEN="hunter2 from another service", SLACK_APP_TOKEN="hunter2")
    assert failing(examined()) == ["token", "connection"]
    assert slack.calls == []


def test_without_an_app_token_a_signing_secret_is_enough(variables: Set) -> None:
    variables(SLACK_APP_TOKEN=None, SLACK_SIGNING_SECRET="0123456789abcdef0123456789abcdef")
    checks = examined()
    assert failing(checks) == []
    assert "`citewire slack --http`" in checks["connection"].detail
    assert checks["secret"].detail.startswith("set;")


def test_with_neither_both_ways_are_named(variables: Set) -> None:
    variables(SLACK_APP_TOKEN=None)
    checks = examined()
    assert failing(checks) == ["connection"]
    assert "neither SLACK_APP_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET" in checks["connection"].detail
    assert "connections:write" in checks["connection"].remedy


def test_an_app_token_without_its_scope_is_told(slack: SlackServer) -> None:
    slack.app_scopes = set()
    assert examined()["connection"].detail == "apps.connections.open: the scope connections:write is missing"


# Scopes


def test_missing_scopes_are_named_with_what_they_are_for(slack: SlackServer) -> None:
    slack.scopes -= {"commands", "im:history"}
    check = examined()["scopes"]
    assert not check.ok
    assert "commands (/cite" in check.detail
    assert "im:history (direct messages to the bot" in check.detail
    assert "channels:history" not in check.detail
    assert "deploy/slack-manifest.yaml" in check.remedy


def test_scopes_it_does_not_use_are_noted(slack: SlackServer) -> None:
    slack.scopes |= {"users:read", "admin"}
    check = examined()["scopes"]
    assert check.ok
    assert check.detail.endswith("it has more than it uses: admin, users:read")


# Channels


@pytest.mark.parametrize(
    ("channels", "external", "failed"),
    [
        ("C0NEWS", "", {}),
        ("C0NEWS, G0DESK", "", {}),
        ("C0NEWS, C0SHARED", "C0SHARED", {}),
        ("", "C0SHARED", {}),
        ("D0ANN", "", {}),  # nobody is invited to a direct message
        ("C0NEWS, C0QUIET", "", {"C0QUIET": ("#quiet: the bot is not in it", "type `/invite @citewire` there")}),
        ("C0NEWS, C0GONE", "", {"C0GONE": ("conversations.info: no such channel", "type `/invite @citewire`")}),
        ("C0SHARED", "", {"C0SHARED": ("shared with another company", "CITEWIRE_SLACK_EXTERNAL_CHANNELS")}),
        ("C0OLD", "", {"C0OLD": ("#old: it is archived", "take its id off the list")}),
    ],
)  # fmt: skip
def test_each_listed_channel_is_looked_at(
    slack: SlackServer, variables: Set, channels: str, external: str, failed: dict[str, tuple[str, str]]
) -> None:
    slack.add_channel("C0OLD")
    slack.channels["C0OLD"].archived = True
    variables(CHANNELS=channels, EXTERNAL_CHANNELS=external)
    checks = examined()
    assert failing(checks) == [f"channel {channel}" for channel in failed]
    for channel, (detail, remedy) in failed.items():
        assert detail in checks[f"channel {channel}"].detail
        assert remedy in checks[f"channel {channel}"].remedy
    looked_at = [name for name in checks if name.startswith("channel ")]
    listed = dict.fromkeys(f"{channels} {external}".replace(",", " ").split())
    assert looked_at == [f"channel {channel}" for channel in listed if channel[0] != "D"]
    assert ("channels" in checks) == (not channels)


def test_a_channel_that_may_not_be_looked_at_is_told_with_the_scope(
    slack: SlackServer, variables: Set
) -> None:
    slack.scopes.remove("groups:read")
    variables(CHANNELS="G0DESK")
    check = examined()["channel G0DESK"]
    assert check.detail == "conversations.info: the scope groups:read is missing"


def test_a_bot_in_no_channel_is_well_and_told_how_to_be_in_one(slack: SlackServer) -> None:
    for channel in slack.channels.values():
        channel.members.discard("U0BOT")
    check = examined()["channels"]
    assert check.ok
    assert check.detail == "it is in none; direct messages are answered"
    assert check.remedy == "type `/invite @citewire` in a channel"


def test_channels_are_counted_to_the_last_page(slack: SlackServer) -> None:
    for number in range(450):
        slack.add_channel(f"C1{number:04}")
    assert examined()["channels"].detail.endswith(": 453")
    assert len(slack.called("users.conversations")) == 3


@pytest.mark.parametrize(
    ("helpers", "said"),
    [("", "nobody is called"), ("S0DESK", "the user group S0DESK"), ("U0BEN", "the person U0BEN")],
)
def test_who_helps_is_told(variables: Set, helpers: str, said: str) -> None:
    variables(HELPERS=helpers)
    assert examined()["helpers"].detail.startswith(said)


# Slack's troubles


@pytest.mark.parametrize("error", sorted(REFUSALS))
def test_each_refusal_is_told_in_words_with_what_to_do(slack: SlackServer, error: str) -> None:
    slack.fail("auth.test", error)
    check = examined()["token"]
    assert not check.ok
    assert error not in check.detail
    assert "{" not in check.detail + check.remedy
    assert check.remedy


def test_a_refusal_that_is_not_known_is_told_with_where_it_is_explained(slack: SlackServer) -> None:
    slack.fail("auth.test", "team_added_to_org")
    check = examined()["token"]
    assert check.detail == "auth.test was refused: team_added_to_org"
    assert "https://docs.slack.dev/reference/methods/auth.test" in check.remedy


@pytest.mark.parametrize("error", ["\x1b[2J<!channel> " * 9, "a b"])
def test_what_slack_would_not_say_is_not_passed_on(slack: SlackServer, error: str) -> None:
    slack.fail("auth.test", error)
    assert examined()["token"].detail == "auth.test was answered by something that is not Slack"


def test_a_page_in_the_place_of_an_answer_is_not_passed_on(slack: SlackServer) -> None:
    slack.without("auth.test")
    check = examined()["token"]
    assert check.detail == "auth.test was answered by something that is not Slack"
    assert "CITEWIRE_SLACK_API_URL" in check.remedy


def test_an_answer_that_does_not_come_is_not_waited_for(
    slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.doctor.TIMEOUT", 0.1)
    slack.delay("auth.test", 5)
    assert examined()["token"].detail == f"{slack.url} cannot be reached (no answer in 0.1 seconds)"


def test_a_name_from_slack_is_one_line_without_control_characters(slack: SlackServer, variables: Set) -> None:
    slack.add_channel("C0EVIL", name="a\x1b[31m\nFAIL \u202eb")
    variables(CHANNELS="C0EVIL")
    detail = examined()["channel C0EVIL"].detail
    assert detail.isprintable()


def test_when_asked_too_often_it_waits_as_long_as_it_is_told(slack: SlackServer) -> None:
    slack.fail("auth.test", status=429, retry_after=0)
    assert failing(examined()) == []


def test_a_connection_that_breaks_is_tried_again(slack: SlackServer) -> None:
    slack.fail("auth.test", drop=True)
    assert failing(examined()) == []


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_s_trouble_is_told(slack: SlackServer, status: int) -> None:
    slack.fail("auth.test", status=status)
    assert failing(examined()) == ["token"]


def test_a_server_that_is_not_there_is_named_with_what_to_look_at(variables: Set) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api/"
        variables(API_URL=url)
        checks = examined()
    assert failing(checks) == ["token", "connection"]
    assert checks["token"].detail.startswith(f"{url} cannot be reached (")
    assert "CITEWIRE_SLACK_API_URL" in checks["token"].remedy


# Secrets, and the command


def test_no_token_is_in_anything_that_is_said_or_logged(
    slack: SlackServer, variables: Set, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ["xoxb-7391-secret", "xapp-7391-secret", "7391secret7391secret"]
    for bot, application, signing in (
        secrets,
        [secret + "\r\nX: y" for secret in secrets],
        [" " + secrets[0]] * 3,
    ):
        variables(SLACK_BOT_TOKEN=bot, SLACK_APP_TOKEN=application, SLACK_SIGNING_SECRET=signing)
        checks = examined()
        assert failing(checks)[:2] == ["token", "connection"]
        said = json.dumps([check.fields() for check in checks.values()])
        assert "7391" not in said + caplog.text + "".join(capfd.readouterr())


def test_the_command_prints_the_checks_after_its_own_and_exits_by_them(
    slack: SlackServer, variables: Set
) -> None:
    done = CliRunner().invoke(app, ["doctor", "--slack", "--json"])
    assert done.exit_code == 0, done.output
    names = [check["name"] for check in json.loads(done.stdout)["checks"]]
    assert names[:2] == ["weights", "library"]
    assert names[-5:] == [
        "slack token",
        "slack scopes",
        "slack connection",
        "slack channels",
        "slack helpers",
    ]
    variables(CHANNELS="C0QUIET")
    done = CliRunner().invoke(app, ["doctor", "--slack"])
    assert done.exit_code == 1
    assert (
        "FAIL slack channel C0QUIET: #quiet: the bot is not in it\n     → type `/invite @citewire` there"
        in done.stdout
    )


def test_slack_is_asked_only_when_that_is_asked_for(slack: SlackServer) -> None:
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    assert slack.calls == []

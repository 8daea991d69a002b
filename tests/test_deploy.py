"""deploy/: the Slack manifest, container, compose file, systemd unit and environment say what the program does."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml
from slack_sdk import WebClient

from bot.cli import app
from bot.settings import PREFIX, Settings, load_settings
from bot.slack import scopes
from bot.slack.app import GRACE

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads((ROOT / "tests/data/slack-manifest.schema.json").read_text("utf-8"))
MANIFEST = DEPLOY / "slack-manifest.yaml"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def manifest() -> dict[str, Any]:
    return yaml.safe_load(MANIFEST.read_text("utf-8"))


def tool(name: str) -> str:
    """Find a linter beside this Python or on the PATH; where it is not installed the test is skipped."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr  # systemd-analyze exits 0 on what it only warns of


# The manifest


def test_slack_accepts_the_manifest() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest(), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features.shortcuts.0.name", "Check against the articles"),  # 26 characters
        ("features.agent_view.agent_description", "a" * 301),
        ("features.agent_view.suggested_prompts", [{"title": "a", "message": "a"}] * 5),
        ("features.assistant_view", {"assistant_description": "no longer for new apps"}),
        ("features.bot_user.display_name", "Cite Wire"),
        ("display_information.description", "a" * 141),
        ("display_information.long_description", "a" * 174),
        ("features.slash_commands.0.command", "cite"),
        ("settings.event_subscriptions.request_url", "citewire.example.com"),
        ("settings.socket_mode", True),
        ("oauth_config.scopes.bot", ["chat:write", "chat:write"]),
    ],
)
def test_what_slack_refuses_the_schema_refuses(path: str, value: object) -> None:
    changed = manifest()
    *way, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    place: Any = changed
    for name in way:
        place = place[name]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, SCHEMA)


def test_the_manifest_asks_for_what_the_app_uses_and_nothing_else() -> None:
    asked = manifest()
    assert asked["oauth_config"]["scopes"] == {"bot": list(scopes.BOT_SCOPES)}
    assert asked["settings"]["event_subscriptions"] == {"bot_events": list(scopes.BOT_EVENTS)}
    assert [command["command"] for command in asked["features"]["slash_commands"]] == [scopes.COMMAND]
    (shortcut,) = asked["features"]["shortcuts"]
    assert (shortcut["type"], shortcut["callback_id"]) == ("message", scopes.SHORTCUT)
    assert shortcut["name"] == scopes.SHORTCUT_NAME
    assert list(scopes.BOT_SCOPES) == sorted(scopes.BOT_SCOPES)


def test_the_agent_is_the_current_kind_and_its_messages_can_be_written() -> None:
    features, settings = manifest()["features"], manifest()["settings"]
    assert features["app_home"] == {
        "home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False,
    }  # fmt: skip
    assert len(features["agent_view"]["suggested_prompts"]) <= 4
    assert settings["interactivity"] == {"is_enabled": True}
    assert settings["socket_mode_enabled"]
    assert not settings["org_deploy_enabled"]
    assert not settings["token_rotation_enabled"]


def test_the_way_to_http_mode_in_the_manifest_leads_there() -> None:
    (line,) = re.findall(r"^#   (sed .*)$", MANIFEST.read_text("utf-8"), re.MULTILINE)
    done = subprocess.run(shlex.split(line), cwd=DEPLOY, capture_output=True, text=True, check=True)
    changed = yaml.safe_load(done.stdout)
    jsonschema.validate(changed, SCHEMA)
    settings, url = changed["settings"], "https://your.server/slack/events"
    assert not settings["socket_mode_enabled"]
    assert settings["event_subscriptions"].pop("request_url") == url
    assert settings["interactivity"] == {
        "is_enabled": True, "request_url": url, "message_menu_options_url": url,
    }  # fmt: skip
    assert changed["features"]["slash_commands"][0].pop("url") == url
    settings["socket_mode_enabled"], settings["interactivity"] = True, {"is_enabled": True}
    assert changed == manifest()


HELPERS = {  # Bolt's and slack_sdk's own ways to call
    "set_status": "assistant.threads.setStatus",
    "set_title": "assistant.threads.setTitle",
    "set_suggested_prompts": "assistant.threads.setSuggestedPrompts",
    "chat_stream": "chat.startStream",
    "say": "chat.postMessage",
}


def called_methods() -> set[str]:
    """Return the Web API methods that the sources of bot/slack name."""
    of_client = {
        name: re.findall(r'api_call\(\s*"([\w.]+)"', inspect.getsource(function))
        for name, function in inspect.getmembers(WebClient, inspect.isfunction)
        if "_" in name.strip("_")
    }
    methods = {method for found in of_client.values() for method in found}
    called = set()
    for source in (ROOT / "bot/slack").glob("*.py"):
        if source.stem == "scopes":
            continue
        text = source.read_text("utf-8")
        for name in re.findall(r"\b(\w+)\(", text):
            called.update(of_client.get(name, ()), [HELPERS[name]] if name in HELPERS else [])
        called |= methods & set(re.findall(r'"([a-z]\w*(?:\.\w+)+)"', text))
    return called


def test_every_call_has_its_scope_and_every_scope_its_call() -> None:
    listed = {method for scope in scopes.BOT_SCOPES.values() for method in scope.methods}
    called = called_methods() - {"apps.connections.open"}  # the app-level token's
    assert called == listed | set(scopes.FREE_METHODS)


def test_every_scope_says_what_for() -> None:
    for name, scope in scopes.BOT_SCOPES.items():
        assert scope.why, name
        assert scope.methods or scope.events or name == "commands", name


# The container


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    lines = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines.splitlines() if line.strip()]


def last(name: str) -> str:
    return [value for found, value in instructions() if found == name][-1]


def test_the_containerfile_passes_its_linter() -> None:
    run(tool("hadolint"), DEPLOY / "Containerfile")


def test_the_container_runs_the_program_itself_as_nobody_in_particular() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    assert json.loads(last("ENTRYPOINT")) == ["citewire"]  # a list: no shell keeps SIGTERM from it
    assert json.loads(last("CMD")) == ["slack"]
    assert f"{PREFIX}DATA_DIR={last('VOLUME')}" in last("ENV")


def test_the_container_is_made_of_what_was_tested() -> None:
    bases = [value.split()[0] for name, value in instructions() if name == "FROM"]
    assert len(bases) == 2
    tested = (ROOT / "constraints.txt").read_text("utf-8").splitlines()[0]
    for base in bases:
        python = re.search(r":(\d+\.\d+)-slim-\w+$", base)
        assert python
        assert f"Python {python[1]}," in tested
    installed = " ".join(value for name, value in instructions() if name == "RUN")
    assert "--constraints constraints.txt" in installed
    assert re.search(r"\buv==\d", installed)


def test_nothing_but_the_program_is_sent_to_the_builder() -> None:
    sent = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").splitlines()
    assert next(line for line in sent if line and line[0] != "#") == "*"
    allowed = {line[1:] for line in sent if line.startswith("!")}
    copied = {
        name
        for found, value in instructions()
        if found == "COPY" and not value.startswith("--from")
        for name in value.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


# Compose


def compose_text() -> str:
    return (DEPLOY / "compose.yaml").read_text("utf-8")


def services() -> dict[str, Any]:
    return yaml.safe_load(compose_text())["services"]


def test_the_compose_file_is_one() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_the_services_fit_together() -> None:
    bot, chroma, postgres = (services()[name] for name in ("bot", "chroma", "postgres"))
    assert chroma["image"] == f"chromadb/chroma:{version('chromadb')}"
    port = chroma["command"][chroma["command"].index("--port") + 1]
    own = postgres["environment"]
    assert bot["environment"] == {
        f"{PREFIX}CHROMA_URL": f"http://chroma:{port}",
        f"{PREFIX}DATABASE_URL": f"postgresql+psycopg://{own['POSTGRES_USER']}@postgres/{own['POSTGRES_DB']}",
        "PGPASSWORD": own["POSTGRES_PASSWORD"],
    }
    assert re.fullmatch(
        r"\$\{POSTGRES_PASSWORD:\?.+\}", own["POSTGRES_PASSWORD"]
    )  # none is written down here
    for name in ("chroma", "postgres"):
        assert bot["depends_on"][name]["condition"] == "service_healthy"
        assert services()[name]["healthcheck"]["test"][0] == "CMD"
    assert (
        DEPLOY / bot["build"]["context"] / bot["build"]["dockerfile"]
    ).resolve() == DEPLOY / "Containerfile"
    assert f"data:{last('VOLUME')}" in bot["volumes"]
    path = chroma["command"][chroma["command"].index("--path") + 1]
    assert chroma["volumes"] == [f"vectors:{path}"]
    kept = yaml.safe_load(compose_text())["volumes"].keys()
    assert kept == {
        volume.partition(":")[0] for service in services().values() for volume in service["volumes"]
    }
    for name, service in services().items():
        assert service["restart"] == "unless-stopped", name
        assert "ports" not in service, name  # nothing is reached from outside


def test_chroma_s_health_is_asked_of_chroma(chroma_url: str) -> None:
    check = services()["chroma"]["healthcheck"]["test"]
    assert check[0] == "CMD"
    port = chroma_url.rpartition(":")[2]
    healthy = [word.replace("/8000", f"/{port}") for word in check[1:]]
    assert subprocess.run(healthy, check=False, capture_output=True, timeout=30).returncode == 0
    nobody = [word.replace("/8000", "/1") for word in check[1:]]
    assert subprocess.run(nobody, check=False, capture_output=True, timeout=30).returncode != 0


# The unit


def unit_text() -> str:
    return (DEPLOY / "citewire-slack.service").read_text("utf-8")


def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit_text())
    return parser


def test_the_unit_passes_systemd_s_own_check(tmp_path: Path) -> None:
    program = tool("systemd-analyze")
    command = unit()["Service"]["ExecStart"].split()[0]
    text = unit_text().replace(command, sys.executable)
    (tmp_path / "citewire-slack.service").write_text(text, encoding="utf-8")
    run(program, "verify", "--man=no", tmp_path / "citewire-slack.service")


def test_the_unit_lets_the_program_write_to_its_data_alone() -> None:
    service = unit()["Service"]
    assert service["User"] == "citewire"
    state = f"/var/lib/{service['StateDirectory']}"
    assert f"{PREFIX}DATA_DIR={state}" in service["Environment"].split()
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["Restart"] == "on-failure"


def test_answers_under_way_have_the_time_to_be_finished() -> None:
    seconds = int(unit()["Service"]["TimeoutStopSec"])
    assert services()["bot"]["stop_grace_period"] == f"{seconds}s"
    assert seconds >= GRACE + 10  # to close what is open, too


def test_what_is_started_is_a_command() -> None:
    started = [
        json.loads(last("ENTRYPOINT")) + json.loads(last("CMD")),
        unit()["Service"]["ExecStart"].split(),
        *(line.split() for line in re.findall(r"citewire slack --http.*", unit_text())),
        *(["citewire", *yaml.safe_load(line)] for line in re.findall(r"# +command: (.*)", compose_text())),
    ]
    assert len(started) == 4
    for program, command, *arguments in started:
        assert Path(program).name == "citewire"
        COMMANDS[command].make_context(command, arguments)


def test_the_commands_in_the_readme_are_ones() -> None:
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "README.md").read_text("utf-8"))
    lines = re.findall(r"^\$ .*?\b(?:bot|bin/citewire(?: --data-dir \S+)?) (.+)$", text, re.MULTILINE)
    assert len(lines) == 4
    for command, *arguments in map(str.split, lines):
        COMMANDS[command].make_context(command, arguments)
    for name in re.findall(r"deploy/[\w.-]+", text):
        assert (ROOT / name).exists()


# The environment


def compose_variables() -> set[str]:
    return set(re.findall(r"\$\{(\w+)", compose_text()))


def variables(*, examples: bool = False) -> dict[str, str]:
    text = (DEPLOY / "env.example").read_text("utf-8")
    found = re.findall(r"^(#?)([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE)
    return {name: value for off, name, value in found if examples or not off}


def slack_variables() -> set[str]:
    return {
        str(field.validation_alias or PREFIX + name.upper())
        for name, field in Settings.model_fields.items()
        if name.startswith("slack_")
    }


def test_the_example_names_every_setting_for_slack_and_no_other_variable() -> None:
    named = variables(examples=True).keys()
    known = {
        str(field.validation_alias or PREFIX + name.upper()) for name, field in Settings.model_fields.items()
    }
    assert named <= known | compose_variables()
    assert compose_variables() <= named
    assert slack_variables() <= named


def test_each_variable_is_explained() -> None:
    text = (DEPLOY / "env.example").read_text("utf-8")
    for name in variables(examples=True):
        assert re.search(rf"^# .*\n#?{name}=", text, re.MULTILINE), name


def test_the_example_as_it_stands_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == before


def test_the_example_s_examples_are_understood_and_its_defaults_are_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = load_settings()
    for name, value in variables(examples=True).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.slack_channels == ("C0123ABCD", "C0456EFGH")
    assert settings.chroma_headers.keys() == {"x-chroma-token"}
    for name in ("slack_concurrency", "slack_waiting", "slack_api_url", "chroma_tenant", "chroma_database"):
        assert getattr(settings, name) == getattr(before, name)


def test_no_secret_is_kept_here() -> None:
    for path in DEPLOY.iterdir():
        assert not re.search(r"xox[a-z]-\w|xapp-\w|sk-\w{8}", path.read_text("utf-8")), path.name

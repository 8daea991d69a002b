"""deploy/: the Slack manifest, container, compose file, systemd unit and environment say what the program does."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_helpers import (
    DEPLOY,
    ROOT,
    SETTINGS,
    assert_is_command,
    compose_text,
    container_command,
    container_port,
    instructions,
    last,
    run,
    services,
    tool,
)
from lazy_imports import Later
from slack_sdk import WebClient

from bot.server.timeouts import DEFAULT_TIMEOUTS
from bot.settings import PREFIX, Settings, load_settings
from bot.slack import scopes

jsonschema = Later("jsonschema")

SCHEMA = json.loads((ROOT / "tests/data/slack-manifest.schema.json").read_text("utf-8"))
MANIFEST = DEPLOY / "slack-manifest.yaml"


def manifest() -> dict[str, Any]:
    return yaml.safe_load(MANIFEST.read_text("utf-8"))


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
    for source in (ROOT / "bot/slack").rglob("*.py"):
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
    assert called == listed | set(scopes.UNSCOPED_METHODS)


def test_every_scope_says_what_for() -> None:
    for name, scope in scopes.BOT_SCOPES.items():
        assert scope.why, name
        assert scope.methods or scope.events or name == "commands", name


# The container


def test_the_containerfile_passes_its_linter() -> None:
    run(tool("hadolint"), DEPLOY / "Containerfile")


def test_the_container_runs_the_program_itself_as_nobody_in_particular() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    assert json.loads(last("ENTRYPOINT")) == ["citewire"]  # a list: no shell keeps SIGTERM from it
    assert container_command() == ["citewire", "serve", "--host", "0.0.0.0"]
    assert f"{PREFIX}DATA_DIR={last('VOLUME')}" in last("ENV")


def test_the_container_s_health_is_asked_of_what_it_runs(tmp_path: Path) -> None:
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert check[:2] == ["python", "-c"]
    compile(check[2], "healthcheck", "exec")
    port = container_port()
    codes = []
    for status in (200, 503):
        with answering(status) as url:
            words = [sys.executable, "-c", check[2].replace(f"http://127.0.0.1:{port}", url)]
            codes.append(subprocess.run(words, check=False, capture_output=True).returncode)
    assert codes == [0, 1]


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """Answer /readyz with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


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


def test_the_compose_file_is_one() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


OURS = ("serve", "bot", "watch")


def test_the_services_fit_together() -> None:
    chroma, postgres = services()["chroma"], services()["postgres"]
    assert chroma["image"] == f"chromadb/chroma:{version('chromadb')}"
    port = chroma["command"][chroma["command"].index("--port") + 1]
    own = postgres["environment"]
    assert re.fullmatch(
        r"\$\{POSTGRES_PASSWORD:\?.+\}", own["POSTGRES_PASSWORD"]
    )  # none is written down here
    path = chroma["command"][chroma["command"].index("--path") + 1]
    assert chroma["volumes"] == [f"vectors:{path}"]
    for name in OURS:
        ours = services()[name]
        assert ours["environment"] == {
            f"{PREFIX}CHROMA_URL": f"http://chroma:{port}",
            f"{PREFIX}DATABASE_URL": f"postgresql+psycopg://{own['POSTGRES_USER']}@postgres/{own['POSTGRES_DB']}",
            "PGPASSWORD": own["POSTGRES_PASSWORD"],
        }
        assert ours["depends_on"].keys() == {"chroma", "postgres"}
        assert (
            DEPLOY / ours["build"]["context"] / ours["build"]["dockerfile"]
        ).resolve() == DEPLOY / "Containerfile"
        assert f"data:{last('VOLUME')}" in ours["volumes"]
        assert ours["read_only"]
        for other in ours["depends_on"]:
            assert ours["depends_on"][other]["condition"] == "service_healthy"
            assert services()[other]["healthcheck"]["test"][0] == "CMD"


def test_every_service_is_bounded_and_nothing_is_reached_from_other_machines() -> None:
    for name, service in services().items():
        assert service["restart"] == "unless-stopped", name
        assert service["mem_limit"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        for port in service.get("ports", ()):
            assert name == "serve"
            # One: Docker would give a container that is made anew the next of a range, and Podman takes none.
            assert port == f"127.0.0.1:${{SERVE_PORTS:-{container_port()}}}:{container_port()}"
    kept = yaml.safe_load(compose_text())["volumes"].keys()
    assert kept == {
        volume.partition(":")[0] for service in services().values() for volume in service["volumes"]
    }


def test_the_image_s_health_is_asked_where_it_serves_and_nowhere_else() -> None:
    assert "healthcheck" not in services()["serve"]
    assert f"{container_port()}" in services()["serve"]["command"]
    assert services()["bot"]["healthcheck"] == services()["watch"]["healthcheck"] == {"disable": True}


def test_answers_under_way_have_the_time_to_be_finished() -> None:
    for name in OURS:
        assert int(services()[name]["stop_grace_period"].removesuffix("s")) >= DEFAULT_TIMEOUTS.grace + 10, (
            name
        )


@pytest.mark.parametrize("name", ["container", *OURS])
def test_what_is_started_is_a_command(name: str) -> None:
    assert_is_command(container_command()[1:] if name == "container" else services()[name]["command"])


def test_chroma_s_health_is_asked_of_chroma(chroma_url: str) -> None:
    check = services()["chroma"]["healthcheck"]["test"]
    assert check[0] == "CMD"
    port = chroma_url.rpartition(":")[2]
    healthy = [word.replace("/8000", f"/{port}") for word in check[1:]]
    assert subprocess.run(healthy, check=False, capture_output=True, timeout=30).returncode == 0
    nobody = [word.replace("/8000", "/1") for word in check[1:]]
    assert subprocess.run(nobody, check=False, capture_output=True, timeout=30).returncode != 0


# The pages


def shown(page: str) -> list[str]:
    """Return the command lines of `citewire` that a page shows, without what stands before and after them."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / page).read_text("utf-8"))
    lines = [line.partition("  #")[0] for line in re.findall(r"^\$ (.+)$", text, re.MULTILINE)]
    # Not every `citewire`: it is also a user, a namespace, an image and a folder.
    words = (
        r"(?:^|.*/|.* -- )(?:citewire|.*compose run .*?(?:serve|bot|watch)) ((?:--data-dir \S+ )?[a-z].*)$"
    )
    return [match[1] for line in lines if (match := re.match(words, line))]


COMMAND_LINES = [(page, line) for page in ("README.md", "OPERATIONS.md") for line in shown(page)]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_the_commands_on_the_pages_are_ones(page: str, line: str) -> None:
    assert_is_command(shlex.split(line))


@pytest.mark.parametrize("page", ["README.md", "OPERATIONS.md"])
def test_the_files_on_the_pages_are_there(page: str) -> None:
    text = (DEPLOY / page).read_text("utf-8")
    for name in re.findall(r"\bdeploy/\w[\w./-]*\w", text):  # not .env, which is the reader's
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text):
        assert (DEPLOY / name).exists(), name


def test_the_scripts_pass_their_linter() -> None:
    run(tool("shellcheck"), *sorted(DEPLOY.glob("*.sh")))


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
    assert named <= SETTINGS | compose_variables()
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
    for path in filter(Path.is_file, DEPLOY.rglob("*")):
        assert not re.search(r"xox[a-z]-\w|xapp-\w|sk-\w{8}", path.read_text("utf-8")), path.name

"""What the tests of deploy/ share: where it lies, the linters, and whether a command line is one of the program's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bot.cli.main import app
from bot.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SETTINGS = {
    str(field.validation_alias or PREFIX + name.upper()) for name, field in Settings.model_fields.items()
}


def tool(name: str) -> str:
    """Find a linter beside this Python or on the PATH; where it is not installed the test is skipped."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr  # systemd-analyze exits 0 on what it only warns of
    return done.stdout


def assert_is_command(words: list[str]) -> None:
    """Check the words after `citewire`, its own options among them."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] == "--data-dir" else words[1:]
    assert words[0] in COMMANDS, f"citewire {words[0]} is not a command"
    COMMANDS[words[0]].make_context(words[0], words[1:])


def instructions() -> list[tuple[str, str]]:
    """Return the Containerfile's instructions, each with what follows it."""
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    lines = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines.splitlines() if line.strip()]


def last(name: str) -> str:
    """Return what follows the last instruction of this name."""
    return [value for found, value in instructions() if found == name][-1]


def compose_text() -> str:
    return (DEPLOY / "compose.yaml").read_text("utf-8")


def services() -> dict[str, Any]:
    return yaml.safe_load(compose_text())["services"]


def container_port() -> int:
    """Return where `serve` listens in a container."""
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)/readyz", last("HEALTHCHECK"))
    assert int(last("EXPOSE")) == int(port)
    return int(port)


def container_command() -> list[str]:
    return [*json.loads(last("ENTRYPOINT")), *json.loads(last("CMD"))]

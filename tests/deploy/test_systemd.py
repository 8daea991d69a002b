"""deploy/systemd: the units run the program and let it do no more than it has to."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from deploy_helpers import DEPLOY, assert_is_command, run, tool

from bot.server.timeouts import DEFAULT_TIMEOUTS
from bot.settings import PREFIX

UNITS = DEPLOY / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
(CONFINED,) = (UNITS / "citewire-.service.d").iterdir()


def read(path: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text("utf-8"))
    return parser


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that is there."""
    shutil.copytree(UNITS, tmp_path / "units")
    for path in (tmp_path / "units").glob("*.service"):
        path.write_text(re.sub(r"/opt/citewire/bin/citewire", sys.executable, path.read_text("utf-8")))
    return tmp_path / "units"


@pytest.mark.parametrize("name", [*SERVICES, "citewire-backup.timer"])
def test_a_unit_passes_systemd_s_own_check(name: str, units: Path) -> None:
    run(tool("systemd-analyze"), "verify", "--man=no", units / name)


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_little_to_say_against_it(name: str, units: Path) -> None:
    """Its exposure from 0 to 10, as systemd counts it; 2 and less is OK. It shows that the shared part is read, too."""
    said = run(tool("systemd-analyze"), "security", "--offline=true", units / name)
    exposure = re.search(r"exposure level for .*: ([\d.]+)", said)
    assert exposure
    assert float(exposure[1]) <= 1.5


def test_the_program_writes_to_its_data_alone() -> None:
    service = read(CONFINED)["Service"]
    assert service["User"] == "citewire"
    state = f"/var/lib/{service['StateDirectory']}"
    assert f"{PREFIX}DATA_DIR={state}" in service["Environment"].split()
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""


def test_answers_under_way_have_the_time_to_be_finished() -> None:
    assert (
        int(read(CONFINED)["Service"]["TimeoutStopSec"]) >= DEFAULT_TIMEOUTS.grace + 10
    )  # to close what is open, too


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_started_is_a_command(name: str) -> None:
    service = read(UNITS / name)["Service"]
    if name != "citewire-backup.service":  # which the timer starts again
        assert service["Restart"] == "on-failure"
    line = service["ExecStart"].replace("%%", "%")
    words = shlex.split(line)
    if words[0] == "/bin/sh":
        words = shlex.split(words[-1].removeprefix("exec "))
    assert Path(words[0]).name == "citewire"
    assert_is_command(words[1:])


def test_the_back_up_s_shell_line_names_a_new_file_each_time(tmp_path: Path) -> None:
    """Run as systemd would, with what it asks citewire for printed instead."""
    line = read(UNITS / "citewire-backup.service")["Service"]["ExecStart"].replace("%%", "%")
    words = shlex.split(line.replace("exec /opt/citewire/bin/citewire", "echo"))
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"backup /var/lib/citewire-backup/citewire-\d{8}T\d{6}Z\.tar\n", said)
    assert read(UNITS / "citewire-backup.service")["Service"]["StateDirectory"] == "citewire-backup"
    assert '-name "citewire-*.tar"' in read(UNITS / "citewire-backup.service")["Service"]["ExecStartPost"]

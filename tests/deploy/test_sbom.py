"""`make sbom`: a bill of materials and a list of licences, of what is delivered and nothing else."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from deploy_helpers import ROOT, tool
from lazy_imports import Later

cyclonedx = Later("cyclonedx.schema")
validation = Later("cyclonedx.validation.json")

_METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nSummary: One.\n{license}\n"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """An environment with three packages: a permissive one, one under copyleft, and one that does not say."""
    folder = tmp_path / "runtime"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    licenses = {
        "free": "License-Expression: MIT",
        "shared": "License-Expression: LGPL-3.0-only",
        "silent": "",
    }
    for name, license_line in licenses.items():
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(_METADATA.format(name=name, license=license_line), encoding="utf-8")
    (folder / ".ready").touch()
    return folder


def test_what_is_delivered_is_listed_and_what_asks_for_a_look_is_printed(
    runtime: Path, tmp_path: Path
) -> None:
    for name in ("cyclonedx-py", "pip-licenses", "make"):
        tool(name)
    variables = [f"BIN={Path(sys.executable).parent}", f"RUNTIME={runtime}", f"DIST={tmp_path / 'dist'}"]
    command = [
        "make",
        "--silent",
        "--old-file",
        ".venv/.dev",
        "--old-file",
        f"{runtime}/.ready",
        "sbom",
        *variables,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()[1:]
    assert printed == ['"shared","1.0","LGPL-3.0-only"', '"silent","1.0","UNKNOWN"']
    bill = (tmp_path / "dist" / "sbom.cdx.json").read_text("utf-8")
    assert validation.JsonStrictValidator(cyclonedx.SchemaVersion.V1_6).validate_str(bill) is None
    found = json.loads(bill)
    assert [component["name"] for component in found["components"]] == ["free", "shared", "silent"]
    assert found["metadata"]["component"]["name"] == "citewire"
    assert str(tmp_path) not in bill
    with (tmp_path / "dist" / "licenses.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        ["free", "1.0", "MIT"],
        ["shared", "1.0", "LGPL-3.0-only"],
        ["silent", "1.0", "UNKNOWN"],
    ]


def test_what_is_delivered_is_what_the_container_installs() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^\$\(RUNTIME\)/\.ready:.*?(?=\n\n)", makefile, re.MULTILINE | re.DOTALL)
    assert recipe
    container = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
    for option in ("--constraints constraints.txt", "--requirement pyproject.toml"):
        assert option in recipe[0]
        assert option in container
    assert "--all-extras" in recipe[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    assert set(re.findall(r"--extra (\w+)", container)) == extras - {"ray"}
    assert "--group dev" not in recipe[0]

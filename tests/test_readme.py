"""The README is short, and its sessions are the real program's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SESSION = ROOT / "docs" / "assets" / "session.svg"
PROGRAM = Path(sys.executable).with_name("citewire")


def citewire(data_dir: Path, *arguments: str, stdin: str = "") -> str:
    """Run the installed command and return what it prints."""
    command = [PROGRAM, "--data-dir", data_dir, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown_session() -> Iterator[tuple[str, str]]:
    """Yield each command of the README's session with the output shown below it."""
    (session,) = (block for block in blocks(README) if 'echo "' in block)
    for part in re.split(r"^\$ ", session, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def recorded_session() -> Iterator[tuple[str, str]]:
    """Yield each question of the recorded terminal session with the output shown below it."""
    lines: dict[str, dict[float, str]] = {}
    for text in ElementTree.parse(SESSION).iter("{http://www.w3.org/2000/svg}text"):
        if line := re.search(r"line-(\d+)", text.get("clip-path", "")):
            lines.setdefault(line[1], {})[float(text.get("x", "0"))] = (text.text or "").replace("\xa0", " ")
    whole = "\n".join("".join(parts[x] for x in sorted(parts)) for parts in lines.values())
    parts = re.split(r'^\$ citewire ask "(.*)"$', whole, flags=re.M)[1:]
    yield from zip(parts[::2], parts[1::2], strict=True)


def blocks(text: str) -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)


def squeezed(text: str) -> str:
    """Return a text without white space: terminals of different widths break lines differently."""
    return "".join(text.split())


def test_the_readme_has_at_most_800_words() -> None:
    assert len(README.split()) <= 800


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = re.findall(r"^\$ (make \w+)", blocks(README)[0], re.M)
    assert commands == ["make chat", "make test"]
    for target in ("chat", "test"):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)


def test_the_recorded_session_loads_nothing_from_the_network() -> None:
    svg = SESSION.read_text("utf-8")
    assert "@font-face" not in svg
    assert not re.search(r"url\(['\"]?http|<image|<script|href=", svg)


@pytest.fixture
def sample(tmp_path: Path, packaged_encoders: Path) -> Path:
    """A data directory with the sample articles."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "encoders").symlink_to(packaged_encoders)
    citewire(data_dir, "ingest", str(ROOT / "corpus"))
    return data_dir


def test_the_sessions_are_what_a_newcomer_sees(sample: Path) -> None:
    asked = refused = 0
    for command, output in shown_session():
        if piped := re.fullmatch(r'echo "(.*)" \| make chat', command):
            printed = citewire(sample, "chat", stdin=f"{piped[1]}\n")
            assert output.startswith("[1] “")
            asked += 1
        elif question := re.fullmatch(r'make ask Q="(.*)"', command):
            printed = citewire(sample, "ask", "--", question[1])
            answer = json.loads(citewire(sample, "ask", "--json", "--", question[1]))
            assert answer["status"] == "not_found"
            assert printed.startswith(output.partition("\n")[0])
            refused += 1
        else:
            pytest.fail(f"not a question: {command}")
        first, dots, _ = output.partition("\n…\n")
        if dots:
            assert squeezed(printed).startswith(squeezed(first)), command
        else:
            assert squeezed(printed) == squeezed(output), command
    assert (asked, refused) == (3, 1)

    recorded = list(recorded_session())
    assert len(recorded) == 3
    for question, output in recorded:
        assert squeezed(citewire(sample, "ask", question)) == squeezed(output), question

"""The README names commands, options and settings that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from bot.cli.main import app
from bot.ingestion.loaders import read_articles
from bot.ingestion.pipeline import ingest
from bot.services import Workspace
from bot.settings import PREFIX, Settings, load_settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_is_documented_with_its_options() -> None:
    documented = {line.split()[1]: line for line in re.findall(r"^\| `(citewire [^`]*)`", README, re.M)}
    assert documented.keys() == COMMANDS.keys()
    assert (
        set(re.findall(r"\w+", documented.pop("eval"))) - {"citewire", "eval"}
        == COMMANDS["eval"].commands.keys()
    )
    for name, line in documented.items():
        options = {
            max(parameter.opts, key=len)
            for parameter in COMMANDS[name].params
            if parameter.opts[0].startswith("-")
        }
        assert set(re.findall(r"(?<=\[)--?[a-z-]+", line)) == options, name


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^\$ citewire .*", README, re.M))))
def test_example_commands_parse(line: str, tmp_path: Path) -> None:
    words = re.findall(r'"[^"]*"|\S+', line.partition(" #")[0])[2:]
    commands, group = (COMMANDS["eval"].commands, words.pop(0)) if words[0] == "eval" else (COMMANDS, "")
    for name in re.findall(r"\S+\.jsonl", line):  # the files that the example names have to be there
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    command = commands[words[0]]
    command.make_context(f"{group} {words[0]}", [word.strip('"') for word in words[1:]])


def test_every_setting_is_documented() -> None:
    assert set(re.findall(rf"^\| `((?:{PREFIX}|SLACK_)[A-Z_]+)`", README, re.M)) == {
        str(field.validation_alias or PREFIX + name.upper()) for name, field in Settings.model_fields.items()
    }


def test_the_session_shown_is_what_a_newcomer_sees(tmp_path: Path, packaged_encoders: Path) -> None:
    session = README.split("```console")[2].split("```")[0]
    asked = re.findall(r'echo "([^"]*)" \| make chat\n\[1\] “([^”]*)”\n', session)
    refused = re.search(r'make ask Q="(.*)"\n(.*)', session)
    assert len(asked) == 3
    assert refused
    workspace = Workspace(load_settings(data_dir=tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "encoders").symlink_to(packaged_encoders)
    with workspace.writing() as indexer:
        ingest(indexer, workspace.library, read_articles([Path(__file__).parents[1] / "corpus"]))
    for question, quote in asked:
        assert workspace.chain.invoke(question).citations[0].quote == " ".join(quote.split())
    answer = workspace.chain.invoke(refused[1])
    assert answer.status == "not_found"
    assert answer.text.startswith(refused[2])
    workspace.close()

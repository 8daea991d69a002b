"""The documentation: generated pages are up to date, and what the pages name is there."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
import yaml

from bot.cli.main import app
from bot.evaluation.metrics import METRICS
from bot.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SECRET = {
    "CITEWIRE_API_TOKENS",
    "CITEWIRE_CHROMA_HEADERS",
    "SLACK_APP_TOKEN",
    "SLACK_BOT_TOKEN",
    "SLACK_SIGNING_SECRET",
}


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Generated pages


def test_the_generated_pages_are_up_to_date(generate: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_a_page_that_is_out_of_date_or_missing_is_named(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("commands.md", "settings.md"):
        shutil.copy(DOCS / name, tmp_path)
    assert generate.stale(tmp_path) == []
    (tmp_path / "commands.md").write_text("# Commands\n", "utf-8")
    assert generate.stale(tmp_path) == [tmp_path / "commands.md"]
    (tmp_path / "settings.md").unlink()
    assert generate.stale(tmp_path) == [tmp_path / "commands.md", tmp_path / "settings.md"]
    monkeypatch.setattr(generate, "pages", lambda: {Path("settings.md"): "another text"})
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("docs/settings.md is out of date")


def documented_commands() -> dict[str, str]:
    parts = re.split(r"^#{2,3} citewire (.+)$", page("commands.md"), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_command_is_documented_with_its_options() -> None:
    commands = {name: command for name, command in COMMANDS.items() if name != "eval"} | {
        f"eval {name}": command for name, command in COMMANDS["eval"].commands.items()
    }
    documented = documented_commands()
    assert documented.keys() == {*commands, "eval"}
    for name, command in commands.items():
        text = documented[name]
        options = {
            max(parameter.opts, key=len) for parameter in command.params if parameter.opts[0].startswith("-")
        }
        listed = re.findall(r"^- `((?:-\w, )?--?[a-z-]+)", text, re.M)
        assert {option.rpartition(", ")[2] for option in listed} == options, name
        for parameter in command.params:
            description = " ".join((parameter.help or "").split()).replace("<", "&lt;")
            assert description in text, (name, parameter.name)
        assert " ".join(command.help.split("\n\n")[0].split()).replace("<", "&lt;") in text, name


def test_every_setting_is_documented() -> None:
    rows = dict(re.findall(rf"^\| `((?:{PREFIX}|SLACK_)[A-Z_]+)` \| (.*) \|$", page("settings.md"), re.M))
    fields = {
        str(field.validation_alias or PREFIX + name.upper()): field
        for name, field in Settings.model_fields.items()
    }
    assert rows.keys() == fields.keys()
    for variable, row in rows.items():
        _kind, default, description = row.split(" | ")
        field = fields[variable]
        assert description == field.description
        assert ("*secret*" in row) == (variable in SECRET), variable
        if isinstance(field.default, int | float | str) and field.default != "":
            assert default == f"`{field.default}`", variable
    assert "xoxb" not in "".join(row.split(" | ")[1] for row in rows.values())


# Everything that the pages name


def command_lines() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        text = re.sub(r"\\\n\s*", "", path.read_text("utf-8"))
        for line in sorted(set(re.findall(r"^ *\$ citewire (.*)$", text, re.M))):
            yield name_of(path), re.split(r" +#| < ", line)[0]


def test_commands_are_shown() -> None:
    assert len(list(command_lines())) > 40


@pytest.mark.parametrize(("path", "line"), list(command_lines()))
def test_example_commands_parse(path: str, line: str) -> None:
    words = shlex.split(line)
    for name in words:  # the files that the example names have to be there
        if name.endswith(".jsonl"):
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).touch()
    if words[0] == "--data-dir":
        words = words[2:]
    commands = COMMANDS
    if words[0] == "eval":
        commands, words = COMMANDS["eval"].commands, words[1:]
    commands[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_settings_targets_and_scripts_in_the_text_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    known = {
        str(field.validation_alias or PREFIX + name.upper()) for name, field in Settings.model_fields.items()
    }
    for variable in re.findall(rf"\b((?:{PREFIX}|SLACK_)[A-Z_]+\b)", text):
        assert variable in known, variable
    for command, following in re.findall(r"`citewire ([a-z]+)(?: ([a-z]+))?", text):
        assert command in COMMANDS, command
        if command == "eval" and following:
            assert following in COMMANDS["eval"].commands, following
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:`|\$ |\| )make ([a-z]+)\b", text):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for script in re.findall(r"\b(?:tests|training|docs|deploy|corpus)/[\w/.-]*\w", text):
        assert (ROOT / script).exists() or (path.parent / script).exists(), script


def test_the_extras_are_those_of_the_package() -> None:
    table = page("getting-started.md").partition("| Extra |")[2].partition("\n\n")[0]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == set(extras)


def test_every_metric_is_explained() -> None:
    table = page("evaluation.md").partition("| Metric |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {metric for row in rows for metric in re.findall(r"`([^`]+)`", row)} == set(METRICS)


# Links


def slugs(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text("utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_internal_links_and_anchors_resolve(path: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text("utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in slugs(target), link


def test_every_page_is_in_the_navigation_and_linked_from_the_readme() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    def pages_in(entries: list[object]) -> Iterator[str]:
        for entry in entries:
            assert isinstance(entry, dict)
            for value in entry.values():
                if isinstance(value, str):
                    yield value
                else:
                    yield from pages_in(value)

    named = list(pages_in(config["nav"]))
    there = {path.name for path in DOCS.glob("*.md")}
    assert len(named) == len(set(named))
    assert set(named) == there
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in there - {"index.md", "contributing.md"}:
        assert f"(docs/{name}" in readme, name


def test_the_site_asks_no_other_server_for_fonts() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert config["theme"]["font"] is False
    assert config["plugins"] == ["search"]


# The Python API


def test_the_python_example_runs(
    tmp_path: Path, packaged_encoders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import bot

    example = blocks(page("python-api.md"), "python")[0]
    (imported,) = re.findall(r"^from bot import (.+)$", example, re.M)
    assert hasattr(bot, imported)
    (folder,) = re.findall(r'Citewire\("(.+)"\)', example)
    (tmp_path / folder).mkdir()  # the working directory of every test
    (tmp_path / folder / "encoders").symlink_to(packaged_encoders)
    (tmp_path / "corpus").symlink_to(ROOT / "corpus")
    exec(compile(example, "docs/python-api.md", "exec"), {})
    assert "Prince Harry attended without his wife, Meghan, and left soon after." in capsys.readouterr().out


def test_the_python_page_names_what_the_package_has() -> None:
    import bot

    text = page("python-api.md")
    exported = re.findall(r"`(Citewire|Question|Answer|Citation)`", text)
    assert set(exported) == {"Citewire", "Question", "Answer", "Citation"}
    for name in set(exported):
        assert hasattr(bot, name), name
    table = text.partition("| Member |")[2].partition("\n\n")[0]
    members = set(re.findall(r"^\| `(\w+)", table, re.M))
    assert members == {"ingest", "ask", "stream", "evaluate", "chain", "retriever"}
    for member in members:
        assert hasattr(bot.Citewire, member), member
    for attribute in re.findall(r"^\| `answer\.(\w+)`", text, re.M):
        assert attribute in bot.Answer.model_fields or hasattr(bot.Answer, attribute), attribute

"""Tests for `.ci/prose.py`, which checks the language of docstrings, comments, messages and documentation."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "prose.py"


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("citewire_prose", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def find(prose: ModuleType, root: Path, path: str, source: str) -> list[tuple[int, str]]:
    """Write a file and return line and words of each finding in it."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, "utf-8")
    return [(finding.line, finding.found) for finding in prose.check_file(root, path)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Rebuild the index anew."""', [(1, "anew")]),
        ('"""What a search returns."""', [(1, "What")]),
        ('"""Say whether the text is complete."""', [(1, "Say whether")]),
        ('def version():\n    """Return the version, None where it is gone."""', [(2, "None where")]),
        (
            '"""Parse a URL.\n\nRaises ValueError where it\nis no URL.\n"""',
            [(3, "where it"), (4, "is no URL")],
        ),
        ('"""Store the vectors.\n\nThe id stands\nin the log.\n"""', [(3, "stands")]),
        (
            "x = 1\n\n# The quote still stands in\n# the article; nobody\n# reads it.\n",
            [(3, "stands"), (4, "nobody")],
        ),
        ("LIMIT = 3  # answers at once", [(1, "at once")]),
        ("x = 1  # the neighbouring sentences", [(1, "neighbouring")]),
        ('log.warning("Slack is away: %s", reason)', [(1, "is away")]),
        (
            'raise ValueError(\n    f"{path} holds no backup; "\n    "ask whoever made it"\n)',
            [(3, "whoever")],
        ),
    ],
)
def test_banned_constructions_in_python_are_found(
    prose: ModuleType, tmp_path: Path, source: str, expected: list[tuple[int, str]]
) -> None:
    assert find(prose, tmp_path, "bot/text/example.py", source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# Title\n\nUnchanged files are passed\nover.\n", [(3, "passed over")]),
        ("The command goes on. Make a back-up first.\n", [(1, "goes on"), (1, "back-up")]),
        ("The weights are under this licence.\n", [(1, "licence")]),
    ],
)
def test_banned_constructions_in_markdown_are_found(
    prose: ModuleType, tmp_path: Path, source: str, expected: list[tuple[int, str]]
) -> None:
    assert find(prose, tmp_path, "README.md", source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "def stands(neighbour, colour=None):\n    return neighbour.anew(colour)",
        'PATTERN = re.compile("(somebody|nobody) was told")',
        'PATTERN = r"the trial goes on"',
        'PATTERN = rf"{NAME} stands in the centre"',
        'WORDS = "centre colour somebody".split()',
        'WORDS = {"at once", "by now"}',
        'if text == "at once":\n    pass',
        'KEYS = {"at once": 1}',
        'NAME = "neighbour"',
        '"""Return the value of `anew`, or the result of `where it is`."""',
        '"""Return the file where it is stored, or the directory where the index is kept."""',
        '"""Return True if the names are all the same. The prefix stands for a tenant."""',
        '"""Return the score, which is no longer needed if there is no article."""',
        '"""Return the analyses that were measured in the program."""',
        "x = 1  # see https://example.org/where-it-stands/anew",
    ],
)
def test_code_patterns_and_standard_english_are_left_alone(
    prose: ModuleType, tmp_path: Path, source: str
) -> None:
    assert find(prose, tmp_path, "bot/text/example.py", source) == []


def test_code_in_markdown_is_left_alone(prose: ModuleType, tmp_path: Path) -> None:
    source = "Use `anew` here.\n\n```console\n$ echo somebody stands there\n```\n"
    assert find(prose, tmp_path, "docs/page.md", source) == []


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("normalised", "normalized"),
        ("unrecognised", "unrecognized"),
        ("Behaviour", "Behavior"),
        ("analysing", "analyzing"),
        ("centred", "centered"),
        ("kilometres", "kilometers"),
        ("misspelt", "misspelled"),
    ],
)
def test_the_american_spelling_is_suggested(
    prose: ModuleType, tmp_path: Path, british: str, american: str
) -> None:
    find(prose, tmp_path, "README.md", f"This is {british} text.\n")
    (finding,) = prose.check_file(tmp_path, "README.md")
    assert str(finding) == f'README.md:1: found "{british}": use "{american}"'


def test_exempt_words_are_left_alone_in_their_files(
    prose: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exemption = prose.Exemption("docs/*.md", r"6\.5 metres across", "quotes an article")
    monkeypatch.setattr(prose, "EXEMPTIONS", (exemption,))
    source = "A mirror 6.5 metres across.\n"
    assert find(prose, tmp_path, "docs/page.md", source) == []
    assert find(prose, tmp_path, "README.md", source) == [(1, "metres")]


# The budget


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two findings in bot/slack, one of them in a subdirectory, and one in README.md."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bot/slack/rendering").mkdir(parents=True)
    (tmp_path / "bot/slack/app.py").write_text("# Nobody is here.\n")
    (tmp_path / "bot/slack/rendering/views.py").write_text("# Render it anew.\n")
    (tmp_path / "README.md").write_text("Whoever reads this.\n")
    return tmp_path


def read_budget(root: Path) -> dict[str, int]:
    return json.loads((root / ".ci/prose-budget.json").read_text())


def test_findings_without_a_budget_fail_and_are_printed(
    prose: ModuleType, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prose.main([], repository) == 1
    assert 'bot/slack/app.py:1: found "Nobody": use no user, no client\n' in capsys.readouterr().out


def test_init_writes_the_counts_of_each_group(prose: ModuleType, repository: Path) -> None:
    assert prose.main(["--init"], repository) == 0
    assert read_budget(repository) == {"README.md": 1, "bot/slack": 2}


def test_a_group_above_its_budget_fails(
    prose: ModuleType, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prose.main(["--init"], repository)
    (repository / "bot/slack/new.py").write_text("# It goes on.\n")
    capsys.readouterr()
    assert prose.main([], repository) == 1
    printed = capsys.readouterr().out
    assert "bot/slack: 3 findings, budget 2" in printed
    assert "README.md:1" not in printed


def test_a_group_below_its_budget_passes_with_a_hint_and_update_lowers_it(
    prose: ModuleType, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prose.main(["--init"], repository)
    (repository / "bot/slack/app.py").write_text("# Empty.\n")
    capsys.readouterr()
    assert prose.main([], repository) == 0
    assert "bot/slack: 1 finding, budget 2; run `python .ci/prose.py --update`" in capsys.readouterr().out
    assert prose.main(["--update"], repository) == 0
    assert read_budget(repository) == {"README.md": 1, "bot/slack": 1}


def test_update_never_raises_a_budget(prose: ModuleType, repository: Path) -> None:
    prose.main(["--init"], repository)
    (repository / "bot/slack/new.py").write_text("# It goes on.\n")
    assert prose.main(["--update"], repository) == 1
    assert read_budget(repository) == {"README.md": 1, "bot/slack": 2}


def test_named_paths_are_listed_whatever_their_budget(
    prose: ModuleType, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prose.main(["--init"], repository)
    capsys.readouterr()
    assert prose.main(["bot/slack/rendering"], repository) == 1
    assert capsys.readouterr().out.splitlines() == [
        'bot/slack/rendering/views.py:1: found "anew": use again, or a verb with re-',
        "1 finding in 1 file",
    ]


# The summary


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_joined", True),
        ("settled", True),
        ("_told", True),
        ("is_closed", False),
        ("embed", False),
        ("parse_feed", False),
    ],
)
def test_functions_named_by_a_past_participle_are_counted(
    prose: ModuleType, name: str, expected: bool
) -> None:
    assert prose.is_named_by_participle(name) is expected


def test_the_summary_counts_functions_docstrings_and_sizes(
    prose: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find(
        prose,
        tmp_path,
        "bot/text/example.py",
        '"""Example."""\n\n\ndef _joined():\n    """What is joined, anew."""\n\n\ndef join():\n    pass\n',
    )
    (tmp_path / "README.md").write_text("Five words in this file.\n")
    assert prose.main(["--summary"], tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "functions named by a past participle: 1 of 2 (50.0 %)",
        "docstrings with a banned construction: 1 of 2 (50.0 %)",
        "findings: 2 (docstring 2, comment 0, string 0, markdown 0)",
        "README: 5 words",
        "modules of bot/: 1, median 9 lines",
    ]

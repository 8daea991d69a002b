"""The public Python API: what it exports, and the example that uses it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HEAVY

import bot

ROOT = Path(__file__).parents[1]


def test_the_package_exports_the_public_names_and_no_others() -> None:
    assert bot.__all__ == ["Answer", "Citation", "Citewire", "Question", "__version__"]
    assert all(getattr(bot, name) for name in bot.__all__)
    with pytest.raises(AttributeError, match=r"^module 'bot' has no attribute 'Nothing'$"):
        _ = bot.Nothing


def test_importing_the_api_imports_no_heavy_package() -> None:
    program = f"import sys; from bot import Citewire, Question; sys.exit(any(name in sys.modules for name in {HEAVY!r}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_example_runs(
    tmp_path: Path,
    packaged_encoders: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "encoders").symlink_to(packaged_encoders)
    monkeypatch.setattr(sys, "argv", ["ask.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / "ask.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "25 articles"
    assert lines[1].startswith("answered ")
    assert lines[2].startswith("[1] ")
    assert "Sentence" in lines
    assert "Answer" in lines


def test_a_test_set_is_evaluated(tmp_path: Path, packaged_encoders: Path) -> None:
    (tmp_path / "encoders").symlink_to(packaged_encoders)
    testset = tmp_path / "testset.jsonl"
    testset.write_text('{"id": "1", "question": "Was Meghan at the coronation?", "answerable": true}\n')
    with bot.Citewire(tmp_path) as citewire:
        citewire.ingest(ROOT / "corpus")
        summary = citewire.evaluate(testset)
    assert summary.metrics["quote_valid"] == 1

"""Writes files and reads articles back, for the tests of the readers."""

from __future__ import annotations

from pathlib import Path

from bot.articles.article import Article, clean_line, clean_text
from bot.ingestion.loaders import Skipped, read_articles

PROSE = (
    "The minister said on Friday that the plan would go ahead, after weeks of talks in the capital. "
    "Officials expected the vote to pass easily, though a handful of members had yet to declare."
)
MORE = (
    "Ferries ran late all week while crews repaired the pier. A spokeswoman for the port promised "
    "that the morning service would be back to its timetable by the end of the month."
)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(*paths: Path, source: str = "") -> list[Article | Skipped]:
    return list(read_articles(paths, source=source))


def article(path: Path, content: str | bytes, source: str = "") -> Article:
    [found] = read(write(path, content), source=source)
    assert isinstance(found, Article), found
    return found


def skipped(path: Path, content: str | bytes) -> Skipped:
    [found] = read(write(path, content))
    assert isinstance(found, Skipped), found
    assert found.file == str(path)
    return found


def texts(found: list[Article | Skipped]) -> list[str]:
    return [str(item) if isinstance(item, Skipped) else item.text for item in found]


def assert_clean(found: list[Article | Skipped]) -> None:
    for item in found:
        assert isinstance(item, Article | Skipped)
        if isinstance(item, Article):
            assert item.text
            assert item.text == clean_text(item.text).strip()
            assert item.title == clean_line(item.title)
            assert item.id
            item.text.encode()
        else:
            assert item.reason
            assert "\n" not in str(item)

"""A data directory written by the release before the packages were renamed opens unchanged, and restores as a backup."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from bot.doctor import examine
from bot.services import Services
from bot.settings import load_settings
from bot.storage.restore import restore

OLD = Path(__file__).parents[1] / "data" / "data-directory-0.1.tar.gz"
ANSWER_ID = "94d68809176d"  # of the same question, asked then


@pytest.fixture(params=["copied", "restored"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, packaged_encoders: Path) -> Path:
    data = tmp_path / "data"
    archive = tmp_path / "old.tar"
    archive.write_bytes(gzip.decompress(OLD.read_bytes()))
    if request.param == "restored":
        restore(load_settings(data_dir=data), archive)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(data, filter="data")
    if not (data / "encoders").exists():
        (data / "encoders").symlink_to(packaged_encoders)
    return data


def test_an_old_data_directory_answers_and_keeps_its_answers(folder: Path) -> None:
    services = Services(load_settings(data_dir=folder))
    try:
        answer = services.chain.invoke("Which bank failed in California?")
        assert answer.citations[0].quote == "A bank in California failed on Friday."
        stored = services.answers.load(ANSWER_ID)
        assert stored is not None
        assert stored[0].text == answer.text
        assert [article.title for article in services.articles.list_articles()] == [
            "A lander touches down on the Moon",
            "Bank fails in California",
        ]
        assert all(check.ok for check in examine(services)), examine(services)
    finally:
        services.close()

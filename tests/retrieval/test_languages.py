"""Another language: its stemmer and an embedding model of one's own, by settings alone, from file to answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import make, take_in
from test_embeddings import tiny_model

from bot.errors import CitewireError
from bot.services import Services
from bot.settings import load_settings

ARTICLES = [
    {
        "id": "haus",
        "title": "Brände in Lübeck",
        "text": "In Lübeck brannten am Montag drei alte Häuser bis auf die Mauern nieder.",
    },
    {"id": "zug", "title": "Züge", "text": "Die Bahn strich am Dienstag alle Züge zwischen Köln und Bonn."},
    {"id": "wahl", "title": "Wahlen", "text": "Die Wählerinnen stimmten für den Bau einer neuen Brücke."},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


def open_in(folder: Path, model: str, language: str) -> Services:
    # What a model with random weights makes of a question says nothing about its answer.
    settings = load_settings(data_dir=folder, embedding_model=model, language=language, min_confidence=0)
    return Services(settings)


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("Welches alte Haus brannte in Lübeck nieder?", ARTICLES[0]["text"]),
        ("Wurde der Zug zwischen Köln und Bonn gestrichen?", ARTICLES[1]["text"]),
        ("Wofür hat jede Wählerin gestimmt?", ARTICLES[2]["text"]),
    ],
)
def test_german_articles_answer_german_questions(
    tmp_path: Path, model: str, question: str, quote: str
) -> None:
    workspace = open_in(tmp_path, model, "german")
    take_in(workspace, [make(dict(row)) for row in ARTICLES])
    answer = workspace.chain.invoke(question)
    assert answer.status == "answered"
    assert quote in [citation.quote for citation in answer.citations]
    assert workspace.bm25.analyze("Häuser") == workspace.bm25.analyze("Haus")
    workspace.close()


def test_an_index_of_another_language_is_not_searched(tmp_path: Path, model: str) -> None:
    german = open_in(tmp_path, model, "german")
    take_in(german, [make(dict(row)) for row in ARTICLES])
    german.close()
    english = open_in(tmp_path, model, "english")
    with pytest.raises(CitewireError, match="citewire reindex"):
        english.chain.invoke("Haus")
    english.close()

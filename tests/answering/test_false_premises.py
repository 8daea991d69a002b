"""Questions that suppose what never was: the sample articles come near, and must not be made to answer them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.ingestion.loaders import read_articles
from bot.ingestion.pipeline import ingest
from bot.services import Services
from bot.settings import load_settings

CORPUS = Path(__file__).parents[2] / "corpus"

QUESTIONS = (
    "When did Norway join the EU?",
    "When did Serbia adopt the euro?",
    "Why did Hungary leave NATO?",
    "Which country became NATO's 35th member?",
    "Who won the 2022 World Cup final between Brazil and Germany?",
    "How many goals did Cristiano Ronaldo score in the World Cup final in Qatar?",
    "When was King William V crowned at Westminster Abbey?",
    "Who crowned Queen Beatrix at Westminster Abbey?",
    "How did Pakistan's lander reach the Moon's south pole?",
    "What did the rover of Luna 25 find on the Moon?",
    "How many Oscars did Avatar win at the ceremony in March 2024?",
    "Why was Christopher Nolan arrested at the Oscars?",
    "Which malaria vaccine did Moderna develop?",
    "How much does the R21 vaccine against tuberculosis cost?",
    "Why did Google buy Activision Blizzard?",
    "How many computers did the Kaspersky update freeze?",
    "When did Deutsche Bank collapse after a run on its deposits?",
    "How high did the Bank of Japan lift its rate in July 2023?",
    "Which ship blocked the Panama Canal for six days?",
    "How many ships sank in the Suez Canal behind the Titanic?",
    "How did the Golden Gate Bridge collapse?",
    "When did the Eiffel Tower reopen after the fire?",
    "Who set the world record in the marathon in Tokyo in 2023?",
    "How fast did Usain Bolt run the Chicago marathon?",
    "Where will the Olympic Games of 2040 take place?",
    "Why did Haruki Murakami win the Nobel Prize in Literature?",
    "Why did North Korean aides wipe Angela Merkel's chair?",
    "What did the Hubble telescope see on Pluto in its first full-colour pictures?",
    "How far did NASA's DART shift the orbit of Mars?",
    "How many people died in the earthquake in Portugal in February 2023?",
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    workspace = Services(load_settings(data_dir=tmp_path_factory.mktemp("sample")))
    with workspace.index_writer() as indexer:
        ingest(indexer, workspace.articles, read_articles([CORPUS]))
    yield workspace
    workspace.close()


# Nothing but a common word gives these away; they are answered with the nearest thing.
NOT_SEEN_THROUGH = {
    "How much does the R21 vaccine against tuberculosis cost?",
}


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(q, marks=[pytest.mark.xfail(strict=True)] if q in NOT_SEEN_THROUGH else [])
        for q in QUESTIONS
    ],
)
def test_a_false_premise_is_refused(sample: Services, question: str) -> None:
    answer = sample.chain.invoke(question)
    assert answer.status == "not_found", f"{answer.confidence:.2f} {answer.text}"
    assert answer.nearest


def test_there_are_thirty() -> None:
    assert len(set(QUESTIONS)) == 30

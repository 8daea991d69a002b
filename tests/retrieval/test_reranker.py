"""Reranking: a real cross-encoder, made here and small, changes the order and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import make, take_in
from test_embeddings import tiny_model

from bot.errors import EmbeddingError
from bot.retrieval.reranker import CrossEncoderReranker
from bot.services import Services
from bot.settings import load_settings


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CrossEncoder of one small layer, with random weights."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("cross")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model(tmp_path_factory.mktemp("tiny") / "model"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_scores_are_shares_and_the_same_each_time(cross_encoder: str) -> None:
    texts = ["The lander touched down.", "A bank failed.", ""]
    scores = CrossEncoderReranker(cross_encoder).scores("Where did it land?", texts)
    assert all(0 <= score <= 1 for score in scores)
    assert scores == pytest.approx(CrossEncoderReranker(cross_encoder).scores("Where did it land?", texts))
    assert CrossEncoderReranker(cross_encoder).scores("Where?", []) == []


def test_the_setting_reorders_the_hits(tmp_path: Path, embedder: object, cross_encoder: str) -> None:
    def order(**options: str) -> tuple[list[str], list[str]]:
        settings = load_settings(data_dir=tmp_path / "data", **options)
        workspace = Services(settings, embedder=embedder)  # type: ignore[arg-type]
        hits = workspace.retriever.search("moon lander", k=20)
        by_reranker = CrossEncoderReranker(cross_encoder).scores(
            "moon lander", [hit.passage.text for hit in hits]
        )
        workspace.close()
        ranked = sorted(zip(by_reranker, [hit.passage.id for hit in hits], strict=True), reverse=True)
        return [hit.passage.id for hit in hits], [key for _, key in ranked]

    workspace = Services(load_settings(data_dir=tmp_path / "data"), embedder=embedder)  # type: ignore[arg-type]
    subjects = ["craters", "dust and rocks", "its orbit", "a failed engine", "the far side of it"]
    take_in(
        workspace,
        [make({"id": f"m{n}", "text": f"The moon lander saw {s}."}) for n, s in enumerate(subjects)],
    )
    workspace.close()
    plain, _ = order()
    reranked, expected = order(rerank_model=cross_encoder)
    assert reranked == expected
    assert sorted(plain) == sorted(reranked)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(EmbeddingError, match=r"'/no/such/model' cannot be loaded .*CITEWIRE_RERANK_MODEL"):
        CrossEncoderReranker("/no/such/model").scores("q", ["a"])

"""Entailment: real cross-encoders, made here and small, with their labels in any order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_embeddings import tiny_model

from bot.errors import EmbeddingError
from bot.verification.nli import NliModel
from bot.verification.verifier import Verifier

Make = Callable[[list[str]], str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a CrossEncoder of one small layer that always prefers its first label, strongly."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    words = tiny_model(tmp_path_factory.mktemp("tiny") / "model")

    def make(labels: list[str]) -> str:
        folder = tmp_path_factory.mktemp("entailment")
        tokenizer = AutoTokenizer.from_pretrained(words)
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, id2label=dict(enumerate(labels)), label2id={name: at for at, name in enumerate(labels)},
        )  # fmt: skip
        model = BertForSequenceClassification(config)
        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.zero_()
            model.classifier.bias[0] = 4.0
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return make


@pytest.mark.parametrize(
    ("labels", "entailed", "contradicted"),
    [
        (["entailment", "neutral", "contradiction"], True, False),
        (["CONTRADICTION", "ENTAILMENT", "NEUTRAL"], False, True),
        (["neutral", "contradiction", "entailment"], False, False),
        (["not_entailment", "entailment"], False, True),
        (["hallucinated", "consistent"], False, True),
        (["SUPPORTED", "UNSUPPORTED"], True, False),
        (["LABEL_0"], True, False),
    ],
)
def test_labels_are_read_from_the_model(
    made: Make, labels: list[str], entailed: bool, contradicted: bool
) -> None:
    found = NliModel(made(labels))("The moon is round.", ["The moon has craters.", "It is far away."])
    assert (found.entailed > 0.5, found.contradicted > 0.5) == (entailed, contradicted)
    assert 0 <= found.entailed <= 1
    assert 0 <= found.contradicted <= 1


@pytest.mark.parametrize("sources", [[], [""], [" \n "]])
def test_where_there_is_no_text_nothing_is_entailed(made: Make, sources: list[str]) -> None:
    assert NliModel(made(["entailment", "neutral"]))("The moon is round.", sources) == (0.0, 0.0)


def test_a_long_text_is_read_where_it_is_about_the_sentence(made: Make) -> None:
    text = " ".join(f"Line {n} says nothing." for n in range(200)) + " The moon is round and far away."
    assert NliModel(made(["entailment", "neutral"]))("The moon is round.", [text]).entailed > 0.5


def test_it_decides_together_with_the_rules(made: Make) -> None:
    says_yes = Verifier(entailment=NliModel(made(["entailment", "neutral", "contradiction"])))
    says_no = Verifier(entailment=NliModel(made(["contradiction", "neutral", "entailment"])))
    text = "The probe landed on 9 May near the southern pole of the moon."
    loose, wrong = "A probe has touched down close to the pole.", "The probe landed on 8 May near the pole."
    assert says_yes.check(loose, [text]).verdict == "supported"
    assert says_no.check(loose, [text]).verdict == "unsupported"
    assert says_yes.check(wrong, [text]).verdict == "unsupported"
    assert says_no.check(text, [text]).verdict == "supported"


def test_a_model_without_such_labels_is_refused(made: Make) -> None:
    with pytest.raises(
        EmbeddingError, match=r"has no label for entailment, only positive, negative; .*SUPPORT_MODEL"
    ):
        NliModel(made(["positive", "negative"]))("The moon is round.", ["The moon."])


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"cannot be loaded .*CITEWIRE_SUPPORT_MODEL"):
        NliModel(str(tmp_path / "none"))("The moon is round.", ["The moon."])

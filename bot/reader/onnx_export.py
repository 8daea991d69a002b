"""Exports question-answering models to ONNX. Imports torch, so it is imported only if a reader is exported."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bot.errors import ReaderError
from bot.indexing.onnx_export import (
    TEST_SENTENCES,
    TOOLS,
    describe_reason,
    export_model,
    quiet_torch,
    write_description,
    write_graph,
)
from bot.indexing.onnx_runtime import TOKENIZER
from bot.reader.onnx_reader import DESCRIPTION, MAX_TOKENS, OnnxReader

# Of start and end scores, which are about 10 and unbounded.
SCORE_TOLERANCE = 1e-3
_OUTPUT_NAME = "citewire_scores"


def export_reader(model: Any, tokenizer: Any, folder: Path, *, int8: bool = True) -> None:
    """Write a Hugging Face question-answering model as an `OnnxReader` with equal scores, replacing the folder.

    Args:
        model: an `AutoModelForQuestionAnswering`, on the CPU.
        tokenizer: its fast tokenizer.
        folder: as for `export_encoder`.
        int8: quantize the weights after the scores were compared.

    Raises:
        ReaderError: if the model cannot be exported or the scores differ.
    """

    def write(draft: Path) -> None:
        with quiet_torch():
            _write_reader(model, tokenizer, draft)
        _compare_scores(model, tokenizer, OnnxReader(draft))

    try:
        export_model(folder, write, DESCRIPTION, int8=int8)
    except ReaderError:
        raise
    except Exception as exc:
        raise ReaderError(
            f"the reader cannot be exported ({describe_reason(exc)}); choose another model"
        ) from exc


class _ScoreGraph(torch.nn.Module):
    """Graph from token ids to start and end scores, shape (texts, tokens, 2)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        scores = self.model(**features)
        return torch.stack([scores.start_logits, scores.end_logits], dim=-1).float()


def _write_reader(model: Any, tokenizer: Any, folder: Path) -> None:
    max_tokens = min(MAX_TOKENS, tokenizer.model_max_length)
    example = _tokenize_pairs(
        tokenizer, [("Who?", "Rain fell."), ("Which bank failed?", "Rain fell on it.")], max_tokens
    )
    features = write_graph(_ScoreGraph(model), example, _OUTPUT_NAME, folder)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))  # with the truncation set by `_tokenize_pairs`
    write_description(folder, DESCRIPTION, inputs=features, tools={name: version(name) for name in TOOLS})


def _tokenize_pairs(tokenizer: Any, pairs: list[tuple[str, str]], max_tokens: int) -> Any:
    return tokenizer(
        [question for question, _ in pairs],
        [text for _, text in pairs],
        truncation="only_second",
        max_length=max_tokens,
        padding=True,
        return_tensors="pt",
    )


def _compare_scores(model: Any, tokenizer: Any, exported: OnnxReader) -> None:
    pairs = [("Which bank failed on Friday?", text) for text in TEST_SENTENCES if text.strip()]
    for question, text in pairs:
        batch = _tokenize_pairs(tokenizer, [(question, text)], exported.max_tokens)
        with torch.no_grad():
            scores = model(**batch)
        expected = torch.stack([scores.start_logits, scores.end_logits], dim=-1)[0].numpy()
        # The exported reader treats special tokens in a text as words, so the scores of such a text differ on
        # purpose.
        found = exported.scores(question, text)
        if found.shape == expected.shape and not np.abs(found - expected).max() <= SCORE_TOLERANCE:
            raise ReaderError(
                f"the exported reader's scores differ from the model's by {np.abs(found - expected).max():.1e}; "
                "choose another model"
            )

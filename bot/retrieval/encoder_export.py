"""Exports an embedding model to ONNX; imports torch, so it is imported only where that is done."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import shutil
import uuid
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bot.errors import EmbeddingError
from bot.retrieval.encoder import (
    DESCRIPTION,
    FEATURES,
    GRAPH,
    TOKENIZER,
    OnnxEncoder,
    passage_prompt,
    query_prompt,
)
from bot.retrieval.weights import file_digest

TOLERANCE = 1e-5  # of a number in a vector, and of a cosine; what is measured is about 1e-7
# No inner node may have this name too: the graph would be valid and give something else.
_OUTPUT = "citewire_vectors"
_TOOLS = ("torch", "transformers", "sentence-transformers", "onnxscript", "onnxruntime", "tokenizers")
_WITHOUT = "questions are answered all the same, but torch has to be loaded for the first"
_TRIALS = (
    "",
    "  \n",
    "rain",
    "Which bank failed on Friday?",
    "  The Bank's depositors QUEUED outside; its shares fell by 5.4% – “a run”.\n\nThen it closed.  ",
    "Erdoğan trifft Zelenskyj in Kyïv: Türkiye, naïve café, Straße, ﬁnance",
    "東京で地震がありました。 Правительство ушло в отставку. قال الوزير",
    "🌍🚀 \u200d\u0301\u00ad tab\tand \x00 control",
    "a " * 60,
    "An earthquake struck the southern province before dawn, and rescuers searched the rubble. " * 9,
    "long " * 9_000,  # beyond any model's length
    "##s [SEP] [CLS] <s> </s> [PAD] <mask>",
)


def export_encoder(model: Any, folder: Path) -> None:
    """Write a SentenceTransformer as an `OnnxEncoder` whose vectors equal the model's, replacing the folder.

    The folder is there as a whole or not at all. Two exports to one folder must not run at the same time.
    Raises EmbeddingError where the model cannot be exported or the vectors differ.
    """
    draft = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        on_cpu = model if model.device.type == "cpu" else copy.deepcopy(model).to("cpu")
        with _quiet():
            _write(on_cpu, draft)
        _compare(on_cpu, OnnxEncoder(draft))
        _put_in_place(draft, folder)
    except EmbeddingError:
        raise
    except Exception as exc:  # whatever a model can do to torch.onnx, torch can still run it
        raise EmbeddingError(f"the question encoder cannot be exported ({_reason(exc)}); {_WITHOUT}") from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_drafts(folder: Path) -> None:
    """Remove what exports to this folder have left that were killed."""
    for draft in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(draft, ignore_errors=True)


class _Graph(torch.nn.Module):
    """From a tokenizer's numbers to vectors of length 1."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        vectors = self.model({**features, "modality": "text"})["sentence_embedding"]
        return torch.nn.functional.normalize(vectors[:, : self.model.truncate_dim].float(), dim=1)


def _write(model: Any, folder: Path) -> None:
    # Of two lengths, so that there is padding; this also sets the tokenizer as the model uses it.
    example = model.preprocess(["Rain fell.", "Which bank failed on Friday?"])
    features = {name: value for name, value in example.items() if isinstance(value, torch.Tensor)}
    if unknown := features.keys() - FEATURES.keys():
        raise EmbeddingError(
            f"the question encoder cannot be exported (the model wants {', '.join(unknown)}); {_WITHOUT}"
        )
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        _Graph(model).eval(),
        (),
        folder / GRAPH,
        kwargs={"features": features},
        input_names=list(features),
        output_names=[_OUTPUT],
        dynamic_shapes={"features": dict.fromkeys(features, sizes)},
        dynamo=True,
        external_data=True,  # weights in a file of their own are mapped, not read; and may exceed 2 GB
        verbose=False,
    )
    model.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    description = {
        "dimension": model.get_embedding_dimension(),
        "prompt": query_prompt(model),
        "passage_prompt": passage_prompt(model),
        "inputs": list(features),
        "files": {path.name: file_digest(path) for path in sorted(folder.iterdir())},
        "tools": {name: version(name) for name in _TOOLS},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")


def _compare(model: Any, encoder: OnnxEncoder) -> None:
    prompted = [encoder.prompt + text for text in _TRIALS]
    for texts, prompt in ((_TRIALS, ""), (prompted, encoder.prompt)):
        expected = model.encode(
            list(_TRIALS), prompt=prompt, normalize_embeddings=True, show_progress_bar=False
        )
        found = encoder.encode(texts)
        cosines = np.sum(found * expected, axis=1)
        difference = max(np.abs(found - expected).max(), np.abs(1 - cosines).max())
        if not difference <= TOLERANCE:  # also where it is no number
            raise EmbeddingError(
                f"the exported question encoder's vectors differ from the model's by {difference:.1e}, "
                f"more than {TOLERANCE:.0e}; {_WITHOUT}"
            )


def _put_in_place(draft: Path, folder: Path) -> None:
    replaced = draft.with_name(f"{draft.name}-replaced")
    if folder.exists():  # a folder is not renamed over one that holds something
        folder.rename(replaced)
    draft.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch.onnx from telling what it skips, and of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _reason(exc: BaseException) -> str:
    while exc.__cause__ is not None:  # torch.onnx wraps the reason in a page of advice
        exc = exc.__cause__
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]

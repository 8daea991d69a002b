"""Exports models to ONNX. Imports torch, so it is imported only if a model is exported."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bot.errors import EmbeddingError
from bot.indexing.model_files import file_digest
from bot.indexing.onnx_encoder import DESCRIPTION, OnnxEncoder, passage_prompt, query_prompt
from bot.indexing.onnx_runtime import FEATURES, GRAPH, TOKENIZER

TOLERANCE = 1e-5  # of a number in a vector, and of a cosine; what is measured is about 1e-7
# No inner node may have these names too: the graph would be valid and give something else.
_VECTORS = "citewire_vectors"
TOOLS = ("torch", "transformers", "sentence-transformers", "onnxscript", "onnxruntime", "tokenizers")
_WITHOUT = "questions are answered all the same, but torch has to be loaded for the first"
TEST_SENTENCES = (
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


def export_encoder(model: Any, folder: Path, *, int8: bool = False) -> None:
    """Write a SentenceTransformer as an `OnnxEncoder` whose vectors equal the model's, replacing the folder.

    Args:
        model: the SentenceTransformer.
        folder: is there as a whole or not at all. Two exports to one folder must not run at the same time.
        int8: round the weights after the vectors were found equal.

    Raises:
        EmbeddingError: if the model cannot be exported or the vectors differ.
    """

    def write(draft: Path) -> None:
        on_cpu = model if model.device.type == "cpu" else copy.deepcopy(model).to("cpu")
        with quiet_torch():
            _write_encoder(on_cpu, draft)
        _compare(on_cpu, OnnxEncoder(draft))

    try:
        export_model(folder, write, DESCRIPTION, int8=int8)
    except EmbeddingError:
        raise
    except Exception as exc:  # whatever a model can do to torch.onnx, torch can still run it
        raise EmbeddingError(
            f"the question encoder cannot be exported ({describe_reason(exc)}); {_WITHOUT}"
        ) from exc


def export_model(folder: Path, write: Callable[[Path], None], description: str, *, int8: bool) -> None:
    """Replace a folder by what `write` writes into an empty one, as a whole or not at all.

    Args:
        folder: the target.
        write: writes the graph, the tokenizer and the description into the folder that it gets.
        description: the file name of the description.
        int8: round the weights afterwards.
    """
    draft = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        write(draft)
        if int8:
            with quiet_torch():
                _round_weights(draft, description)
        _replace_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_drafts(folder: Path) -> None:
    """Remove what exports to this folder have left that were killed."""
    for draft in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(draft, ignore_errors=True)


class _VectorGraph(torch.nn.Module):
    """From a tokenizer's numbers to vectors of length 1."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        vectors = self.model({**features, "modality": "text"})["sentence_embedding"]
        return torch.nn.functional.normalize(vectors[:, : self.model.truncate_dim].float(), dim=1)


def _write_encoder(model: Any, folder: Path) -> None:
    # Of two lengths, so that there is padding; this also sets the tokenizer as the model uses it.
    example = model.preprocess(["Rain fell.", "Which bank failed on Friday?"])
    features = write_graph(_VectorGraph(model), example, _VECTORS, folder)
    model.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    write_description(
        folder,
        DESCRIPTION,
        dimension=model.get_embedding_dimension(),
        prompt=query_prompt(model),
        passage_prompt=passage_prompt(model),
        inputs=features,
        tools={name: version(name) for name in TOOLS},
    )


def write_graph(graph: torch.nn.Module, example: Any, output: str, folder: Path) -> list[str]:
    """Export a graph with what the example has as its inputs, and return their names."""
    features = {name: value for name, value in example.items() if isinstance(value, torch.Tensor)}
    if unknown := features.keys() - FEATURES.keys():
        raise ValueError(f"the model wants {', '.join(unknown)}")
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        graph.eval(),
        (),
        folder / GRAPH,
        kwargs={"features": features},
        input_names=list(features),
        output_names=[output],
        dynamic_shapes={"features": dict.fromkeys(features, sizes)},
        dynamo=True,
        external_data=True,  # weights in a file of their own are mapped, not read; and may exceed 2 GB
        verbose=False,
    )
    _remove_stack_traces(folder / GRAPH)
    return list(features)


def _remove_stack_traces(file: Path) -> None:
    """Remove the notes that torch.onnx makes of this machine's paths at every node."""
    import onnx

    model = onnx.load(file, load_external_data=False)
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
    onnx.save(model, file)


def _round_weights(folder: Path, description: str) -> None:
    """Turn the weights of matrices into 8-bit integers, and their products into products of integers."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole, rounded = folder / GRAPH, folder / "rounded.onnx"
    graph = onnx.load(whole)
    # What it would otherwise be advised to do first, by a warning: shapes, which torch has exported already.
    onnx.helper.set_model_props(graph, {"onnx.quant.pre_process": "onnxruntime.quant"})
    # A CPU without VNNI adds two products in 16 bits: with 7 of 8 bits in use (reduce_range) they do not overflow.
    quantize_dynamic(graph, rounded, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    for file in folder.glob(f"{GRAPH}*"):
        file.unlink()
    rounded.rename(whole)
    write_description(folder, description)


def write_description(folder: Path, description: str, **fields: object) -> None:
    """Note the digests of an export's files beside what is known of it."""
    path = folder / description
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    files = sorted(file for file in folder.iterdir() if file != path)
    digests = {file.name: file_digest(file) for file in files}
    path.write_text(json.dumps({**known, **fields, "files": digests}, indent=2), encoding="utf-8")


def _compare(model: Any, encoder: OnnxEncoder) -> None:
    prompted = [encoder.prompt + text for text in TEST_SENTENCES]
    for texts, prompt in ((TEST_SENTENCES, ""), (prompted, encoder.prompt)):
        expected = model.encode(
            list(TEST_SENTENCES), prompt=prompt, normalize_embeddings=True, show_progress_bar=False
        )
        found = encoder.encode(texts)
        cosines = np.sum(found * expected, axis=1)
        difference = max(np.abs(found - expected).max(), np.abs(1 - cosines).max())
        if not difference <= TOLERANCE:  # also where it is no number
            raise EmbeddingError(
                f"the exported question encoder's vectors differ from the model's by {difference:.1e}, "
                f"more than {TOLERANCE:.0e}; {_WITHOUT}"
            )


def _replace_folder(draft: Path, folder: Path) -> None:
    replaced = draft.with_name(f"{draft.name}-replaced")
    if folder.exists():  # a folder is not renamed over one that holds something
        folder.rename(replaced)
    draft.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
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


def describe_reason(exc: BaseException) -> str:
    """Return the first line of the first cause of an exception."""
    while exc.__cause__ is not None:  # torch.onnx wraps the reason in a page of advice
        exc = exc.__cause__
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]

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

TOLERANCE = 1e-5  # of a vector component, and of a cosine; measured differences are about 1e-7
# Must not be the name of an inner node too: the graph would be valid and return something else.
_OUTPUT_NAME = "citewire_vectors"
TOOLS = ("torch", "transformers", "sentence-transformers", "onnxscript", "onnxruntime", "tokenizers")
_TORCH_FALLBACK = "questions are answered all the same, but torch has to be loaded for the first"
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
        folder: written atomically. Two exports to one directory must not run at the same time.
        int8: quantize the weights after the vectors were compared.

    Raises:
        EmbeddingError: if the model cannot be exported or the vectors differ.
    """

    def write(draft: Path) -> None:
        on_cpu = model if model.device.type == "cpu" else copy.deepcopy(model).to("cpu")
        with quiet_torch():
            _write_encoder(on_cpu, draft)
        _compare_vectors(on_cpu, OnnxEncoder(draft))

    try:
        export_model(folder, write, DESCRIPTION, int8=int8)
    except EmbeddingError:
        raise
    except Exception as exc:  # any error of torch.onnx: torch can still run the model
        raise EmbeddingError(
            f"the question encoder cannot be exported ({describe_reason(exc)}); {_TORCH_FALLBACK}"
        ) from exc


def export_model(folder: Path, write: Callable[[Path], None], description: str, *, int8: bool) -> None:
    """Replace a directory atomically by a newly written one.

    Args:
        folder: the target.
        write: writes the graph, the tokenizer and the description into the empty directory passed to it.
        description: the file name of the description.
        int8: quantize the weights afterwards.
    """
    draft = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        write(draft)
        if int8:
            with quiet_torch():
                _quantize_weights(draft, description)
        _replace_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


class _VectorGraph(torch.nn.Module):
    """Graph from token ids to unit vectors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        vectors = self.model({**features, "modality": "text"})["sentence_embedding"]
        return torch.nn.functional.normalize(vectors[:, : self.model.truncate_dim].float(), dim=1)


def _write_encoder(model: Any, folder: Path) -> None:
    # Two texts of different length, so that there is padding; this also configures the tokenizer for the
    # model.
    example = model.preprocess(["Rain fell.", "Which bank failed on Friday?"])
    features = write_graph(_VectorGraph(model), example, _OUTPUT_NAME, folder)
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
    """Export a graph to ONNX.

    Args:
        graph: the module to export.
        example: batch encoding of two texts; its tensors are the inputs of the graph.
        output: the name of the output.
        folder: the directory to write to.

    Returns:
        The names of the inputs.

    Raises:
        ValueError: if the model has an unsupported input.
    """
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
        external_data=True,  # a separate file of weights is memory-mapped, and may exceed 2 GB
        verbose=False,
    )
    _remove_stack_traces(folder / GRAPH)
    return list(features)


def _remove_stack_traces(file: Path) -> None:
    """Remove the paths of this machine that torch.onnx records at every node."""
    import onnx

    model = onnx.load(file, load_external_data=False)
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
    onnx.save(model, file)


def _quantize_weights(folder: Path, description: str) -> None:
    """Quantize the weight matrices to 8-bit integers, with integer matrix products."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole, rounded = folder / GRAPH, folder / "rounded.onnx"
    graph = onnx.load(whole)
    # Prevents a warning that recommends shape inference first; torch has exported the shapes already.
    onnx.helper.set_model_props(graph, {"onnx.quant.pre_process": "onnxruntime.quant"})
    # A CPU without VNNI adds two products in 16 bits: with 7 of 8 bits in use (reduce_range) they do not
    # overflow.
    quantize_dynamic(graph, rounded, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    for file in folder.glob(f"{GRAPH}*"):
        file.unlink()
    rounded.rename(whole)
    write_description(folder, description)


def write_description(folder: Path, description: str, **fields: object) -> None:
    """Write the description of an export: the digests of its files, and `fields` added to those already there."""
    path = folder / description
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    files = sorted(file for file in folder.iterdir() if file != path)
    digests = {file.name: file_digest(file) for file in files}
    path.write_text(json.dumps({**known, **fields, "files": digests}, indent=2), encoding="utf-8")


def _compare_vectors(model: Any, encoder: OnnxEncoder) -> None:
    prompted = [encoder.prompt + text for text in TEST_SENTENCES]
    for texts, prompt in ((TEST_SENTENCES, ""), (prompted, encoder.prompt)):
        expected = model.encode(
            list(TEST_SENTENCES), prompt=prompt, normalize_embeddings=True, show_progress_bar=False
        )
        found = encoder.encode(texts)
        cosines = np.sum(found * expected, axis=1)
        difference = max(np.abs(found - expected).max(), np.abs(1 - cosines).max())
        if not difference <= TOLERANCE:  # negated, so that it is also raised for NaN
            raise EmbeddingError(
                f"the exported question encoder's vectors differ from the model's by {difference:.1e}, "
                f"more than {TOLERANCE:.0e}; {_TORCH_FALLBACK}"
            )


def _replace_folder(draft: Path, folder: Path) -> None:
    replaced = draft.with_name(f"{draft.name}-replaced")
    if folder.exists():  # rename fails if the target is not empty
        folder.rename(replaced)
    draft.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
    """Suppress the log messages and deprecation warnings of torch.onnx."""
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
    while exc.__cause__ is not None:  # torch.onnx wraps the cause in a page of advice
        exc = exc.__cause__
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]

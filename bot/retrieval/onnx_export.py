"""Exports embedding models and readers to ONNX; imports torch, so it is imported only if something is exported."""

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

from bot.errors import EmbeddingError, ReaderError
from bot.reader import model as reader
from bot.retrieval.encoder import DESCRIPTION, OnnxEncoder, passage_prompt, query_prompt
from bot.retrieval.onnx_runtime import FEATURES, GRAPH, TOKENIZER
from bot.retrieval.weights import file_digest

TOLERANCE = 1e-5  # of a number in a vector, and of a cosine; what is measured is about 1e-7
# Of a start or end score, which are about 10 and not bounded.
SCORE_TOLERANCE = 1e-3
# No inner node may have these names too: the graph would be valid and give something else.
_VECTORS = "citewire_vectors"
_SCORES = "citewire_scores"
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
        with _quiet():
            _write_encoder(on_cpu, draft)
        _compare(on_cpu, OnnxEncoder(draft))

    try:
        _export(folder, write, DESCRIPTION, int8=int8)
    except EmbeddingError:
        raise
    except Exception as exc:  # whatever a model can do to torch.onnx, torch can still run it
        raise EmbeddingError(f"the question encoder cannot be exported ({_reason(exc)}); {_WITHOUT}") from exc


def export_reader(model: Any, tokenizer: Any, folder: Path, *, int8: bool = True) -> None:
    """Write a Hugging Face question-answering model as an `OnnxReader` with equal scores, replacing the folder.

    Args:
        model: an `AutoModelForQuestionAnswering`, on the CPU.
        tokenizer: its fast tokenizer.
        folder: as for `export_encoder`.
        int8: round the weights after the scores were found equal.

    Raises:
        ReaderError: if the model cannot be exported or the scores differ.
    """

    def write(draft: Path) -> None:
        with _quiet():
            _write_reader(model, tokenizer, draft)
        _compare_scores(model, tokenizer, reader.OnnxReader(draft))

    try:
        _export(folder, write, reader.DESCRIPTION, int8=int8)
    except ReaderError:
        raise
    except Exception as exc:
        raise ReaderError(f"the reader cannot be exported ({_reason(exc)}); choose another model") from exc


def _export(folder: Path, write: Callable[[Path], None], description: str, *, int8: bool) -> None:
    draft = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        write(draft)
        if int8:
            with _quiet():
                _round_weights(draft, description)
        _put_in_place(draft, folder)
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


class _ScoreGraph(torch.nn.Module):
    """From a tokenizer's numbers to a start and an end score a token: shape (texts, tokens, 2)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        scores = self.model(**features)
        return torch.stack([scores.start_logits, scores.end_logits], dim=-1).float()


def _write_encoder(model: Any, folder: Path) -> None:
    # Of two lengths, so that there is padding; this also sets the tokenizer as the model uses it.
    example = model.preprocess(["Rain fell.", "Which bank failed on Friday?"])
    features = _write_graph(_VectorGraph(model), example, _VECTORS, folder)
    model.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    _describe(
        folder,
        DESCRIPTION,
        dimension=model.get_embedding_dimension(),
        prompt=query_prompt(model),
        passage_prompt=passage_prompt(model),
        inputs=features,
        tools={name: version(name) for name in _TOOLS},
    )


def _write_reader(model: Any, tokenizer: Any, folder: Path) -> None:
    room = min(reader.MAX_TOKENS, tokenizer.model_max_length)
    example = _pairs(tokenizer, [("Who?", "Rain fell."), ("Which bank failed?", "Rain fell on it.")], room)
    features = _write_graph(_ScoreGraph(model), example, _SCORES, folder)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))  # with the truncation that `_pairs` has set
    _describe(folder, reader.DESCRIPTION, inputs=features, tools={name: version(name) for name in _TOOLS})


def _pairs(tokenizer: Any, pairs: list[tuple[str, str]], room: int) -> Any:
    return tokenizer(
        [question for question, _ in pairs],
        [text for _, text in pairs],
        truncation="only_second",
        max_length=room,
        padding=True,
        return_tensors="pt",
    )


def _write_graph(graph: torch.nn.Module, example: Any, output: str, folder: Path) -> list[str]:
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
    _describe(folder, description)


def _describe(folder: Path, description: str, **fields: object) -> None:
    """Note the digests of an export's files beside what is known of it."""
    path = folder / description
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    files = sorted(file for file in folder.iterdir() if file != path)
    digests = {file.name: file_digest(file) for file in files}
    path.write_text(json.dumps({**known, **fields, "files": digests}, indent=2), encoding="utf-8")


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


def _compare_scores(model: Any, tokenizer: Any, exported: reader.OnnxReader) -> None:
    pairs = [("Which bank failed on Friday?", text) for text in _TRIALS if text.strip()]
    for question, text in pairs:
        batch = _pairs(tokenizer, [(question, text)], exported.room)
        with torch.no_grad():
            scores = model(**batch)
        expected = torch.stack([scores.start_logits, scores.end_logits], dim=-1)[0].numpy()
        # Special tokens in a text are words to the exported reader, so such a text differs on purpose.
        found = exported.scores(question, text)
        if found.shape == expected.shape and not np.abs(found - expected).max() <= SCORE_TOLERANCE:
            raise ReaderError(
                f"the exported reader's scores differ from the model's by {np.abs(found - expected).max():.1e}; "
                "choose another model"
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

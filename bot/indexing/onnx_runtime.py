"""Runs exported models with onnxruntime: sessions, tokenizers, and the files that an export consists of."""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.indexing.model_files import file_digest

GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
# What a graph may ask for, and the attribute of a tokenizer's encoding that has it.
FEATURES = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
# onnxruntime reads this as it is imported, and then already notes the process, its path and this machine for its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# A process that ends while another of its threads is inside onnxruntime's loading is aborted: it waits for
# that fraction of a second, and lets no thread begin.
loading = threading.Lock()
atexit.register(loading.acquire)


def open_tokenizer(file: Path) -> Any:
    """Load a tokenizer in the format of the tokenizers library."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def open_session(file: Path) -> Any:
    """Load a graph that runs in the calling thread alone, so that each core has a text of its own."""
    # First, because onnxruntime asks for a module inside numpy by its full name: two threads that import numpy from
    # its two ends at once wait for each other, and Python lets one of them have half a module.
    import numpy  # noqa: F401
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; nothing is to be printed
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def usable_cores() -> int:
    """Return how many cores this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")  # what torch keeps to as well; Ray sets it
    if given.isdecimal():
        return max(1, int(given))
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def is_complete(folder: Path, description: str) -> bool:
    """Return True if the files of an export are those that its description lists by digest; loads nothing."""
    try:
        described = json.loads((folder / description).read_text("utf-8"))
        return all(file_digest(folder / name) == digest for name, digest in described["files"].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def ensure_exported(folder: Path, description: str, export: Callable[[], None], *, again: bool) -> None:
    """Export a model to `folder` unless another process has done so; one process at a time.

    Args:
        folder: the folder to write, as a whole or not at all.
        description: the name of the file in it that lists the others.
        export: writes the folder.
        again: export even if the folder is whole.

    Raises:
        OSError: if nothing can be written beside `folder`.
    """
    if not again and is_complete(folder, description):
        return
    from filelock import FileLock

    from bot.indexing.onnx_export import remove_drafts

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):  # free the moment its holder dies
        remove_drafts(folder)
        if again or not is_complete(folder, description):
            export()

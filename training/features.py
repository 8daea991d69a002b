"""How a question and a window become numbers for the reader, and gold spans become targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bot.reader.onnx_reader import MAX_TOKENS, below_title


@dataclass
class Batch:
    """Windows in one forward pass: all tensors have the shape (windows, tokens) but `group`, (windows,).

    `starts` and `ends` are 1 at gold tokens, at the first token for a window that does not answer; `allowed` is True
    for that token and those of the window's text.
    """

    inputs: dict[str, torch.Tensor]
    starts: torch.Tensor
    ends: torch.Tensor
    allowed: torch.Tensor
    group: torch.Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        tensors = (self.starts, self.ends, self.allowed, self.group)
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        return Batch(inputs, *(tensor.to(device) for tensor in tensors))


def encode(tokenizer: Any, groups: Sequence[dict[str, Any]]) -> Batch:
    """Tokenize groups as `training/prepare.py` writes them."""
    rows = [(i, group["question"], window) for i, group in enumerate(groups) for window in group["windows"]]
    texts = [below_title(window["title"], window["text"]) for *_, window in rows]
    inputs = tokenizer(
        [question for _, question, _ in rows],
        texts,
        truncation="only_second",
        max_length=MAX_TOKENS,
        padding=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    offsets = inputs.pop("offset_mapping").numpy()
    second = (
        (inputs["token_type_ids"] == 1)
        & (inputs["input_ids"] != tokenizer.sep_token_id)
        & (inputs["attention_mask"] == 1)
    )
    allowed = second.numpy().copy()
    starts, ends = torch.zeros(allowed.shape), torch.zeros(allowed.shape)
    for i, ((_, _, window), text) in enumerate(zip(rows, texts, strict=True)):
        shift = len(text) - len(window["text"])
        allowed[i] &= offsets[i, :, 0] >= shift
        for a, b in window["spans"]:
            tokens = (allowed[i] & (offsets[i, :, 0] < b + shift) & (offsets[i, :, 1] > a + shift)).nonzero()[
                0
            ]
            if len(tokens):
                starts[i, tokens[0]] = ends[i, tokens[-1]] = 1
        if not starts[i].any():
            starts[i, 0] = ends[i, 0] = 1
    allowed[:, 0] = True
    return Batch(dict(inputs), starts, ends, torch.from_numpy(allowed), torch.tensor([i for i, *_ in rows]))

"""Fine-tunes the packaged all-MiniLM-L6-v2 as the reader, on a CPU or a GPU.

usage: python training/train.py EXAMPLES.jsonl OUT_DIR [--windows N] [--initial MODEL]

The same command resumes from the last checkpoint in OUT_DIR. On a CPU with bfloat16 instructions it sees about 40
windows a second on two cores, without them 15.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from features import Batch, encode
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from bot.indexing.model_files import packaged_folder

SEED = 5
BATCH = 32  # windows
CHUNK = 50  # batches whose groups are sorted by length, so that little is padded
PEAK = 1e-4  # learning rate
FLOOR = 0.01  # the share of it that is left at the end
WARM_UP = 8_000  # windows until it is reached
SHARED = 0.5  # weight of the loss that compares the windows of a question
IMPOSSIBLE = -1e4
CHECKPOINT = 500  # steps


def read_batches(path: Path, limit: float) -> Iterator[list[dict[str, Any]]]:
    """Yield groups with about `BATCH` windows together, in the order of the file but for sorting by length.

    Stops at the end of the chunk in which `limit` windows are reached.
    """
    rng = random.Random(SEED)
    chunk: list[dict[str, Any]] = []
    windows = total = 0
    with path.open(encoding="utf-8") as lines:
        for group in map(json.loads, lines):
            chunk.append(group)
            windows += len(group["windows"])
            if windows >= BATCH * CHUNK:
                yield from _pack(chunk, rng)
                total += windows
                chunk, windows = [], 0
                if total >= limit:
                    return
    if chunk:
        yield from _pack(chunk, rng)


def _pack(groups: list[dict[str, Any]], rng: random.Random) -> list[list[dict[str, Any]]]:
    groups.sort(
        key=lambda g: max(len(w["title"]) + len(w["text"]) for w in g["windows"]) + len(g["question"])
    )
    batches: list[list[dict[str, Any]]] = [[]]
    windows = 0
    for group in groups:
        if windows + len(group["windows"]) > BATCH:
            batches.append([])
            windows = 0
        batches[-1].append(group)
        windows += len(group["windows"])
    rng.shuffle(batches)
    return batches


def loss_of(batch: Batch, starts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of a batch's windows.

    Each window by itself has to find its answer, or that it has none (SQuAD 2). The windows of a question together
    have to find it too, so that their scores compare (shared normalization). Where several tokens are gold, the sum
    of their probabilities counts.
    """
    total = starts.new_zeros(())
    text = batch.allowed.clone()
    text[:, 0] = False
    for logits, gold in ((starts, batch.starts), (ends, batch.ends)):
        scores = logits.float()
        right = scores.masked_fill(gold == 0, IMPOSSIBLE).logsumexp(1)
        total = total + (scores.masked_fill(~batch.allowed, IMPOSSIBLE).logsumexp(1) - right).mean()
        in_text = scores.masked_fill(~text, IMPOSSIBLE).logsumexp(1)
        answers = gold[:, 0] == 0
        shared = []
        for group in batch.group[answers].unique():
            rows = batch.group == group
            if rows.sum() > 1:
                shared.append(in_text[rows].logsumexp(0) - right[rows & answers].logsumexp(0))
        if shared:
            total = total + SHARED * torch.stack(shared).sum() / len(gold)
    return total / 2


def main() -> None:
    """Train, and write the model in Hugging Face's format to OUT_DIR/model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--windows", type=float, default=float("inf"), help="train on the first N windows alone"
    )
    parser.add_argument("--initial", type=Path, default=packaged_folder(), help="the model to start from")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(options.initial)
    model = AutoModelForQuestionAnswering.from_pretrained(options.initial, attention_probs_dropout_prob=0.0)
    model = model.to(device)
    model.get_input_embeddings().weight.requires_grad_(False)  # too few examples to move single words
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=PEAK, weight_decay=0.01, fused=True)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["steps"]
    batches = list(read_batches(options.examples, options.windows))
    total = sum(len(group["windows"]) for batch in batches for group in batch)
    seen = sum(len(group["windows"]) for batch in batches[:done] for group in batch)
    begun, since, mean = time.time(), seen, 0.0
    model.train()
    for step, groups in enumerate(batches[done:], done + 1):
        for part in optimizer.param_groups:
            part["lr"] = PEAK * min(1, (seen + BATCH) / WARM_UP, max(FLOOR, 1 - seen / total))
        batch = encode(tokenizer, groups).to(device)
        with torch.autocast(device, dtype=torch.bfloat16):
            scores = model(**batch.inputs)
        loss = loss_of(batch, scores.start_logits, scores.end_logits)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen += len(batch.group)
        mean = loss.item() if not mean else 0.99 * mean + 0.01 * loss.item()
        if step % 50 == 0:
            rate = (seen - since) / (time.time() - begun)
            print(f"{seen} of {total} windows, loss {mean:.3f}, {rate:.1f}/s", flush=True)
        if step % CHECKPOINT == 0 or step == len(batches):
            draft = checkpoint.with_suffix(".new")
            torch.save(
                {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "steps": step}, draft
            )
            draft.replace(checkpoint)
            model.save_pretrained(options.out / "model")
            tokenizer.save_pretrained(options.out / "model")


if __name__ == "__main__":
    main()

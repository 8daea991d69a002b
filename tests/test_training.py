"""The training scripts: gold spans become the right tokens, and the loss falls as the scores get better."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.indexing.model_files import packaged_folder

sys.path.append(str(Path(__file__).parents[1] / "training"))

TEXT = "The bridge fell. A ship struck a pier at night."
GROUP = {
    "question": "what hit the bridge",
    "windows": [
        {"title": "Bridge collapses", "text": TEXT, "spans": [[17, 23]]},
        {"title": "Bridge collapses", "text": "Traffic was diverted to the tunnels.", "spans": []},
    ],
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(packaged_folder())


def test_gold_spans_become_tokens_and_windows_without_one_the_first(tokenizer: Any) -> None:
    from features import encode

    batch = encode(tokenizer, [GROUP])
    first, last = batch.starts[0].nonzero().flatten().tolist(), batch.ends[0].nonzero().flatten().tolist()
    ids = batch.inputs["input_ids"][0][first[0] : last[0] + 1]
    assert tokenizer.decode(ids) == "a ship"
    assert batch.starts[1].nonzero().flatten().tolist() == [0]
    allowed = tokenizer.decode(batch.inputs["input_ids"][0][batch.allowed[0]])
    assert "collapses" not in allowed  # no answer is in the title or the question
    assert batch.group.tolist() == [0, 0]


def test_the_loss_falls_as_the_scores_get_better(tokenizer: Any) -> None:
    import torch
    from features import encode
    from train import loss_of

    batch = encode(tokenizer, [GROUP])
    good, bad = 10 * batch.starts, torch.zeros_like(batch.starts)
    ends = 10 * batch.ends
    right, unsure, wrong = (loss_of(batch, *s).item() for s in ((good, ends), (bad, bad), (-good, -ends)))
    assert right < 0.1 < unsure < wrong


def test_a_window_that_outscores_the_answering_one_costs(tokenizer: Any) -> None:
    """Each window by itself is right; only the comparison of the two is not."""
    from features import encode
    from train import loss_of

    batch = encode(tokenizer, [GROUP])
    starts, ends = 20 * batch.starts, 20 * batch.ends
    before = loss_of(batch, starts, ends).item()
    starts[1, 0] = ends[1, 0] = 60
    starts[1, 9] = ends[1, 9] = 40  # below "no answer" there, above the answer of the first window
    assert loss_of(batch, starts, ends).item() > before + 1


def test_batches_hold_whole_questions_and_stop_at_the_limit(tmp_path: Path) -> None:
    from train import BATCH, CHUNK, read_batches

    path = tmp_path / "examples.jsonl"
    path.write_text((json.dumps(GROUP) + "\n") * BATCH * CHUNK)
    batches = list(read_batches(path, float("inf")))
    assert sum(len(batch) for batch in batches) == BATCH * CHUNK
    assert all(len(batch) <= BATCH / 2 for batch in batches)
    assert len(list(read_batches(path, 1))) == len(batches) / 2


@pytest.mark.parametrize("seed", range(20))
def test_a_retyped_question_keeps_all_but_a_letter(seed: int) -> None:
    from prepare import retype

    question = "Who's crossing the harbour bridge?"
    typed = retype(question, random.Random(seed))
    assert abs(len(typed) - len(question)) <= 4
    assert sum(word in typed for word in ("crossing", "harbour", "bridge")) >= 2

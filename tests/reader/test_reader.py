"""The reader: windows cover a passage, spans are the best ones, and any question-answering model can be exported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HEAVY
from hypothesis import given
from hypothesis import strategies as st
from test_embeddings import VOCABULARY

from bot.articles.chunking import Span, split_sentences
from bot.errors import ReaderError
from bot.reader import reader as reader_module
from bot.reader.onnx_reader import OnnxReader, Window, below_title
from bot.reader.predictions import MAX_ANSWER_TOKENS, Reading
from bot.reader.reader import PACKAGED_FOLDER, PACKAGED_SHA256, QuestionAnsweringReader
from bot.reader.windows import MAX_CHARS, split_windows

SENTENCE = st.text("abc ,é", min_size=1, max_size=120).map(lambda s: f"A{s.strip()} b.")


@given(st.lists(SENTENCE, min_size=1, max_size=30), st.sampled_from([" ", "\n", "\n\n"]))
def test_windows_cover_every_sentence_once_and_in_order(sentences: list[str], between: str) -> None:
    text = between.join(sentences)
    windows = split_windows(text)
    assert all(one.end <= other.start for one, other in pairwise(windows))
    for sentence in split_sentences(text):
        assert sum(w.start <= sentence.start and sentence.end <= w.end for w in windows) == 1
    assert all(
        w.end - w.start <= MAX_CHARS or len(split_sentences(text[w.start : w.end])) == 1 for w in windows
    )


def test_a_blank_passage_has_no_windows() -> None:
    assert split_windows(" \n ") == []


SCORES = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=45)


@given(SCORES, st.integers(0, 45), st.integers(1, 45))
def test_the_best_answer_is_the_best_of_all_spans(
    scores: list[tuple[int, int]], start: int, length: int
) -> None:
    starts, ends = (np.array(column, dtype=np.float32) for column in zip(*scores, strict=True))
    offsets = np.array([(2 * i, 2 * i + 1) for i in range(len(scores))])
    reading = Reading(null=3.0, starts=starts, ends=ends, offsets=offsets)
    spans = [
        (float(starts[i] + ends[j]) - 3.0, (2 * i, 2 * j + 1))
        for i in range(len(scores))
        for j in range(i, min(len(scores), i + MAX_ANSWER_TOKENS))
        if 2 * i >= start and 2 * j + 1 <= start + length
    ]
    found = reading.best_answer(Span(start, start + length))
    if not spans:
        assert found is None
    else:
        assert found is not None
        assert (found.margin, tuple(found.span)) in spans
        assert found.margin == max(spans)[0]


def tiny_reader(folder: Path, kind: str) -> Path:
    """Save a real question-answering model of 32 dimensions with random weights."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertForQuestionAnswering,
        BertTokenizerFast,
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaForQuestionAnswering,
    )

    folder.mkdir(parents=True)
    torch.manual_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "bert":
        (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
        BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
        config = BertConfig(
            vocab_size=len(VOCABULARY), max_position_embeddings=64, initializer_range=0.5, **size
        )
        BertForQuestionAnswering(config).save_pretrained(folder)
        return folder
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "bank", "rain", "failed", "Which", "fell", "?", "."]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", model_max_length=60, model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    config = RobertaConfig(
        vocab_size=len(vocabulary), max_position_embeddings=66, pad_token_id=1, initializer_range=0.5, **size
    )
    RobertaForQuestionAnswering(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["bert", "roberta"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reader(tmp_path_factory.mktemp(request.param) / "model", request.param)


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of exports with that of the tiny reader in it."""
    exports = tmp_path_factory.mktemp("exports") / "readers"
    QuestionAnsweringReader(str(tiny), exports=exports).load()
    return exports


def torch_scores(folder: Path, question: str, text: str) -> Any:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    batch = tokenizer(
        question, text, truncation="only_second", max_length=tokenizer.model_max_length, return_tensors="pt"
    )
    with torch.no_grad():
        scores = model(**batch)
    return torch.stack([scores.start_logits, scores.end_logits], -1)[0].numpy()


@pytest.mark.parametrize("text", ["bank failed . rain fell .", "rain " * 300, "Ünï 🌍"])
def test_an_exported_reader_s_scores_are_the_model_s(tiny: Path, tmp_path: Path, text: str) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    from bot.reader.onnx_export import export_reader

    model = AutoModelForQuestionAnswering.from_pretrained(tiny).eval()
    export_reader(model, AutoTokenizer.from_pretrained(tiny), tmp_path / "reader", int8=False)
    found = OnnxReader(tmp_path / "reader").scores("Which bank failed ?", text)
    assert found == pytest.approx(torch_scores(tiny, "Which bank failed ?", text), abs=1e-4)


def test_a_reader_is_named_by_its_folder_and_exported_once(tiny: Path, exported: Path) -> None:
    reader = QuestionAnsweringReader(str(tiny), exports=exported)
    (reading,) = reader.read("Which bank failed ?", [Window("rain", "bank failed . rain fell .")])
    answer = reading.best_answer(Span(0, 25))
    assert answer is not None
    assert 0 <= answer.span.start < answer.span.end <= 25
    assert len(list(filter(Path.is_dir, exported.iterdir()))) == 1


def test_offsets_are_those_of_the_window_without_its_title(tiny: Path, exported: Path) -> None:
    text = "bank failed . rain fell ."
    reader = QuestionAnsweringReader(str(tiny), exports=exported)
    (reading,) = reader.read("Which ?", [Window("rain rain bank", text)])
    assert [text[a:b] for a, b in reading.offsets] == text.split()
    assert below_title("", text) == text


def test_special_tokens_in_an_article_are_words_of_it(tiny: Path, exported: Path) -> None:
    (folder,) = filter(Path.is_dir, exported.iterdir())
    reader = OnnxReader(folder)
    special = {"[SEP]", "[CLS]", "</s>", "<s>"}
    for token in special:
        encoding = reader._encode("bank", f"{token} rain")
        assert sum(one in special for one in encoding.tokens) == sum(
            one in special for one in reader._encode("bank", "rain").tokens
        )


def test_a_reader_runs_in_a_fresh_process_without_torch(tiny: Path, exported: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom bot.reader.reader import QuestionAnsweringReader\n"
        "from bot.reader.onnx_reader import Window\n"
        f"reader = QuestionAnsweringReader({str(tiny)!r}, exports=Path({str(exported)!r}))\n"
        "assert len(reader.read('Which ?', [Window('', 'bank failed .')])) == 1\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all"])
def test_a_folder_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    reader = QuestionAnsweringReader(name, exports=tmp_path)
    with pytest.raises(ReaderError, match=r"there is no such folder.*CITEWIRE_READER_MODEL"):
        reader.verify()


def test_a_model_that_does_not_answer_questions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(ReaderError, match="cannot load the reader"):
        QuestionAnsweringReader(str(tmp_path / "model"), exports=tmp_path / "exports").load()


def test_the_packaged_reader_is_checked_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    QuestionAnsweringReader().verify()
    folder = shutil.copytree(PACKAGED_FOLDER, tmp_path / "weights")
    monkeypatch.setattr(reader_module, "PACKAGED_FOLDER", folder)
    with (folder / "model.onnx").open("r+b") as file:
        file.seek(1_000)
        file.write(b"\x00\x01")
    with pytest.raises(ReaderError, match="SHA-256"):
        QuestionAnsweringReader().load()


def test_the_packaged_reader_is_small_and_reads() -> None:
    assert sum((PACKAGED_FOLDER / name).stat().st_size for name in PACKAGED_SHA256) <= 25e6
    text = "The bridge fell after a ship lost power and struck a pier. Traffic was diverted to the tunnels."
    (reading,) = QuestionAnsweringReader().read(
        "why did the bridge collapse", [Window("Bridge collapses", text)]
    )
    answer = reading.best_answer(Span(0, len(text)))
    assert answer is not None
    assert answer.span.end <= text.index("Traffic")

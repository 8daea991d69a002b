"""Measures an exported reader by itself.

usage: python training/evaluate.py DATA_DIR [FOLDER]

Prints exact match and F1 on XQuAD English (SQuAD's own normalization; a paragraph is read in the product's windows),
and on the held-out news questions: how well the best margin in the article tells answerable questions from near
misses (AUC), and how often the sentence with the best margin in the article is the evidence.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from prepare import about, is_held_out, load_articles, load_questions
from sklearn.metrics import roc_auc_score

from bot.articles.chunking import Span
from bot.reader.onnx_reader import OnnxReader, Window
from bot.reader.reader import PACKAGED_FOLDER
from bot.reader.windows import split_windows


def best_answer(reader: OnnxReader, question: str, title: str, windows: list[str]) -> tuple[float, int, str]:
    """Return the margin, window number and text of the best span in any of the windows."""
    best = (-np.inf, 0, "")
    for n, reading in enumerate(reader.read(question, [Window(title, text) for text in windows])):
        answer = reading.best_answer(Span(0, len(windows[n])))
        if answer and answer.margin > best[0]:
            best = (answer.margin, n, windows[n][answer.span.start : answer.span.end])
    return best


def normalize(text: str) -> list[str]:
    """Return the words that SQuAD compares."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(a: str, b: str) -> float:
    """Return the F1 of two answers' words."""
    one, other = normalize(a), normalize(b)
    same = sum((collections.Counter(one) & collections.Counter(other)).values())
    return 2 * same / (len(one) + len(other)) if same else 0.0


def measure_spans(reader: OnnxReader, path: Path) -> Iterator[tuple[bool, float]]:
    """Yield exact match and F1 of each question of a file in SQuAD's format."""
    for article in json.loads(path.read_text("utf-8"))["data"]:
        title = article.get("title", "").replace("_", " ")
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            windows = [text[w.start : w.end] for w in split_windows(text)]
            for qa in paragraph["qas"]:
                found = best_answer(reader, qa["question"], title, windows)[2]
                gold = [answer["text"] for answer in qa["answers"]]
                yield any(normalize(found) == normalize(g) for g in gold), max(f1(found, g) for g in gold)


def measure_answerability(reader: OnnxReader, data: Path) -> Iterator[tuple[bool, float, bool]]:
    """Yield, for each held-out news question, whether it is answerable, the best margin, and whether that is right."""
    articles = load_articles(data)
    for row in load_questions(data):
        if not is_held_out(about(row)):
            continue
        article = articles[about(row)]
        windows = [article.text[slice(*w)] for w in article.windows]
        margin, n, text = best_answer(reader, row["question"], article.title, windows)
        place = article.windows[n][0] + windows[n].find(text)
        spans = [(at, at + len(e)) for e in row["evidence"] if (at := article.text.find(e)) >= 0]
        yield row["answerable"], margin, any(a <= place < b for a, b in spans)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of the reading sets")
    parser.add_argument("folder", type=Path, nargs="?", default=PACKAGED_FOLDER, help="an exported reader")
    options = parser.parse_args()
    reader = OnnxReader(options.folder)
    exact, overlap = zip(*measure_spans(reader, options.data / "xquad-en.json"), strict=True)
    print(
        f"XQuAD en: n {len(exact)}, exact match {100 * np.mean(exact):.1f}, F1 {100 * np.mean(overlap):.1f}"
    )
    labels, margins, right = zip(*measure_answerability(reader, options.data), strict=True)
    share = np.mean([r for r, label in zip(right, labels, strict=True) if label])
    auc = roc_auc_score(labels, margins)
    print(f"held-out news: n {len(labels)}, AUC {auc:.3f}, best span in the evidence {share:.3f}")


if __name__ == "__main__":
    main()

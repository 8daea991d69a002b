"""Writes the reader's training examples as JSON lines, in the order in which they are trained on.

usage: python training/prepare.py DATA_DIR OUT_DIR

A line is a group: one question and the windows that are scored together. `spans` are the answers in a window's text;
a window without spans does not answer. One question in eight of the news set, chosen by its article, is held out.

The first stage learns where an answer is: every annotator's span and whole sentences are gold. The second one
(`--second`) learns how long it is: one span a question, and any words of a sentence if only the sentence is known.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from bot.articles.chunking import split_passages, split_sentences
from bot.reader.windows import MAX_CHARS, split_windows

SEED = 11
HELD_OUT = 8  # one article in eight
# The share of the general sets in each pass; the news questions are in all, with other windows each time.
SHARES = (1.0, 0.6, 0.4, 0.25)
SECOND_SHARES = (1.0, 0.5, 0.2)
NAME = re.compile(r"\b[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*")
NUMBER = re.compile(r"\b\d[\d,.]*\b")
Spans = list[tuple[int, int]]


class Window(NamedTuple):
    """A stretch of a text below its title, and the answers in it."""

    title: str
    text: str
    spans: Spans


@dataclass
class Group:
    """A question with the windows that are scored together."""

    question: str
    windows: list[Window] = field(default_factory=list)

    def line(self, rng: random.Random) -> str:
        """Return the group as a line of JSON, the question as a person types it."""
        row = {
            "question": retype(self.question, rng),
            "windows": [window._asdict() for window in self.windows],
        }
        return json.dumps(row, ensure_ascii=False) + "\n"


def is_held_out(url: str) -> bool:
    """Return True if no question about this article may be trained on."""
    return int(hashlib.sha256(url.encode()).hexdigest(), 16) % HELD_OUT == 0


def retype(question: str, rng: random.Random) -> str:
    """Return the question as a hurried person types it: without its question mark, now and then with a typo."""
    if rng.random() < 0.35:
        question = question.rstrip("?")
    if rng.random() < 0.2:
        question = question.replace("'", "").replace("’", "")
    if rng.random() < 0.1:
        words = list(re.finditer(r"\w{5,}", question))
        if words:
            at = (word := rng.choice(words)).start() + rng.randrange(1, len(word[0]) - 1)
            kind = rng.randrange(3)
            middle = ("", question[at] * 2, question[at + 1] + question[at])[kind]
            question = question[:at] + middle + question[at + 1 + (kind == 2) :]
    return question


def pick_span(text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the span that most annotators chose, the shortest of those chosen as often."""
    counts = Counter(text[a:b].strip().lower() for a, b in spans)
    return min(spans, key=lambda s: (-counts[text[s[0] : s[1]].strip().lower()], s[1] - s[0], s[0]))


def split_words(text: str, spans: Spans) -> Spans:
    """Return the words of the spans, each as a span: any of them may begin or end the answer."""
    return [(a + m.start(), a + m.end()) for a, b in spans for m in re.finditer(r"\w+", text[a:b])]


def keep_shortest(spans: Spans) -> Spans:
    """Return the spans without those that overlap a shorter one."""
    kept: Spans = []
    for a, b in sorted(set(spans), key=lambda s: (s[1] - s[0], s[0])):
        if all(b <= c or a >= d for c, d in kept):
            kept.append((a, b))
    return sorted(kept)


def grow(text: str, start: int, end: int, rng: random.Random) -> tuple[int, int]:
    """Return a window of whole sentences around [start, end), grown to a random side each time."""
    edges = sorted({0, len(text), *(edge for span in split_sentences(text) for edge in span)})
    lo, hi = max(e for e in edges if e <= start), min(e for e in edges if e >= end)
    limit = rng.uniform(0.6, 1.0) * MAX_CHARS
    while True:
        left = [e for e in edges if e < lo][-2:]
        right = [e for e in edges if e > hi][:2]
        options = [(e, hi) for e in left if hi - e <= limit] + [(lo, e) for e in right if e - lo <= limit]
        if not options:
            return lo, min(hi, lo + 900)
        lo, hi = rng.choice(options)


def cut(title: str, text: str, window: tuple[int, int], spans: Spans) -> Window:
    """Return a window with the spans that lie in it."""
    lo, hi = window
    return Window(title, text[lo:hi], [(a - lo, b - lo) for a, b in spans if a >= lo and b <= hi])


# Wikipedia, Reddit and Amazon -------------------------------------------------------------------


def read_squad(path: Path, *, titled: bool) -> Iterator[tuple[str, str, str, Spans]]:
    """Yield (question, title, text, answer spans) of a file in SQuAD's format."""
    for article in json.loads(path.read_text("utf-8"))["data"]:
        title = article.get("title", "").replace("_", " ") if titled else ""
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                found = [
                    (a["answer_start"], a["answer_start"] + len(a["text"]))
                    for a in qa["answers"]
                    if a["text"].strip()
                ]
                if found:
                    yield qa["question"].strip(), title, paragraph["context"], found


def read_selqa(path: Path) -> Iterator[tuple[str, str, str, Spans]]:
    """Yield the same of SelQA, whose answers are whole sentences."""
    for row in json.loads(path.read_text("utf-8")):
        text, spans = "", []
        for i, sentence in enumerate(row["candidates"]):
            text += " " * bool(text)
            if i in row["answers"]:
                spans.append((len(text), len(text) + len(sentence)))
            text += sentence
        yield row["question"], f"{row['article']} {row['section']}", text, spans


def reading_groups(data: Path, rng: random.Random, *, share: float, second: bool) -> Iterator[Group]:
    """Yield a group a question: a window with the answer, and one of the likest text without it."""
    rows = [
        (question, title, text, [pick_span(text, spans)] if second else sorted(set(spans)))
        for name in ("new-wiki", "reddit", "amazon")
        for question, title, text, spans in read_squad(
            data / f"squadshifts-{name}.json", titled=name == "new-wiki"
        )
    ]
    selqa = [row for name in ("dev", "test") for row in read_selqa(data / f"selqa-{name}.json")]
    sentences = {text for _, _, text, _ in selqa}  # texts of which only the answering sentence is known
    rows += selqa
    texts = list(dict.fromkeys(text for _, _, text, _ in rows))
    tfidf = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=2)
    matrix = tfidf.fit_transform(texts)
    names = [m for q, *_ in rows for m in NAME.findall(q[1:])]
    numbers = [m for q, *_ in rows for m in NUMBER.findall(q)]
    rows = rng.sample(rows, round(share * len(rows)))
    for at in range(0, len(rows), 2000):
        chunk = rows[at : at + 2000]
        likeness = (tfidf.transform([q for q, *_ in chunk]) @ matrix.T).toarray()
        for (question, title, text, spans), near in zip(chunk, likeness, strict=True):
            window = grow(text, *rng.choice(spans), rng)
            shown = title if rng.random() < 0.7 else ""
            gold = split_words(text, spans) if second and text in sentences else spans
            group = Group(question, [cut(shown, text, window, gold)])
            rest = [w for w in split_windows(text) if w.end <= window[0] or w.start >= window[1]]
            if rest and rng.random() < (0.6 if second else 0.3):
                group.windows.append(cut(shown, text, rng.choice(rest), gold))
            elif rng.random() < 0.35:
                answers = [text[a:b].lower() for a, b in spans]
                order = np.argpartition(-near, 6)[:6]
                others = [
                    texts[i]
                    for i in order
                    if texts[i] != text and not any(a in texts[i].lower() for a in answers)
                ]
                if others:
                    other = rng.choice(others)
                    group.windows.append(cut("", other, rng.choice(split_windows(other)), []))
            yield group
            for pattern, pool in (
                (NAME, names),
                (NUMBER, numbers),
            ):  # the question names another than the text does
                found = [m for m in pattern.finditer(question, 1) if m[0] in text]
                other = rng.choice(pool)
                if found and other not in text and rng.random() < 0.4:
                    m = rng.choice(found)
                    yield Group(
                        question[: m.start()] + other + question[m.end() :], [cut(shown, text, window, [])]
                    )


# News -------------------------------------------------------------------------------------------


@dataclass
class NewsArticle:
    """An article and the windows that the product cuts it into."""

    title: str
    text: str
    windows: list[tuple[int, int]]


def load_articles(data: Path) -> dict[str, NewsArticle]:
    """Return the articles that the news questions are about, by address."""
    found: dict[str, NewsArticle] = {}
    for file in (data / "news-articles.jsonl", data.parent / "news-dev" / "articles.jsonl"):
        for row in map(json.loads, file.open(encoding="utf-8")):
            windows = [
                (passage.start + w.start, passage.start + w.end)
                for passage in split_passages(row["url"], 1, row["text"])
                for w in split_windows(passage.text)
            ]
            found[row["url"]] = NewsArticle(row["title"], row["text"], windows)
    return found


def load_questions(data: Path) -> list[dict[str, Any]]:
    """Return the news questions, less those about an article that natural-dev asks about as well."""
    kept_aside = {
        url
        for row in map(json.loads, (data.parent / "natural-dev" / "questions.jsonl").open())
        for url in row["articles"]
    }
    rows = map(json.loads, (data / "news-questions.jsonl").open(encoding="utf-8"))
    return [row for row in rows if about(row) not in kept_aside]


def about(row: dict[str, Any]) -> str:
    """Return the address of the article that a question is about, or near to."""
    return str((row["articles"] or [row["near"]])[0])


class News:
    """The news questions, and windows that are like a question without answering it."""

    def __init__(self, data: Path) -> None:
        self.articles = load_articles(data)
        self.questions = [row for row in load_questions(data) if not is_held_out(about(row))]
        self._keys = [(url, w) for url, article in self.articles.items() for w in article.windows]
        self._first = {}
        for i, (url, _) in enumerate(self._keys):
            self._first.setdefault(url, i)
        self._tfidf = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=2, dtype=np.float32)
        self._matrix = self._tfidf.fit_transform([self._worded(*key) for key in self._keys])
        self._likeness = self._tfidf.transform([row["question"] for row in self.questions])

    def _worded(self, url: str, window: tuple[int, int]) -> str:
        article = self.articles[url]
        return f"{article.title}\n{article.text[slice(*window)]}"

    def groups(self, rng: random.Random, *, second: bool) -> Iterator[Group]:
        """Yield each question's group, and for one answerable question in three a copy made unanswerable."""
        for row, vector in zip(self.questions, self._likeness, strict=True):
            near = (vector @ self._matrix.T).toarray()[0]
            url = about(row)
            article = self.articles[url]
            spans, exact = self._spans(row, article.text)
            gold = exact or spans
            if second:
                gold = keep_shortest(exact) or split_words(article.text, spans)
            group = Group(row["question"])
            if spans:
                window = self._answering(article, rng.choice(spans), rng)
                group.windows.append(cut(article.title, article.text, window, gold))
            wrong = self._other_windows(row, url, spans, near)
            if wrong:
                weights = [1 / (1 + i) for i in range(len(wrong))]  # the likest most often
                for window in dict.fromkeys(rng.choices(wrong, weights, k=3 if spans else 4)):
                    group.windows.append(cut(article.title, article.text, window, []))
            yield self._with_foreign(group, row, url, near, rng)
            if spans and rng.random() < 0.35 and (changed := self._changed(row["question"], article, rng)):
                yield Group(changed, [window._replace(spans=[]) for window in group.windows[:2]])

    def _spans(self, row: dict[str, Any], text: str) -> tuple[Spans, Spans]:
        spans = [(at, at + len(e)) for e in row["evidence"] if (at := text.find(e)) >= 0]
        exact = [
            (a + k, a + k + len(x))
            for a, b in spans
            for x in row["answers"]
            if (k := text[a:b].lower().find(x.lower())) >= 0
        ]
        return spans, exact

    def _answering(self, article: NewsArticle, span: tuple[int, int], rng: random.Random) -> tuple[int, int]:
        """Return a window with the evidence: the product's own where it has the whole of it, or a grown one."""
        whole = [w for w in article.windows if w[0] <= span[0] and w[1] >= span[1]]
        return whole[0] if whole and rng.random() < 0.6 else grow(article.text, *span, rng)

    def _other_windows(self, row: dict[str, Any], url: str, spans: Spans, near: Any) -> list[tuple[int, int]]:
        article = self.articles[url]
        found = []
        for i, window in enumerate(article.windows):
            text = article.text[slice(*window)].lower()
            if any(window[0] < b and window[1] > a for a, b in spans) or any(
                x.lower() in text for x in row["answers"]
            ):
                continue
            found.append((-near[self._first[url] + i], window))
        return [window for _, window in sorted(found)]

    def _with_foreign(
        self, group: Group, row: dict[str, Any], url: str, near: Any, rng: random.Random
    ) -> Group:
        """Add a window of another article that is like the question."""
        order = np.argpartition(-near, 12)[:12]
        order = order[np.argsort(-near[order])]
        others = [
            self._keys[i]
            for i in order
            if self._keys[i][0] != url
            and not any(x.lower() in self._worded(*self._keys[i]).lower() for x in row["answers"])
        ]
        if others and rng.random() < 0.6:
            other_url, window = rng.choice(others[:5])
            other = self.articles[other_url]
            group.windows.append(cut(other.title, other.text, window, []))
        return group

    def _changed(self, question: str, article: NewsArticle, rng: random.Random) -> str:
        """Return the question with a name or number of the article replaced by another; "" if it has none."""
        names = sorted(set(NAME.findall(article.text)))
        found = [
            m
            for name in names
            if (m := re.search(rf"\b{re.escape(name)}\b", question, re.IGNORECASE)) and m.start()
        ]
        numbers = list(NUMBER.finditer(question))
        if numbers and rng.random() < 0.5:
            m = rng.choice(numbers)
            digits = m[0].replace(",", "").replace(".", "")
            other = (
                str(max(1, int(digits) + rng.choice((-4, -3, -2, -1, 1, 2, 3, 4))))
                if digits.isdigit()
                else ""
            )
            return question[: m.start()] + other + question[m.end() :] if other else ""
        if not found:
            return ""
        foreign = self.articles[rng.choice(self._keys)[0]]
        pool = names if rng.random() < 0.3 else sorted(set(NAME.findall(foreign.text)))
        m = rng.choice(found)
        pool = [n for n in pool if n.lower() not in question.lower() and n.lower() != m[0].lower()]
        if not pool:
            return ""
        other = rng.choice(pool)
        return question[: m.start()] + (other if m[0][:1].isupper() else other.lower()) + question[m.end() :]


def mix(*streams: Sequence[Group], rng: random.Random) -> list[Group]:
    """Return all groups in a random order."""
    groups = [group for stream in streams for group in stream]
    rng.shuffle(groups)
    return groups


def main() -> None:
    """Write OUT_DIR/examples.jsonl: passes, each with less of the general sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of the reading sets")
    parser.add_argument("out", type=Path)
    parser.add_argument("--second", action="store_true", help="write the examples of the second stage")
    options = parser.parse_args()
    rng = random.Random(SEED + options.second)
    news = News(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    counts = [0, 0]
    with (options.out / "examples.jsonl").open("w", encoding="utf-8") as file:
        for number, share in enumerate(SECOND_SHARES if options.second else SHARES, 1):
            general = reading_groups(options.data, rng, share=share, second=options.second)
            for group in mix(list(general), list(news.groups(rng, second=options.second)), rng=rng):
                file.write(group.line(rng))
                counts[0] += 1
                counts[1] += len(group.windows)
            print(f"pass {number}: {counts[0]} questions, {counts[1]} windows", flush=True)


if __name__ == "__main__":
    main()

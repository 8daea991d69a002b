"""How surely reprints are recognised, and reports of two outlets kept apart: python tests/bench/measure_stories.py ARTICLES.jsonl

Reprints are made of the first two hundred articles of usual length, as outlets make them of an agency's story.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from bot.articles.article import Article
from bot.indexing.story_clusters import _MIN_SHARED_KEYS, _is_copy
from bot.ingestion.loaders import read_articles
from bot.text.shingles import containment, shingles, sketch

_MADE = 200


def main(path: Path) -> None:
    articles = [item for item in read_articles([path]) if isinstance(item, Article)]
    chance = random.Random(1)
    begun = time.perf_counter()
    told = {article.id: shingles(article.text) for article in articles}
    keys = {article_id: set(sketch(hashes)) for article_id, hashes in told.items()}
    each = (time.perf_counter() - begun) / len(articles) * 1e3
    size = sum(map(len, keys.values())) / len(keys)
    print(f"{len(articles)} articles: {each:.2f} ms each for shingles and sketch, {size:.0f} keys each\n")
    print(
        "| reprint | share of the shorter text | met by its sketch | recognised |\n| --- | ---: | ---: | ---: |"
    )
    usual = [article for article in articles if 250 <= len(article.text.split()) <= 1_500][:_MADE]
    rows = defaultdict[str, list[tuple[float, bool, bool]]](list)
    for article in usual:
        for name, text in reprints(article.text, articles, chance):
            one, other = told[article.id], shingles(text)
            met = len(keys[article.id].intersection(sketch(other))) >= _MIN_SHARED_KEYS
            rows[name].append((containment(one, other), met, met and _is_copy(one, other)))
    for name, found in rows.items():
        shares, met, known = zip(*found, strict=True)
        print(
            f"| {name} | {sorted(shares)[len(shares) // 2]:.2f} | {sum(met) / len(met):.3f} | {sum(known) / len(known):.3f} |"
        )
    apart(articles, told, keys)


def reprints(text: str, articles: list[Article], chance: random.Random) -> Iterator[tuple[str, str]]:
    paragraphs = [line for line in text.split("\n") if line.strip()]
    half, third = ("\n".join(paragraphs[: max(1, len(paragraphs) // part)]) for part in (2, 3))
    local = "\n".join(chance.choice(chance.choice(articles).text.split("\n")) for _ in range(3))
    yield (
        "dateline, byline and credits",
        f"LONDON, June 3 (AP) - {text}\n(Reporting by A. Writer; editing by B. Reader)",
    )
    for rate in (0.02, 0.05, 0.10, 0.15):
        yield f"{rate:.0%} of the words changed", changed(text, rate, articles, chance)
    yield (
        "three of ten paragraphs left out",
        "\n".join(line for line in paragraphs if chance.random() > 0.3) or text,
    )
    yield "the first half", half
    yield "the first half, local paragraphs", f"{half}\n{local}"
    yield "the first half, 5% changed, local paragraphs", f"{changed(half, 0.05, articles, chance)}\n{local}"
    yield "the first third", third


def changed(text: str, rate: float, articles: list[Article], chance: random.Random) -> str:
    words = articles[0].text.split()
    return re.sub(r"\w+", lambda match: chance.choice(words) if chance.random() < rate else match[0], text)


def apart(articles: list[Article], told: dict[str, object], keys: dict[str, set[int]]) -> None:
    outlet = {article.id: article.source for article in articles}
    title = {article.id: f"{article.source}: {article.title[:60]}" for article in articles}
    holders = defaultdict[int, list[str]](list)
    for article_id, sketched in keys.items():
        for key in sketched:
            holders[key].append(article_id)
    shared = Counter(
        (one, other)
        for held in holders.values()
        for one in held
        for other in held
        if one < other and outlet[one] != outlet[other]
    )
    met = [pair for pair, count in shared.items() if count >= _MIN_SHARED_KEYS]
    found = sorted(((containment(told[one], told[other]), one, other) for one, other in met), reverse=True)  # type: ignore[arg-type]
    print(f"\n{len(met)} pairs of articles of two outlets were compared; the nearest:")
    for share, one, other in found[:5]:
        print(f"{share:.2f}  {title[one]} | {title[other]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""One step of one contender in a process of its own: what its module calls `ingest`, `again` or `searcher`.

`ask` searches once and ends, as a person's command does; `search` asks all questions of a process that is warm.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

Record = Mapping[str, str]  # an article: id, title, url, published, source, text
Asked = Mapping[str, str]  # a question, and for who can use it the day it is asked


class Found(NamedTuple):
    """A chunk that was found: the article it is of, and what it says."""

    article: str
    text: str


Search = Callable[[Asked], list[Found]]


def whole_text(record: Record) -> str:
    """Return an article as a file would hold it: the title stands over the text."""
    return f"{record['title']}\n\n{record['text']}" if record["title"] else record["text"]


def metadata(record: Record) -> dict[str, str]:
    """Return what is known of an article besides its text."""
    return {"article": record["id"]} | {key: record[key] for key in ("title", "url", "published", "source")}


def main(way: str, step: str, given: Path, folder: Path, model: str, k: int) -> None:
    module = importlib.import_module(f"peers.{way}")
    rows = [json.loads(line) for line in given.read_text(encoding="utf-8").split("\n") if line]
    if step in ("ingest", "again"):
        print(json.dumps({"chunks": getattr(module, step)(rows, folder, model)}))
        return
    search: Search = module.searcher(folder, model, k)
    if step == "search":
        search({"question": "What happened this week?"})
    for row in rows:
        begun = time.perf_counter()
        found = search(row)
        milliseconds = (time.perf_counter() - begun) * 1000
        print(json.dumps({"milliseconds": milliseconds, "found": found}))


if __name__ == "__main__":
    *what, given, folder, model, k = sys.argv[1:]
    main(*what, Path(given), Path(folder), model, int(k))

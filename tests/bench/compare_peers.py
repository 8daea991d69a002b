"""Citewire beside LangChain, LlamaIndex and Haystack: the same articles, model, machine and run.

    make peers ARGS="[--articles F --testset F] [--limit N] [--fitted] [--rounds N] [--json F]"

Each peer is set up as its own tutorial does it (tests/bench/peers/*_way.py say how) and keeps what it made on disk. All
encode with the packaged all-MiniLM-L6-v2. Every step is a process of its own, timed from its start to its end, with
the steps of the contenders interleaved: first a rehearsal with three articles, which is not counted, then ingest, the
same again, single questions in fresh processes, and all questions in a warm one. Only retrieval is compared, with the
metrics of `citewire eval`, for the peers find chunks and leave the answer to a chat model.

Citewire's ingest writes the library, the vectors and the word index, and exports its question encoder, once per
model; its single question is `citewire ask`, the answer included. Nothing is fetched: LlamaIndex brings its data for
nltk and tiktoken in its package, and what Haystack splits words with needs none.

The processor's seconds in the JSON tell how far other programs were at work on the machine. With `--limit` few
questions are left that have an answer, and the sample is small: quality wants a test set of your own.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers.comparison import Comparison
from peers.contenders import CITEWIRE, FITTED, PEERS
from peers.data import Data, prepare
from peers.processes import StepError
from peers.results import Results
from peers.table import markdown

import bot
from bot.errors import CitewireError

CORPUS = Path(__file__).parents[2] / "corpus"
_IDLE = 0.5  # of a load: above it, torch's threads wait for each other, 400 ms for a question of 10 ms
PACKAGES = (
    "chromadb",
    "haystack-ai",
    "langchain-chroma",
    "langchain-core",
    "llama-index-core",
    "sentence-transformers",
    "torch",
)


def measured_on(data: Data) -> Mapping[str, Any]:
    """Say what the figures are of: how much, on what, with what."""
    return {
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "articles": data.count,
        "characters": data.characters,
        "questions": len(data.cases),
        "answerable": sum(case.answerable is not False for case in data.cases),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def show(report: Mapping[str, Any]) -> None:
    """Print the table and what it was measured on."""
    print(markdown(report["contenders"]))
    told = report["measured_on"]
    answers = report["contenders"][CITEWIRE.name]["answers"]["metrics"]
    print(
        f"\n{told['articles']:,} articles of {told['characters']:,} characters, {told['questions']} questions,"
        f" {told['answerable']} of them answerable; {told['machine']}, Python {told['python']};"
        f" {', '.join(f'{name} {told[name]}' for name in PACKAGES)}."
        "\nOf Citewire's answers (`citewire eval run`): "
        + ", ".join(f"{name} {value:.3f}" for name, value in answers.items() if not name.endswith("_ms"))
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--articles", type=Path, default=CORPUS, help="a file or folder; default the sample")
    parser.add_argument("--testset", type=Path, default=CORPUS / "testset.jsonl")
    parser.add_argument("--limit", type=int, help="only the first N articles, and the questions about them")
    parser.add_argument("--fitted", action="store_true", help="two peers also with other stores and chunks")
    parser.add_argument("--rounds", type=int, default=3, help="how often questions are repeated; default 3")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    if load > _IDLE:
        print(
            f"Others are at work here (load {load:.1f}): torch suffers most, so do the peers.",
            file=sys.stderr,
        )
    compileall.compile_dir(Path(bot.__file__).parent, quiet=1)  # as the peers' packages are
    contenders = [Results(peer) for peer in (CITEWIRE, *PEERS, *(FITTED if args.fitted else ()))]
    with tempfile.TemporaryDirectory(prefix="citewire-peers-") as name:
        try:
            data = prepare(args.articles, args.testset, Path(name), limit=args.limit, rounds=args.rounds)
            Comparison(data, contenders, Path(name), args.rounds).run()
        except (CitewireError, StepError) as exc:
            print(exc, file=sys.stderr)
            return 1
    report = {
        "measured_on": {**measured_on(data), "load_before": load},
        "contenders": {results.peer.name: results.figures(data.cases) for results in contenders},
    }
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Counts how many lies of a chat model reach the reader, and how many of its true sentences do not.

    python tests/bench/planted.py DATA_DIR TESTSET.jsonl [--limit N] [-v]

A real server stands in for the model. It answers each question from the passages in the prompt, and plants in every
answer one sentence of each kind of lie (bench.planting). What comes out of the chain is then looked up: a sentence reached the
reader with the citation it was given, with another one (re-attributed), was dropped, or is nowhere (lost).
The time is from the question to the first sentence that a reader gets, less the time that the model took to write it.
`-v` also prints every lie that reached the reader and every true sentence that did not.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from bench import planting
from bench.planting import LIES, TRUTHS, WRONG_PASSAGE, Said
from bench.planting.world import WORD, World, read_prompt
from openai_server import ChatRequest, OpenAIServer, Reply

from bot.answering.answer import Answer, Sentence
from bot.answering.question import Question
from bot.evaluation.dataset import load_testset
from bot.evaluation.models import Case
from bot.evaluation.runner import NOON, K
from bot.services import Services
from bot.settings import load_settings

PACE = 0.002  # seconds a word: quick, so that a run takes minutes; a sentence is certain with the next word
ENDS = REACHED, MOVED, DROPPED, LOST = "as planted", "re-attributed", "dropped", "lost"


class Told(NamedTuple):
    """What the model said to one request."""

    request: ChatRequest
    world: World
    said: list[Said]

    def written(self, one: Said) -> float:
        """Return the seconds from the request to the last letter of this sentence."""
        upto = " ".join(said.marked for said in self.said[: self.said.index(one) + 1])
        lengths = accumulate(len(sent.text) for sent in self.request.sent)
        whole = (sent for sent, length in zip(self.request.sent, lengths, strict=True) if length >= len(upto))
        return next(whole).at - self.request.at


class Liar:
    """The model: a script for the server that keeps what it said."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def __call__(self, request: ChatRequest) -> Reply:
        world = read_prompt(request.prompt)
        if not world.passages:  # asked for something else than an answer, such as a standalone question
            return Reply(world.question)
        said = planting.answer(world)
        self.told.append(Told(request, world, said))
        return Reply(" ".join(one.marked for one in said), delay=PACE)


class Fate(NamedTuple):
    """What became of a sentence."""

    said: Said
    end: str
    reason: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether a lie was believed or a truth was not; one cited to the wrong passage may come with a right one."""
        if self.said.kind == WRONG_PASSAGE:
            return self.end == REACHED
        return (self.end in (REACHED, MOVED)) == self.said.is_lie


class Outcome(NamedTuple):
    """What became of a question; no `fates` where the model was not asked, None where nothing of its own came first."""

    answer: Answer
    fates: list[Fate]
    milliseconds: float | None
    strays: int  # sentences that were streamed and do not stand in the answer


def ask(workspace: Services, liar: Liar, case: Case) -> Outcome:
    """Put one question, as `eval run` does, and look up what became of all that the model said."""
    asked = datetime.combine(case.asked, NOON, UTC) if case.asked else None
    liar.told.clear()
    begun, first = time.perf_counter(), 0.0
    sentences: list[Sentence] = []
    for part in workspace.chain.stream(Question(case.question, history=case.history, k=K, asked=asked)):
        if isinstance(part, Sentence):
            first = first or time.perf_counter() - begun
            sentences.append(part)
    answer: Answer = part
    strays = sum(sentence not in answer.sentences for sentence in sentences)
    if not liar.told:
        return Outcome(answer, [], None, strays)
    told = liar.told[-1]
    fates = [fate(one, told.world, answer) for one in told.said]
    earliest = next((one for one in told.said if sentences and key(one.text) == key(sentences[0].text)), None)
    own = told.written(earliest) if earliest else None
    return Outcome(answer, fates, None if own is None else (first - own) * 1000, strays)


def fate(said: Said, world: World, answer: Answer) -> Fate:
    """Say what became of a sentence of the model."""
    for sentence in answer.sentences:
        if key(said.text) in key(sentence.text):
            return Fate(said, REACHED if _cites(sentence, said, world, answer) else MOVED)
    for dropped in answer.dropped:
        if key(said.text) in key(dropped.text):
            return Fate(said, DROPPED, dropped.reason)
    return Fate(said, LOST)


def _cites(sentence: Sentence, said: Said, world: World, answer: Answer) -> bool:
    """Say whether a sentence is shown with a quote from the passage that the model cited."""
    cited = next(passage for passage in world.passages if passage.n == said.cited)
    quotes = [citation.quote for citation in answer.citations if citation.n in sentence.citations]
    return any(key(quote) in key(cited.text) for quote in quotes)


def key(text: str) -> str:
    """Return the words of a text: what is the same however it is dressed."""
    return f" {' '.join(WORD.findall(re.sub(r'[’`]', chr(39), text).casefold()))} "


def report(outcomes: Sequence[Outcome]) -> None:
    """Print the tables."""
    asked = [outcome for outcome in outcomes if outcome.fates]
    alone = sum(outcome.answer.answerer == "extractive" for outcome in asked)
    print(
        f"{len(outcomes)} questions: the model was asked {len(asked)} times, its answer was not used {alone} times; "
        f"{sum(outcome.strays for outcome in outcomes)} streamed sentences that the answer lacks\n"
    )
    fates = [fate for outcome in asked for fate in outcome.fates]
    _table("lies", LIES, fates)
    _table("true sentences", TRUTHS, fates)
    waits = sorted(outcome.milliseconds for outcome in asked if outcome.milliseconds is not None)
    if len(waits) > 1:
        p95 = quantiles(waits, n=20, method="inclusive")[-1]
        print(
            f"to the first sentence, beyond the model's own time: p50 {median(waits):.0f} ms, p95 {p95:.0f} ms (n = {len(waits)})"
        )


def _table(title: str, kinds: Sequence[str], fates: Sequence[Fate]) -> None:
    """Print how sentences ended by kind; in the last column lies that were believed, or truths that did not come through."""
    lies = kinds is LIES
    row = f"{{:<20}}{{:>9}}{'{:>15}' * len(ENDS)}{{:>12}}"
    print(row.format(title, "planted", *ENDS, "reached" if lies else "not reached"))
    for kind in (*kinds, "all"):
        chosen = [fate for fate in fates if fate.said.kind in (kinds if kind == "all" else (kind,))]
        counts = Counter(fate.end for fate in chosen)
        wrong = sum(fate.is_wrong for fate in chosen)
        print(
            row.format(kind, len(chosen), *(counts[end] for end in ENDS), f"{wrong / (len(chosen) or 1):.1%}")
        )
    print()


def show(outcomes: Sequence[Outcome]) -> None:
    """Print each sentence that went the wrong way."""
    for outcome in outcomes:
        for said, end, reason in (fate for fate in outcome.fates if fate.is_wrong):
            print(f"{said.kind} | {end} {reason} | [{said.cited}] {said.text}\n    {said.line}")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("testset", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "planted"
    liar = Liar()
    with OpenAIServer(liar, model="planted") as server:
        settings = load_settings(
            data_dir=options.data_dir, chat_model="openai:planted", chat_base_url=server.url
        )
        workspace = Services(settings)
        cases = load_testset(options.testset).cases[: options.limit]
        ask(workspace, liar, cases[0])  # what is loaded once is no part of the times
        outcomes = [ask(workspace, liar, case) for case in cases]
        workspace.close()
    if options.verbose:
        show(outcomes)
    report(outcomes)


if __name__ == "__main__":
    main()

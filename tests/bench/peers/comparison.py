"""Takes the steps of all contenders, interleaved."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from peers import processes
from peers.contenders import CITEWIRE
from peers.data import Data
from peers.results import Results

from bot.evaluation.models import Summary
from bot.indexing.model_files import packaged_folder


class Comparison:
    """One run: every step of all contenders before the next step of any."""

    def __init__(self, data: Data, contenders: Sequence[Results], folder: Path, rounds: int) -> None:
        self._data = data
        self._contenders = contenders
        self._folder = folder
        self._rounds = rounds
        self._model = str(packaged_folder())

    def run(self) -> None:
        """Take every step. Raises StepError."""
        self._each("rehearsal", self._rehearse)
        self._each("ingest", self._ingest)
        self._each("the same again", self._ingest_again)
        for number in range(self._rounds):
            self._each("a question", lambda results, n=number: self._ask(results, n), first=number)
            self._each("all questions", self._search, first=number)
        self._answer(next(results for results in self._contenders if results.peer is CITEWIRE))

    def _each(self, step: str, take: Callable[[Results], object], *, first: int = 0) -> None:
        """Take a step of every contender, beginning with another one each time."""
        turn = first % len(self._contenders)
        for results in (*self._contenders[turn:], *self._contenders[:turn]):
            print(f"{datetime.now(UTC):%H:%M:%S} {step}: {results.peer.name} …", file=sys.stderr)
            take(results)

    def _kept(self, results: Results) -> Path:
        return self._folder / results.peer.way

    def _run(self, command: Sequence[str]) -> processes.Measured:
        return processes.run(command, cwd=self._folder)

    def _rehearse(self, results: Results) -> None:
        folder = self._folder / "rehearsal" / results.peer.way
        folder.parent.mkdir(exist_ok=True)
        self._run(results.peer.ingest(self._data.few, folder, self._model))
        self._run(results.peer.ask(self._data.single[0], folder, self._model))

    def _ingest(self, results: Results) -> None:
        folder = self._kept(results)
        results.ingest = self._run(results.peer.ingest(self._data.articles, folder, self._model))
        results.chunks = results.peer.chunks(results.ingest.output)
        results.disk = processes.disk(folder)
        results.encoder = processes.disk(folder / "encoders")  # Citewire's own, of the same model

    def _ingest_again(self, results: Results) -> None:
        """Take the same in again, into a copy: whatever that does, the questions go to what was made once."""
        copy = shutil.copytree(self._kept(results), self._folder / "again")
        results.again = self._run(results.peer.ingest_again(self._data.articles, copy, self._model))
        results.chunks_again = results.peer.chunks_again(results.again.output, results.chunks)
        shutil.rmtree(copy)

    def _ask(self, results: Results, number: int) -> None:
        question = self._data.single[number % len(self._data.single)]
        results.ask.append(self._run(results.peer.ask(question, self._kept(results), self._model)))

    def _search(self, results: Results) -> None:
        folder = self._kept(results)
        results.search.append(self._run(results.peer.search(self._data.questions, folder, self._model)))

    def _answer(self, results: Results) -> None:
        """Ask Citewire what no peer can be asked: with the day, and for answers."""
        folder = self._kept(results)
        results.dated = self._run(CITEWIRE.search(self._data.dated, folder, self._model))
        run = self._run(CITEWIRE.answer(self._data.testset, folder, self._folder / "run.jsonl"))
        found = json.loads(run.output)
        results.answers = Summary(found["metrics"], found["ci"], found["n"])

"""Who is compared, and the commands that each one's steps are."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

K = 10  # passages, as Citewire takes them by default


@dataclass(frozen=True)
class Peer:
    """Another program, whose steps are functions of a module of this folder."""

    name: str
    way: str
    again: str
    """What taking the same articles in again does."""

    def ingest(self, articles: Path, folder: Path, model: str) -> list[str]:
        return self._step("ingest", articles, folder, model)

    def ingest_again(self, articles: Path, folder: Path, model: str) -> list[str]:
        return self._step("again", articles, folder, model)

    def ask(self, question: Path, folder: Path, model: str) -> list[str]:
        return self._step("ask", question, folder, model)

    def search(self, questions: Path, folder: Path, model: str) -> list[str]:
        return self._step("search", questions, folder, model)

    def chunks(self, output: str) -> int:
        """Read from what the first ingest printed how many chunks there are now."""
        return int(json.loads(output)["chunks"])

    def chunks_again(self, output: str, before: int) -> int:
        """Read the same from what the second printed."""
        return self.chunks(output)

    def _step(self, step: str, given: Path, folder: Path, model: str) -> list[str]:
        return [sys.executable, "-m", "peers.step", self.way, step, str(given), str(folder), model, str(K)]


@dataclass(frozen=True)
class Citewire(Peer):
    """Citewire, at its command line; only the questions to a running process are asked from Python."""

    def ingest(self, articles: Path, folder: Path, model: str) -> list[str]:
        return self.command(folder, "ingest", str(articles), "--json")

    ingest_again = ingest

    def ask(self, question: Path, folder: Path, model: str) -> list[str]:
        text = json.loads(question.read_text(encoding="utf-8"))["question"]
        return self.command(folder, "ask", "-k", str(K), "--json", "--", text)

    def answer(self, testset: Path, folder: Path, run: Path) -> list[str]:
        """Answer a test set, which only Citewire can."""
        return self.command(folder, "eval", "run", str(testset), "-o", str(run), "--json")

    def chunks(self, output: str) -> int:
        return int(json.loads(output)["passages"])

    def chunks_again(self, output: str, before: int) -> int:
        return before + self.chunks(output)

    def command(self, folder: Path, *words: str) -> list[str]:
        program = Path(sys.executable).with_name("citewire")
        return [str(program), "--data-dir", str(folder), *words]


CITEWIRE = Citewire("Citewire", "citewire_way", "passed over")
PEERS = (
    Peer("LangChain", "langchain_way", "every chunk twice"),
    Peer("LlamaIndex", "llamaindex_way", "passed over"),
    Peer("Haystack", "haystack_way", "embedded again"),
)
FITTED = (
    Peer("LlamaIndex, fitted", "llamaindex_chroma_way", "every chunk twice"),
    Peer("Haystack, Chroma", "haystack_chroma_way", "embedded again"),
)
"""Two peers once more, with a store and a size of chunk that are not their tutorials' but may suit them better."""

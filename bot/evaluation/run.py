"""Asks the chain a test set and keeps every answer in one file, question by question.

The file is JSON lines: a header, an outcome a question, and a summary when all are there. Each line is on
disk before the next question's is written, so that the same command resumes after Ctrl-C or kill -9.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from datetime import UTC, datetime
from datetime import time as time_of_day
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from bot import __version__
from bot.errors import CitewireError, EvaluationError
from bot.evaluation.records import Case, Outcome, Ranked, Run, Summary
from bot.evaluation.testset import TestSet

if TYPE_CHECKING:
    from bot.answers.answer import Answer, Sentence
    from bot.answers.support import Verifier
    from bot.retrieval.hits import Hit
    from bot.workspace import Workspace

FORMAT = 1
TIMEOUT_SECONDS = 120.0  # a question
_GRACE_SECONDS = 2.0  # after Ctrl-C, for the questions in hand: those that hang are left behind
K = 10  # passages: what the metrics look at
NOON = time_of_day(12)  # a test set names the day, not the hour
_LIBRARIES = ("chromadb", "langchain-core", "numpy", "sentence-transformers", "sentencex", "tantivy", "torch")
_INCOMPARABLE = frozenset({"started", "host"})  # of the header: they say when and where, not what

_HEADER = b'{"kind":"header",'
_outcome: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def make_header(
    workspace: Workspace, testset: TestSet, cases: Sequence[Case], options: dict[str, Any]
) -> dict[str, Any]:
    """Say what a run is: what is asked, of what, with what. Holds no secret and no path but the test set's name."""
    embedder, totals = workspace.embedder, workspace.library.totals()
    return {
        "format": FORMAT,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "questions": len(cases),
        "testset": {"name": testset.path.name, "sha256": testset.sha256},
        "options": options,
        "index": {
            "articles": totals.articles,
            "passages": totals.passages,
            "content": workspace.library.content_hash(),
        },
        "settings": {
            "chat_base_url": workspace.settings.chat_base_url,
            "chat_budget": workspace.settings.chat_budget,
            "chat_model": workspace.settings.chat_model,
            "embedding_model": embedder.model,
            "embedding_fingerprint": embedder.fingerprint,
            "k": K,
            "language": workspace.settings.language,
            "min_confidence": workspace.settings.min_confidence,
            "rerank_model": workspace.settings.rerank_model,
            "support_judge": workspace.settings.support_judge,
            "support_model": workspace.settings.support_model,
        },
        "versions": {
            "citewire": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
    }


class RunFile:
    """A run on disk: opened to begin or to go on, appended to line by line."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """Open the file; one that was begun with another header is refused. Raises EvaluationError."""
        self.path = path
        self.done: dict[str, Outcome] = {}
        self.header = header
        if path.exists() and begun_here(path):
            begun = read_run(path)
            drop_torn_line(path)
            refuse_other(path, begun.header, header)
            self.header = begun.header
            self.done = {outcome.case.id: outcome for outcome in begun.outcomes}
        self._file = _open_to_append(path)
        self._lock = threading.Lock()
        if not path.stat().st_size:
            self._write({"kind": "header", **header})

    def add(self, outcome: Outcome) -> None:
        """Put an outcome on disk."""
        self._write({"kind": "outcome", **_outcome.dump_python(outcome, mode="json")})
        self.done[outcome.case.id] = outcome

    def finish(self, summary: Summary) -> None:
        """Put the summary on disk, behind the last outcome, where it is not there yet."""
        last = self.path.read_bytes().rstrip().rpartition(b"\n")[2]
        if not last.startswith(b'{"kind":"summary"'):
            self._write({"kind": "summary", **asdict(summary)})

    def as_run(self, cases: Sequence[Case]) -> Run:
        """Return what is done, in the order of the test set: no figure depends on which answer came first."""
        return Run(self.header, tuple(self.done[case.id] for case in cases if case.id in self.done))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())


def read_run(path: Path) -> Run:
    """Read a run file; a torn last line is passed over. Raises EvaluationError for anything that is no run."""
    header: dict[str, Any] | None = None
    outcomes: dict[str, Outcome] = {}
    for number, row in _rows(path):
        kind = row.pop("kind", None)
        if number == 1 and kind == "header" and row.get("format") == FORMAT:
            header = row
        elif kind == "outcome" and header:
            try:
                outcome = _outcome.validate_python(row)
            except ValidationError as exc:
                raise EvaluationError(
                    f"{path}:{number}: not an outcome ({exc.error_count()} errors)"
                ) from exc
            outcomes[outcome.case.id] = outcome
        elif kind != "summary" or not header:
            raise EvaluationError(
                f"{path}:{number}: not a run of this Citewire; name a file that `eval run -o` wrote"
            )
    if header is None:
        raise EvaluationError(f"{path}: empty, no run")
    return Run(header, tuple(outcomes.values()))


def is_complete(path: Path) -> bool:
    """Say whether a file holds a run with all its questions."""
    if not path.exists():
        return False
    found = read_run(path)
    return len(found.outcomes) >= int(found.header["questions"])


def run_cases(
    cases: Sequence[Case],
    ask: Callable[[Case], Outcome],
    *,
    workers: int,
    finished: Callable[[Outcome], None],
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Ask every case, `workers` at a time; `finished` is called with each outcome in this thread as it comes.

    A question that fails or takes longer than `timeout` seconds gives an outcome that says so.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_bounded, ask, case, timeout, stopped) for case in cases]
        try:
            for future in as_completed(futures):
                finished(future.result())
        except BaseException:  # Ctrl-C too: what has not begun is not begun any more
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ask_chain(workspace: Workspace, case: Case, *, retrieval_only: bool) -> Outcome:
    """Ask one question and note all that the metrics will want to know."""
    from bot.answers.question import Question

    gold = tuple(found for article in case.articles if (found := workspace.library.find(article)))
    asked = datetime.combine(case.asked, NOON, UTC) if case.asked else None
    question = Question(case.question, history=case.history, k=K, asked=asked)
    begun = time.perf_counter()
    if retrieval_only:
        answer, hits = None, workspace.chain.search(question)
    else:
        trace = workspace.chain.trace(question)
        answer, hits = trace.answer, trace.hits
    took = _since(begun)
    return Outcome(
        case=case,
        gold=gold,
        passages=tuple(_ranked(hit) for hit in hits),
        answer=answer,
        quotes_valid=_quotes_valid(workspace, answer),
        supported=_supported(workspace.verifier, answer, hits),
        milliseconds=took,
    )


def begun_here(path: Path) -> bool:
    """Say whether a file holds more than the torn header of a run; a torn header is cut off."""
    head = path.read_bytes()[:100_000]
    if b"\n" not in head and _HEADER.startswith(head[: len(_HEADER)]):
        drop_torn_line(path)
        return False
    return True


def drop_torn_line(path: Path) -> None:
    """Cut off what a kill left of a line in the making."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def refuse_other(path: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """Stop where a run would go on with something else than it began with, and name all of it."""
    before, after = flat(begun), flat(now)
    differing = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    if differing:
        told = (f"{key} = {before.get(key)!r}, now it is {after.get(key)!r}" for key in differing)
        raise EvaluationError(
            f"{path} was begun with {'; with '.join(told)}: name another file with -o, or remove this one"
        )


def flat(header: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a header's keys as one level, with dots, but those that say only when and where."""
    result: dict[str, Any] = {}
    for key, value in header.items():
        if key not in _INCOMPARABLE:
            result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


def _bounded(ask: Callable[[Case], Outcome], case: Case, timeout: float, stopped: threading.Event) -> Outcome:
    """Ask in a thread that can be left behind: nothing can stop a question that hangs."""
    results: list[Outcome] = []
    begun = time.perf_counter()

    def work() -> None:
        try:
            results.append(ask(case))
        except CitewireError as exc:
            results.append(Outcome(case, error=str(exc), milliseconds=_since(begun)))
        except Exception as exc:  # noqa: BLE001 - one question must not end the run; it is counted as wrong
            results.append(Outcome(case, error=f"{type(exc).__name__}: {exc}", milliseconds=_since(begun)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    last = begun + timeout
    while thread.is_alive() and (now := time.perf_counter()) < last:
        last = min(last, now + _GRACE_SECONDS) if stopped.is_set() else last
        thread.join(min(last - now, 0.1))
    late = Outcome(case, error=f"no answer within {timeout:g} s", milliseconds=_since(begun))
    return results[0] if results else late


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise EvaluationError(f"{path}: {exc.strerror}") from exc
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
        except ValueError as exc:
            raise EvaluationError(f"{path}:{number}: not valid JSON") from exc
        if not isinstance(row, dict):
            raise EvaluationError(f"{path}:{number}: expected an object")
        yield number, row


def _open_to_append(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as exc:
        raise EvaluationError(f"{path}: {exc.strerror}") from exc


def _ranked(hit: Hit) -> Ranked:
    return Ranked(hit.passage.id, hit.passage.article_id, hit.headline.title, hit.passage.text, hit.score)


def _quotes_valid(workspace: Workspace, answer: Answer | None) -> tuple[bool, ...]:
    def valid(article_id: str, number: int, start: int, end: int, quote: str) -> bool:
        article = workspace.library.article(article_id, number)
        return article is not None and article.text[start:end] == quote

    citations = answer.citations if answer else ()
    return tuple(valid(c.article_id, c.version, c.start, c.end, c.quote) for c in citations)


def _supported(verifier: Verifier, answer: Answer | None, hits: Sequence[Hit]) -> tuple[bool, ...]:
    """Say of each sentence whether the verifier finds it supported by the passages of its own citations."""
    if answer is None or answer.status != "answered":
        return ()
    found = {hit.passage.id: hit for hit in hits}
    cited = {citation.n: found[citation.passage_id] for citation in answer.citations}

    def supported(sentence: Sentence) -> bool:
        stands_on = [cited[n] for n in sentence.citations]
        context = "\n".join(hit.named for hit in stands_on)
        texts = [hit.passage.text for hit in stands_on]
        return verifier.check(sentence.text, texts, context=context).verdict == "supported"

    return tuple(supported(sentence) for sentence in answer.sentences)


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)

"""A run of a test set on disk: JSON lines, a header, an outcome a question, and a summary when all are there.

Each line is on disk before the next question's is written, so that the same command resumes after Ctrl-C or kill -9.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from bot.errors import EvaluationError
from bot.evaluation.models import Case, Outcome, Run, Summary

FORMAT = 1
_INCOMPARABLE = frozenset({"started", "host"})  # of the header: they say when and where, not what

_HEADER = b'{"kind":"header",'
_outcome: TypeAdapter[Outcome] = TypeAdapter(Outcome)


class RunFile:
    """A run on disk: opened to begin or to go on, appended to line by line."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """Open the file; one that was begun with another header is refused. Raises EvaluationError."""
        self.path = path
        self.done: dict[str, Outcome] = {}
        self.header = header
        if path.exists() and _has_content(path):
            begun = read_run(path)
            _truncate_partial_line(path)
            _check_same_run(path, begun.header, header)
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


def flatten(header: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a header's keys as one level, with dots, but those that say only when and where."""
    result: dict[str, Any] = {}
    for key, value in header.items():
        if key not in _INCOMPARABLE:
            result |= (
                flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
            )
    return result


def _has_content(path: Path) -> bool:
    """Say whether a file holds more than the torn header of a run; a torn header is cut off."""
    head = path.read_bytes()[:100_000]
    if b"\n" not in head and _HEADER.startswith(head[: len(_HEADER)]):
        _truncate_partial_line(path)
        return False
    return True


def _truncate_partial_line(path: Path) -> None:
    """Cut off what a kill left of a line in the making."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def _check_same_run(path: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """Stop where a run would go on with something else than it began with, and name all of it."""
    before, after = flatten(begun), flatten(now)
    differing = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    if differing:
        told = (f"{key} = {before.get(key)!r}, now it is {after.get(key)!r}" for key in differing)
        raise EvaluationError(
            f"{path} was begun with {'; with '.join(told)}: name another file with -o, or remove this one"
        )


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

"""Resumable JSON Lines log of a run: a header, one outcome per question, and a summary after the last outcome.

Each line is flushed to disk before the next one is written, so that the same command resumes after Ctrl-C or kill -9.
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
_INCOMPARABLE = frozenset({"started", "host"})  # header keys for the time and place of a run, not its content

_HEADER = b'{"kind":"header",'
_OUTCOME_ADAPTER: TypeAdapter[Outcome] = TypeAdapter(Outcome)


class RunFile:
    """Log file of a run, opened to start or to resume the run."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """Open or create the file.

        Raises:
            EvaluationError: if the file cannot be written, is not a run, or was started with another header.
        """
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
        """Append an outcome and flush it to disk."""
        self._write({"kind": "outcome", **_OUTCOME_ADAPTER.dump_python(outcome, mode="json")})
        self.done[outcome.case.id] = outcome

    def finish(self, summary: Summary) -> None:
        """Append the summary after the last outcome, unless the file already ends with it."""
        last = self.path.read_bytes().rstrip().rpartition(b"\n")[2]
        if not last.startswith(b'{"kind":"summary"'):
            self._write({"kind": "summary", **asdict(summary)})

    def as_run(self, cases: Sequence[Case]) -> Run:
        """Return the outcomes in the order of the test set, so that no figure depends on the order of the answers."""
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
    """Read a run file, skipping a partial last line.

    Raises:
        EvaluationError: if the file cannot be read or is not a run.
    """
    header: dict[str, Any] | None = None
    outcomes: dict[str, Outcome] = {}
    for number, row in _iter_rows(path):
        kind = row.pop("kind", None)
        if number == 1 and kind == "header" and row.get("format") == FORMAT:
            header = row
        elif kind == "outcome" and header:
            try:
                outcome = _OUTCOME_ADAPTER.validate_python(row)
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
    """Return True if a file contains a run with outcomes for all questions.

    Raises:
        EvaluationError: if the file exists but is not a run.
    """
    if not path.exists():
        return False
    found = read_run(path)
    return len(found.outcomes) >= int(found.header["questions"])


def flatten(header: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a header with dotted keys on one level, without the keys for the time and place of the run."""
    result: dict[str, Any] = {}
    for key, value in header.items():
        if key not in _INCOMPARABLE:
            result |= (
                flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
            )
    return result


def _has_content(path: Path) -> bool:
    """Return True if a file has more than a partial header, which is truncated."""
    head = path.read_bytes()[:100_000]
    if b"\n" not in head and _HEADER.startswith(head[: len(_HEADER)]):
        _truncate_partial_line(path)
        return False
    return True


def _truncate_partial_line(path: Path) -> None:
    """Truncate a partial last line left by a killed process."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def _check_same_run(path: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a run resumes with the header it started with.

    Raises:
        EvaluationError: with all differing keys, if the headers differ.
    """
    before, after = flatten(begun), flatten(now)
    differing = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    if differing:
        changes = (f"{key} = {before.get(key)!r}, now it is {after.get(key)!r}" for key in differing)
        raise EvaluationError(
            f"{path} was begun with {'; with '.join(changes)}: name another file with -o, or remove this one"
        )


def _iter_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
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

"""Runs a command in a process of its own and measures it from outside."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_SECONDS = 0.05  # between two looks at the memory
# No telemetry, nothing fetched; and Python may keep what it compiled, as it does for anybody.
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGCHAIN_TRACING_V2": "false",
}
_NOT_PASSED_ON = ("CITEWIRE_", "SLACK_", "LANGCHAIN_", "LANGSMITH_", "PYTHONDONTWRITEBYTECODE")


class StepError(Exception):
    """A step failed; the message holds the end of what it said."""


@dataclass(frozen=True)
class Measured:
    """What a process took, from its start to its end, and what it printed; its children are counted in.

    The processor's time tells, beside the clock's, how far others were at work on the machine.
    """

    seconds: float
    processor_seconds: float
    megabytes: float
    output: str


def run(command: Sequence[str], *, cwd: Path) -> Measured:
    """Run a command to its end. Raises StepError."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=cwd, env=_environment())
        memory = _Memory(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        memory.stop()
        code = process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if code:
            told = errors.read().decode(errors="replace").strip()[-2_000:]
            raise StepError(f"{' '.join(command)}: exit {code}\n{told}")
        return Measured(seconds, usage.ru_utime + usage.ru_stime, memory.peak / 1e6, out.read().decode())


def disk(folder: Path) -> float:
    """Return what a folder's files take, in MB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    return kept | _QUIET | {"PYTHONPATH": str(Path(__file__).parents[1])}


class _Memory(threading.Thread):
    """Looks at the resident memory of a process and all its children until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stopped.wait(_SECONDS):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in tree))
            except psutil.NoSuchProcess:
                continue  # one of them has just ended

    def stop(self) -> None:
        self._stopped.set()
        self.join()

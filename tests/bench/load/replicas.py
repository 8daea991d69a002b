"""`citewire slack` processes that can be killed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

CITEWIRE = Path(sys.executable).with_name("citewire")


class Replica:
    """One `citewire slack` process."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], port: int | None) -> None:
        self.port = port
        self._log = folder / f"{name}.log"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--http", "--port", str(self.port)] if self.port else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [CITEWIRE, "slack", *options], env=self._environment, stdout=log, stderr=log
            )

    def check(self) -> None:
        if self._process and self._process.poll() is not None:
            sys.exit(f"`citewire slack` ended:\n{self._log.read_text('utf-8', 'replace')[-2000:]}")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int | None:
        if self._process is None:
            return None
        self._process.terminate()
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    @property
    def errors(self) -> list[str]:
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return [line for line in lines if re.search(r"error|Traceback", line, re.IGNORECASE)]


def wait_for(replicas: list[Replica], ready: Callable[[], bool]) -> None:
    """Wait until the replicas are ready; end the experiment where one of them ends."""
    until = time.monotonic() + 120
    while not ready():
        for replica in replicas:
            replica.check()
        if time.monotonic() > until:
            sys.exit("`citewire slack` was not ready within two minutes")
        time.sleep(0.2)

"""A Chroma server as its own process, which can be killed and started again on the same port and folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx
import pytest

# What the command `chroma` runs, without the seconds that it imports for.
_PROGRAM = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(sys.argv[1:])"


class ChromaProcess:
    """`chroma run`, from `with` on, on a port picked by the system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        run = ["chroma", "run", "--path", self._folder, "--host", "127.0.0.1", "--port", self.port]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *map(str, run)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/api/v2/heartbeat", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        pytest.fail("`chroma run` did not start")

    def kill(self) -> None:
        """End it as `kill -9` does: nothing is finished, written or said."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def stand_still(self) -> None:
        """Stop it where it is: its port takes connections, and nobody answers them."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> ChromaProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

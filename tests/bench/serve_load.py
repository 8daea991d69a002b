"""Puts `citewire serve` under requests of every sort, good and bad, and looks at what came back and at its memory.

    python tests/bench/serve_load.py DATA_DIR QUESTIONS.jsonl [--rate 200] [--seconds 60] [--seed 0]

The service runs over a copy of the data folder, as its command starts it, with twenty tokens and the limits that it has by
itself. Exit 1 when a response is missing, is 5xx other than 503 with Retry-After, when memory grows from the middle to
the end by more than a twentieth, or when SIGTERM does not end it well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from bench.load.http import KINDS, Outcome, Target, send

from bot.answering.signed_links import SignedLinks
from bot.articles.chunking import Span
from bot.storage.article_store import open_article_store

CITEWIRE = Path(sys.executable).with_name("citewire")
_GROWTH = 1.05
_EXPECTED = {"hangs up": {499}, "hangs up within": {499}, "no HTTP": {0, 400, 404, 499}}  # besides a response


@contextmanager
def served(data_dir: Path, tokens: list[str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the service over a data folder; give its process and port."""
    named = " ".join(f"user-{n}:{token}" for n, token in enumerate(tokens))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CITEWIRE_", "SLACK_"))
    }
    environment |= {"CITEWIRE_DATA_DIR": str(data_dir), "CITEWIRE_API_TOKENS": named}
    with log.open("wb") as errors:
        process = subprocess.Popen([CITEWIRE, "serve", "--port", "0"], env=environment, stderr=errors)
    try:
        yield process, _port(process, log)
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.monotonic() + 60
    while not (found := re.search(r"Listening at http://[^:]*:(\d+)", log.read_text("utf-8"))):
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"`citewire serve` did not start:\n{log.read_text('utf-8')[-2000:]}")
        time.sleep(0.1)
    return int(found[1])


def pages(data_dir: Path) -> list[str]:
    """Return the paths of some evidence pages, as answers link to them."""
    library = open_article_store(data_dir)
    sealed = SignedLinks(library, "")
    found = [
        sealed.link(draft.article.id, draft.version, Span(passage.start, passage.end), passage.id).partition(
            "#"
        )[0]
        for draft in islice(library.iter_versions(), 200)
        for passage in draft.passages[:2]
    ]
    library.close()
    return found


def resident(pid: int) -> int:
    """Return a process's resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) // 1024


async def ready(target: Target) -> None:
    """Wait until it is ready, and ask each question once, so that what is loaded at first use is."""
    while (await send("readyz", target)).status != 200:
        await asyncio.sleep(0.2)
    for _ in range(50):
        await send("ask", target)


async def load(
    target: Target, pid: int, *, rate: float, seconds: float
) -> tuple[list[Outcome], list[int], float]:
    """Send requests at a rate, each when it is due whatever became of those before; return also memory and delay."""
    kinds, shares = list(KINDS), [share for share, _ in KINDS.values()]
    begun, tasks, memory, late = time.perf_counter(), [], [resident(pid)], 0.0
    for n in range(int(rate * seconds)):
        due = begun + n / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        late = max(late, time.perf_counter() - due)
        tasks.append(asyncio.create_task(send(random.choices(kinds, shares)[0], target)))
        if n == int(rate * seconds / 2):
            memory.append(resident(pid))
    outcomes = await asyncio.gather(*tasks)
    memory.append(resident(pid))
    return outcomes, memory, late


def wrong(outcomes: list[Outcome]) -> list[str]:
    """Say what should not have come back."""
    found = Counter(
        f"{one.kind}: {one.status or 'no response'}{'' if one.whole else ', cut off'}"
        for one in outcomes
        if one.status not in _EXPECTED.get(one.kind, ())
        and (
            one.status == 0
            or (one.status >= 500 and not (one.status == 503 and one.retry_after))
            or (one.status == 429 and not one.retry_after)
            or not one.whole
        )
    )
    return [f"{count} × {what}" for what, count in found.items()]


def show(outcomes: list[Outcome]) -> None:
    """Print a line a kind."""
    print(f"{'':22}{'sent':>6}  {'p50':>7}{'p95':>8}{'p99':>8} ms  statuses")
    for kind in [*KINDS, "all"]:
        own = [one for one in outcomes if kind in (one.kind, "all")]
        cuts = quantiles([one.seconds * 1000 for one in own], n=100, method="inclusive")
        statuses = ", ".join(
            f"{status or 'none'} {count}"
            for status, count in sorted(Counter(one.status for one in own).items())
        )
        print(f"{kind:22}{len(own):6}  {cuts[49]:7.0f}{cuts[94]:8.0f}{cuts[98]:8.0f}     {statuses}")
    for name, statuses in (("asks answered", (200,)), ("asks sent away", (429, 503))):
        own = [one for one in outcomes if one.kind in ("ask", "ask as events") and one.status in statuses]
        if len(own) > 1:
            cuts = quantiles([one.seconds * 1000 for one in own], n=100, method="inclusive")
            print(f"{name:22}{len(own):6}  {cuts[49]:7.0f}{cuts[94]:8.0f}{cuts[98]:8.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    questions = [
        json.loads(line)["question"] for line in args.questions.read_text("utf-8").splitlines() if line
    ]
    tokens = [secrets.token_hex(16) for _ in range(20)]
    with tempfile.TemporaryDirectory(prefix="citewire-load-") as name:
        data_dir, log = Path(name) / "data", Path(name) / "serve.log"
        shutil.copytree(args.data_dir, data_dir)
        found = pages(data_dir)
        with served(data_dir, tokens, log) as (process, port):
            target = Target("127.0.0.1", port, tokens, questions, found)
            asyncio.run(ready(target))
            outcomes, memory, late = asyncio.run(
                load(target, process.pid, rate=args.rate, seconds=args.seconds)
            )
            process.terminate()
            code = process.wait(60)
        errors = [line for line in log.read_text("utf-8").splitlines() if '"level": "error"' in line]
    show(outcomes)
    print(
        f"memory in MB, at start, middle and end: {', '.join(map(str, memory))}; sent at most {late * 1000:.0f} ms late"
    )
    print(f"exit code after SIGTERM: {code}; errors in the log: {len(errors)}")
    problems = wrong(outcomes)
    if memory[2] > memory[1] * _GROWTH:
        problems.append("memory grows")
    if code != 0:
        problems.append("it did not end well")
    for problem in [*problems, *errors[:5]]:
        print(f"  {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

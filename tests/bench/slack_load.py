"""Puts load on `citewire slack` while one of its two replicas is killed, and counts what became of each question.

    python tests/bench/slack_load.py [--socket] [--database-url URL] [--questions N] [--people N] [--seconds S] [--seed N] [-v]

People of the tests' Slack ask in channels, in threads without waiting for the answer before, and in direct messages.
A fifth of the events comes twice. Halfway, right after ten questions at once, one replica is killed with -9; ten
seconds later it is there again. When nothing happens any more, the messages that stand in Slack are read back: an
answer belongs to the question that the library says it answers, by the id in its buttons. An empty PostgreSQL
database can take the place of the data folder's SQLite. Exit 1 when anything is lost, doubled or out of order.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from bench.load.asking import CORPUS, Ask, ask_all, plan
from bench.load.balancer import Balancer, free_port, listens
from bench.load.reading import Result, foreign, read_back
from bench.load.replicas import CITEWIRE, Replica, wait_for
from slack_server import SlackServer

from bot.storage.article_store import open_article_store

CHANNELS = 8
REDELIVERED = 0.2
# Seconds that Slack takes for a call: what the killed replica had sent may still have its effect.
LATENCY = 0.15
CALLS = ("chat.postMessage", "chat.update", "chat.startStream", "chat.appendStream", "chat.stopStream")
DOWN = 10.0  # seconds until the killed replica is there again
QUIET = 30.0  # seconds without any call: longer than the lease of a job whose worker has died
LONGEST = 600.0
# What Slack refuses whoever takes over a dead replica's job: they cannot know that its stream still stands open.
TAKEN_OVER = "chat.update: streaming_state_conflict"


class Run(NamedTuple):
    """What is left when all is quiet; `under_way` were not yet answered at the kill."""

    slack: SlackServer
    replicas: list[Replica]
    asks: list[Ask]
    result: Result
    under_way: int
    unsafe: list[str]
    codes: list[int | None]

    @property
    def refused(self) -> list[str]:
        return [problem for problem in self.slack.problems if problem != TAKEN_OVER]

    @property
    def streams(self) -> int:
        return sum(not stream.ended for stream in self.slack.streams.values())

    @property
    def is_well(self) -> bool:
        one = self.result
        wrong = (one.lost, one.twice, one.disorder, one.others, self.refused, self.unsafe, self.streams)
        return not any((*wrong, self.slack.courier.lost, *self.codes))


def run(args: argparse.Namespace, folder: Path, stack: ExitStack) -> Run:
    """Run the experiment in a folder."""
    environment = _environment(args, folder)
    subprocess.run([CITEWIRE, "ingest", CORPUS], env=environment, check=True, capture_output=True)
    library = open_article_store(folder / "data", args.database_url)
    stack.callback(library.close)
    slack = stack.enter_context(SlackServer())
    people, channels = _settled(slack, args.people)
    environment |= {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token,
                    "SLACK_SIGNING_SECRET": slack.signing_secret, "CITEWIRE_SLACK_API_URL": slack.url}  # fmt: skip
    ports = [] if args.socket else [free_port(), free_port()]
    replicas = [
        Replica(f"replica-{n}", folder, environment, port) for n, port in enumerate(ports or [None, None])
    ]
    for replica in replicas:
        stack.callback(replica.kill)
        replica.start()
    if ports:
        slack.deliver_to = f"{stack.enter_context(Balancer(ports)).url}/slack/events"
    wait_for(replicas, lambda: all(map(listens, ports)) if ports else slack.connections == len(replicas))
    asks = plan(args, people, channels)
    under_way: list[Ask] = []

    def kill() -> None:
        replicas[0].kill()
        under_way.extend(read_back(slack, library, [ask for ask in asks if ask.ts]).lost)

    half = args.seconds / 2
    ask_all(slack, asks, [(half, kill), (half + DOWN, replicas[0].start)])
    wait_until_quiet(slack, replicas)
    result = read_back(slack, library, asks)
    codes = [replica.stop() for replica in replicas]
    return Run(slack, replicas, asks, result, len(under_way), foreign(slack, library), codes)


def _environment(args: argparse.Namespace, folder: Path) -> dict[str, str]:
    ours = ("CITEWIRE_", "SLACK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"CITEWIRE_DATA_DIR": str(folder / "data"), "CITEWIRE_DATABASE_URL": args.database_url}


def _settled(slack: SlackServer, count: int) -> tuple[list[str], list[str]]:
    """Have people and channels in Slack, and have it be slow and repeat itself."""
    people = [slack.add_person(f"U0P{number:03}") for number in range(count)]
    for person in people:
        slack.dm(person)
    slack.courier.redeliver_share, slack.courier.redeliver_within = REDELIVERED, 5.0
    for method in CALLS:
        slack.delay(method, LATENCY)
    return people, [slack.add_channel(f"C0LOAD{number}") for number in range(CHANNELS)]


def wait_until_quiet(slack: SlackServer, replicas: list[Replica]) -> None:
    """Wait until the app has called nothing for a while."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        for replica in replicas:
            replica.check()
        last = slack.calls[-1].at if slack.calls else time.perf_counter()
        if time.perf_counter() - last > QUIET:
            return
        time.sleep(1)


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and maximum."""
    if len(values) < 2:
        return (*values, *values, *values) if values else (0.0, 0.0, 0.0)
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98], max(values)


def show(args: argparse.Namespace, run: Run) -> None:
    """Print the table."""
    slack, result = run.slack, run.result
    kinds = Counter(
        "DM" if ask.channel[0] == "D" else "thread" if ask.root else "mention" for ask in run.asks
    )
    failed = Counter(ack.failure for ack in slack.acks if ack.failure)
    acks = percentiles([ack.seconds * 1000 for ack in slack.acks if not ack.failure])
    rows = [
        ("over", "Socket Mode" if args.socket else "HTTP"),
        ("library", "PostgreSQL" if args.database_url else "SQLite"),
        (
            "questions",
            f"{len(run.asks)} ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})",
        ),
        ("by people", args.people),
        ("in seconds", f"{args.seconds:g}"),
        ("deliveries", f"{len(slack.acks)}, {sum(ack.attempt > 0 for ack in slack.acks)} of them repeated"),
        ("deliveries failed", ", ".join(f"{count} {why}" for why, count in failed.items()) or 0),
        ("events never delivered", len(slack.courier.lost)),
        ("acknowledged in ms", "p50 {:.0f}, p99 {:.0f}, max {:.0f}".format(*acks)),
        ("first words after s", "p50 {:.1f}, p99 {:.1f}, max {:.1f}".format(*percentiles(result.seconds))),
        ("not yet answered at the kill", run.under_way),
        ("answered", len(result.answered)),
        ("lost", len(result.lost)),
        ("answered twice", len(result.twice)),
        ("out of order in a thread", len(result.disorder)),
        ("other messages of the bot", len(result.others)),
        ("streams found open after the kill", slack.problems.count(TAKEN_OVER)),
        ("streams left open", run.streams),
        ("calls that Slack refused", len(run.refused)),
        ("foreign links and mentions", len(run.unsafe)),
        ("exit codes after SIGTERM", ", ".join(map(str, run.codes))),
    ]
    for name, value in rows:
        print(f"{name:36}{value}")


def explain(run: Run) -> None:
    """Print each thing that went wrong, with the errors of the replicas' logs."""
    errors = [line for replica in run.replicas for line in replica.errors]
    for line in [*run.refused, *run.unsafe, *run.result.others, *errors]:
        print(f"  {line}")
    for name in ("lost", "twice", "disorder"):
        for ask in getattr(run.result, name):
            print(f"  {name}: {ask.channel} {ask.thread} {ask.ts} {ask.text}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--socket", action="store_true", help="Socket Mode instead of HTTP behind a balancer")
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL database instead of SQLite")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-v", action="store_true", help="print each thing that went wrong")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="citewire-load-"))
        done = run(args, Path(folder), stack)
        show(args, done)
        if args.v:
            explain(done)
        return 0 if done.is_well else 1


if __name__ == "__main__":
    sys.exit(main())

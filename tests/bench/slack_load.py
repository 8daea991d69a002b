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
import html
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.balancer import Balancer, free_port, listens
from slack_server import SlackServer
from sqlalchemy import select

from bot.articles.library import Library, open_library
from bot.articles.schema import answers

CORPUS = Path(__file__).parents[2] / "corpus"
CITEWIRE = Path(sys.executable).with_name("citewire")
BOT = "U0BOT"
CHANNELS = 8
DIRECT = 0.25  # of the questions outside threads
REDELIVERED = 0.2
# Seconds that Slack takes for a call: what the killed replica had sent may still have its effect.
LATENCY = 0.15
CALLS = ("chat.postMessage", "chat.update", "chat.startStream", "chat.appendStream", "chat.stopStream")
BURST = 10  # questions asked within half a second before the kill
DOWN = 10.0  # seconds until the killed replica is there again
# What who takes over a job calls, not knowing whether the dead one had come so far, and Slack then refuses.
EXPECTED = "chat.stopStream: message_not_in_streaming_state"
QUIET = 30.0  # seconds without any call: longer than the lease of a job whose worker has died
LONGEST = 600.0


@dataclass
class Ask:
    """A question that somebody will ask, `at` so many seconds; in the thread of `root`, or as a new message."""

    at: float
    person: str
    channel: str
    text: str
    mention: bool
    root: Ask | None = None
    ts: str = ""
    people: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    @property
    def thread(self) -> str:
        """The message that the answer hangs on."""
        return self.root.ts if self.root else self.ts

    @property
    def lane(self) -> tuple[str, str]:
        """What answers must keep the order of their questions in."""
        return self.channel, "" if self.channel.startswith("D") else self.thread


def plan(args: argparse.Namespace, people: list[str], channels: list[str]) -> list[Ask]:
    """Give each person their questions, most of them in threads, at random times with a burst at half time."""
    chance = random.Random(args.seed)
    texts = [json.loads(line)["question"] for line in (CORPUS / "testset.jsonl").open(encoding="utf-8")]
    half = args.seconds / 2
    times = [half - chance.random() / 2 for _ in range(BURST)]
    times += [chance.random() * args.seconds for _ in range(args.questions - BURST)]
    askers = [people[number % len(people)] for number in range(args.questions)]
    chance.shuffle(askers)
    asks: list[Ask] = []
    for at, person in zip(sorted(times), askers, strict=True):
        root = _thread_for(person, at, asks, chance)
        if root is None:
            channel = f"D{person[1:]}" if chance.random() < DIRECT else chance.choice(channels)
            ask = Ask(at, person, channel, chance.choice(texts), mention=not channel.startswith("D"))
        else:
            text = chance.choice([text for text in texts if text not in root.texts])
            root.people.add(person)
            mention = len(root.people) > 1 or chance.random() < 0.5
            ask = Ask(at, person, root.channel, text, mention, root)
        (root or ask).texts.add(ask.text)
        (root or ask).people.add(person)
        asks.append(ask)
    return asks


def _thread_for(person: str, at: float, asks: list[Ask], chance: random.Random) -> Ask | None:
    """Choose a thread to go on in: one's own, now and then a colleague's, or none."""
    begun = [ask for ask in asks if not ask.root and ask.at < at - 1 and not ask.channel.startswith("D")]
    own = [ask for ask in begun if person in ask.people]
    wanted = own if chance.random() < 0.9 else begun
    return chance.choice(wanted) if wanted and chance.random() < 0.7 else None


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


@dataclass
class Result:
    """What came of the questions; the seconds are from a question to the first words of its answer."""

    answered: list[tuple[Ask, str]] = field(default_factory=list)
    lost: list[Ask] = field(default_factory=list)
    twice: list[Ask] = field(default_factory=list)
    disorder: list[Ask] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [float(reply) - float(ask.ts) for ask, reply in self.answered]


def read_back(slack: SlackServer, library: Library, asks: list[Ask]) -> Result:
    """Match the bot's messages with the questions, by thread and by the question that their answer answers."""
    with library.reading() as connection:
        asked_by_id = {row.id: row.answer["question"] for row in connection.execute(select(answers))}
    replies: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    result = Result()
    for channel in {ask.channel for ask in asks}:
        for message in slack.messages(channel, by=BOT):
            ids = re.findall(r"[0-9a-f]{12}", json.dumps(message.get("blocks", ())))
            texts = {asked_by_id[one] for one in ids if one in asked_by_id}
            if len(texts) != 1:
                result.others.append(f"{channel} {message.get('thread_ts')}: {message.get('text', '')[:200]}")
            for text in texts:
                replies[channel, message.get("thread_ts", ""), text].append(message["ts"])
    newest: dict[tuple[str, str], str] = {}
    for ask in asks:
        found = replies.pop((ask.channel, ask.thread, ask.text), [])
        if not found:
            result.lost.append(ask)
            continue
        if len(found) > 1:
            result.twice.append(ask)
        if found[0] < newest.get(ask.lane, ""):
            result.disorder.append(ask)
        newest[ask.lane] = found[0]
        result.answered.append((ask, found[0]))
    result.others += [f"nobody asked this in {channel}: {text}" for channel, _, text in replies]
    return result


def ask_all(slack: SlackServer, asks: list[Ask], events: Iterator[tuple[float, Any]]) -> None:
    """Ask each question at its time, and do what is to be done in between."""
    began = time.monotonic()
    due = sorted([*((ask.at, ask) for ask in asks), *events], key=lambda one: one[0])
    for at, what in due:
        time.sleep(max(0.0, began + at - time.monotonic()))
        if callable(what):
            what()
            continue
        text = html.escape(what.text, quote=False)
        text = f"<@{BOT}> {text}" if what.mention else text
        what.ts = slack.say(what.channel, what.person, text, what.root.ts if what.root else None)


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


def foreign(slack: SlackServer, library: Library) -> list[str]:
    """Return what was sent that pings or leads anywhere but to the articles."""
    ours = tuple(url for headline in library.headlines() if (url := headline.url))
    return [note for note in slack.unsafe if not note.partition(": ")[2].startswith(ours)]


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and maximum."""
    if len(values) < 2:
        return (*values, *values, *values) if values else (0.0, 0.0, 0.0)
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98], max(values)


def run(args: argparse.Namespace, folder: Path) -> bool:
    """Run the experiment in a folder, print what came of it, and say whether all is well."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CITEWIRE_", "SLACK_"))
    }
    environment |= {"CITEWIRE_DATA_DIR": str(folder / "data"), "CITEWIRE_DATABASE_URL": args.database_url}
    subprocess.run([CITEWIRE, "ingest", CORPUS], env=environment, check=True, capture_output=True)
    with ExitStack() as stack:
        library = open_library(folder / "data", args.database_url)
        stack.callback(library.close)
        slack = stack.enter_context(SlackServer())
        people = [slack.add_person(f"U0P{number:03}") for number in range(args.people)]
        channels = [slack.add_channel(f"C0LOAD{number}") for number in range(CHANNELS)]
        for person in people:
            slack.dm(person)
        slack.courier.redeliver_share, slack.courier.redeliver_within = REDELIVERED, 5.0
        for method in CALLS:
            slack.delay(method, LATENCY)
        environment |= {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token,
                        "SLACK_SIGNING_SECRET": slack.signing_secret, "CITEWIRE_SLACK_API_URL": slack.url}  # fmt: skip
        ports = [None, None] if args.socket else [free_port(), free_port()]
        replicas = [Replica(f"replica-{n}", folder, environment, port) for n, port in enumerate(ports)]
        for replica in replicas:
            stack.callback(replica.kill)
            replica.start()
        if not args.socket:
            balancer = stack.enter_context(Balancer([port for port in ports if port]))
            slack.deliver_to = f"{balancer.url}/slack/events"
        _wait_for(replicas, lambda: slack.connections == 2 if args.socket else all(map(listens, ports)))
        asks = plan(args, people, channels)
        under_way = [0]

        def kill() -> None:
            replicas[0].kill()
            said = [ask for ask in asks if ask.ts]
            under_way[0] = len(read_back(slack, library, said).lost)

        half = args.seconds / 2
        ask_all(slack, asks, iter([(half, kill), (half + DOWN, replicas[0].start)]))
        wait_until_quiet(slack, replicas)
        result = read_back(slack, library, asks)
        codes = [replica.stop() for replica in replicas]
        unsafe = foreign(slack, library)
        slack.problems[:] = [problem for problem in slack.problems if not problem.startswith(EXPECTED)]
        show(args, slack, result, asks, unsafe=unsafe, under_way=under_way[0], codes=codes)
        if args.v:
            for line in [
                *slack.problems,
                *unsafe,
                *result.others,
                *(line for one in replicas for line in one.errors),
            ]:
                print(f"  {line}")
            for name in ("lost", "twice", "disorder"):
                for ask in getattr(result, name):
                    print(f"  {name}: {ask.channel} {ask.thread} {ask.ts} {ask.text}")
        wrong = (
            result.lost,
            result.twice,
            result.disorder,
            result.others,
            slack.problems,
            unsafe,
            slack.courier.lost,
        )
        return not any(wrong)


def show(
    args: argparse.Namespace, slack: SlackServer, result: Result, asks: list[Ask], *,
    unsafe: list[str], under_way: int, codes: list[int | None],
) -> None:  # fmt: skip
    """Print the table."""
    acks = percentiles([ack.seconds * 1000 for ack in slack.acks if not ack.failure])
    waits = percentiles(result.seconds)
    failed = Counter(ack.failure for ack in slack.acks if ack.failure)
    kinds = Counter(
        "DM" if ask.channel.startswith("D") else "thread" if ask.root else "mention" for ask in asks
    )
    open_streams = sum(not stream.ended for stream in slack.streams.values())
    rows = [
        ("over", "Socket Mode" if args.socket else "HTTP"),
        ("library", "PostgreSQL" if args.database_url else "SQLite"),
        (
            "questions",
            f"{len(asks)} ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})",
        ),
        ("by people", args.people),
        ("in seconds", f"{args.seconds:g}"),
        ("deliveries", f"{len(slack.acks)}, {sum(ack.attempt > 0 for ack in slack.acks)} of them repeated"),
        ("deliveries failed", ", ".join(f"{count} {why}" for why, count in failed.items()) or 0),
        ("events never delivered", len(slack.courier.lost)),
        ("acknowledged in ms", "p50 {:.0f}, p99 {:.0f}, max {:.0f}".format(*acks)),
        ("first words after s", "p50 {:.1f}, p99 {:.1f}, max {:.1f}".format(*waits)),
        ("not yet answered at the kill", under_way),
        ("answered", len(result.answered)),
        ("lost", len(result.lost)),
        ("answered twice", len(result.twice)),
        ("out of order in a thread", len(result.disorder)),
        ("other messages of the bot", len(result.others)),
        ("streams left open", open_streams),
        ("calls that Slack would refuse", len(slack.problems)),
        ("foreign links and mentions", len(unsafe)),
        ("exit codes after SIGTERM", ", ".join(map(str, codes))),
    ]
    for name, value in rows:
        print(f"{name:32}{value}")


def _wait_for(replicas: list[Replica], ready: Any) -> None:
    until = time.monotonic() + 120
    while not ready():
        for replica in replicas:
            replica.check()
        if time.monotonic() > until:
            sys.exit("`citewire slack` was not ready within two minutes")
        time.sleep(0.2)


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
    with tempfile.TemporaryDirectory(prefix="citewire-load-") as folder:
        return 0 if run(parser.parse_args(), Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())

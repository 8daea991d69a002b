"""Who asks what, where and when."""

from __future__ import annotations

import argparse
import html
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from slack_server import SlackServer

CORPUS = Path(__file__).parents[3] / "corpus"
BOT = "U0BOT"
DIRECT = 0.25  # of the questions outside threads
BURST = 10  # questions asked within the half second before half time


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
            mention = root.people != {person} or chance.random() < 0.5
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


def ask_all(
    slack: SlackServer, asks: Sequence[Ask], events: Sequence[tuple[float, Callable[[], None]]]
) -> None:
    """Ask each question at its time, and do what is to be done in between."""
    began = time.monotonic()

    def say(ask: Ask) -> None:
        text = html.escape(ask.text, quote=False)
        text = f"<@{BOT}> {text}" if ask.mention else text
        ask.ts = slack.say(ask.channel, ask.person, text, ask.root.ts if ask.root else None)

    due = [*((ask.at, partial(say, ask)) for ask in asks), *events]
    for at, do in sorted(due, key=lambda one: one[0]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        do()

"""Takes a news site's corrections and withdrawals all the way to the Slack threads that had cited them.

    python tests/bench/newsroom.py [--articles 200] [--questions 12]

A site on this machine, with a feed; `citewire ingest --feed`; `citewire slack` beside a stand-in for Slack, in which
people ask about some of the articles. Then some of these are corrected, so that the feed tells it or not, and one is
gone (410); `citewire watch --once` follows. Exit 1 where a thread is not told, told twice, or told without a cause.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from bench.load.balancer import free_port, listens
from bench.load.replicas import CITEWIRE, Replica, wait_for
from news_site import NewsSite, Story
from slack_server import SlackServer

CHANNEL = "C0NEWS"
QUIET = 15.0  # seconds without a call to Slack: three looks of the bot at what has changed


def run(args: argparse.Namespace, folder: Path, stack: ExitStack) -> bool:
    """Run the experiment in a folder, and say whether every thread was told what it had to be."""
    site = stack.enter_context(NewsSite(articles=args.articles))
    slack = stack.enter_context(SlackServer())
    environment = _environment(folder, slack)
    first = _citewire(environment, "ingest", "--feed", f"{site.url}/feed.xml")
    unchanged = _citewire(environment, "watch", "--once")
    bot = Replica("bot", folder, environment, free_port())
    stack.callback(bot.kill)
    bot.start()
    assert bot.port
    slack.deliver_to = f"http://127.0.0.1:{bot.port}/slack/events"
    wait_for([bot], lambda: listens(bot.port or 0))

    asked = {number: _ask(slack, site.stories[number]) for number in range(1, args.questions + 1)}
    _wait_until_quiet(slack, bot)
    cited = {
        number for number, ts in asked.items() if re.search(rf'/news/{number}["#]', _shown(slack, ts)[0])
    }
    corrected, quietly, gone = 1, 2, 3
    site.control("correct", corrected)
    site.control("quietly", quietly)
    site.control("gone", gone)
    changed = _citewire(environment, "watch", "--once")
    _wait_until_quiet(slack, bot)
    again = _citewire(environment, "watch", "--once")
    _wait_until_quiet(slack, bot)

    told = {number: _shown(slack, ts) for number, ts in asked.items()}
    expected = {corrected, quietly, gone} & cited
    right = {number for number, shown in told.items() if len(shown) == 2 and '"strike": true' in shown[0]}
    for name, report in (
        ("ingest --feed", first),
        ("watch, nothing new", unchanged),
        ("watch, three changes", changed),
        ("watch again", again),
    ):
        print(f"{name:22} {report}")
    print(f"questions {len(asked)}, of which cited the article asked about {len(cited)}")
    print(
        f"threads told {sorted(right)}, expected {sorted(expected)}; one message in the others: "
        f"{all(len(told[number]) == 1 for number in asked.keys() - expected)}"
    )
    affected = json.loads(
        subprocess.run(
            [CITEWIRE, "affected", "--json"], env=environment, capture_output=True, check=True
        ).stdout
    )
    print(
        "affected:",
        sorted(
            (one["question"], *(cited["standing"] for cited in one["citations"]))
            for one in affected["affected"]
        ),
    )
    print("refused by Slack:", slack.problems, "errors in the log:", bot.errors, "exit:", bot.stop())
    return right == expected == {corrected, quietly, gone} and all(
        len(told[n]) == 1 for n in asked.keys() - expected
    )


def _environment(folder: Path, slack: SlackServer) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CITEWIRE_", "SLACK_"))}
    return kept | {
        "CITEWIRE_DATA_DIR": str(folder / "data"),
        "CITEWIRE_FETCH_ALLOW": "127.0.0.1",
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "CITEWIRE_SLACK_API_URL": slack.url,
    }  # fmt: skip


def _citewire(environment: dict[str, str], *command: str) -> dict[str, Any]:
    """Run a command and return its report, with the seconds that it took."""
    begun = time.perf_counter()
    done = subprocess.run([CITEWIRE, *command, "--json"], env=environment, capture_output=True, check=False)
    if done.returncode:
        sys.exit(
            f"citewire {' '.join(command)}: {done.stderr.decode()[-2000:]} {done.stdout.decode()[-2000:]}"
        )
    report = json.loads(done.stdout)
    counts = ("added", "changed", "unchanged", "removed")
    return {**{name: report[name] for name in counts}, "whole_seconds": round(time.perf_counter() - begun, 1)}


def _ask(slack: SlackServer, story: Story) -> str:
    subject = story.title.removesuffix(f" number {story.number}")
    return slack.say(
        CHANNEL,
        slack.add_person(f"U0P{story.number:03}"),
        f"<@U0BOT> How much did the project number {story.number} cost: {subject}?",
    )


def _shown(slack: SlackServer, ts: str) -> list[str]:
    return [json.dumps(message.get("blocks") or []) for message in slack.messages(CHANNEL, ts, by="U0BOT")]


def _wait_until_quiet(slack: SlackServer, bot: Replica) -> None:
    begun = time.perf_counter()
    while time.perf_counter() - max(begun, *(call.at for call in slack.calls[-1:])) < QUIET:
        bot.check()
        time.sleep(0.5)


def main() -> None:
    """Parse the command line and run the experiment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--articles", type=int, default=200)
    parser.add_argument("--questions", type=int, default=12)
    with tempfile.TemporaryDirectory(prefix="citewire-newsroom-") as name, ExitStack() as stack:
        sys.exit(0 if run(parser.parse_args(), Path(name), stack) else 1)


if __name__ == "__main__":
    main()

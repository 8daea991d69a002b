"""`citewire slack` as a process of its own, beside a Slack that other people wrote: emulate, from npm."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulate import Emulate
from slack_app import words

CORPUS = Path(__file__).parents[2] / "corpus"
CITEWIRE = Path(sys.executable).with_name("citewire")
ME = "<@U0BOT>"


@pytest.fixture
def emulated(emulated_slack: Emulate, packaged_encoders: Path, tmp_path: Path) -> Iterator[Emulate]:
    """emulate with `citewire slack` beside it, which knows the sample articles."""
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    (data / "encoders").symlink_to(packaged_encoders)
    environment = os.environ | {
        "CITEWIRE_DATA_DIR": str(data),
        "CITEWIRE_SLACK_API_URL": f"{emulated_slack.base}/api/",
        "SLACK_BOT_TOKEN": emulated_slack.bot_token,
        "SLACK_SIGNING_SECRET": emulated_slack.signing_secret,
    }
    subprocess.run([CITEWIRE, "ingest", CORPUS], env=environment, check=True, capture_output=True)
    command = [CITEWIRE, "slack", "--http", "--port", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as app:
        assert app.stderr
        listening = next((line for line in app.stderr if "Listening" in line), "")
        emulated_slack.deliver_to = listening.split()[-1]
        try:
            yield emulated_slack
        finally:
            app.terminate()
            app.stderr.close()
            assert app.wait(30) == 0


def reply(slack: Emulate, channel: str, ts: str, count: int = 1) -> dict[str, Any]:
    """Wait for the bot's reply of that number in a thread."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        said = [one for one in slack.replies(channel, ts) if one["user"] == "U0BOT"]
        if len(said) >= count:
            return said[count - 1]
        time.sleep(0.05)  # emulate tells nobody
    raise AssertionError(f"no reply; emulate was asked {slack.requests[-5:]}")


def test_a_team_asks_and_is_answered(emulated: Emulate) -> None:
    news = emulated.channel("news")
    ts = emulated.say("ann", news, f"{ME} Why did Kim's aides wipe down his chair?")
    answer = reply(emulated, news, ts)
    assert "They polish the seat he had occupied" in words(answer)
    assert "4 September 2025" in words(answer)

    emulated.say("ann", news, "And what did they take away?", thread_ts=ts)
    assert "glass" in words(reply(emulated, news, ts, 2))

    direct = emulated.dm("ben")
    asked = emulated.say("ben", direct, "Why did Kim's aides wipe down his chair?")
    assert "They polish the seat" in words(reply(emulated, direct, asked))

    unknown = emulated.say("ben", news, f"{ME} When did Norway join the EU?")
    assert "I am not sure the articles answer this." in words(reply(emulated, news, unknown))

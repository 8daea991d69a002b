"""emulate (npm) as a second, independent Slack: its Web API holds the messages; what people say reaches the app signed.

    with Emulate(install(cache_folder)) as slack:
        slack.deliver_to = "http://127.0.0.1:3000/slack/events"
        ts = slack.say("ann", slack.channel("news"), "<@U0BOT> Who won?")
        slack.replies(slack.channel("news"), ts)

emulate 0.8.0 knows neither streams nor Socket Mode, signs its webhooks as GitHub does and gives no way to register one from
its command line; so a person's message is posted to it with that person's token, and the event made of what it stored.
It answers only POST, where slack_sdk asks with GET: `url` is a door in front of it that turns one into the other.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from slack_server.delivery import EVENTS, Courier, Delivery

PACKAGE = "emulate@0.8.0"
BOT, BOT_ID, TEAM, APP = "U0BOT", "B0BOT", "T000000001", "A0APP"
PEOPLE = ("ann", "ben")


class Unavailable(Exception):  # noqa: N818 - a test is skipped with it
    """Why emulate cannot be run here."""


def install(folder: Path) -> Path:
    """Install the package into a folder, once, and give its program."""
    program = folder / "node_modules" / "emulate" / "dist" / "index.js"
    if not (shutil.which("node") and shutil.which("npm")):
        raise Unavailable("node and npm are not installed")
    if not program.exists():
        command = [
            "npm",
            "install",
            "--prefix",
            str(folder),
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            PACKAGE,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode:
            raise Unavailable(f"npm could not install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return program


class Emulate:
    """The program in a process of its own, the door before it, and people who write."""

    def __init__(self, program: Path, folder: Path, *, signing_secret: str = "test-signing-secret") -> None:
        self.bot_token, self.signing_secret = "xoxb-emulate-bot", signing_secret
        self.deliver_to = ""
        self._courier = Courier(signing_secret=signing_secret)
        self._events = 0
        seed = folder / "emulate.json"
        seed.write_text(json.dumps(self._seed()), encoding="utf-8")
        self.base = f"http://127.0.0.1:{_free_port()}"
        self._command = [shutil.which("node") or "node", str(program), "start", "--service", "slack", "--seed", str(seed),
                         "--port", self.base.rpartition(":")[2]]  # fmt: skip
        self._log = folder / "emulate.log"

    def _seed(self) -> dict[str, Any]:
        app = {"client_id": "1.2", "client_secret": "secret", "app_id": APP, "name": "Citewire", "redirect_uris": [],
               "bot_id": BOT_ID, "bot_user_id": BOT, "bot_name": "citewire"}  # fmt: skip
        tokens = [{"token": self.bot_token, "user_id": BOT, "bot_id": BOT_ID, "app_id": APP}]
        tokens += [{"token": _token(name), "user": name} for name in PEOPLE]
        return {"slack": {"users": [{"name": name} for name in PEOPLE], "channels": [{"name": "news"}],
                          "oauth_apps": [app], "tokens": tokens}}  # fmt: skip

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._door = _Door(self.base)
        self._door.start()
        try:
            self._await()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.call("conversations.join", channel=self.channel("news"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.stop()
        self._process.kill()
        self._process.wait()

    def _await(self) -> None:
        until = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < until:
            try:
                return self.call("auth.test") and None
            except httpx.HTTPError:
                time.sleep(0.05)
        raise Unavailable(f"emulate did not start: {self._log.read_text(encoding='utf-8')}")

    @property
    def url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self._door.server_address[1]}/api/"

    @property
    def requests(self) -> list[tuple[str, int]]:
        """Every method that came through the door, with the status of its answer."""
        return self._door.seen

    def call(self, method: str, *, token: str = "", **arguments: Any) -> dict[str, Any]:
        """Call a method past the door, as the bot unless another token is given."""
        headers = {"Authorization": f"Bearer {token or self.bot_token}"}
        answer = httpx.post(f"{self.base}/api/{method}", json=arguments, headers=headers, timeout=10).json()
        assert answer.get("ok"), f"{method}: {answer}"
        return answer

    def channel(self, name: str) -> str:
        """Find a channel's id."""
        return next(
            each["id"]
            for each in self.call("conversations.list", limit=99)["channels"]
            if each["name"] == name
        )

    def user(self, name: str) -> str:
        """Find a person's id."""
        return str(self.call("auth.test", token=_token(name))["user_id"])

    def dm(self, name: str) -> str:
        """Open the direct messages between a person and the bot."""
        return str(self.call("conversations.open", users=self.user(name))["channel"]["id"])

    def replies(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """Read a thread back from emulate, its first message left out."""
        return [
            each
            for each in self.call("conversations.replies", channel=channel, ts=ts)["messages"]
            if each["ts"] != ts
        ]

    def say(self, name: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Have a person write, and deliver the events that Slack would make of it."""
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        posted = self.call("chat.postMessage", token=_token(name), channel=channel, text=text, **thread)
        message = posted["message"] | thread | {"channel": channel, "team": TEAM, "event_ts": posted["ts"]}
        direct = channel.startswith("D")
        self.deliver(message | {"channel_type": "im" if direct else "channel"})
        if f"<@{BOT}>" in text and not direct:
            self.deliver(message | {"type": "app_mention"})
        return str(posted["ts"])

    def deliver(self, event: dict[str, Any]) -> None:
        """Send an event to the app, signed; it has to be acknowledged within three seconds."""
        self._events += 1
        who = {
            "enterprise_id": None,
            "team_id": TEAM,
            "user_id": BOT,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        wrapper = {"type": "event_callback", "token": "t", "team_id": TEAM, "api_app_id": APP, "event": event,
                   "event_id": f"EvEMULATE{self._events}", "event_time": int(time.time()), "authorizations": [who],
                   "is_ext_shared_channel": False}  # fmt: skip
        body = self._courier.body(Delivery(wrapper["event_id"], EVENTS, wrapper))
        headers = self._courier.sign(body) | {"Content-Type": "application/json"}
        httpx.post(self.deliver_to, content=body, headers=headers, timeout=3).raise_for_status()


class _Door(ThreadingHTTPServer):
    """Passes requests on, GET as POST, and keeps what came."""

    daemon_threads = True

    def __init__(self, base: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.base = base
        self.seen: list[tuple[str, int]] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Passage(BaseHTTPRequestHandler):
    server: _Door

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Stay quiet."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        self._pass(asked.path, asked.query.encode(), "application/x-www-form-urlencoded")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._pass(self.path, body, self.headers.get("Content-Type") or "application/x-www-form-urlencoded")

    def _pass(self, path: str, body: bytes, kind: str) -> None:
        headers = {"Content-Type": kind, "Authorization": self.headers.get("Authorization") or ""}
        answer = httpx.post(self.server.base + path, content=body, headers=headers, timeout=10)
        self.server.seen.append((path.removeprefix("/api/"), answer.status_code))
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.content)


def _token(name: str) -> str:
    return f"xoxp-emulate-{name}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

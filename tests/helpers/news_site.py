"""A news site on this machine: articles with a feed, corrections and retractions, and whatever else a test puts there.

As a program: `python tests/news_site.py --articles 200 --port 8088`, then http://127.0.0.1:8088/feed.xml, /atom.xml,
/sitemap.xml; POST /control/correct/17 (also /quietly/17: the feed does not tell), /control/gone/23,
/control/missing/9, /control/withdraw/5 (a tombstone in /atom.xml), /control/publish (one more),
/control/feed-gone. GET /control/requests counts what was asked for.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.server
import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any, Self

BEGUN = datetime(2026, 3, 2, 8, tzinfo=UTC)
TOWNS = ("Ardmore", "Brack", "Colwen", "Dunmere", "Eastleigh", "Farrow", "Glenside", "Hartwick", "Inverlea", "Jessop")  # fmt: skip
THINGS = ("bridge", "library", "tram line", "harbour wall", "hospital wing", "school", "reservoir", "swimming pool", "market hall", "observatory")  # fmt: skip
PEOPLE = ("Mara Ellery", "Tom Quill", "Ines Varga", "Paul Okafor", "Lena Brandt", "Sam Whitlock", "Aiko Mori", "Owen Price")  # fmt: skip


@dataclass
class Story:
    """One article of the site."""

    number: int
    corrected: int = 0
    state: str = "there"  # or gone, missing, withdrawn
    told: int = 0  # corrections that the feed tells of

    @property
    def path(self) -> str:
        return f"/news/{self.number}"

    @property
    def title(self) -> str:
        town, thing = self._subject
        return f"{town} opens its new {thing} number {self.number}"

    @property
    def cost(self) -> int:
        """What the story says in millions; each correction changes it."""
        return 10 + self.number + 1000 * self.corrected

    @property
    def published(self) -> datetime:
        return BEGUN + timedelta(minutes=self.number)

    @property
    def updated(self) -> datetime:
        return self.published + timedelta(hours=self.told)

    @property
    def author(self) -> str:
        return PEOPLE[self.number % len(PEOPLE)]

    @property
    def _subject(self) -> tuple[str, str]:
        chance = random.Random(self.number)
        return chance.choice(TOWNS), chance.choice(THINGS)

    def paragraphs(self) -> list[str]:
        town, thing = self._subject
        return [
            f"The town of {town} opened its new {thing} on Monday, after {self.number + 2} years of work. "
            f"The {thing} cost {self.cost} million crowns, the council said in a statement.",
            f"{self.author} of the town's planning office called it the largest project of its kind in the region, "
            f"and said that number {self.number} on the list of public works was now done.",
            f"Visitors may see the {thing} free of charge until the end of the month. Buses to {town} run every "
            f"{5 + self.number % 20} minutes, and the ferry company has added sailings in the evening.",
        ]

    def html(self, base: str) -> str:
        data = {
            "@context": "https://schema.org",
            "@type": "NewsArticle",
            "headline": self.title,
            "datePublished": self.published.isoformat(),
            "author": {"@type": "Person", "name": self.author},
            "publisher": {"@type": "Organization", "name": "The Local Gazette"},
            "url": base + self.path,
        }
        head = (
            f'<title>{escape(self.title)}</title><link rel="canonical" href="{base}{self.path}">'
            f'<script type="application/ld+json">{json.dumps(data)}</script>'
        )
        return page(self.title, self.paragraphs(), head=head)


@dataclass
class Answer:
    """What the site answers to one path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    slowly: float = 0.0  # seconds between two bytes
    validated: bool = True  # with an ETag, and 304 for who has it


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    at: float
    status: int


def page(title: str, paragraphs: Iterable[str], *, head: str = "") -> str:
    body = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    return f"<!doctype html><html><head>{head}</head><body><article><h1>{escape(title)}</h1>{body}</article></body></html>"


class NewsSite:
    """Serves from `with` to its end, on a port picked by the system unless one is named."""

    def __init__(self, *, articles: int = 0, port: int = 0, host: str = "127.0.0.1") -> None:
        self.stories = {number: Story(number) for number in range(1, articles + 1)}
        self.answers: dict[str, Answer | Callable[[dict[str, str]], Answer]] = {}
        self.asked: list[Asked] = []
        self.robots = ""
        self.feed_gone = False
        self._server = _Server((host, port), _Handler)
        self._server.site = self
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self) -> None:
        self._server.serve_forever()

    # What a test puts there

    def put(self, path: str, body: str | bytes = b"", status: int = 200, kind: str = "text/html; charset=utf-8",
            **options: Any) -> str:  # fmt: skip
        """Answer a path so, and return its address; `headers`, `slowly` and `validated` go to Answer."""
        data = body.encode() if isinstance(body, str) else body
        headers = {**({"Content-Type": kind} if kind else {}), **options.pop("headers", {})}
        self.answers[path] = Answer(data, status, headers, **options)
        return self.url + path

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self.put(path, status=status, headers={"Location": to}, validated=False)

    def paths(self) -> list[str]:
        """Return what was asked for, without robots.txt."""
        return [asked.path for asked in self.asked if asked.path != "/robots.txt"]

    def control(self, command: str, number: int = 0) -> None:
        if command == "publish":
            number = max(self.stories, default=0) + 1
            self.stories[number] = Story(number)
        elif command == "feed-gone":
            self.feed_gone = True
        elif command in ("correct", "quietly"):
            self.stories[number].corrected += 1
            self.stories[number].told += command == "correct"
        else:
            states = {"gone": "gone", "missing": "missing", "withdraw": "withdrawn", "back": "there"}
            self.stories[number].state = states[command]

    # What it answers

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        own = self.answers.get(path)
        if own is not None:
            return own if isinstance(own, Answer) else own(headers)
        if path == "/robots.txt":
            return Answer(self.robots.encode(), 200 if self.robots else 404, {"Content-Type": "text/plain"})
        if path in ("/feed.xml", "/atom.xml", "/sitemap.xml") and self.feed_gone:
            return Answer(status=410)
        feeds = {"/feed.xml": (self.rss, "rss+xml"), "/atom.xml": (self.atom, "atom+xml"), "/sitemap.xml": (self.sitemap, "xml")}  # fmt: skip
        if path in feeds:
            made, kind = feeds[path]
            return Answer(made().encode(), headers={"Content-Type": f"application/{kind}; charset=utf-8"})
        if path.startswith("/news/") and path[6:].isdigit() and (story := self.stories.get(int(path[6:]))):
            if story.state in ("gone", "missing"):
                return Answer(b"gone", 410 if story.state == "gone" else 404)
            return Answer(story.html(self.url).encode(), headers={"Content-Type": "text/html; charset=utf-8"})
        return Answer(b"not found", 404)

    @property
    def _newest_first(self) -> list[Story]:
        return sorted(self.stories.values(), key=lambda story: -story.number)

    def rss(self) -> str:
        items = "".join(
            f"<item><title>{escape(story.title)}</title><link>{self.url}{story.path}</link>"
            f"<guid isPermaLink='false'>story-{story.number}</guid><pubDate>{format_datetime(story.published)}</pubDate>"
            f"<description>Opened on Monday{', corrected' * story.told}.</description></item>"
            for story in self._newest_first
        )
        return f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>The Local Gazette</title><link>{self.url}/</link>{items}</channel></rss>'

    def atom(self) -> str:
        entries = "".join(
            f"<at:deleted-entry ref='tag:gazette,{story.number}' when='2026-03-09T00:00:00Z'/>"
            if story.state == "withdrawn"
            else f"<entry><id>tag:gazette,{story.number}</id><title>{escape(story.title)}</title>"
            f"<link href='{story.path}'/><published>{story.published.isoformat()}</published>"
            f"<updated>{story.updated.isoformat()}</updated></entry>"
            for story in self._newest_first
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
            f'xmlns:at="http://purl.org/atompub/tombstones/1.0"><title>The Local Gazette</title>{entries}</feed>'
        )

    def sitemap(self) -> str:
        urls = "".join(
            f"<url><loc>{self.url}{story.path}</loc><lastmod>{story.updated.isoformat()}</lastmod></url>"
            for story in self._newest_first
        )
        return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    site: NewsSite

    def handle_error(self, *_: object) -> None:
        """A client that goes away in the middle is what some tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each body waits for its headers to be acknowledged
    server: _Server

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path == "/control/requests":
            return self._send(Answer(str(len(self.server.site.asked)).encode(), validated=False))
        answer = self.server.site.answer(self.path, headers)
        etag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
        if answer.status == 200 and answer.validated:
            answer.headers.setdefault("ETag", etag)
            if headers.get("if-none-match") == answer.headers["ETag"]:
                answer = Answer(status=304, headers={"ETag": answer.headers["ETag"]})
        self.server.site.asked.append(Asked(self.path, headers, time.monotonic(), answer.status))
        return self._send(answer)

    def do_POST(self) -> None:
        _, _, command, *number = self.path.split("/")
        self.server.site.control(command, int(number[0]) if number else 0)
        self._send(Answer(b"done", validated=False))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers and answer.status != 304:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        step = 1 if answer.slowly else 65_536
        for start in range(0, len(answer.body), step):
            time.sleep(answer.slowly)
            self.wfile.write(answer.body[start : start + step])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def packed(body: str | bytes) -> bytes:
    return gzip.compress(body.encode() if isinstance(body, str) else body, mtime=0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--articles", type=int, default=200)
    parser.add_argument("--port", type=int, default=8088)
    options = parser.parse_args()
    site = NewsSite(articles=options.articles, port=options.port)
    print(site.url, flush=True)
    site.serve()


if __name__ == "__main__":
    main()

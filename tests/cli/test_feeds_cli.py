"""`ingest URL`, `watch` and `feeds` as commands: what they print where, and how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import WordEmbedder
from news_site import NewsSite

from bot.cli.main import main
from bot.crawler.lock import watcher_lock
from bot.services import Services
from bot.settings import load_settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site() -> Iterator[NewsSite]:
    with NewsSite(articles=3) as opened:
        yield opened


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, with an embedding that can be computed by hand."""
    monkeypatch.setattr(Services, "open_embedder", property(lambda _self: WordEmbedder))
    monkeypatch.setenv("CITEWIRE_FETCH_ALLOW", "127.0.0.1")
    monkeypatch.setenv("TERMINAL_WIDTH", "300")

    def command(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["citewire", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_pages_and_files_come_in_with_one_command(run: Run, site: NewsSite, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A lander touched down on the Moon on Wednesday.", "utf-8")
    code, out, _ = run("ingest", tmp_path / "a.txt", site.url + "/news/1", "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["added"], report["library"]["articles"]) == (2, 2)
    code, out, _ = run("articles", "--json")
    assert {one["author"] for one in json.loads(out)["articles"]} == {"", site.stories[1].author}


def test_what_cannot_be_fetched_is_told_and_the_rest_comes_in(run: Run, site: NewsSite) -> None:
    code, out, err = run("ingest", site.url + "/news/1", "http://10.0.0.1/x")
    assert code == 1
    assert (
        "skipped: http://10.0.0.1/x: 10.0.0.1 is a private address: allow it with CITEWIRE_FETCH_ALLOW=10.0.0.1"
        in err
    )
    assert out.startswith("1 added, 0 changed, 0 unchanged, 0 removed, 1 skipped\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("ingest", "--feed", "."), "it goes with a feed's address"),
        (("ingest", "http://127.0.0.1/x", "--engine", "ray"), "addresses are fetched without Ray"),
        (("ingest", "ftp://127.0.0.1/x"), "no such file or folder"),
        (("watch", "--every", "0"), "--every"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run: Run, args: tuple[str, ...], said: str) -> None:
    code, _, err = run(*args)
    assert code == 2
    assert said in err


def test_without_feeds_watch_says_how_to_take_one_in(run: Run) -> None:
    code, _, err = run("watch", "--once")
    assert code == 1
    assert "no feeds are known: `citewire ingest --feed URL` takes one in and remembers it" in err


def test_feeds_are_taken_in_watched_listed_and_stopped(run: Run, site: NewsSite) -> None:
    url = site.url + "/feed.xml"
    assert run("ingest", "--feed", url)[0] == 0
    site.control("correct", 2)
    site.control("gone", 3)
    code, out, _ = run("watch", "--once", "--json")
    report = json.loads(out)
    assert code == 0
    assert [report[name] for name in ("added", "changed", "removed", "skipped")] == [0, 1, 1, []]
    code, out, _ = run("feeds")
    assert out.splitlines()[1].split("\t")[0::2] == ["ok", "The Local Gazette", ""]
    site.control("feed-gone")
    code, _, err = run("watch", "--once")
    assert code == 1
    assert "it is polled no more, its articles stay" in err
    [feed] = json.loads(run("feeds", "--json")[1])["feeds"]
    assert (feed["url"], feed["state"], feed["due"]) == (url, "gone", None)
    assert json.loads(run("feeds", "--remove", url, "--json")[1]) == {"feeds": []}
    code, _, err = run("feeds", "--remove", url)
    assert code == 1
    assert "no such feed" in err
    assert "No feeds yet" in run("feeds")[2]


def test_a_second_watch_says_that_there_is_one(run: Run, site: NewsSite) -> None:
    run("ingest", "--feed", site.url + "/feed.xml")
    workspace = Services(load_settings())
    with watcher_lock(workspace, wait=False, stopping=threading.Event()):
        code, _, err = run("watch", "--once")
    workspace.close()
    assert code == 1
    assert "another `citewire watch` polls these feeds already" in err


WATCHING = """
import sys
sys.path[:0] = {path!r}
from conftest import WordEmbedder
from bot.cli.main import main
from bot.services import Services
Services.open_embedder = property(lambda self: WordEmbedder)
sys.argv = ["citewire", "watch", *{options!r}]
main()
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_watch_runs_until_it_is_told_to_stop(run: Run, site: NewsSite, ending: signal.Signals, options: list[str]) -> None:  # fmt: skip
    run("ingest", "--feed", site.url + "/feed.xml")
    site.control("publish")
    here = Path(__file__).parents[1]
    script = WATCHING.format(
        path=[str(here), str(here / "helpers"), str(here.parent)], options=["--every", "1", *options]
    )
    workspace = Services(load_settings())
    with workspace.articles.transaction() as connection:
        connection.exec_driver_sql("UPDATE feeds SET due = 0")
    workspace.close()
    watching = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    stream = watching.stdout if options else watching.stderr
    assert stream
    line = stream.readline()
    assert ('"added": 1' if options else "INFO bot.crawler.watch: 1 added, 0 changed, 0 removed") in line
    watching.send_signal(ending)
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, err
    assert "Traceback" not in out + err


def test_nothing_heavy_is_imported_for_help() -> None:
    script = "import sys, bot.cli.main; print([n for n in ('httpx', 'httpcore', 'feedparser', 'trafilatura', 'lxml', 'protego', 'tld') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

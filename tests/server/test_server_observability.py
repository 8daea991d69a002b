"""What is seen of the service from outside: health, metrics, its log and its traces, and never a word of a text."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from conftest import FOUR, WordEmbedder, make
from openai_server import OpenAIServer, Reply
from otlp_collector import Collector, Span
from prometheus_client.parser import text_string_to_metric_families
from service_app import CUP, WHO_WON, Service, StartService

from bot.crawler.store import CrawlStore, FeedRecord
from bot.errors import EmbeddingError, SettingsError
from bot.observability.logging import configure_logging
from bot.observability.tracing import tracing
from bot.server.errors import Reason

CITEWIRE = Path(sys.executable).with_name("citewire")


def samples(service: Service) -> dict[str, set[str]]:
    """The metrics of ours by name, each with its labels' values."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(service.client.get("/metrics").text):
        for sample in family.samples:
            if sample.name.startswith("citewire_"):
                found.setdefault(sample.name, set()).update(sample.labels.values())
    return found


def test_metrics_have_the_names_that_alerts_ask_for(service: Service) -> None:
    service.ask()
    service.ask("Who painted the ceiling?")
    service.client.post("/ask", content=b"{", headers={"Content-Type": "application/json"})
    found = samples(service)
    assert found["citewire_questions_total"] == {"http", "slack"}
    assert found["citewire_answers_total"] == {"answered", "not_found", "small_talk", "error"}
    assert found["citewire_tokens_total"] == {"read", "written"}
    assert found["citewire_up"] == {"library", "chroma", "words", "model"}
    assert found["citewire_refused_total"] == set(get_args(Reason))
    assert service.metric('citewire_refused_total{reason="input"}') == 1
    assert found["citewire_requests_total"] >= {"/ask", "200", "400"}
    for name in ("answer_seconds_bucket", "sentences_dropped_total", "queue_waiting", "queue_running"):
        assert f"citewire_{name}" in found
    assert service.metric("citewire_articles") == 4
    assert service.metric("citewire_newest_article_timestamp_seconds") == 1_692_748_800  # 23 August 2023
    assert service.metric('citewire_answers_total{status="answered"}') == 1
    assert service.metric('citewire_answers_total{status="not_found"}') == 1
    assert service.metric("citewire_answer_seconds_count") == 2
    assert service.metric("process_resident_memory_bytes") > 0


def test_feeds_are_counted_by_their_state(service: Service) -> None:
    ledger = CrawlStore(service.workspace.articles)
    for name, state in [("a", "ok"), ("b", "ok"), ("c", "failing")]:
        ledger.put_feed(FeedRecord(url=f"https://{name}.example/feed", state=state))
    counted = {
        state: service.metric(f'citewire_feeds{{state="{state}"}}') for state in ("ok", "failing", "gone")
    }
    assert counted == {"ok": 2, "failing": 1, "gone": 0}


def test_nothing_that_is_sent_becomes_a_label(service: Service) -> None:
    for n in range(20):
        service.client.request(f"METHOD{n}", f"/path{n}", headers={"User-Agent": f"agent{n}"})
        service.client.get(f"/articles/article{n}?v={n + 1}")
    text = service.client.get("/metrics").text
    for sent in ("METHOD", "path1", "agent1", "article1"):
        assert sent not in text
    assert samples(service)["citewire_requests_total"] == {
        "/articles/{id}",
        "other",
        "404",
        "/metrics",
        "200",
    }


def test_a_chat_model_s_tokens_and_dropped_sentences_are_counted(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    said = (
        "Argentina won the final against France on penalties [1]. Brazil paid Norway 12 million dollars [1]."
    )
    with OpenAIServer([Reply(said, usage=(700, 30))]) as model:
        service = start_service(chat_model="openai:test", chat_base_url=model.url)
        events = service.events()
    assert [event for event, _ in events] == ["sentence", "answer"]
    assert "Brazil" not in events[0][1]["text"]
    assert service.metric("citewire_sentences_dropped_total") == 1
    assert service.metric('citewire_tokens_total{direction="read"}') == 700
    assert service.metric('citewire_tokens_total{direction="written"}') == 30


@pytest.mark.parametrize("part", ["library", "words"])
def test_readiness_names_the_part_that_is_not_there(
    service: Service, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    if part == "library":
        with service.workspace.articles.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE facts RENAME TO away")
    else:
        service.workspace.bm25.delete()
        service.workspace.bm25.folder.write_text("no folder")
    found = service.client.get("/readyz")
    assert found.status_code == 503
    assert int(found.headers["retry-after"]) > 0
    assert part in found.json()["failing"]
    assert f"not ready: {part}: " in caplog.text  # with why, which is nobody else's business
    assert found.json().keys() == {"ready", "failing"}
    assert service.client.get("/healthz").status_code == 200
    assert service.metric(f'citewire_up{{part="{part}"}}') == 0


def test_it_is_not_ready_before_its_model_is_loaded_or_with_another_model_s_vectors(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WordEmbedder, "load", refuse)  # as where the weights are broken
    service = start_service()
    assert service.client.get("/readyz").json()["failing"] == ["model"]
    service.embedder.model = "another"
    service.stop()
    again = start_service(articles=())
    again.embedder.model = "another"
    assert "chroma" in again.client.get("/readyz").json()["failing"]


def refuse(_: object) -> None:
    raise EmbeddingError("the weights are broken")


def test_a_collection_without_articles_is_ready(start_service: StartService) -> None:
    service = start_service(articles=())
    assert service.client.get("/readyz").status_code == 200
    assert service.ask().json()["status"] == "not_found"


# The log


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_each_request_and_each_answer_has_a_line_with_the_answer_s_id(
    service: Service, log: io.StringIO
) -> None:
    answer = service.ask(headers={"X-Request-ID": "r-1"}).json()
    service.client.get("/nowhere?key=secret")
    service.client.get("/healthz")
    answered, asked, nowhere = lines(log)
    assert answered["event"] == "answered"
    assert answered["answer_id"] == asked["answer_id"] == answer["id"]
    assert answered["request_id"] == asked["request_id"] == "r-1"
    assert (answered["status"], answered["via"]) == ("answered", "http")
    assert (asked["event"], asked["method"], asked["route"], asked["code"]) == (
        "request",
        "POST",
        "/ask",
        200,
    )
    assert (nowhere["route"], nowhere["code"]) == ("other", 404)
    assert "answer_id" not in nowhere


def test_no_word_of_a_text_and_no_token_is_logged(
    start_service: StartService, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "0123456789abcdef"
    service = start_service(api_tokens=f"desk:{token}", public_url="https://citewire.example.org")
    bearer = {"Authorization": f"Bearer {token}"}
    link = service.ask("What struck southern Türkiye?", headers=bearer).json()["citations"][0]["link"]
    service.client.get(link.removeprefix("https://citewire.example.org"))
    service.ask(headers={"Authorization": "Bearer wrong-token-of-somebody"})
    service.ask("x" * 3_000, headers=bearer, foo="bar")

    def broken(*_: object, **__: object) -> None:
        raise ValueError(f"{CUP} {token}")

    monkeypatch.setattr(service.workspace.retriever, "search", broken)
    assert service.ask(headers=bearer).status_code == 500
    said = log.getvalue()
    assert "ValueError" in said
    for word in (
        "Türkiye",
        "struck",
        "penalties",
        token,
        "somebody",
        "xxx",
        "foo",
        "key=",
        link.split("key=")[1][:22],
    ):
        assert word not in said


def test_other_packages_log_through_it_too_and_threads_bear_their_question_s_ids(
    service: Service, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = service.workspace.retriever.search

    def warned(*args: Any, **options: Any) -> Any:
        logging.getLogger("some.package").warning("slow: %s s", 5)
        logging.getLogger("some.package").info("not told")
        return search(*args, **options)

    monkeypatch.setattr(service.workspace.retriever, "search", warned)
    answer = service.ask().json()
    [slow] = [line for line in lines(log) if line["logger"] == "some.package"]
    assert (slow["event"], slow["level"], slow["answer_id"]) == ("slow: 5 s", "warning", answer["id"])


def test_in_a_terminal_it_is_text(monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    monkeypatch.setattr(sys, "stderr", log)
    configure_logging("text")
    logging.getLogger("bot.x").info("begun", extra={"code": 200})
    assert "begun" in log.getvalue()
    assert "code=200" in log.getvalue()
    assert "{" not in log.getvalue()


# Traces


def of(spans: list[Span], name: str) -> Span:
    [found] = [span for span in spans if span.name == name]
    return found


def test_spans_are_sent_where_opentelemetry_s_variables_say(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    trace = "0af7651916cd43dd8448eb211c80319c"
    with Collector() as collector, OpenAIServer([Reply(f"{CUP[:-1]} [1].")]) as model:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with tracing():
            service = start_service(chat_model="openai:test", chat_base_url=model.url)
            response = service.ask(headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
            failed = service.client.get("/nowhere")
            service.stop()
    assert (response.status_code, failed.status_code) == (200, 404)
    spans = [span for span in collector.spans if span.trace == trace]
    request = of(spans, "request")
    assert request.parent == "b7ad6b7169203331"
    assert request.service == "citewire"
    assert {span.name for span in spans} >= {
        "understand",
        "retrieve",
        "vectors",
        "words",
        "compose",
        "verify",
    }
    for name, parent in [("understand", "request"), ("retrieve", "request"), ("vectors", "retrieve"),
                         ("words", "retrieve"), ("compose", "request"), ("verify", "request")]:  # fmt: skip
        assert of(spans, name).parent == of(spans, parent).id, name
        assert of(spans, name).attributes["citewire.answer_id"] == response.json()["id"]
    for word in (b"Argentina", b"penalties", WHO_WON.encode()):
        assert word not in collector.bytes


def test_without_them_nothing_of_it_is_imported() -> None:
    script = (
        "import sys; from bot.observability.tracing import tracing\n"
        "with tracing(): pass\n"
        "from bot.observability.tracing import span\n"
        "with span('x', a=1): pass\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    )


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
def test_what_they_ask_for_and_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=value), tracing():
        pass


# The command itself


def test_the_command_serves_until_sigterm(tmp_path: Path, packaged_encoders: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "encoders").symlink_to(packaged_encoders)
    articles = tmp_path / "four.jsonl"
    articles.write_text("\n".join(json.dumps(record) for record in FOUR))
    assert make(dict(FOUR[0])).id == "moon"
    environment = {**os.environ, "CITEWIRE_DATA_DIR": str(data), "CITEWIRE_LOG_FORMAT": "json"}
    subprocess.run([CITEWIRE, "ingest", articles], env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        [CITEWIRE, "serve", "--port", "0"],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    url = process.stderr.readline().rpartition(" ")[2].strip()
    asked = httpx.post(f"{url}/ask", json={"question": WHO_WON}, timeout=60, trust_env=False)
    assert asked.json()["text"].startswith("Argentina won")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert {json.loads(line)["event"] for line in err.splitlines()} == {"answered", "request"}


def test_a_wrong_start_is_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [CITEWIRE, "--data-dir", tmp_path / "data", "serve", "--host", "0.0.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(
        "citewire: at 0.0.0.0 whoever reaches it could ask: set CITEWIRE_API_TOKENS"
    )

"""Slack's events beside questions over HTTP, in one process."""

from __future__ import annotations

import io
import json

import pytest
from otlp_collector import Collector
from service_app import CUP, Service, StartService
from slack_app import ANN, ME, NEWS, replies, words
from slack_server import SlackServer

from bot.errors import SlackError
from bot.observability.tracing import tracing
from bot.server.timeouts import Timeouts


@pytest.fixture
def both(slack: SlackServer, start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    service = start_service(slack_api_url=slack.url)
    slack.deliver_to = [f"{service.url}/slack/events"]
    return service


def test_slack_is_answered_and_so_is_whoever_asks_over_http(both: Service, slack: SlackServer) -> None:
    assert both.said[0].endswith(f", for Slack at {both.url}/slack/events")
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    assert CUP in words(replies(slack, NEWS, ts)[0])
    assert both.ask().json()["text"] == CUP
    assert both.metric('citewire_questions_total{via="slack"}') == 1
    assert both.metric('citewire_questions_total{via="http"}') == 1
    assert both.metric('citewire_answers_total{status="answered"}') == 2
    assert both.client.get("/slack/events").status_code == 405
    assert both.client.post("/slack/events", content=b"{}").status_code == 401  # not signed


def test_one_id_goes_with_an_answer_through_log_and_spans(
    slack: SlackServer, start_service: StartService, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with tracing():
            service = start_service(slack_api_url=slack.url)
            slack.deliver_to = [f"{service.url}/slack/events"]
            ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
            replies(slack, NEWS, ts)
            service.stop()
    [answered] = [
        line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "answered"
    ]
    assert answered["via"] == "slack"
    assert service.workspace.answers.load(answered["answer_id"])
    [job] = [span for span in collector.spans if span.name == "slack job"]
    own = [span for span in collector.spans if span.trace == job.trace]
    assert {"understand", "retrieve", "vectors", "words"} <= {span.name for span in own}
    assert any(span.name.startswith("slack chat.") for span in own)
    assert {span.attributes["citewire.answer_id"] for span in own} == {answered["answer_id"]}


def test_a_link_to_evidence_is_shown_in_slack(
    slack: SlackServer, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    service = start_service(slack_api_url=slack.url, public_url="https://daily.example/quake")
    slack.deliver_to = [f"{service.url}/slack/events"]
    ts = slack.say(NEWS, ANN, f"{ME} What struck southern Türkiye before dawn?")
    shown = json.dumps(replies(slack, NEWS, ts)[0])
    assert "https://daily.example/quake/articles/quake?v=1&q=" in shown
    slack.unsafe.clear()  # the stand-in knows links to the articles' own addresses alone


def test_while_slack_is_away_all_else_is_answered_and_it_is_tried_again(
    slack: SlackServer, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    slack.fail("auth.test", status=429, retry_after=600)
    slack.fail("auth.test", drop=True)
    slack.fail("auth.test", status=503)
    slack.fail("auth.test", "internal_error", times=1_000)
    hurried = Timeouts(slack_retry_min=0.01, slack_ping_interval=0.02, slack_ping_timeout=0.5)
    service = start_service(slack_api_url=slack.url, patience=hurried)
    assert service.ask().json()["text"] == CUP
    assert service.client.get("/readyz").status_code == 200  # it takes questions, if not Slack's
    assert service.metric('citewire_up{part="slack"}') == 0
    refused = service.client.post("/slack/events", content=b"{}")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    slack.mend("auth.test")
    slack.wait_for(lambda: service.metric('citewire_up{part="slack"}') == 1)
    slack.deliver_to = [f"{service.url}/slack/events"]
    ts = slack.say(NEWS, ANN, f"{ME} Who won the final against France?")
    assert CUP in words(replies(slack, NEWS, ts)[0])


def test_slack_going_away_and_coming_back_is_seen_and_told_once_each(
    slack: SlackServer,
    start_service: StartService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    service = start_service(
        slack_api_url=slack.url, patience=Timeouts(slack_retry_min=0.01, slack_ping_interval=0.01)
    )
    slack.fail("auth.test", status=503, times=1_000)
    slack.wait_for(lambda: service.metric('citewire_up{part="slack"}') == 0)
    slack.mend("auth.test")
    slack.wait_for(lambda: service.metric('citewire_up{part="slack"}') == 1)
    said = [line.getMessage() for line in caplog.records if "Slack is" in line.getMessage()]
    assert [line.partition(",")[0] for line in said] == ["Slack is away", "Slack is there again"]


def test_a_token_that_slack_refuses_ends_it_at_once(
    slack: SlackServer, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-wrong")
    monkeypatch.setenv("SLACK_SIGNING_SECRET", slack.signing_secret)
    with pytest.raises(SlackError, match="Slack refuses SLACK_BOT_TOKEN"):
        start_service(slack_api_url=slack.url)
    slack.problems.clear()


def test_where_slack_is_not_set_up_nothing_is_told_of_it(service: Service) -> None:
    assert 'part="slack"' not in service.client.get("/metrics").text

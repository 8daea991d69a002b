"""deploy/alerts.yaml: each alert is about metrics that there are, fires when it should, and leads to what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from deploy_helpers import DEPLOY, ROOT, run, tool

(GROUP,) = yaml.safe_load((DEPLOY / "alerts.yaml").read_text("utf-8"))["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
PAGE = (DEPLOY / "OPERATIONS.md").read_text("utf-8")
# What Prometheus itself and its client for Python tell of every process.
THEIRS = {"up", "process_resident_memory_bytes"}


def metrics(expression: str) -> set[str]:
    """Return the metrics that an expression reads, without what Prometheus appends to their names."""
    names = re.findall(r"\b(citewire_\w+|process_\w+|up)\b(?!=)", expression)
    return {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in names}


def told() -> set[str]:
    """Return the names of the metrics that the program makes."""
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "bot").rglob("*.py"))
    return set(re.findall(r'(?:Counter|Gauge|Histogram)\(\s*"(citewire_[a-z_]+)"', sources))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_well_formed(name: str) -> None:
    rule = ALERTS[name]
    promql_parser.parse(rule["expr"])
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "runbook"}
    assert re.fullmatch(r"Citewire[A-Z]\w+", name)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_reads_metrics_that_there_are(name: str) -> None:
    read = metrics(ALERTS[name]["expr"])
    assert read
    assert read - THEIRS <= told()


def sections() -> dict[str, str]:
    """Return the page's sections by the anchors of their headings."""
    parts = re.split(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): text
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_what_it_means_and_what_to_do(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook"].partition("#")
    assert page == "OPERATIONS.md"
    text = sections()[anchor]
    for metric in metrics(ALERTS[name]["expr"]):
        assert f"`{metric}" in text, metric
    assert len(text.split()) > 15


def test_every_metric_has_its_normal_range_on_the_page() -> None:
    watched = set(re.findall(r"^\| `(citewire_\w+?)(?:_total)?[`{]", PAGE, re.MULTILINE))
    assert watched == {re.sub(r"_total$", "", name) for name in told()}


def test_no_section_is_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (Citewire\w+)$", PAGE, re.MULTILINE)) == set(ALERTS)


def test_prometheus_takes_the_rules_and_the_example() -> None:
    promtool = tool("promtool")
    run_quietly = run(promtool, "check", "rules", DEPLOY / "alerts.yaml")
    assert f"{len(ALERTS)} rules found" in run_quietly
    run(promtool, "check", "config", "--syntax-only", DEPLOY / "prometheus.yaml")


def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    promtool = tool("promtool")
    tests = (ROOT / "tests/data/alerts.test.yaml").read_text("utf-8")
    (tmp_path / "alerts.yaml").write_text((DEPLOY / "alerts.yaml").read_text("utf-8"), encoding="utf-8")
    (tmp_path / "alerts.test.yaml").write_text(tests, encoding="utf-8")
    tested = {one["alertname"] for test in yaml.safe_load(tests)["tests"] for one in test["alert_rule_test"]}
    assert tested == set(ALERTS)
    run(promtool, "test", "rules", tmp_path / "alerts.test.yaml")


def test_the_example_reads_where_the_service_tells() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    assert job["job_name"] == "citewire"
    assert 'job="citewire"' in ALERTS["CitewireDown"]["expr"]
    unit = (DEPLOY / "systemd" / "citewire-serve.service").read_text("utf-8")
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert f"--host {host} --port {port}" in unit

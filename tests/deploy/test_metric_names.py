"""Names of metrics: dashboards, alerts, docs and code speak of the same ones."""

import re
from functools import cache
from pathlib import Path

import pytest

from benchmarks.engine_metrics import EngineMetrics
from deploy.grafana.queries import queries
from server.app import create_app
from server.settings import Settings

ROOT = Path(__file__).parents[2]
SHOWN_NOWHERE: set[str] = set()
"""Metrics of Ponder's that no panel shows, on purpose."""
NO_METRICS = {"ponder_brevity"}
"""What else is named like one: a package."""
NAME = re.compile(r"\b(?:ponder_\w*[a-z]|vllm:\w+)")
SERIES = re.compile(r"_(?:bucket|sum|count)$")
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def told(text):
    """The names of metrics in a page of Prometheus' text format."""
    return {name for name in re.findall(r"^# TYPE (\S+) \w+$", text, re.MULTILINE) if not name.endswith("_created")}


@cache
def ponder_metrics():
    return told(create_app(Settings()).state.metrics.text().decode())


def used(text):
    """The names of metrics that a text speaks of, those of a histogram's series as the histogram's."""
    return {SERIES.sub("", name) for name in NAME.findall(text)} - NO_METRICS


def test_every_metric_of_ponder_is_in_some_panel_and_every_one_there_exists():
    shown = used(" ".join(query.text for query in queries()))
    assert {name for name in shown if name.startswith("ponder")} == ponder_metrics() - SHOWN_NOWHERE


def test_every_metric_of_the_engine_in_a_panel_is_one_that_the_simulated_engine_has_too():
    shown = used(" ".join(query.text for query in queries()))
    simulated = told(EngineMetrics("m").text(0, 0, 0, 0).decode())
    assert {name for name in shown if name.startswith("vllm")} <= simulated


@pytest.mark.parametrize("file", ["deploy/prometheus/rules.yml", "deploy/prometheus/rules_test.yml", *PAGES])
def test_every_metric_that_is_spoken_of_exists(file):
    spoken = {name for name in used((ROOT / file).read_text()) if name.startswith("ponder_")}
    assert spoken <= ponder_metrics()

"""Alerts: promtool's own tests of them, and one of each that is told of in the docs."""

import re
import subprocess
from pathlib import Path

from tests.observing import needs

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
ALERTS = re.findall(r"- alert: (\w+)", (PROMETHEUS / "rules.yml").read_text())


def promtool(*arguments):
    return subprocess.run([needs("promtool"), *arguments], capture_output=True, text=True, cwd=PROMETHEUS)


def test_the_configuration_and_the_rules_are_valid():
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stderr


def test_every_alert_fires_when_it_should_and_not_before():
    tested = promtool("test", "rules", "rules_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not():
    cases = re.findall(r"alertname: (\w+)( })?", (PROMETHEUS / "rules_test.yml").read_text())
    silent = {name for name, closed in cases if closed}
    firing = {name for name, closed in cases if not closed}
    assert silent == firing == set(ALERTS)


def test_the_page_says_what_to_do_about_every_alert():
    page = (ROOT / "docs/observe.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(ALERTS)

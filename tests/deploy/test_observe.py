"""`make observe`: a real Prometheus beside a server, with the rules, that leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.grafana.queries import FOLDER, queries
from deploy.observe import Failed, Watched, grafana, prometheus
from tests.observing import Asked, free_port, needs

ROOT = Path(__file__).parents[2]


def descendants(pid):
    """Processes that this one has started, and theirs."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    below = [int(one) for one in listing.read_text().split()] if listing.exists() else []
    return below + [deeper for one in below for deeper in descendants(one)]


def eventually(true, seconds=30.0):
    """What `true()` gives once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.1)
    pytest.fail("it did not come to pass")


@contextmanager
def observing(folder, *flags):
    """`python -m deploy.observe` that is ready, and what it has printed."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "deploy.observe", *flags]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            yield process, said
        finally:
            process.kill()


def test_it_scrapes_with_the_rules_and_leaves_nothing_behind(tmp_path):
    needs("prometheus")
    port = free_port()
    flags = ("--port", str(port), "--url", "http://127.0.0.1:1", "--engine", "http://127.0.0.1:2", "--interval", "1s")
    with observing(tmp_path, *flags) as (process, said), Asked(f"http://127.0.0.1:{port}") as asked:
        assert "Nobody answers at http://127.0.0.1:1" in said
        assert all(query.expr() in said for query in queries())
        assert len(asked.get("rules")["groups"][0]["rules"]) > 5
        assert eventually(lambda: asked.now('up{job="ponder"}')) == [0.0]
        assert eventually(lambda: asked.now('up{job="vllm"}')) == [0.0]
        started = descendants(process.pid)
        assert started
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []


def test_prometheus_ends_with_it_even_when_it_is_killed(tmp_path):
    needs("prometheus")
    with observing(tmp_path, "--port", str(free_port())) as (process, _):
        started = descendants(process.pid)
        process.kill()
        process.wait()
    eventually(lambda: not [pid for pid in started if Path(f"/proc/{pid}").exists()])


def test_a_port_that_is_taken_is_told(tmp_path):
    needs("prometheus")
    port = free_port()
    with (
        prometheus(Watched("http://127.0.0.1:1"), tmp_path, port),
        tempfile.TemporaryDirectory() as other,
        pytest.raises(Failed, match="already"),
        prometheus(Watched("http://127.0.0.1:1"), Path(other), port),
    ):
        pass


def test_without_prometheus_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="apt-get install prometheus"), prometheus(Watched("http://a"), tmp_path, 1):
        pass


def test_grafana_is_started_with_the_dashboards_where_it_is_installed(tmp_path, monkeypatch):
    program = tmp_path / "grafana"
    program.write_text(
        f"#!/bin/sh\necho $@ $GF_SERVER_HTTP_PORT $PROMETHEUS_URL $PONDER_DASHBOARDS >{tmp_path}/told\nexec sleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with grafana(tmp_path, 3001, "http://127.0.0.1:9", [str(tmp_path)]) as shown:
        told = eventually((tmp_path / "told").exists) and eventually((tmp_path / "told").read_text)
    assert shown == "http://127.0.0.1:3001"
    assert told.split() == ["server", "--homepath", str(tmp_path), "3001", "http://127.0.0.1:9", str(FOLDER)]


def test_without_grafana_there_is_none(tmp_path):
    with grafana(tmp_path, 3001, "http://127.0.0.1:9", []) as shown:
        assert shown is None


def test_tests_without_their_tools_are_skipped_and_fail_in_ci(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install prometheus"):
        needs("promtool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install prometheus"):
        needs("promtool")


def test_the_configuration_names_servers_engines_rules_and_the_key(tmp_path):
    key = tmp_path / "key"
    watched = Watched("http://a:1", ["http://b:2", "http://c:3"], "3s", key)
    text = watched.configuration()
    for part in ('["a:1"]', '["b:2", "c:3"]', "scrape_interval: 3s", str(ROOT / "deploy/prometheus/rules.yml")):
        assert part in text
    assert f'authorization: {{ credentials_file: "{key}" }}' in text.replace("    # authorization", "")
    assert "authorization" not in Watched("http://a").configuration().replace("# authorization", "")

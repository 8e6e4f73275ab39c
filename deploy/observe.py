"""Prometheus beside a running Ponder, and Grafana where it is installed, until Ctrl-C: `make observe`.

Both listen on this machine only and keep what they see in a folder that goes with them.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.grafana.queries import queries

HERE = Path(__file__).resolve().parent
GUARD = HERE.parent / "server" / "backends" / "guard.py"
PROMETHEUS, GRAFANA = HERE / "prometheus", HERE / "grafana"
HOMES = ("/usr/share/grafana", "/opt/homebrew/share/grafana", "/usr/local/share/grafana")
"""Where packages of Grafana put what it serves."""
MISSING = "observe: needs Prometheus (Debian: `apt-get install prometheus`; others: https://prometheus.io/download)"
START = 30.0
"""Seconds that Prometheus may take to be ready."""


class Failed(Exception):
    """Something did not start; the message says what, and why."""


@dataclass(frozen=True)
class Watched:
    """What is scraped, how often (`15s`), and a file with the key for it where Ponder wants one."""

    ponder: str
    engines: Sequence[str] = ()
    interval: str = "15s"
    key: Path | None = None

    def configuration(self) -> str:
        """prometheus.yml for these addresses."""
        text = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
        text = text.replace('["127.0.0.1:8000"]', json.dumps([urlsplit(self.ponder).netloc]))
        text = text.replace('["127.0.0.1:8001"]', json.dumps([urlsplit(engine).netloc for engine in self.engines]))
        text = text.replace("[rules.yml]", json.dumps([str(PROMETHEUS / "rules.yml")])).replace("15s", self.interval)
        if self.key:
            commented = "# authorization: { credentials_file: /etc/prometheus/ponder.key }"
            text = text.replace(commented, f"authorization: {{ credentials_file: {json.dumps(str(self.key))} }}")
        return text


@contextmanager
def guarded(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that ends with this block, and with this process however that ends."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), "--", *command],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait()


@contextmanager
def prometheus(watched: Watched, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Prometheus that is ready. Raises Failed, with the end of its log."""
    program = shutil.which("prometheus")
    if program is None:
        raise Failed(MISSING)
    if answers(ready := f"http://127.0.0.1:{port}/-/ready"):
        raise Failed(f"observe: there is a Prometheus on port {port} already; another port: --port")
    settings, log = folder / "prometheus.yml", folder / "prometheus.log"
    settings.write_text(watched.configuration(), encoding="utf-8")
    command = [program, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}"]
    with guarded([*command, f"--web.listen-address=127.0.0.1:{port}"], log) as process:
        until = time.monotonic() + START
        while not answers(ready):
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"observe: Prometheus did not start\n{log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.1)
        yield process


@contextmanager
def grafana(folder: Path, port: int, source: str, homes: Sequence[str] = HOMES) -> Iterator[str | None]:
    """A Grafana with the dashboards, and where it is; None where it is not installed."""
    program = shutil.which("grafana") or shutil.which("grafana-server")
    home = next((home for home in homes if Path(home).is_dir()), None)
    if program is None or home is None:
        yield None
        return
    environment = {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_PATHS_DATA": str(folder / "grafana"),
        "GF_PATHS_LOGS": str(folder / "grafana"),
        "GF_PATHS_PROVISIONING": str(GRAFANA / "provisioning"),
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "PROMETHEUS_URL": source,
        "PONDER_DASHBOARDS": str(GRAFANA / "dashboards"),
    }
    command = [program, *(["server"] if Path(program).name == "grafana" else []), "--homepath", home]
    with guarded(command, folder / "grafana.log", environment):
        yield f"http://127.0.0.1:{port}"


def answers(url: str) -> bool:
    """Whether there is a good answer."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def told() -> str:
    """The dashboards' queries, ready to be pasted."""
    lines, title = [], ""
    for query in queries():
        if query.dashboard != title:
            title = query.dashboard
            lines.append(f"\n{title}")
        lines.append(f"  {query.panel}, {query.legend}\n    {query.expr()}")
    return "\n".join(lines)


def observe(watched: Watched, port: int, grafana_port: int) -> None:
    """Run until Prometheus ends, or a signal comes. Raises Failed."""
    source = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory(prefix="ponder-observe-") as made,
        prometheus(watched, Path(made), port) as process,
        grafana(Path(made), grafana_port, source) as shown,
    ):
        print(told())
        if not answers(f"{watched.ponder}/health"):
            print(f"\nNobody answers at {watched.ponder}: start it with `make run`.")
        print(f"\nPrometheus: {source}/graph   alerts: {source}/alerts")
        print(f"Grafana: {shown or 'not installed'}\nCtrl-C ends it.", flush=True)
        process.wait()
        raise Failed("observe: Prometheus has ended")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.observe", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where Ponder is")
    parser.add_argument("--engine", action="append", default=[], help="an engine's URL; may be given several times")
    parser.add_argument("--key-file", type=Path, help="a file with a key that may read /metrics")
    parser.add_argument("--interval", default="5s", help="between two scrapes")
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--grafana-port", type=int, default=3000)
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
        signal.signal(number, signal.default_int_handler)
    key = given.key_file and given.key_file.resolve()
    try:
        observe(Watched(given.url, given.engine, given.interval, key), given.port, given.grafana_port)
    except Failed as failed:
        sys.exit(str(failed))
    except KeyboardInterrupt:
        print("\nEnded.")


if __name__ == "__main__":
    main()

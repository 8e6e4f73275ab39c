"""What `/metrics` tells, all of it from the events of runs. Labels are names of ours: no user's text becomes one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from server.backends.health import Health
from strategies.events import Closed, Event, Lost, Token
from strategies.meter import Meter
from strategies.protocols import Observer

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["strategy", "model"]
        self.requests = Counter(
            "ponder_requests", "Requests by outcome: ok, cut, error, gone", [*labels, "outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "ponder_request_duration_seconds", "Wall time of requests", labels, buckets=SECONDS, registry=self.registry
        )
        self.samples = Counter(
            "ponder_samples", "Sequences by how they ended", [*labels, "outcome"], registry=self.registry
        )
        self.tokens = Counter(
            "ponder_tokens", "Tokens received: sampled, verifier", [*labels, "purpose"], registry=self.registry
        )
        self.running = Gauge("ponder_requests_running", "Requests at work now", registry=self.registry)
        self.retries = Counter("ponder_upstream_retries", "Calls to engines tried once more", registry=self.registry)
        self.up = Gauge("ponder_engine_up", "Whether an engine gets calls, 0 or 1", ["engine"], registry=self.registry)

    def watch(self, health: Mapping[str, Health]) -> None:
        """Tell of engines, by their names in the settings, whether they are in."""
        for name, state in health.items():
            self.up.labels(name).set_function(partial(up, state))

    def observer(self, strategy: str, model: str) -> Observer:
        """What counts the events of one request."""
        sampled = self.tokens.labels(strategy, model, "sampled")  # looked up once: a token is an event

        def count(event: Event) -> None:
            match event:
                case Token(tokens=tokens):
                    sampled.inc(tokens)
                case Closed(candidate):
                    self.samples.labels(strategy, model, candidate.finish).inc()
                case Lost():
                    self.samples.labels(strategy, model, "lost").inc()

        return count

    @contextmanager
    def request(self, strategy: str, model: str, meter: Meter) -> Iterator[None]:
        """Count one request, and how it ended."""
        started, outcome = anyio.current_time(), "error"
        try:
            with self.running.track_inprogress():
                yield
            outcome = "cut" if meter.cut else "ok"
        except anyio.get_cancelled_exc_class():
            outcome = "gone"
            raise
        finally:
            self.tokens.labels(strategy, model, "verifier").inc(meter.spent.verifier)
            self.requests.labels(strategy, model, outcome).inc()
            self.seconds.labels(strategy, model).observe(anyio.current_time() - started)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self.registry)


def up(state: Health) -> float:
    """1 for an engine that gets calls, 0 for one that is out."""
    return float(not state.out)

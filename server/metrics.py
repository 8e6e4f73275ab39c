"""What `/metrics` tells, all of it from the events of runs. Labels are names of ours: no user's text becomes one."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        self.refusals = Counter(
            "ponder_refusals", "Requests sent away: 401, 403, 429, 503", ["status"], registry=self.registry
        )
        self.retries = Counter("ponder_upstream_retries", "Calls to engines made again", registry=self.registry)
        self.up = Gauge("ponder_engine_up", "0 while an engine is out for failing", ["engine"], registry=self.registry)

    @contextmanager
    def request(self, strategy: str, model: str, meter: Meter) -> Iterator[Observer]:
        """Count one request, what happens in it (yields what counts that) and how it ended.

        Tokens count as they come; what no event told of, those of verifiers and of samples that nobody waited for any
        more, when the request ends, however it does.
        """
        started, outcome, told = anyio.current_time(), "error", 0
        sampled = self.tokens.labels(strategy, model, "sampled")  # looked up once: a token is an event

        def count(event: Event) -> None:
            nonlocal told
            match event:
                case Token(tokens=tokens):
                    told += tokens
                    sampled.inc(tokens)
                case Closed(candidate):
                    self.samples.labels(strategy, model, candidate.finish).inc()
                case Lost():
                    self.samples.labels(strategy, model, "lost").inc()

        try:
            with self.running.track_inprogress():
                yield count
            outcome = "cut" if meter.cut else "ok"
        except anyio.get_cancelled_exc_class():
            outcome = "gone"
            raise
        finally:
            sampled.inc(max(0, meter.spent.sampled - told))
            self.tokens.labels(strategy, model, "verifier").inc(meter.spent.verifier)
            self.requests.labels(strategy, model, outcome).inc()
            self.seconds.labels(strategy, model).observe(anyio.current_time() - started)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self.registry)

"""What `/metrics` tells. Labels are names of the settings and of the code: no user's text becomes one.

Where several workers serve, each writes what it counts into files of its own, which any of them adds up on a scrape
(prometheus-client's multiprocess mode). A worker goes on with the files of the one whose place it takes.

`python -m server.metrics` prints the table of docs/metrics.md.
"""

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from server.series import Bound, Family, M, SharedBound

MOST = 2000
"""Series of a server, unless the settings say otherwise."""
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that tells prometheus-client in a worker where all of them keep what they count."""
LEDGER = "names"
"""The file there that tells whose series there is room for."""
DURATIONS = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 180, 600)
FIRSTS = (0.025, 0.1, 0.25, 1, 2.5, 10, 60)
WAITS = (0.001, 0.01, 0.1, 1, 5, 15, 60)
VERDICTS = (0.01, 0.1, 0.5, 2, 10, 60)
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1)
AGREEMENTS = (0.25, 0.5, 0.75, 0.9, 1)
RUN = ("strategy", "model")
OUTCOME = "outcome=ok|cut|error|gone"
CAUSE = "cause=connect|timeout|reset|status|overloaded|refused|garbage|error_in_stream|other"


class Metrics:
    """The metrics of one server; each is a `Family`, whose `at` gives the child to count with."""

    def __init__(self, most: int = MOST) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.families: list[Family[Any]] = []
        self._readings: list[tuple[Gauge, Callable[[], float]]] = []
        self._bound = self._bounded(most)
        self._of_requests()
        self._of_searches()
        self._of_engines()
        self._of_the_server()

    def _bounded(self, most: int) -> Bound:
        def dropped() -> None:
            self.dropped.at().inc()

        return SharedBound(most, dropped, Path(os.environ[FOLDER]) / LEDGER) if several() else Bound(most, dropped)

    def _of_requests(self) -> None:
        self.requests = self._counter("requests", "Chats and responses that began, by how they ended", *RUN, OUTCOME)
        self.running = self._gauge("requests_running", "Those at work now")
        text = "From the arrival of a request to its end"
        self.seconds = self._histogram("request_duration_seconds", DURATIONS, text, *RUN)
        text = "From its arrival to the first byte of a good reply; of one that is no stream, to the whole of it"
        self.first_byte = self._histogram("time_to_first_byte_seconds", FIRSTS, text, *RUN)
        text = "From its arrival to the first token of the answer, after all thinking and searching"
        self.first_answer = self._histogram("time_to_first_answer_token_seconds", FIRSTS, text, *RUN)
        self.key_requests = self._counter("key_requests", "The same requests by the key that asked", "key", OUTCOME)
        text = "Tokens by key: those that engines read, and those that they sampled, verifiers' too"
        self.key_tokens = self._counter("key_tokens", text, "key", "purpose=prompt|completion")
        self.refusals = self._counter("refusals", "Requests sent away", "status=401|403|429|503")

    def _of_searches(self) -> None:
        fates = "outcome=used|pruned|early_stopped|aborted|lost"
        self.samples = self._counter("samples", "Sequences started, by what became of them", *RUN, fates)
        text = "Tokens sampled, by what they were for; the four sum to all that engines billed"
        self.tokens = self._counter("tokens", text, *RUN, "purpose=answer|thinking|discarded|verifier")
        text = "Tokens that engines read, by whether they came from their prefix caches"
        self.prompt_tokens = self._counter("prompt_tokens", text, "model", "cache=hit|miss")
        text = "The share of its budget that a request had spent in the end"
        limits = "limit=tokens|samples|seconds"
        self.budget = self._histogram("budget_used_ratio", SHARES, text, "strategy", limits)
        self.cuts = self._counter("budget_cuts", "Requests cut by a limit of their budget", *RUN, limits)
        text = "The share of the votes for the answer that was chosen, where there were several candidates"
        self.agreement = self._histogram("vote_agreement_ratio", AGREEMENTS, text, *RUN)
        self.saved = self._counter("tokens_saved", "Tokens not sampled for a search stopped early: an estimate", *RUN)
        self.scores = self._histogram("verifier_score", SHARES, "Scores that a verifier gave", "verifier")
        text = "How long a verifier took over the candidates that it was given at a time"
        self.judging = self._histogram("verifier_duration_seconds", VERDICTS, text, "verifier")

    def _of_engines(self) -> None:
        self.upstream_running = self._gauge("upstream_requests_running", "Calls at an engine now", "engine")
        text = "Calls to an engine; aborted are those that nobody needed any more"
        self.upstream = self._counter("upstream_requests", text, "engine", "outcome=ok|error|aborted")
        self.upstream_errors = self._counter("upstream_errors", "Calls that failed, by why", "engine", CAUSE)
        self.retries = self._counter("upstream_retries", "Calls to engines made again")
        self.up = self._gauge("engine_up", "0 while a worker sends an engine no calls", "engine", mode="livemin")

    def _of_the_server(self) -> None:
        self.queue = self._gauge("queue_length", "Requests that wait to be let in")
        self.waited = self._histogram("queue_seconds", WAITS, "How long those that were let in had waited")
        self.oldest = self._gauge("queue_oldest_seconds", "How long the first of the queue has waited", mode="livemax")
        self.reserved_tokens = self._gauge("reserved_tokens", "Tokens that requests at work may still become")
        self.reserved_samples = self._gauge("reserved_samples", "Sequences that they may have in flight")
        self.build = self._gauge("build_info", "1", "version", "python", mode="max")
        self.build.at(version("ponder"), platform.python_version()).set(1)
        text = "Times that names were counted as `other`, for there were too many series"
        self.dropped = self._counter("dropped_series", text)
        text = "The longest that the event loop was late in the last half to whole minute"
        self.lag = self._gauge("event_loop_lag_seconds", text, mode="livemax")

    def _counter(self, name: str, help: str, *labels: str) -> Family[Counter]:
        return self._family(Counter, name, help, labels)

    def _gauge(self, name: str, help: str, *labels: str, mode: str = "livesum") -> Family[Gauge]:
        """`mode`: how the values of several workers make one."""
        return self._family(Gauge, name, help, labels, multiprocess_mode=mode)

    def _histogram(self, name: str, buckets: tuple[float, ...], help: str, *labels: str) -> Family[Histogram]:
        return self._family(Histogram, name, help, labels, buckets=buckets)

    def _family(self, kind: type[M], name: str, help: str, labels: tuple[str, ...], **options: Any) -> Family[M]:
        family = Family(kind, f"ponder_{name}", help, labels, self._bound, registry=self.registry, **options)
        self.families.append(family)
        return family

    def reads(self, gauge: Gauge, read: Callable[[], float]) -> None:
        """Set a gauge to what `read` gives, now and whenever they are refreshed."""
        self._readings.append((gauge, read))
        gauge.set(read())

    def refresh(self) -> None:
        """Set the gauges that are read. Other workers' are as they last did it."""
        for gauge, read in self._readings:
            gauge.set(read())

    def text(self) -> bytes:
        """All of them, those of all workers, in Prometheus' text format."""
        self.refresh()
        registry = self.registry
        if several():
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def several() -> bool:
    """Whether this is one of several workers."""
    return values.ValueClass is not values.MutexValue


def count_as(place: str) -> None:
    """From now on, what this process counts is kept in the files of its place among the workers."""
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]


def markdown() -> str:
    """The table of all metrics."""
    rows = []
    for family in Metrics().families:
        labels, kind = ", ".join(map(label_told, family.labels)), family.kind.__name__.lower()
        rows.append(f"| `{family.told}` | {labels} | {kind} | {family.help} |")
    return "\n".join(["| metric | labels | kind | |", "|---|---|---|---|", *rows]) + "\n"


def label_told(label: str) -> str:
    """A label, with all its values where the code knows them."""
    name, _, known = label.partition("=")
    return f"`{name}`" + (f" ({', '.join(known.split('|'))})" if known else "")


if __name__ == "__main__":
    print(markdown(), end="")

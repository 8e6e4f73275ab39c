"""What the simulated engine tells Prometheus: names, labels, buckets of vLLM 0.32 (vllm/v1/metrics/loggers.py)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SIMULATED = "Simulated."
LABELS = ("model_name", "engine")
LATENCY = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
TAIL = (0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, *TAIL, 160, 640, 2560)
BETWEEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, *TAIL)
FINISHED = ("stop", "length", "abort", "error", "repetition")
COUNTERS = ("prompt_tokens", "prefix_cache_queries", "prefix_cache_hits", "num_preemptions")
KV_TOKENS = 262144
"""Tokens that the cache holds, which nothing here fills: usage is told, and never felt."""


@dataclass
class Tally:
    """A histogram whose values may come many at a time, so that a step of all sequences is one observation."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds and how many values were not above them."""
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class EngineMetrics:
    """The counters of one engine. As in vLLM, each of a request's n samples is a request."""

    def __init__(self, model: str) -> None:
        self._labels = (model, "0")
        self.counted: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self.finished: Counter[str] = Counter(dict.fromkeys(FINISHED, 0))
        self._queued, self._latency = Tally(LATENCY), Tally(LATENCY)
        self._first, self._between = Tally(FIRST), Tally(BETWEEN)

    def began(self, prompts: Sequence[Sequence[int]], n: int, cached: int, wait: float) -> None:
        """A request of n samples of each prompt came; the first found so many tokens cached, the others of it all."""
        tokens = sum(map(len, prompts))
        self.counted["prompt_tokens"] += tokens * n
        self.counted["prefix_cache_queries"] += tokens * n
        self.counted["prefix_cache_hits"] += cached + tokens * (n - 1)
        self._queued.observe(wait, n * len(prompts))

    def stepped(self, samples: int, since_it_came: float, since_last_step: float | None) -> None:
        """So many samples of a request got a token, their first where there was no step before."""
        if since_last_step is None:
            self._first.observe(since_it_came, samples)
        else:
            self._between.observe(since_last_step, samples)

    def ended(self, reason: str, samples: int, seconds: float | None = None) -> None:
        """Samples ended for this reason, so long after they came; vLLM times only those that it has finished."""
        self.finished[reason] += samples
        if seconds is not None:
            self._latency.observe(seconds, samples)

    def text(self, generated: int, running: int, waiting: int, held: int) -> bytes:
        """All of it, with what the engine counts itself: tokens, samples by where they are, tokens in the cache."""
        usage = min(1.0, held / KV_TOKENS)
        gauges = {"num_requests_running": running, "num_requests_waiting": waiting, "kv_cache_usage_perc": usage}
        return generate_latest(Told([*self._gauges(gauges), *self._counters(generated), *self._histograms()]))

    def _gauges(self, values: Mapping[str, float]) -> Iterator[Metric]:
        for name, value in values.items():
            gauge = GaugeMetricFamily(f"vllm:{name}", SIMULATED, labels=LABELS)
            gauge.add_metric(self._labels, value)
            yield gauge

    def _counters(self, generated: int) -> Iterator[Metric]:
        for name, value in {**self.counted, "generation_tokens": generated}.items():
            counter = CounterMetricFamily(f"vllm:{name}", SIMULATED, labels=LABELS)
            counter.add_metric(self._labels, value)
            yield counter
        success = CounterMetricFamily("vllm:request_success", SIMULATED, labels=(*LABELS, "finished_reason"))
        for reason, number in self.finished.items():
            success.add_metric((*self._labels, reason), number)
        yield success

    def _histograms(self) -> Iterator[Metric]:
        for name, tally in (
            ("time_to_first_token_seconds", self._first),
            ("inter_token_latency_seconds", self._between),
            ("e2e_request_latency_seconds", self._latency),
            ("request_queue_time_seconds", self._queued),
        ):
            histogram = HistogramMetricFamily(f"vllm:{name}", SIMULATED, labels=LABELS)
            histogram.add_metric(self._labels, tally.buckets(), tally.total)
            yield histogram


@dataclass(frozen=True)
class Told(Collector):
    """Metrics that are there already."""

    metrics: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        return self.metrics

"""What the load has seen, counted where it was seen."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OUTCOMES = ("ok", "cut", "error", "gone")
"""Those of `ponder_requests_total`: answered, answered within a limit that was reached, failed, left by the caller."""


@dataclass
class Counts:
    """Exact counts of one load: by strategy where a strategy was at work, and seconds of requests that were answered.

    `completion` and `samples` are of answered requests; nobody tells a caller what the others have cost.
    """

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    completion: Counter[str] = field(default_factory=Counter)
    samples: Counter[str] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)
    prompt: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    first_bytes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def answered(self, strategy: str, usage: Mapping[str, int], trace: Mapping[str, Any]) -> None:
        """A whole answer came, with its usage and its trace."""
        self.requests[strategy, "cut" if trace["cut"] else "ok"] += 1
        self.completion[strategy] += usage["completion_tokens"]
        self.prompt += usage["prompt_tokens"]
        self.samples[strategy] += trace["tokens"]["samples"]

    def failed(self, strategy: str, why: str) -> None:
        """A request that had begun ended in an error."""
        self.requests[strategy, "error"] += 1
        self.failures[why] += 1

    def outcome(self, outcome: str) -> int:
        """Requests that ended so, of all strategies."""
        return sum(number for (_, ended), number in self.requests.items() if ended == outcome)

    @property
    def told(self) -> set[str]:
        """Strategies whose requests were all answered, so that their tokens and samples are known to the last one."""
        untold = {strategy for strategy, outcome in self.requests if outcome in ("error", "gone")}
        return {strategy for strategy, _ in self.requests} - untold

    def as_json(self) -> dict[str, Any]:
        requests = {
            strategy: {outcome: self.requests[strategy, outcome] for outcome in OUTCOMES}
            for strategy in sorted({strategy for strategy, _ in self.requests})
        }
        return {
            "requests": requests,
            "completion_tokens": dict(self.completion),
            "samples": dict(self.samples),
            "refusals": {str(status): number for status, number in sorted(self.refusals.items())},
            "prompt_tokens": self.prompt,
            "failures": dict(self.failures),
            "first_byte_seconds": quantiles(self.first_bytes),
            "seconds": quantiles(self.seconds),
        }

    def table(self) -> str:
        """The counts for people."""
        head = ("strategy", *OUTCOMES, "samples", "tokens")
        rows = [
            (name, *(one[outcome] for outcome in OUTCOMES), self.samples[name], self.completion[name])
            for name, one in self.as_json()["requests"].items()
        ]
        lines = [f"{row[0]:20}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in (head, *rows)]
        times = "\n".join(
            f"{name}: " + ", ".join(f"{of} {value:.3f} s" for of, value in quantiles(seconds).items())
            for name, seconds in (("first byte", self.first_bytes), ("answer", self.seconds))
        )
        return "\n".join(
            (*lines, f"refusals by status: {dict(self.refusals)}", f"failures: {dict(self.failures)}", times)
        )


def quantiles(seconds: list[float]) -> dict[str, float]:
    """The median, the 95th and the 99th percentile; nothing of fewer than two values."""
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {f"p{at}": round(cuts[at - 1], 6) for at in (50, 95, 99)}

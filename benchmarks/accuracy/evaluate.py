"""Points of a curve: one strategy on one pool, its accuracy and cost for each problem."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from benchmarks.accuracy import pool, stats
from benchmarks.accuracy.freeze import Curve
from benchmarks.accuracy.live import registry
from benchmarks.accuracy.pool import Drawn, Pool
from benchmarks.accuracy.replay import Outcome, orders, replay, virtually

RESAMPLES = 20
"""Orders of its samples in which each problem is replayed."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value a problem: the share of replays that were right, mean tokens generated, mean sequential tokens."""

    task: str
    model: str
    label: str
    n: int
    right: tuple[float, ...]
    tokens: tuple[float, ...]
    sequential: tuple[float, ...]
    unanswered: float

    @property
    def name(self) -> str:
        return f"{self.label}@{self.n}"

    @property
    def cost(self) -> float:
        """Mean tokens a problem."""
        return fmean(self.tokens)

    def summary(self) -> dict[str, Any]:
        """Its means and intervals, for JSON."""
        told = {"right": asdict(stats.mean(self.right)), "tokens": self.cost, "sequential": fmean(self.sequential)}
        named = {"task": self.task, "model": self.model, "label": self.label, "n": self.n}
        return named | told | {"unanswered": self.unanswered, "problems": len(self.right)}


def curve(wanted: Curve, drawn: Pool, resamples: int = RESAMPLES) -> list[Point]:
    """A strategy at each of its `n`, on one pool."""
    return [point(wanted, drawn, n, resamples) for n in wanted.n]


def point(wanted: Curve, drawn: Pool, n: int, resamples: int) -> Point:
    """A strategy at one `n`."""
    strategy = registry().strategy(wanted.settings(n))

    async def all_problems() -> list[list[Outcome]]:
        return [
            [await replay(strategy, problem, order, wanted.verifier) for order in orders(problem, resamples)]
            for problem in drawn.problems
        ]

    outcomes = virtually(all_problems)
    return Point(
        drawn.about["task"],
        drawn.about["model"],
        wanted.label,
        n,
        tuple(fmean(outcome.right for outcome in each) for each in outcomes),
        tuple(fmean(outcome.tokens for outcome in each) for each in outcomes),
        tuple(fmean(outcome.sequential for outcome in each) for each in outcomes),
        fmean(not outcome.answered for each in outcomes for outcome in each),
    )


def greedy(drawn: Pool) -> Point:
    """A pool of one answer each, at temperature 0."""
    first = [problem.samples[0] for problem in drawn.problems]
    tokens = tuple(float(sample.tokens) for sample in first)
    return Point(
        drawn.about["task"],
        drawn.about["model"],
        "greedy",
        1,
        tuple(float(sample.right) for sample in first),
        tokens,
        tokens,
        fmean(sample.answer is None for sample in first),
    )


def ceiling(drawn: Pool, k: int) -> stats.Interval:
    """pass@k: the share of problems with a right one among `k` samples, the most that any choice can reach."""
    return stats.mean([pass_of(problem, k) for problem in drawn.problems])


def pass_of(problem: Drawn, k: int) -> float:
    return stats.pass_at(len(problem.samples), sum(sample.right for sample in problem.samples), k)


def between(points: Sequence[Point], tokens: float) -> Point:
    """The mixture of two neighbouring points that costs `tokens` a problem on the mean; the nearest where none does."""
    ordered = sorted(points, key=lambda each: each.cost)
    for low, high in pairwise(ordered):
        if low.cost <= tokens <= high.cost:
            share = (tokens - low.cost) / (high.cost - low.cost) if high.cost > low.cost else 0.0
            return mixture(low, high, share)
    return ordered[0] if tokens < ordered[0].cost else ordered[-1]


def mixture(low: Point, high: Point, share: float) -> Point:
    """`high` in this share of all requests, `low` in the others."""

    def mixed(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
        return tuple((1 - share) * x + share * y for x, y in zip(a, b, strict=True))

    return Point(
        low.task,
        low.model,
        f"{low.label} {low.n} to {high.n}",
        low.n,
        mixed(low.right, high.right),
        mixed(low.tokens, high.tokens),
        mixed(low.sequential, high.sequential),
        (1 - share) * low.unanswered + share * high.unanswered,
    )


def samples(drawn: Pool) -> dict[str, Any]:
    """What a pool's samples are like: right on the mean, without an answer, cut off, tokens each."""
    each = [sample for problem in drawn.problems for sample in problem.samples]
    width = len(drawn.problems[0].samples)
    mean = stats.mean([fmean(sample.right for sample in problem.samples) for problem in drawn.problems])
    return {
        "problems": len(drawn.problems),
        "samples": width,
        "mean": asdict(mean),
        "ceiling": asdict(ceiling(drawn, width)),
        "unparsed": fmean(sample.answer is None for sample in each),
        "cut": fmean(sample.finish != "stop" for sample in each),
        "tokens": fmean(sample.tokens for sample in each),
        **{key: drawn.about[key] for key in ("task", "model", "wording", "temperature", "split")},
    }


__all__ = ["Point", "between", "ceiling", "curve", "greedy", "point", "pool", "samples"]

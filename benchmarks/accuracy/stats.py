"""The statistics: problems are the unit, intervals are 95% from a bootstrap over them. Pure Python, seeded."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from statistics import fmean

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95% percentile interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@lru_cache(maxsize=4)
def draws(count: int, resamples: int = RESAMPLES, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    """Bootstrap samples of `count` problems, by their places."""
    rng = Random(seed)
    return tuple(tuple(rng.choices(range(count), k=count)) for _ in range(resamples))


def bootstrap(count: int, statistic: Callable[[Sequence[int]], float], resamples: int = RESAMPLES) -> Interval:
    """`statistic` of all `count` problems, and its interval over resamples of them."""
    values = sorted(statistic(drawn) for drawn in draws(count, resamples))
    return Interval(statistic(range(count)), quantile(values, 0.025), quantile(values, 0.975))


def quantile(ordered: Sequence[float], share: float) -> float:
    """By linear interpolation between neighbours."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def mean(values: Sequence[float]) -> Interval:
    """The mean of one value a problem."""
    return bootstrap(len(values), lambda places: sum(values[at] for at in places) / len(places))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The mean of ours minus theirs, paired by problem. Raises ValueError where the problems differ in number."""
    return mean([a - b for a, b in zip(ours, theirs, strict=True)])


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The sum of ours over the sum of theirs, resampled together."""
    pairs = list(zip(ours, theirs, strict=True))

    def share(places: Sequence[int]) -> float:
        below = sum(pairs[at][1] for at in places)
        return sum(pairs[at][0] for at in places) / below if below else math.nan

    return bootstrap(len(pairs), share)


def pass_at(samples: int, right: int, k: int) -> float:
    """The chance that one of `k` of the samples is right, unbiased (Chen et al. 2021, arXiv:2107.03374)."""
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples, not {samples}")
    return 1.0 - math.prod(1.0 - k / held for held in range(samples - right + 1, samples + 1))


@dataclass(frozen=True, slots=True)
class Law:
    """log(coverage) = a * k**b (Brown et al. 2024, arXiv:2407.21787); `error` is the largest miss, in coverage."""

    a: float
    b: float
    error: float

    def at(self, k: float) -> float:
        return math.exp(self.a * k**self.b)


def fitted(ks: Sequence[int], coverage: Sequence[float]) -> Law:
    """The law by least squares on log(-log coverage), a line in log k. Points at 0 or 1 are left out."""
    points = [(math.log(k), math.log(-math.log(c))) for k, c in zip(ks, coverage, strict=True) if 0 < c < 1]
    if len(points) < 2:
        return Law(math.nan, math.nan, math.nan)
    x0, y0 = fmean(x for x, _ in points), fmean(y for _, y in points)
    b = sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) ** 2 for x, _ in points)
    law = Law(-math.exp(y0 - b * x0), b, 0.0)
    return Law(law.a, b, max(abs(law.at(k) - c) for k, c in zip(ks, coverage, strict=True)))

"""Drawing particles anew by their weights. Pure: random numbers are handed in."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from random import Random


def odds(scores: Sequence[float], softness: float) -> list[float]:
    """The softmax of the log-odds of scores, clipped to [0, 1], but for its divisor. Higher `softness` levels them."""
    clipped = [min(max(score, 1e-6), 1 - 1e-6) for score in scores]
    logits = [math.log(score / (1 - score)) for score in clipped]
    most = max(logits)
    return [math.exp((logit - most) / softness) for logit in logits]


def effective(weights: Sequence[float]) -> float:
    """The effective sample size: as many particles of equal weight would estimate as well (Kong 1992)."""
    return float(sum(weights) ** 2 / sum(weight**2 for weight in weights))


def systematic(weights: Sequence[float], n: int, u: float) -> list[int]:
    """How often each is drawn by a comb of `n` teeth that starts at `u` in [0, 1): its share of `n`, up or down."""
    sums = [0.0, *accumulate(weights)]
    teeth = [math.ceil(round(n * (before / sums[-1]) - u, 9)) for before in sums]  # 2.0000000001 is 2
    return [after - before for before, after in pairwise(teeth)]


def multinomial(weights: Sequence[float], n: int, random: Random) -> list[int]:
    """How often each is drawn by `n` draws that know nothing of one another."""
    drawn = Counter(random.choices(range(len(weights)), weights, k=n))
    return [drawn[at] for at in range(len(weights))]

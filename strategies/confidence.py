"""How sure a model was of what it wrote, by the log-probabilities of its tokens. Pure; None where none were told."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from statistics import median

from strategies import select
from strategies.types import Candidate, Logprob

TOP = 20
"""Alternatives a token that confidence is measured over: what vLLM tells at most by default."""


def probability(candidate: Candidate) -> float | None:
    """The geometric mean of its tokens' probabilities: not their product, which would favour short responses."""
    mean = candidate.mean_logprob
    return None if mean is None else math.exp(mean)


def token_confidence(token: Logprob, k: int = TOP) -> float | None:
    """Minus the mean log-probability of the `k` likeliest tokens: the more certain one is, the less likely the others.

    DeepConf (Fu et al. 2025, arXiv:2508.15260). A sampled token that is none of the k is told as one more: it is left
    out.
    """
    if not token.top:
        return None
    likeliest: Iterable[float] = token.top.values()
    if len(token.top) > k:
        likeliest = sorted(likeliest, reverse=True)[:k]
    return -sum(likeliest) / min(k, len(token.top))


def self_certainty(candidate: Candidate) -> float | None:
    """The mean confidence of its tokens: self-certainty (Kang et al. 2025, arXiv:2502.18581) over the likeliest tokens.

    The paper's goes over the whole vocabulary, which engines do not tell; up to constants they measure the same.
    """
    return certainty(candidate.logprobs)


def certainty(tokens: Sequence[Logprob], k: int = TOP) -> float | None:
    """The mean confidence of tokens."""
    known = [confidence for token in tokens if (confidence := token_confidence(token, k)) is not None]
    return sum(known) / len(known) if known else None


WORTHS: dict[str, select.Worth] = {
    "count": select.one,
    "logprob": probability,
    "self_certainty": self_certainty,
    "verifier": select.scored,
}
"""What the vote of a candidate may weigh, by name."""


class Groups:
    """The mean confidence of each `width` tokens in a row, kept up as they come; `lowest` is inf until there is one."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.seen = 0
        self.lowest = math.inf
        self._last: deque[float] = deque()
        self._sum = 0.0

    def add(self, tokens: Iterable[Logprob]) -> None:
        for token in tokens:
            self.seen += 1
            confidence = token_confidence(token)
            if confidence is not None:
                self._slide(confidence)

    def _slide(self, confidence: float) -> None:
        self._last.append(confidence)
        self._sum += confidence
        if len(self._last) > self.width:
            self._sum -= self._last.popleft()
        if len(self._last) == self.width:
            self.lowest = min(self.lowest, self._sum / self.width)

    @property
    def least(self) -> float | None:
        """The lowest mean; that of all tokens where they are fewer than a group."""
        if self.lowest < math.inf:
            return self.lowest
        return self._sum / len(self._last) if self._last else None


def least_confidence(candidate: Candidate, width: int) -> float | None:
    """The confidence of its least confident group of `width` tokens (DeepConf)."""
    groups = Groups(width)
    groups.add(candidate.logprobs)
    return groups.least


def group_width(lengths: Sequence[int], most: int) -> int:
    """The tokens of a group: at most `most`, and at most a quarter of the median length.

    A group as long as a response would tell no more than the mean of it all.
    """
    return max(1, min(most, math.ceil(median(lengths) / 4)))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values lie below, interpolated between two of them."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return min(ordered[above], ordered[below] + (ordered[above] - ordered[below]) * (at - below))

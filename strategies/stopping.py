"""When a vote may end before all have voted. Pure: votes in, yes or no out."""

from collections.abc import Mapping, Sequence
from heapq import nlargest
from math import comb

ROUND = 4
"""Samples between two looks at a vote that may be likely enough."""


def decided(votes: Mapping[str, float], unseen: int) -> bool:
    """Whether no answer can still overtake, or draw level with, the leader by `unseen` more plain votes."""
    first, second = leaders(votes)
    return first > second + unseen


def likely(votes: Mapping[str, float], threshold: float = 0.95) -> bool:
    """Whether the leader is the more frequent of the first two answers with a probability of at least `threshold`.

    Adaptive-Consistency's Beta rule (Aggarwal et al. 2023, arXiv:2305.11860), 1 - I_0.5(v1 + 1, v2 + 1), in its closed
    form for whole votes, under a uniform prior.
    """
    first, second = (int(count) for count in leaders(votes))
    drawn = first + second + 1
    doubt = sum(comb(drawn, k) for k in range(second + 1)) / 2**drawn
    return first > 0 and 1 - doubt >= threshold


def unanimous(answers: Sequence[str | None]) -> bool:
    """Whether all answers of a window are one; None, an answer that could not be read, breaks it.

    Early-stopping self-consistency (Li et al. 2024, arXiv:2401.10480).
    """
    return bool(answers) and None not in answers and len(set(answers)) == 1


def agreed(votes: Mapping[str, float], share: float) -> bool:
    """Whether the leader has at least this share of all weight (DeepConf's consensus, arXiv:2508.15260)."""
    total = sum(votes.values())
    return total > 0 and leaders(votes)[0] >= share * total


def leaders(votes: Mapping[str, float]) -> tuple[float, float]:
    """The votes of the first two answers, 0 for none."""
    first, second = [*nlargest(2, votes.values()), 0, 0][:2]
    return first, second

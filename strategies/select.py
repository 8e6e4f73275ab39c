"""Choosing among candidates. Pure: a list in, one or some out. Ties go to the likelier, then to the earlier."""

import math
import random
from collections.abc import Callable, Sequence

from strategies.answers import answer_of, valid
from strategies.types import Candidate

Weight = Callable[[Candidate], float]
Worth = Callable[[Candidate], float | None]
"""What speaks for a candidate, on whatever scale; None where nothing is known."""


def value(candidate: Candidate) -> float:
    """Its score; the unjudged come last."""
    return -math.inf if candidate.score is None else candidate.score.value


def likelihood(candidate: Candidate) -> float:
    """The mean log-probability of its tokens; the unknown come last."""
    mean = candidate.mean_logprob
    return -math.inf if mean is None else mean


def complete(found: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that finished, best in the form that was asked for; where none did, the ends of all paths."""
    finished = [c for c in found if c.finished]
    return [c for c in finished if valid(c)] or finished or leaves(found)


def leaves(found: Sequence[Candidate]) -> Sequence[Candidate]:
    """The ends of all paths: what is finished, though others may have been asked about it, or did not go on."""
    parents = {c.id.rpartition(".")[0] for c in found}
    return [c for c in found if c.finished or c.id not in parents]


def top(found: Sequence[Candidate], k: int) -> list[Candidate]:
    """The `k` best by score."""
    return sorted(found, key=lambda c: (value(c), likelihood(c)), reverse=True)[:k]


def best(found: Sequence[Candidate]) -> Candidate:
    """The one with the highest score."""
    return top(found, 1)[0]


def one(candidate: Candidate) -> float:
    """The weight of a plain vote."""
    return 1.0


def tally(found: Sequence[Candidate], weight: Weight = one) -> dict[str, float]:
    """The weight behind each answer, in order of first appearance. Who gives no answer abstains."""
    votes: dict[str, list[float]] = {}
    for candidate in found:
        answer = answer_of(candidate)
        if answer is not None:
            votes.setdefault(answer, []).append(weight(candidate))
    return {answer: math.fsum(weights) for answer, weights in votes.items()}  # the same in whatever order they came


def counted(found: Sequence[Candidate], weight: Weight = one, most: int = 8) -> str:
    """The leading answers and their votes, for a note: the same whatever order the votes came in."""
    votes = sorted(tally(found, weight).items(), key=lambda vote: -vote[1])
    return "votes: " + (", ".join(f"{count:.4g} for {answer}" for answer, count in votes[:most]) or "none")


def majority(found: Sequence[Candidate], weight: Weight = one) -> Candidate:
    """A real candidate that holds the answer with the most weight behind it (Wang et al. 2022, arXiv:2203.11171).

    Where nothing can be parsed, the likeliest candidate answers.
    """
    votes = tally(found, weight)
    if not votes:
        return max(complete(found), key=likelihood)
    most = max(votes.values())
    holders = [c for c in found if votes.get(answer_of(c) or "") == most]
    winner = answer_of(max(holders, key=likelihood))
    return max(
        (c for c in holders if answer_of(c) == winner), key=lambda c: (c.finish == "stop", value(c), likelihood(c))
    )


def scored(candidate: Candidate) -> float | None:
    """Its score as its worth."""
    return candidate.score.value if candidate.score else None


def weighing(found: Sequence[Candidate], worth: Worth = scored) -> Weight:
    """The worth of candidates as the weight of their votes; of what is unknown, none.

    Worths that may be negative are shifted, for a vote must not count against its answer. Where nothing is known, or
    all of it worthless, all votes are equal.
    """
    known = {id(c): told for c in found if (told := worth(c)) is not None}
    if not any(known.values()):
        return one
    shift = min(0.0, *known.values())
    return lambda c: known[id(c)] - shift if id(c) in known else 0.0


def weighted(found: Sequence[Candidate], worth: Worth = scored) -> Candidate:
    """Majority with verifier scores, or other worths, as weights."""
    return majority(found, weighing(found, worth))


def shuffled(found: Sequence[Candidate], seed: str) -> list[Candidate]:
    """The same candidates in an order that says nothing about them; the same one each time."""
    return random.Random(seed).sample(found, len(found))


def agreement(found: Sequence[Candidate], chosen: Candidate) -> float | None:
    """The share of the votes that the chosen one's answer got; None where nothing could be parsed."""
    votes = tally(found)
    answer = answer_of(chosen)
    return votes[answer] / sum(votes.values()) if answer in votes else None

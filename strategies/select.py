"""Choosing among candidates. Pure: a list in, one or some out. Ties go to the likelier, then to the earlier."""

import math
from collections.abc import Callable, Mapping, Sequence

from strategies.answers import answer_of, valid
from strategies.types import Candidate

Weight = Callable[[Candidate], float]


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
    votes: dict[str, float] = {}
    for candidate in found:
        answer = answer_of(candidate)
        if answer is not None:
            votes[answer] = votes.get(answer, 0.0) + weight(candidate)
    return votes


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


def weighted(found: Sequence[Candidate]) -> Candidate:
    """Majority with verifier scores as weights; a plain one where nothing was judged, or all of it worthless.

    Scores that may be negative are shifted, for a vote must not count against its answer.
    """
    known = [c.score.value for c in found if c.score]
    if not any(known):
        return majority(found)
    shift = min(0.0, *known)
    return majority(found, lambda c: value(c) - shift if c.score else 0.0)


def decided(votes: Mapping[str, float], unseen: int) -> bool:
    """Whether no answer can still overtake, or draw level with, the leader by `unseen` more plain votes."""
    first, second = [*sorted(votes.values(), reverse=True), 0, 0][:2]
    return first > second + unseen


def agreement(found: Sequence[Candidate], chosen: Candidate) -> float | None:
    """The share of the votes that the chosen one's answer got; None where nothing could be parsed."""
    votes = tally(found)
    answer = answer_of(chosen)
    return votes[answer] / sum(votes.values()) if answer in votes else None

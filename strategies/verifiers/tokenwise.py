"""Judging a path, and each step of it, by the log-probabilities of the tokens."""

from collections.abc import Callable, Sequence

from strategies.types import Candidate, Logprob, Score


def by_tokens(candidate: Candidate, value: Callable[[Sequence[Logprob]], float | None]) -> Score | None:
    """The path's value and one a step, these only where every step has one; None where the path has none."""
    whole = value([token for step in candidate.steps for token in step.logprobs])
    steps = [one for step in candidate.steps if (one := value(step.logprobs)) is not None]
    if whole is None:
        return None
    return Score(whole, tuple(steps) if len(steps) == len(candidate.steps) else ())

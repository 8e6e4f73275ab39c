"""Asking a model for a verdict: a question in which what is judged cannot pass for an instruction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from strategies.protocols import Ask, BackendError, collected
from strategies.tasks import together
from strategies.types import Call, Candidate, Logprob, Prompt, Sampling, Score
from strategies.verifiers.fencing import answered, asked, hollow


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model said, the alternatives it weighed, one entry a token, and whether it said all of it."""

    text: str
    tokens: tuple[Logprob, ...]
    whole: bool


def case(candidate: Candidate, instruction: str) -> Prompt:
    """The question and the response, each as one JSON string that nothing in it can end, and then the instruction."""
    text = f"Question: {asked(candidate)}\n\nProposed response: {answered(candidate)}\n\n{instruction}"
    return Prompt(({"role": "user", "content": text},))


async def verdict(ask: Ask, prompt: Prompt, choices: list[str], *, max_tokens: int, logprobs: int = 0) -> Verdict:
    """Let the model pick one of `choices`: a grammar leaves it no other words. Raises BackendError."""
    sampling = Sampling(temperature=0.0, logprobs=logprobs, extra={"structured_outputs": {"choice": choices}})
    call = Call(await ask.model.render(prompt), max_tokens, sampling=sampling, live=True)
    chunks = await collected(ask.model, call)
    text = "".join([chunk.text for chunk in chunks])
    tokens = tuple([token for chunk in chunks for token in chunk.logprobs])
    return Verdict(text, tokens, any(chunk.finish == "stop" for chunk in chunks))


async def each(
    judge: Callable[[Candidate], Awaitable[Score | None]], candidates: Sequence[Candidate]
) -> list[Score | None]:
    """All candidates judged at once. One whose call fails, or that says nothing, stays unjudged.

    Raises BackendError where every call fails.
    """
    errors: list[BackendError] = []

    async def one(candidate: Candidate) -> Score | None:
        if hollow(candidate):
            return None
        try:
            return await judge(candidate)
        except BackendError as error:
            errors.append(error)
            return None

    scores = await together(one, candidates)
    if errors and len(errors) == sum(not hollow(candidate) for candidate in candidates):
        raise errors[0]
    return scores

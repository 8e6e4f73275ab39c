"""Letting a model choose the best of several responses that it reads side by side (arXiv:2504.16891, 2507.17797)."""

from collections.abc import Sequence
from dataclasses import replace

from strategies.protocols import Ask, collected
from strategies.types import Call, Candidate, Prompt, Sampling
from strategies.verifiers.asking import verdict
from strategies.verifiers.fencing import answered, asked, hollow

COMPARE = "Compare the proposed responses as a strict examiner: where do they differ, and which one is correct?"
PICK = "Which proposed response is the best? Reply with its number only."


async def choose(ask: Ask, candidates: Sequence[Candidate], think_tokens: int = 0) -> int | None:
    """The place of the best of the candidates; None where the model was cut off, or none of them says anything.

    It may think aloud first, at most `think_tokens`. Raises BackendError.
    """
    places = [at for at, candidate in enumerate(candidates) if not hollow(candidate)]
    if len(places) < 2:
        return places[0] if places else None
    numbers = [str(number) for number in range(1, len(places) + 1)]
    prompt = case([candidates[at] for at in places], COMPARE if think_tokens else PICK)
    if think_tokens:
        thought = await written(ask, prompt, think_tokens)
        turns = ({"role": "assistant", "content": thought}, {"role": "user", "content": PICK})
        prompt = replace(prompt, messages=(*prompt.messages, *turns))
    said = await verdict(ask, prompt, numbers, max_tokens=4)
    return places[numbers.index(said.text)] if said.whole and said.text in numbers else None


def case(candidates: Sequence[Candidate], instruction: str) -> Prompt:
    """The question and all responses, each as one JSON string that nothing in it can end; then the instruction."""
    responses = "\n\n".join(f"Proposed response {at}: {answered(one)}" for at, one in enumerate(candidates, 1))
    text = f"Question: {asked(candidates[0])}\n\n{responses}\n\n{instruction}"
    return Prompt(({"role": "user", "content": text},))


async def written(ask: Ask, prompt: Prompt, most: int) -> str:
    """What the model writes, greedily, at most so many tokens."""
    call = Call(await ask.model.render(prompt), most, sampling=Sampling(temperature=0.0))
    return "".join([chunk.text for chunk in await collected(ask.model, call)])

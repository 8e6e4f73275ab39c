"""Which of two responses is better, by a model that sees them in both orders (Zheng et al. 2023, arXiv:2306.05685)."""

from strategies.protocols import Ask
from strategies.tasks import together
from strategies.types import Candidate, Prompt
from strategies.verifiers.asking import verdict
from strategies.verifiers.fencing import answered, asked, hollow

INSTRUCTION = (
    "Compare the two proposed responses as a strict examiner. Which one answers the question more correctly? "
    "Reply A, B, or Tie."
)
SHARES = {"A": 1.0, "B": 0.0, "Tie": 0.5}
"""What a verdict is worth to the response shown first."""
UNDECIDED = 0.5


async def compare(ask: Ask, first: Candidate, second: Candidate) -> float:
    """The share of comparisons that `first` wins over `second`, a tie half: 1.0, 0.5 or 0.0 where the orders agree.

    Models favour a place, so each order is asked once; two verdicts that contradict each other are a tie. A verdict
    that was cut off is one too. Who says nothing loses without being shown. Raises BackendError.
    """
    if hollow(first) or hollow(second):
        return (1 + hollow(second) - hollow(first)) / 2

    async def one(pair: tuple[Candidate, Candidate]) -> float:
        said = await verdict(ask, case(*pair), list(SHARES), max_tokens=4)
        return SHARES.get(said.text, UNDECIDED) if said.whole else UNDECIDED

    won, lost = await together(one, [(first, second), (second, first)])
    return (won + 1 - lost) / 2


def case(first: Candidate, second: Candidate) -> Prompt:
    """The question and both responses, each as one JSON string that nothing in it can end; then the instruction."""
    responses = f"Response A: {answered(first)}\n\nResponse B: {answered(second)}"
    return Prompt(({"role": "user", "content": f"Question: {asked(first)}\n\n{responses}\n\n{INSTRUCTION}"},))

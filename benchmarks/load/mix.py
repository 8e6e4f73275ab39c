"""What the load asks for: strategies streamed and whole, budgets that cut, callers who leave, requests that fail."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Fate = Literal["answer", "leave", "stranger"]
"""Wait for the answer; hang up after its first bytes; or come with a key that nobody knows."""
HUGE = "and again " * 20_000
"""More than the context of any model that this is for, and less than a body may have."""


@dataclass(frozen=True)
class Kind:
    """One kind of request: how often it comes (of all weights), its fields, and how it is to go."""

    name: str
    weight: float
    strategy: Mapping[str, Any]
    fields: Mapping[str, Any]
    fate: Fate = "answer"
    question: str = ""

    def body(self, model: str, random: Random) -> dict[str, Any]:
        """The request; its question is a sum, a new one each time, where the kind has none of its own."""
        a, b, c = (random.randint(11, 99) for _ in range(3))
        question = self.question or f"Tom has {a} apples and buys {b} more. He gives {c} away. How many has he now?"
        named = {"model": model, "messages": [{"role": "user", "content": question}]}
        return {**named, "reasoning_strategy": self.strategy, "return_trace": True, "max_tokens": 128, **self.fields}


STREAM = {"stream": True, "stream_options": {"include_usage": True}}
LONG = {"max_tokens": 2000, "ignore_eos": True}
ARITHMETIC = {"verifier": "arithmetic"}
ENDED = {"name": "coverage", "n": 2}
"""The strategy of requests that may get no answer: nobody is told what these have cost, so others do without it."""
KINDS = (
    Kind("single, streamed", 4, {"name": "single"}, STREAM),
    Kind("single", 4, {"name": "single"}, {}),
    Kind("vote, streamed", 3, {"name": "self_consistency", "n": 8}, STREAM),
    Kind("vote", 2, {"name": "self_consistency", "n": 5, "early_stop": "none"}, {}),
    Kind("best of four", 2, {"name": "best_of_n", "n": 4, **ARITHMETIC}, STREAM),
    Kind("best of three, by the model", 1, {"name": "best_of_n", "n": 3, "verifier": "p_true"}, {}),
    Kind("beams", 2, {"name": "beam_search", "beams": 2, "width": 2, "step_tokens": 48, **ARITHMETIC}, STREAM),
    Kind("revisions", 1, {"name": "revise", "rounds": 1}, {}),
    Kind("few tokens", 1, {"name": "self_consistency", "n": 8}, {"reasoning_budget": {"tokens": 48}}),
    Kind("few samples", 1, {"name": "self_consistency", "n": 8}, {"reasoning_budget": {"samples": 2}}),
    Kind("little time", 1, ENDED, {**LONG, "reasoning_budget": {"seconds": 0.5}}),
    Kind("leaves", 1, ENDED, {**STREAM, **LONG}, "leave"),
    Kind("too long", 0.5, ENDED, {}, question=HUGE),
    Kind("stranger", 0.5, {"name": "single"}, {}, "stranger"),
)

"""The problems: reasoning-gym tasks by name, how they are generated, and when an answer is right.

`sums` is a task of our own that needs no package: it serves the smoke run and the tests.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from strategies.answers import canonical

Split = Literal["dev", "test", "smoke"]
SEEDS: dict[Split, int] = {"dev": 42, "test": 20260, "smoke": 1}
"""Seeds of the generators. Prompts, difficulty and settings are chosen on dev; test is drawn once, after freezing."""


FORMS = ("\n\nFinal answer format instructions:", " Give only the result as your final answer.")
"""Where a generator begins to say in which form it wants the answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One question; `item` is what its generator tells of it and its checker reads."""

    index: int
    question: str
    answer: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A generator with its settings. `expression` answers are formulas, all others are one number."""

    name: str
    dataset: str
    config: Mapping[str, Any] = field(default_factory=dict)
    expression: bool = False

    def problems(self, split: Split, count: int) -> list[Problem]:
        """The first `count` problems of a split: a longer list begins with the shorter one."""
        entries = sums(SEEDS[split], count) if self.dataset == "sums" else self._generated(split, count)
        return [
            Problem(index, plain(entry["question"]), entry["answer"], entry["metadata"])
            for index, entry in enumerate(entries)
        ]

    def _generated(self, split: Split, count: int) -> Iterable[dict[str, Any]]:
        import reasoning_gym

        dataset = reasoning_gym.create_dataset(self.dataset, size=500, seed=SEEDS[split], **self.config)
        return (dataset[index] for index in range(count))

    def right(self, problem: Problem, answer: str | None) -> bool:
        """Whether the checker gives full marks: parts of a mark count nothing, and what it chokes on is wrong."""
        if answer is None:
            return False
        if self.dataset == "sums":
            return canonical(answer) == problem.answer
        import reasoning_gym

        entry = {"question": problem.question, "answer": problem.answer, "metadata": problem.item}
        try:
            return bool(reasoning_gym.get_score_answer_fn(self.dataset)(self.bare(answer), entry) == 1.0)
        except Exception:
            return False

    def bare(self, answer: str) -> str:
        """The answer as the checker wants it: a number written one way, a formula without `= result` behind it."""
        return canonical(answer.partition("=")[0]) if self.expression else canonical(answer)


def plain(question: str) -> str:
    """A question without what it says about the form of the answer: that is the wording's business."""
    for form in FORMS:
        question = question.partition(form)[0]
    return question.strip()


def sums(seed: int, count: int) -> Iterable[dict[str, Any]]:
    """Sums of two numbers up to 20."""
    rng = Random(seed)
    for _ in range(count):
        a, b = rng.randint(1, 20), rng.randint(1, 20)
        yield {"question": f"What is {a} + {b}?", "answer": str(a + b), "metadata": {}}


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sums", "sums"),
        Task("chain_sum", "chain_sum", {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2}),
        Task("three_sum", "chain_sum", {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 2}),
        Task("long_sum", "chain_sum", {"min_terms": 5, "max_terms": 6, "min_digits": 2, "max_digits": 3}),
        Task(
            "countdown",
            "countdown",
            {"min_numbers": 3, "max_numbers": 3, "max_value": 20, "min_target": 10, "max_target": 50},
            expression=True,
        ),
        Task(
            "basic_arithmetic",
            "basic_arithmetic",
            {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
        ),
        Task("gsm_symbolic", "gsm_symbolic"),
        Task("leg_counting", "leg_counting", {"min_animals": 2, "max_animals": 4}),
        Task("products", "products", {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 3}),
        Task("simple_equations", "simple_equations"),
    )
}


def digest(problems: Sequence[Problem]) -> str:
    """The SHA-256 of questions and answers: two pools with one digest are about the same problems."""
    told = json.dumps([(problem.question, problem.answer) for problem in problems])
    return hashlib.sha256(told.encode()).hexdigest()


def constant(problems: Sequence[Problem]) -> float:
    """The share that the best constant answer gets right."""
    answers = [problem.answer for problem in problems]
    return max(map(answers.count, answers)) / len(answers)

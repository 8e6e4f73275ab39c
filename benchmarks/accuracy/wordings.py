"""What the models are told: the product's prompts, and two of the benchmark's own.

`direct` wants the answer at once. `worked` shows worked examples as earlier turns of the conversation and says nothing
else; `few_shot` shows the same ones with the product's words, `brief` only their answers. They are made up here and
belong to no split.
"""

from strategies.answers import final_answer
from strategies.prompts import Example, Wording, instruct, wording
from strategies.types import Message

Turns = tuple[tuple[str, str], ...]

DIRECT = "Reply with the final answer alone, between <answer> and </answer>."
SUMS: Turns = (
    (
        "State the final answer to the following arithmetic problem: 14 + 25 - 8 =",
        "14 + 25 = 39\n\n39 - 8 = 31\n\n<answer>31</answer>",
    ),
    (
        "State the final answer to the following arithmetic problem: 340 - 415 - 62 + 130 =",
        "340 - 415 = -75\n\n-75 - 62 = -137\n\n-137 + 130 = -7\n\n<answer>-7</answer>",
    ),
    (
        "State the final answer to the following arithmetic problem: 512 + 87 - 263 - 45 + 158 + 71 =",
        "512 + 87 = 599\n\n599 - 263 = 336\n\n336 - 45 = 291\n\n"
        "291 + 158 = 449\n\n449 + 71 = 520\n\n<answer>520</answer>",
    ),
)
MIXED: Turns = (
    ("Calculate -3 + 7 * 6.", "-3 + 7 * 6 = -3 + 42 = 39\n\n<answer>39</answer>"),
    (
        "Calculate ( 52 - 12 ) / 8 + 9.",
        "( 52 - 12 ) / 8 + 9 = 40 / 8 + 9 = 5 + 9 = 14\n\n<answer>14</answer>",
    ),
    (
        "Calculate 5 - ( -4 * 11 + 20 ).",
        "5 - ( -4 * 11 + 20 ) = 5 - ( -44 + 20 ) = 5 - -24 = 29\n\n<answer>29</answer>",
    ),
)
COUNTDOWN: Turns = (
    ("Find a way to make 24 using all of these numbers: 3, 5, 9.", "<answer>3 * 5 + 9</answer>"),
    ("Calculate 16 using all of these numbers: 11, 4, 15.", "<answer>(15 - 11) * 4</answer>"),
    ("Using all the numbers 18, 6, 7, create an expression that equals 21.", "<answer>18 / 6 * 7</answer>"),
    ("Find a way to make 22 using all of these numbers: 19, 9, 12.", "<answer>19 - 9 + 12</answer>"),
)
WORDS: Turns = (
    (
        "A baker fills 6 trays with 12 rolls each, sells 45 rolls and gives 2 dozen to a school. How many are left?",
        "The baker makes 6 * 12 = 72 rolls.\n\nTwo dozen are 2 * 12 = 24 rolls.\n\n"
        "45 + 24 = 69 rolls are gone.\n\n72 - 69 = 3 rolls are left.\n\n<answer>3</answer>",
    ),
    (
        "Of 80 visitors, 25% are children. Half of the adults pay $8, the others $5. How much do the adults pay?",
        "There are 80 * 0.25 = 20 children.\n\nThere are 80 - 20 = 60 adults.\n\nHalf of them are 60 / 2 = 30.\n\n"
        "30 * 8 = 240 dollars.\n\n30 * 5 = 150 dollars.\n\n240 + 150 = 390 dollars.\n\n<answer>390</answer>",
    ),
)
EQUATIONS: Turns = (
    ("Find the value of x in the equation: 7*x + 15 = 92", "92 - 15 = 77\n\n77 / 7 = 11\n\n<answer>11</answer>"),
    (
        "Determine the value of k that satisfies: 120 - 24*k = -480",
        "-480 - 120 = -600\n\n-600 / -24 = 25\n\n<answer>25</answer>",
    ),
    ("Solve for m: 36*m = 1548", "1548 / 36 = 43\n\n<answer>43</answer>"),
)
LEGS: Turns = (
    (
        "How many legs are there in total if you have 3 spiders, 5 chickens, 2 horses?",
        "3 spiders: 3 * 8 = 24\n\n5 chickens: 5 * 2 = 10\n\n2 horses: 2 * 4 = 8\n\n"
        "24 + 10 = 34\n\n34 + 8 = 42\n\n<answer>42</answer>",
    ),
    (
        "How many legs are there in total if you have 12 ants, 1 snake, 7 cows?",
        "12 ants: 12 * 6 = 72\n\n1 snake: 1 * 0 = 0\n\n7 cows: 7 * 4 = 28\n\n"
        "72 + 0 = 72\n\n72 + 28 = 100\n\n<answer>100</answer>",
    ),
)
PRODUCTS: Turns = (
    (
        "Solve the following multiplication: 34 * 67.",
        "34 * 60 = 2040\n\n34 * 7 = 238\n\n2040 + 238 = 2278\n\n<answer>2278</answer>",
    ),
    (
        "Solve the following multiplication: 528 * 93.",
        "528 * 90 = 47520\n\n528 * 3 = 1584\n\n47520 + 1584 = 49104\n\n<answer>49104</answer>",
    ),
    (
        "Solve the following multiplication: 46 * 719.",
        "46 * 700 = 32200\n\n46 * 10 = 460\n\n46 * 9 = 414\n\n"
        "32200 + 460 = 32660\n\n32660 + 414 = 33074\n\n<answer>33074</answer>",
    ),
)
WORKED: dict[str, Turns] = {
    "sums": SUMS,
    "basic_arithmetic": MIXED,
    "chain_sum": SUMS,
    "countdown": COUNTDOWN,
    "gsm_symbolic": WORDS,
    "leg_counting": LEGS,
    "products": PRODUCTS,
    "simple_equations": EQUATIONS,
}
"""Worked examples by generator."""


def conversation(dataset: str, question: str, name: str) -> tuple[Message, ...]:
    """The messages that put a question. Raises ValueError for a wording that nobody knows."""
    asked: Message = {"role": "user", "content": question}
    match name:
        case "direct":
            return ({"role": "user", "content": f"{question}\n\n{DIRECT}"},)
        case "worked":
            return instruct([asked], Wording(name="none", examples=examples(dataset)))
        case "brief":
            bare = [Example(question=e.question, answer=final_answer(e.answer) or "") for e in examples(dataset)]
            return instruct([asked], Wording(name="none", examples=bare))
        case "few_shot":
            return instruct([asked], Wording(name="few_shot", examples=examples(dataset)))
    return instruct([asked], wording(name))


def examples(dataset: str) -> list[Example]:
    """The worked examples for a generator's questions."""
    return [Example(question=question, answer=answer) for question, answer in WORKED[dataset]]

"""A simulated engine that works one problem with real mathematics, sometimes wrongly, and judges what it wrote."""

from random import Random

from benchmarks.engine_replies import Ask, Reply

QUESTION = "How many positive integers below 1000 are divisible by 3 or by 5, but not by both?"

RIGHT, VAGUE, WRONG = 0.0, 0.15, 0.45
"""How much a step takes from what the engine thinks of its path."""
FIVES, BOTH, ONCE = r"$1000/5 = 200$", r"$1000/15 \approx 67$", "away once"

STEPS = (
    {
        r"Let $A$ and $B$ be the multiples of $3$ and of $5$ below $1000$. We count those in just one set.": RIGHT,
        r"By inclusion and exclusion, exactly one of two sets holds $|A| + |B| - 2\,|A \cap B|$.": RIGHT,
        r"First count all multiples of $3$, then all multiples of $5$, and add them up.": VAGUE,
        r"A number is in one of the sets if it is in $A \cup B$, so we need $|A \cup B|$.": WRONG,
    },
    {
        r"$$|A| = \left\lfloor \tfrac{999}{3} \right\rfloor = 333, \quad "
        r"|B| = \left\lfloor \tfrac{999}{5} \right\rfloor = 199$$": RIGHT,
        r"There are $\lfloor 999/3 \rfloor = 333$ multiples of $3$ and $\lfloor 999/5 \rfloor = 199$ of $5$.": RIGHT,
        rf"There are $1000/3 \approx 333$ multiples of $3$, and {FIVES} of $5$.": WRONG,
    },
    {
        r"Both at once means divisible by $\operatorname{lcm}(3, 5) = 15$: $\lfloor 999/15 \rfloor = 66$.": RIGHT,
        r"The overlap holds the multiples of $15$, and $15 \cdot 66 = 990 < 1000$, so $|A \cap B| = 66$.": RIGHT,
        rf"Multiples of both are multiples of $15$; there are {BOTH} of them.": WRONG,
    },
    {
        r"Each of those was counted twice and belongs to neither, so take it away twice.": RIGHT,
        r"Take the overlap away, once for each set: $|A| + |B| - 2\,|A \cap B|$.": RIGHT,
        rf"Take the overlap {ONCE}, since it was counted twice.": WRONG,
    },
)
"""Wordings of each step, and the fault in each."""


def worked(ask: Ask) -> Reply | str:
    """The rest of a solution, from whatever was said already; or a verdict on one that is shown."""
    if "structured_outputs" in ask.body:
        sure = believed(ask.text)
        return Reply(chances={"Yes": sure, "No": 1 - sure})
    if r"\boxed" in ask.said:
        return ""
    said = ask.said
    for wordings in STEPS[said.count("\n\n") :]:
        said += ask.rng.choices(list(wordings), [1.1 - 1.6 * fault for fault in wordings.values()])[0] + "\n\n"
    return (said + result(said)).removeprefix(ask.said)


def result(said: str) -> str:
    """What follows from the steps, mistakes and all."""
    fives, both = (200 if FIVES in said else 199), (67 if BOTH in said else 66)
    times, taken = (1, f"{both}") if ONCE in said else (2, rf"2 \cdot {both}")
    total = 333 + fives - times * both
    return f"$$333 + {fives} - {taken} = {total}$$\n" + rf"So there are $\boxed{{{total}}}$ such numbers."


def believed(shown: str) -> float:
    """How sure the engine is of a path: the less, the more faults are in it."""
    plain = shown.replace("\\\\", "\\")
    faults = sum(fault for wordings in STEPS for text, fault in wordings.items() if text in plain)
    return min(0.98, max(0.04, 0.93 - faults + Random(plain).uniform(-0.05, 0.05)))

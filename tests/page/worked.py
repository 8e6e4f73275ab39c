"""A simulated engine that works one problem with real mathematics, sometimes wrongly, and judges what it wrote."""

from random import Random

from benchmarks.engine_replies import Ask, Reply

QUESTION = "How many positive integers below 1000 are divisible by 3 or by 5, but not by both?"

RIGHT, MINOR, WRONG = 0.0, 0.12, 0.45
"""How much a step takes from what the engine thinks of its path."""

STEPS = (
    (
        (r"Let $A$ and $B$ be the multiples of $3$ and of $5$ below $1000$. We want those in exactly one of the two.", RIGHT),
        (r"Count with inclusion–exclusion: exactly one of two sets is $|A| + |B| - 2\,|A \cap B|$.", RIGHT),
        (r"First count all multiples of $3$, then all multiples of $5$, and add them up.", MINOR),
        (r"A number is in exactly one of the sets if it is in $A \cup B$, so we need $|A \cup B|$.", WRONG),
    ),
    (
        (r"$$|A| = \left\lfloor \tfrac{999}{3} \right\rfloor = 333, \qquad |B| = \left\lfloor \tfrac{999}{5} \right\rfloor = 199$$", RIGHT),
        (r"There are $\lfloor 999/3 \rfloor = 333$ multiples of $3$, and $\lfloor 999/5 \rfloor = 199$ of $5$.", RIGHT),
        (r"There are $1000/3 \approx 333$ multiples of $3$, and $1000/5 = 200$ of $5$.", WRONG),
    ),
    (
        (r"Both at once means divisible by $\operatorname{lcm}(3, 5) = 15$: $\lfloor 999/15 \rfloor = 66$ numbers.", RIGHT),
        (r"The overlap $A \cap B$ holds the multiples of $15$, and $15 \cdot 66 = 990 < 1000$, so $|A \cap B| = 66$.", RIGHT),
        (r"Multiples of both are multiples of $15$; there are about $1000/15 \approx 67$ of them.", WRONG),
    ),
    (
        (r"Each of those was counted twice and belongs to neither, so take it away twice: {a} − 2 · {b}.", RIGHT),
        (r"Take the overlap away, once for each set: $|A| + |B| - 2\,|A \cap B|$.", RIGHT),
        (r"Take the overlap away once, since it was counted twice.", WRONG),
    ),
)
_FIVES, _BOTH, _ONCE = r"1000/5 = 200", r"\approx 67", "overlap away once,"


def worked(ask: Ask) -> Reply | str:
    """The rest of a solution, from whatever was said already; or a verdict on one that is shown."""
    if "structured_outputs" in ask.body:
        sure = believed(ask.text)
        return Reply(chances={"Yes": sure, "No": 1 - sure})
    done = ask.said.count("\n\n")
    said = ask.said
    for choices in STEPS[done:]:
        said += drawn(ask.rng, choices) + "\n\n"
    if r"\boxed" in ask.said:
        return ""
    return (said + result(said)).removeprefix(ask.said)


def drawn(rng: Random, choices: tuple[tuple[str, float], ...]) -> str:
    """One wording of a step: the better it is, the likelier."""
    text = rng.choices([text for text, _ in choices], [1.1 - 1.6 * fault for _, fault in choices])[0]
    return text.replace("{a}", "$333 + 199").replace(" − 2 · {b}", r" - 2 \cdot 66$")


def result(said: str) -> str:
    """What follows from the steps, mistakes and all."""
    fives, both, times = (200 if _FIVES in said else 199), (67 if _BOTH in said else 66), (1 if _ONCE in said else 2)
    total = 333 + fives - times * both
    taken = f"{both}" if times == 1 else rf"2 \cdot {both}"
    return rf"$$333 + {fives} - {taken} = {total}$$" + "\n" + rf"So there are $\boxed{{{total}}}$ such numbers."


def believed(shown: str) -> float:
    """How sure the engine is of a path: less by every fault in it, and never quite the same twice."""
    plain = shown.replace("\\\\", "\\")
    faults = sum(fault for choices in STEPS for text, fault in choices if text.split("{")[0] in plain)
    return min(0.98, max(0.04, 0.93 - faults + Random(plain).uniform(-0.05, 0.05)))

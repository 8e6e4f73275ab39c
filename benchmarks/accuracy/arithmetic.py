"""What the verifier `arithmetic` is worth: on word problems, with samples of a real model or saved ones.

    python -m benchmarks.accuracy.arithmetic --url http://127.0.0.1:8000 --model NAME --samples FILE.jsonl.gz

Draws the samples and saves them; without `--url` it reads the saved file. Prints tables, writes JSON with `--json`.
Intervals are 95%, from a bootstrap over problems.
"""

import argparse
import gzip
import json
import random
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from strategies.answers import answer_of, canonical
from strategies.types import Candidate, Prompt, Step
from strategies.verifiers.arithmetic import judge
from strategies.verifiers.equations import equations

PROMPT = "\nThink step by step, show each calculation, and put the final answer between <answer> and </answer>."
NAMES = ["Ada", "Ben", "Chloe", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jamal", "Kira", "Liam", "Mona", "Noor"]
THINGS = ["pencils", "marbles", "stickers", "cookies", "apples", "tickets", "postcards", "shells", "buttons", "cards"]


@dataclass(frozen=True, slots=True)
class Template:
    """A question with gaps, what each gap is drawn from, and the answer as a function of them."""

    text: str
    gaps: dict[str, Any]
    answer: Callable[..., Fraction]

    def fill(self, rng: random.Random) -> tuple[str, Fraction]:
        """A question and its answer: positive, and whole unless the question has decimals, then with at most two."""
        while True:
            drawn = {gap: rng.choice(values) for gap, values in self.gaps.items()}
            answer = self.answer(**drawn)
            cents = 100 if any(isinstance(v, Fraction) for v in drawn.values()) else 1
            if answer > 0 and (answer * cents).denominator == 1:
                shown = {gap: f"{float(v):.2f}" if isinstance(v, Fraction) else v for gap, v in drawn.items()}
                return self.text.format(name=rng.choice(NAMES), thing=rng.choice(THINGS), **shown), answer


def halves(first: int, last: int) -> list[Fraction]:
    return [Fraction(n, 2) for n in range(first, last)]


def tenths(first: int, last: int) -> list[Fraction]:
    return [Fraction(n, 10) for n in range(first, last)]


TEMPLATES = [
    Template(
        "{name} buys {a} packs of {thing} at ${b} each and a bag for ${c}, and pays with ${d}. "
        "How many dollars of change are given back?",
        {"a": range(3, 13), "b": range(2, 10), "c": range(5, 30), "d": [100, 150, 200]},
        lambda a, b, c, d: Fraction(d - a * b - c),
    ),
    Template(
        "A coat costs ${a}. It is on sale for {b}% off, and {name} has a coupon that takes another ${c} off the sale "
        "price. How many dollars does the coat cost in the end?",
        {"a": range(80, 600, 20), "b": range(10, 50, 5), "c": range(3, 16)},
        lambda a, b, c: Fraction(a * (100 - b), 100) - c,
    ),
    Template(
        "{name} sold {a} {thing} in April, half as many in May, and {b} more in June than in May. "
        "How many were sold altogether in these three months?",
        {"a": range(24, 98, 2), "b": range(15, 96)},
        lambda a, b: Fraction(2 * a + b),
    ),
    Template(
        "{name} has {a} boxes with {b} {thing} in each, gives {c} {thing} to a school, and shares the rest equally "
        "among {d} friends. How many {thing} does each friend get?",
        {"a": range(4, 16), "b": range(6, 25), "c": range(3, 30), "d": range(3, 9)},
        lambda a, b, c, d: Fraction(a * b - c, d),
    ),
    Template(
        "{name} earns ${a} an hour and works {b} hours a day for {c} days, then spends ${d} of it on books. "
        "How many dollars are left?",
        {"a": halves(18, 40), "b": range(4, 9), "c": range(3, 13), "d": range(20, 91)},
        lambda a, b, c, d: a * b * c - d,
    ),
    Template(
        "{name} has to drive {a} km. The first {b} hours go at {c} km per hour and the next {d} hours at {e} km per "
        "hour. How many km are still to go?",
        {"a": range(400, 900), "b": range(2, 5), "c": range(60, 125, 5), "d": range(2, 5), "e": range(20, 60, 5)},
        lambda a, b, c, d, e: Fraction(a - b * c - d * e),
    ),
    Template(
        "A town has {a:,} people. In one year the number grows by {b}%, and in the next year {c} people move in. "
        "How many people live there then?",
        {"a": range(1200, 9000, 100), "b": range(2, 25), "c": range(35, 480)},
        lambda a, b, c: Fraction(a * (100 + b), 100) + c,
    ),
    Template(
        "Flour costs ${a} per kg and sugar ${b} per bag. {name} buys {c} kg of flour and {d} bags of sugar. "
        "How many dollars is that in all?",
        {"a": tenths(8, 30), "b": tenths(6, 25), "c": halves(3, 11), "d": range(2, 7)},
        lambda a, b, c, d: a * c + b * d,
    ),
    Template(
        "{name} keeps {a} hens that lay one egg each a day. The family eats {b} eggs a day and sells the others for "
        "${c} each. How many dollars come in during {d} days?",
        {"a": range(8, 31), "b": range(2, 8), "c": range(2, 6), "d": range(3, 10)},
        lambda a, b, c, d: Fraction((a - b) * c * d),
    ),
    Template(
        "A tank holds {a} litres and is {b}% full. Water runs in at {c} litres per minute for {d} minutes. "
        "How many litres are then in the tank?",
        {"a": range(200, 1000, 40), "b": range(15, 65, 5), "c": range(2, 9), "d": range(3, 10)},
        lambda a, b, c, d: Fraction(a * b, 100) + c * d,
    ),
]


def problems(count: int, seed: int) -> Iterator[tuple[str, Fraction]]:
    """Questions of two to four operations and their answers, the same for the same seed."""
    rng = random.Random(seed)
    return (TEMPLATES[i % len(TEMPLATES)].fill(rng) for i in range(count))


def sample(url: str, model: str, question: str, n: int) -> list[dict[str, str]]:
    """Draw `n` responses to `question` in one request."""
    messages = [{"role": "user", "content": question + PROMPT}]
    body = {"model": model, "messages": messages, "n": n, "max_tokens": 256, "temperature": 0.8}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=900) as reply:
        choices = json.load(reply)["choices"]
    return [{"text": choice["message"]["content"] or "", "finish": choice["finish_reason"]} for choice in choices]


def draw(url: str, model: str, count: int, n: int, seed: int) -> list[dict[str, Any]]:
    """Sample every problem, four requests at a time."""

    def row(problem: tuple[str, Fraction]) -> dict[str, Any]:
        question, answer = problem
        return {"model": model, "question": question, "answer": str(answer), "samples": sample(url, model, question, n)}

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(row, problems(count, seed)))


def save(rows: list[dict[str, Any]], path: Path) -> None:
    """Write one JSON object a line, compressed, the same bytes for the same rows."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


@dataclass(frozen=True, slots=True)
class Sample:
    """What matters of a response: its answer (None: it abstains), whether that is right, and what the verifier said."""

    answer: str | None
    right: bool
    score: float
    verdicts: tuple[bool, ...]
    finished: bool


def judged(row: dict[str, Any]) -> list[Sample]:
    """The samples of one problem, extracted and scored as the server does it."""
    found = []
    for text, finish in ((s["text"], s["finish"]) for s in row["samples"]):
        candidate = Candidate(Prompt(()), steps=(Step(text),), finish=finish)
        answer, verdicts = answer_of(candidate), tuple(e.holds for e in equations(text, complete=finish == "stop"))
        right = answer is not None and equal(answer, Fraction(row["answer"]))
        found.append(Sample(answer, right, judge(candidate).value, verdicts, finish == "stop"))
    return found


def equal(answer: str, truth: Fraction) -> bool:
    """Whether an answer is the true number, units or not."""
    words = [word.strip(".,:;()$") for word in canonical(answer).replace("\\", " ").split()]
    numbers = [Fraction(w.replace(",", "")) for w in words if w.replace(",", "").replace(".", "", 1).isdecimal()]
    return len(numbers) == 1 and abs(numbers[0] - truth) < Fraction(1, 200)


Problem = Sequence[Sample]
Statistic = Callable[[Sequence[Problem]], float]


def share(keep: Callable[[Sample], bool], of: Callable[[Sample], bool] = lambda s: True) -> Statistic:
    """The share of the samples with `of` that have `keep`."""

    def statistic(found: Sequence[Problem]) -> float:
        asked = [keep(s) for problem in found for s in problem if of(s)]
        return sum(asked) / len(asked) if asked else float("nan")

    return statistic


def auc(found: Sequence[Problem]) -> float:
    """How often, within a problem, a right sample scores above a wrong one; ties count half."""
    pairs = [(a.score, b.score) for problem in found for a in problem if a.right for b in problem if not b.right]
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else float("nan")


def answered(found: Sequence[Problem]) -> list[Problem]:
    return [[s for s in problem if s.answer is not None] for problem in found]


def vote(weight: Callable[[Sample], float]) -> Statistic:
    """The share of problems that a weighted vote gets right; tied answers share the problem."""

    def one(problem: Problem) -> float:
        votes: dict[str, float] = {}
        right = {s.answer for s in problem if s.right}
        for s in problem:
            if s.answer is not None:
                votes[s.answer] = votes.get(s.answer, 0.0) + weight(s)
        winners = [answer for answer, weight in votes.items() if weight == max(votes.values())]
        return sum(answer in right for answer in winners) / len(winners) if winners else 0.0

    return lambda found: sum(map(one, found)) / len(found)


def best(found: Sequence[Problem]) -> float:
    """The share of problems that the best answer by score gets right; tied samples share the problem."""
    total = 0.0
    for problem in answered(found):
        top = [s.right for s in problem if s.score == max(t.score for t in problem)]
        total += sum(top) / len(top) if top else 0.0
    return total / len(found)


def interval(found: Sequence[Problem], statistic: Statistic, rounds: int = 2000) -> tuple[float, float]:
    """The 95% bootstrap interval of a statistic, problems drawn with replacement."""
    rng = random.Random(0)
    drawn = sorted(v for _ in range(rounds) if (v := statistic(rng.choices(found, k=len(found)))) == v)
    if not drawn:
        return float("nan"), float("nan")
    return drawn[int(0.025 * len(drawn))], drawn[int(0.975 * len(drawn)) - 1]


STATISTICS: dict[str, Statistic] = {
    "samples with a testable equation": share(lambda s: bool(s.verdicts)),
    "samples that end with an answer": share(lambda s: s.answer is not None),
    "right, of all samples": share(lambda s: s.right),
    "right, score 1": share(lambda s: s.right, lambda s: bool(s.verdicts) and s.score == 1),
    "right, score < 1": share(lambda s: s.right, lambda s: bool(s.verdicts) and s.score < 1),
    "right, nothing to test": share(lambda s: s.right, lambda s: not s.verdicts),
    "right, answered and score 1": share(lambda s: s.right, lambda s: s.answer is not None and all(s.verdicts)),
    "right, answered and score < 1": share(lambda s: s.right, lambda s: s.answer is not None and not all(s.verdicts)),
    "AUC within problems, all": auc,
    "AUC within problems, answered": lambda found: auc(answered(found)),
    "plain vote": vote(lambda s: 1.0),
    "score-weighted vote": vote(lambda s: s.score),
    "vote of those without a false equation": vote(lambda s: 1.0 if all(s.verdicts) else 1e-6),
    "best by score": best,
    "some sample right": lambda found: sum(any(s.right for s in problem) for problem in found) / len(found),
}
PLAIN = "plain vote"
CHOICES = ("score-weighted vote", "vote of those without a false equation", "best by score")


def report(found: Sequence[Problem]) -> dict[str, Any]:
    """Every statistic with its interval, and how each choice differs from the plain vote on the same problems."""
    verdicts = [v for problem in found for s in problem for v in s.verdicts]
    out: dict[str, Any] = {"problems": len(found), "samples": sum(map(len, found))}
    out |= {"equations": len(verdicts), "hold": sum(verdicts)}
    for name, statistic in STATISTICS.items():
        out[name] = (statistic(found), *interval(found, statistic))
    for name in CHOICES:
        out[f"{name}, gain"] = gain(found, STATISTICS[name], STATISTICS[PLAIN])
    return out


def gain(found: Sequence[Problem], one: Statistic, other: Statistic) -> tuple[float, float, float]:
    def difference(drawn: Sequence[Problem]) -> float:
        return one(drawn) - other(drawn)

    return (difference(found), *interval(found, difference))


def table(values: dict[str, Any]) -> str:
    """A Markdown table of a report, shares in percent."""
    lines = ["| | value | 95% interval |", "|---|---|---|"]
    for name, value in values.items():
        if isinstance(value, int):
            lines.append(f"| {name} | {value} | |")
        else:
            middle, low, high = (f"{100 * v:.1f}" if v == v else "none" for v in value)
            lines.append(f"| {name} | {middle} | {low} … {high} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an OpenAI-compatible server to draw samples from")
    parser.add_argument("--model")
    parser.add_argument("--samples", type=Path, required=True, help="where they are saved, or read from")
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--n", type=int, default=8, help="samples a problem")
    parser.add_argument("--seed", type=int, default=0, help="of the problems")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.url:
        save(draw(options.url, options.model, options.problems, options.n, options.seed), options.samples)
    values = report([judged(row) for row in load(options.samples)])
    print(table(values))
    if options.json:
        options.json.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()

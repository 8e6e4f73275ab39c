"""Strategies that no pool can stand in for, against a running engine: each problem within a budget of tokens."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from benchmarks.accuracy import pool
from benchmarks.accuracy.countdown import Countdown
from benchmarks.accuracy.draw import engine, patiently, progress, version
from benchmarks.accuracy.freeze import Live
from benchmarks.accuracy.replay import own_answer
from benchmarks.accuracy.tasks import TASKS, Problem, Split, Task, digest
from benchmarks.accuracy.wordings import conversation
from strategies.base import Strategy, execute
from strategies.events import Closed, Event, Scored
from strategies.meter import Meter
from strategies.protocols import Backend, Verifier
from strategies.registry import STRATEGIES, VERIFIERS, Registry
from strategies.types import Budget, Candidate, Prompt, Sampling


@dataclass(frozen=True, slots=True)
class Lived:
    """What a strategy made of one problem. `tokens` are all that were sampled, the verifier's too.

    `seconds` is the wall time, `flying` problems being solved at once.
    """

    index: int
    right: bool
    answer: str | None
    tokens: int
    verifier_tokens: int
    samples: int
    calls: int
    seconds: float
    cut: str | None
    chosen: str
    candidates: tuple[Mapping[str, Any], ...]


def registry() -> Registry:
    """The product's strategies and verifiers, and the benchmark's checker of countdown."""
    return Registry(STRATEGIES, (*VERIFIERS, Countdown))


async def run(live: Live, split: Split, url: str, folder: Path, about: Mapping[str, Any]) -> Path:
    """Run what is missing of one strategy's problems; returns its file."""
    task = TASKS[live.task]
    problems = task.problems(split, live.count)
    path = folder / f"{live.name}-{split}.jsonl.gz"
    pool.make(folder)
    there = list(pool.lines(path, mend=True))
    if not there:
        pool.append(
            path, {**asdict(live), "split": split, "digest": digest(problems), "vllm": await version(url), **about}
        )
    done = {line["index"] for line in there[1:]}
    limiter = anyio.CapacityLimiter(live.flying)
    with progress() as bar:
        row = bar.add_task(path.stem, total=len(problems), completed=len(done), tokens=0)
        async with engine(url, live.model) as backend, anyio.create_task_group() as tasks:

            async def one(problem: Problem) -> None:
                async with limiter:
                    lived = await patiently(lambda: solve(live, task, problem, backend))
                pool.append(path, asdict(lived))
                bar.update(row, advance=1, tokens=bar.tasks[row].fields["tokens"] + lived.tokens)

            for problem in problems:
                if problem.index not in done:
                    tasks.start_soon(one, problem)
    pool.compact(path)
    return path


async def solve(live: Live, task: Task, problem: Problem, backend: Backend) -> Lived:
    """Run the strategy on one problem."""
    known = registry()
    strategy: Strategy = known.strategy(dict(live.strategy))
    verifier: Verifier | None = known.verifier(dict(live.verifier)) if live.verifier else None
    root = Candidate(Prompt(conversation(task.dataset, problem.question, live.wording)))
    sampling = strategy.sampling(Sampling(live.max_tokens, 0.8, seed=100_000 * problem.index))
    meter = Meter(Budget(tokens=live.tokens))
    found: dict[str, Candidate] = {}

    def observe(event: Event) -> None:
        if isinstance(event, Closed | Scored):
            found[event.candidate.id] = event.candidate

    began = time.monotonic()
    chosen = await execute(strategy, root, backend, meter, verifier=verifier, sampling=sampling, observe=observe)
    seconds, answer, spent = round(time.monotonic() - began, 2), own_answer(chosen), meter.spent
    return Lived(
        problem.index,
        task.right(problem, answer),
        answer,
        spent.tokens,
        spent.verifier,
        spent.samples,
        spent.calls,
        seconds,
        meter.cut,
        chosen.id,
        tuple(map(kept, found.values())),
    )


def kept(candidate: Candidate) -> dict[str, Any]:
    """A candidate as it is kept: its newest step alone, for its id names the path before it."""
    step = candidate.steps[-1] if candidate.steps else None
    return {
        "id": candidate.id,
        "text": step.text if step else "",
        "tokens": step.tokens if step else 0,
        "finish": candidate.finish,
        "score": candidate.score.value if candidate.score else None,
    }

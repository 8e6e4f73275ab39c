"""Drawing a pool from a running engine: resumable, a progress bar, each problem saved as soon as it is there."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.accuracy import pool
from benchmarks.accuracy.countdown import Countdown
from benchmarks.accuracy.tasks import TASKS, Problem, Split, Task, digest
from benchmarks.accuracy.wordings import conversation
from server.backends.http import Upstream
from server.backends.vllm import Vllm
from strategies.answers import answer_of
from strategies.growth import Growth
from strategies.protocols import Ask, Backend, BackendError, Verifier, collected
from strategies.tasks import together
from strategies.types import Call, Candidate, Prompt, Sampling
from strategies.verifiers.arithmetic import Arithmetic

T = TypeVar("T")

WINDOW = 16
"""Tokens of the stretch whose mean log-probability is a sample's `lowest`."""
GROUP = 32
"""Samples that one request draws."""
FREE = (Arithmetic(), Countdown())
"""Verifiers that ask no model: their scores are kept with every sample."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to draw: `samples` replies to each of `count` problems. Temperature 0 is the greedy answer."""

    task: str
    split: Split
    model: str
    wording: str
    count: int
    samples: int
    temperature: float = 0.8
    max_tokens: int = 200
    seed: int = 0

    @property
    def name(self) -> str:
        """The name of the pool's file, without its ending."""
        return f"{self.task}-{self.split}-{self.model}-{self.wording}-t{self.temperature:g}"


@asynccontextmanager
async def engine(url: str, model: str) -> AsyncIterator[Vllm]:
    """A model of a running engine."""
    with closing(Upstream(url)) as upstream:
        yield Vllm(upstream, model)


async def version(url: str) -> str:
    """The engine's version, as it tells it."""
    with closing(Upstream(url)) as upstream:
        return str(msgspec.json.decode(await upstream.get("/version"))["version"])


async def draw(wanted: Wanted, url: str, folder: Path, *, flying: int, machine: str, about: dict[str, Any]) -> Path:
    """Draw what is missing of a pool, some `flying` samples at once; returns its file."""
    task = TASKS[wanted.task]
    problems = task.problems(wanted.split, wanted.count)
    path = folder / f"{wanted.name}.jsonl.gz"
    pool.make(folder)
    header = {**msgspec.to_builtins(wanted), "digest": digest(problems), "machine": machine, **about}
    done = begun(path, header | {"vllm": await version(url)})
    left = [problem for problem in problems if problem.index not in done]
    limiter = anyio.CapacityLimiter(max(1, flying // wanted.samples))
    with progress() as bar:
        row = bar.add_task(wanted.name, total=len(problems), completed=len(problems) - len(left), tokens=0)
        async with engine(url, wanted.model) as backend, anyio.create_task_group() as tasks:

            async def one(problem: Problem) -> None:
                async with limiter:
                    drawn = await patiently(lambda: sampled(backend, task, problem, wanted))
                pool.write(path, drawn)
                bar.update(row, advance=1, tokens=bar.tasks[row].fields["tokens"] + tokens_of(drawn))

            for problem in left:
                tasks.start_soon(one, problem)
    if left:
        pool.compact(path)
    return path


async def patiently(act: Callable[[], Awaitable[T]]) -> T:
    """Try again, twice, where a busy engine drops a connection. Raises the last BackendError."""
    for pause in (2, 10):
        try:
            return await act()
        except BackendError:
            await anyio.sleep(pause)
    return await act()


def begun(path: Path, header: dict[str, Any]) -> set[int]:
    """The problems that a file holds already; begins a new one. Raises ValueError where it is another pool's."""
    there = list(pool.lines(path, mend=True))
    if not there:
        pool.append(path, header)
    elif there[0]["digest"] != header["digest"] and there[0]["count"] == header["count"]:
        raise ValueError(f"{path} is about other problems: delete it, or name another folder")
    return {line["index"] for line in there[1:]}


def progress() -> Progress:
    """A bar that shows on a terminal alone: problems done, tokens drawn, time left."""
    shown = ("{task.description}", "{task.fields[tokens]} tokens")
    return Progress(
        TextColumn(shown[0]),
        MofNCompleteColumn(),
        TextColumn(shown[1]),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def tokens_of(drawn: pool.Drawn) -> int:
    return sum(sample.tokens for sample in drawn.samples)


async def sampled(backend: Backend, task: Task, problem: Problem, wanted: Wanted) -> pool.Drawn:
    """All samples of one problem."""
    began = time.monotonic()
    prompt = await backend.render(Prompt(conversation(task.dataset, problem.question, wanted.wording)))
    sampling = Sampling(wanted.max_tokens, wanted.temperature, logprobs=0)
    groups = [min(GROUP, wanted.samples - first) for first in range(0, wanted.samples, GROUP)]

    async def part(at: int) -> list[Candidate]:
        seed = wanted.seed + 100_000 * problem.index + GROUP * at
        call = Call(prompt, wanted.max_tokens, n=groups[at], sampling=replace(sampling, seed=seed))
        return await replies(backend, call)

    parts = await together(part, range(len(groups)))
    ask = Ask(backend)
    samples = [await judged(task, problem, reply, ask) for group in parts for reply in group]
    seconds = round(time.monotonic() - began, 2)
    return pool.Drawn(problem.index, problem.question, problem.answer, tuple(samples), seconds)


async def replies(backend: Backend, call: Call) -> list[Candidate]:
    """The continuations of one call, in order."""
    growths = [Growth(Candidate(call.prompt), call.sampling, call.max_tokens) for _ in range(call.n)]
    done: dict[int, Candidate] = {}
    for chunk in await collected(backend, call):
        growths[chunk.index].add(chunk)
        if chunk.finish:
            done[chunk.index] = growths[chunk.index].close(chunk.finish)
    return [done[at] for at in range(call.n)]


async def judged(task: Task, problem: Problem, reply: Candidate, ask: Ask) -> pool.Sample:
    """A reply as it is kept."""
    answer = answer_of(reply)
    scores = {verifier.name: await score(verifier, reply, ask) for verifier in FREE}
    return pool.Sample(
        reply.text,
        reply.tokens,
        reply.finish or "cut",
        answer,
        task.right(problem, answer),
        round(reply.mean_logprob or 0.0, 4),
        round(lowest([token.logprob for step in reply.steps for token in step.logprobs]), 4),
        {name: round(value, 4) for name, value in scores.items()},
    )


async def score(verifier: Verifier, reply: Candidate, ask: Ask) -> float:
    """What a verifier that asks no model says of a reply."""
    [verdict] = await verifier.score([reply], ask)
    return verdict.value if verdict else 0.0


def lowest(logprobs: Sequence[float]) -> float:
    """The least mean of any `WINDOW` neighbours, of all where there are fewer."""
    width = max(1, min(WINDOW, len(logprobs)))
    sums = [sum(logprobs[at : at + width]) for at in range(len(logprobs) - width + 1)]
    return min(sums, default=0.0) / width

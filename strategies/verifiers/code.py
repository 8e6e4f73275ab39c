"""Runs the code that a response writes against tests, where it can touch nothing."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal

import anyio
import anyio.abc
from anyio.lowlevel import RunVar
from pydantic import BaseModel, ConfigDict, Field, model_validator

from strategies.answers import spoken
from strategies.protocols import Ask, BackendError
from strategies.tasks import together
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings
from strategies.verifiers.sandbox.checker import REFUSED

AT_ONCE = 4
"""Responses under test at once, in the whole server."""
WALL_SECONDS = 60.0
"""For all tests of one response."""
START_SECONDS = 5.0
"""Of these, for processes to start on a busy machine."""
LONGEST = 100_000
"""Characters of code that are run."""
LONGEST_TESTS = 1_000_000
"""Characters of all tests and cases: they are sent with each response, from the event loop."""
LONGEST_REFUSAL = 1000
"""Bytes of why no code can be run."""
START = "import sys; sys.path.append(sys.argv[1]); from strategies.verifiers.sandbox.checker import main; main()"
ROOT = str(Path(__file__).parents[2])
FENCE = "```"
LANGUAGE = re.compile(r"[ \t]*(\w*)")

_running = RunVar[anyio.CapacityLimiter]("responses under test")


class Case(BaseModel):
    """An input, and the output that it should give."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    stdin: str = Field("", max_length=100_000)
    stdout: str = Field(max_length=100_000)


class Code(Settings):
    """The share of tests that the last Python block of a response passes, run with no network, files or processes."""

    guarded: ClassVar[bool] = True
    name: Literal["code"] = "code"
    tests: list[str] = Field([], max_length=64, description="Python, with asserts; each imports what it needs")
    cases: list[Case] = Field([], max_length=64, description="programs' inputs, and the outputs they should give")
    seconds: float = Field(2.0, gt=0, le=10, description="for one test")

    @model_validator(mode="after")
    def _tests_something(self) -> "Code":
        if not self.tests and not self.cases:
            raise ValueError("code needs tests or cases")
        if sum(map(len, self.tests)) + sum(len(case.stdin + case.stdout) for case in self.cases) > LONGEST_TESTS:
            raise ValueError(f"tests and cases have at most {LONGEST_TESTS} characters in all")
        return self

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score]:
        """The share of each; the same code is run once. Raises BackendError where code cannot be run safely."""
        sources = [source_of(candidate) for candidate in candidates]
        distinct = list(dict.fromkeys(sources))
        shares = dict(zip(distinct, await together(self._share, distinct), strict=True))
        return [Score(shares[source]) for source in sources]

    async def _share(self, source: str) -> float:
        total = len(self.tests) + len(self.cases)
        job = {"source": source, **self.model_dump(include={"tests", "cases", "seconds"})}
        async with limiter():
            told = await verdicts(
                json.dumps(job).encode() + b"\n", total, min(WALL_SECONDS, total * self.seconds + START_SECONDS)
            )
        return share_of(told, total)


def share_of(told: bytes, total: int) -> float:
    """The share of tests that a checker says were passed. Raises BackendError where it refused."""
    if told.startswith(REFUSED):
        raise BackendError(f"code cannot be run safely here: {told[1:].decode(errors='replace')}")
    return told.count(b"1") / total


def source_of(candidate: Candidate) -> str:
    """The last block of Python in a response, else its last block, else all of it."""
    said = spoken(candidate)
    found = blocks(said)
    python = [code for language, code in found if language.lower() in ("python", "py", "python3")]
    return (python or [code for _, code in found] or [said])[-1][:LONGEST]


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block; the last one may be open. One pass over the lines."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    *lines, last = text.split("\n")
    for line in lines:
        fence = line.startswith(FENCE)
        if fence and not inside and (named := LANGUAGE.match(line, len(FENCE))):
            found.append((named[1], []))
        elif inside and not fence:
            found[-1][1].append(line + "\n")
        inside = inside != fence
    if inside and not last.startswith(FENCE):
        found[-1][1].append(last)
    return [(language, "".join(code)) for language, code in found]


def limiter() -> anyio.CapacityLimiter:
    """What bounds how much runs at once, one for each event loop."""
    if (made := _running.get(None)) is None:
        _running.set(made := anyio.CapacityLimiter(AT_ONCE))
    return made


async def verdicts(job: bytes, most: int, seconds: float) -> bytes:
    """What the checker said of a job, as far as it came in so many seconds. Leaves no process and no file."""
    told = b""
    with TemporaryDirectory(prefix="ponder-") as folder:
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                [sys.executable, "-I", "-S", "-c", START, ROOT],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={"LANG": "C.UTF-8"},
                start_new_session=True,
            )
        assert process.stdin
        assert process.stdout
        try:
            with anyio.move_on_after(seconds), suppress(anyio.BrokenResourceError):
                await process.stdin.send(job)
                async for part in process.stdout:
                    told += part
                    if len(told) > most + LONGEST_REFUSAL:  # a test that writes verdicts of its own
                        break
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.aclose()
    return told[: most if told[:1] != REFUSED else LONGEST_REFUSAL]

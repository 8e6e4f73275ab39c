"""A pool: for each problem of a split all samples of one model, as lines of compressed JSON.

A file's first line says what was drawn and by what; each further line is one problem. Lines are whole gzip members, so
a draw that was interrupted goes on behind the last whole line.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from strategies.types import Finish


@dataclass(frozen=True, slots=True)
class Sample:
    """One reply. `answer` is what it votes for, `right` the checker's verdict on it.

    `logprob` is the mean log-probability of its tokens; `lowest` that of the least likely stretch of 16 tokens.
    `scores` are those of verifiers that ask no model, by name.
    """

    text: str
    tokens: int
    finish: Finish
    answer: str | None
    right: bool
    logprob: float = 0.0
    lowest: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """All samples of one problem; `seconds` is the wall time of the requests that drew them, others being in flight."""

    index: int
    question: str
    answer: str
    samples: tuple[Sample, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Pool:
    """What was drawn (`about`: task, split, model, wording, sampling, engine, digest …) and the problems' samples."""

    about: Mapping[str, Any]
    problems: tuple[Drawn, ...]


def make(folder: Path) -> None:
    """Make the folder of the pools."""
    folder.mkdir(parents=True, exist_ok=True)


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one line, as a gzip member of its own."""
    with path.open("ab") as file:
        file.write(gzip.compress(json.dumps(line, ensure_ascii=False).encode() + b"\n", 9, mtime=0))


def lines(path: Path, mend: bool = False) -> Iterator[dict[str, Any]]:
    """The whole lines of a file; `mend` cuts off the file what an interruption left of the last one."""
    data = path.read_bytes() if path.exists() else b""
    while data:
        member = zlib.decompressobj(31)
        try:
            text = member.decompress(data)
        except zlib.error:
            break
        if not member.eof:
            break
        data = member.unused_data
        yield from map(json.loads, text.splitlines())
    if data and mend:
        with path.open("rb+") as file:
            file.truncate(path.stat().st_size - len(data))


def write(path: Path, drawn: Drawn) -> None:
    """Add a problem to a pool's file."""
    append(path, asdict(drawn))


def read(path: Path) -> Pool:
    """A pool from its file, problems in order."""
    about, *problems = lines(path)
    return Pool(about, tuple(sorted((drawn_of(line) for line in problems), key=lambda drawn: drawn.index)))


def drawn_of(line: Mapping[str, Any]) -> Drawn:
    return Drawn(**{**line, "samples": tuple(Sample(**sample) for sample in line["samples"])})


def compact(path: Path) -> None:
    """Write a complete file again as one gzip member, which takes half of the room."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(path))
    whole = path.with_suffix(".part")
    whole.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    whole.replace(path)

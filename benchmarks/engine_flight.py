"""Requests under way in the simulated engine: samples that advance token by token, and the prefix cache they hit."""

from collections.abc import Sequence
from typing import Protocol

from benchmarks.engine_chunks import BROKEN, DONE, Writer, error
from benchmarks.engine_metrics import EngineMetrics
from benchmarks.engine_replies import Fault, Sample
from benchmarks.engine_requests import Wanted


class Wire(Protocol):
    """The connection a request is answered on."""

    paused: bool

    def answer(self, status: int, body: bytes) -> None:
        """Send a whole JSON reply."""

    def stream(self, events: Sequence[bytes], *, last: bool) -> None:
        """Send events of a stream, and its end with the last of them."""

    def reset(self) -> None:
        """Drop the connection at once."""


class Track:
    """One sample under way: tokens generated so far, and tokens already written out."""

    __slots__ = ("done", "index", "prompt", "sample", "sent", "total")

    def __init__(self, index: int, sample: Sample, prompt: tuple[int, ...]) -> None:
        self.index, self.sample, self.prompt = index, sample, prompt
        self.total, self.done, self.sent = len(sample.ids), 0, 0


class PrefixCache:
    """Which whole blocks of tokens were seen, each known by all that went before it; sizes in tokens."""

    def __init__(self, block_size: int, blocks: int = 1_000_000) -> None:
        self._size, self._blocks = block_size, blocks
        self._seen: dict[int, None] = {}

    def admit(self, ids: tuple[int, ...], salt: str | None = None) -> int:
        """Remember a sequence; return how many of its leading tokens were known, the last token never among them.

        What came with another salt is not known.
        """
        known, missed, key = 0, False, hash(salt)
        for start in range(0, len(ids) - self._size + 1, self._size):
            key = hash((key, ids[start : start + self._size]))
            missed = missed or key not in self._seen
            known += 0 if missed else self._size
            self._seen[key] = None
        while len(self._seen) > self._blocks:
            del self._seen[next(iter(self._seen))]
        return self.whole(min(known, len(ids) - 1))

    def whole(self, tokens: int) -> int:
        """The tokens of the whole blocks in so many."""
        return tokens // self._size * self._size


class Flight:
    """One request being answered on one connection."""

    def __init__(self, wanted: Wanted, samples: Sequence[Sample], writer: Writer, connection: Wire) -> None:
        self.wanted, self.samples, self.writer, self.connection = wanted, samples, writer, connection
        self.tracks = [Track(index, sample, wanted.prompts[index // wanted.n]) for index, sample in enumerate(samples)]
        self.unsent = self.tracks
        self.running = len(samples)
        self.came_at = self.ready_at = self.stepped_at = 0.0
        self.cached = 0
        self.fault: Fault | None = None

    @property
    def held(self) -> int:
        """Tokens of the samples that still run, as far as they have come."""
        return sum(len(track.prompt) + track.done for track in self.tracks if track.done < track.total)

    def step(self, now: float, metrics: EngineMetrics) -> int:
        """Give every running sample its next token; return how many tokens that made."""
        made = 0
        for track in self.tracks:
            if track.done < track.total:
                track.done += 1
                made += 1
                if track.done == track.total:
                    self.running -= 1
                    metrics.ended(track.sample.finish, 1, now - self.came_at)
        metrics.stepped(made, now - self.came_at, now - self.stepped_at if self.stepped_at else None)
        self.stepped_at = now
        return made

    def write(self) -> bool:
        """Write what is due, as far as the client reads; return whether the request is answered."""
        first = self.tracks[0]
        if self.fault and first.done >= first.total // 2:
            return self._break()
        if self.wanted.stream:
            return not self.connection.paused and self._write_chunks()
        if not self.running:
            self.connection.answer(200, self.writer.whole(self.samples, self.cached))
        return not self.running

    def _write_chunks(self) -> bool:
        wanted, writer, chunks = self.wanted, self.writer, []
        if wanted.chat and self.tracks[0].sent == 0 < self.tracks[0].done:
            chunks = [writer.opening(track.index, track.prompt) for track in self.tracks]
        for track in self.unsent:
            due = track.done - track.sent >= (wanted.interval if track.sent else 1)
            if due or track.sent < track.done == track.total:
                chunks.append(writer.chunk(track.index, track.sample, track.sent, track.done, track.prompt))
                track.sent = track.done
        if not self.running:
            self.unsent = []
            chunks.append(writer.closing(self.samples, self.cached))
        self.connection.stream(chunks, last=not self.running)
        return not self.running

    def _break(self) -> bool:
        if self.fault == "reset":
            self.connection.reset()
        elif self.wanted.stream:
            self.connection.stream([b"data: " + error(BROKEN) + b"\n\n", DONE], last=True)
        else:
            self.connection.answer(500, error(BROKEN))
        return True

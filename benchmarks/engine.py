"""A simulated vLLM: OpenAI's completions over HTTP with scripted or random replies, cheap enough to load a server with.

`python -m benchmarks.engine --port 0` serves it from a process of its own; `simulated()` from a running event loop.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, get_args

import uvloop

from benchmarks.engine_chunks import BROKEN, Writer, error
from benchmarks.engine_flight import Flight, PrefixCache
from benchmarks.engine_http import Connection
from benchmarks.engine_metrics import EngineMetrics
from benchmarks.engine_replies import Ask, Fault, Replier, Reply, arithmetic, choose, filler, scripted, unroll
from benchmarks.engine_requests import Detokenize, Refused, Tokenize, Wanted, conversation, convert, read, served
from benchmarks.engine_text import decode, encode

VERSION = "0.32.0"
_GENERATING = {"/v1/completions": False, "/v1/chat/completions": True}
_POSTED = {*_GENERATING, "/tokenize", "/detokenize"}
_READ = {"/v1/models", "/health", "/version", "/metrics"}


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine behaves. All running sequences advance one token every `delay` seconds, the first after `ttft`.

    Every `fail_every`-th request breaks by `fault`: a 500, an error inside its stream, or a closed socket half-way.
    """

    model: str = "simulated"
    delay: float = 0.0
    ttft: float = 0.0
    max_model_len: int = 8192
    block_size: int = 32
    fail_every: int = 0
    fault: Fault = "status"


class Received(NamedTuple):
    """A request as it came: its path, its decoded body, and whose trace it belongs to (W3C Trace Context)."""

    path: str
    body: Any
    traceparent: str = ""


class Engine:
    """The simulated engine and its counters: `generated` tokens and `aborted` sequences in all, `running` ones now.

    `requests` keeps every body that came, unless `record` is false. `url` is where it listens.
    """

    def __init__(self, reply: Replier = arithmetic, options: Options | None = None, *, record: bool = True) -> None:
        self.options = options or Options()
        self.url = ""
        self.generated = self.aborted = 0
        self.requests: list[Received] = []
        self._reply, self._record = reply, record
        self._cache = PrefixCache(self.options.block_size)
        self._metrics = EngineMetrics(self.options.model)
        self._flights: dict[Connection, Flight] = {}
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.Handle | None = None
        self._empty = asyncio.Event()
        self._due = 0.0
        self._generations = 0

    @property
    def running(self) -> int:
        """Sequences that still generate."""
        return sum(flight.running for flight in self._flights.values())

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve from the running event loop; port 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, host, port, backlog=4096)
        self.url = f"http://{host}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop serving and drop every connection."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.reset()
        if self._connections:
            await self._empty.wait()

    def _connect(self) -> Connection:
        connection = Connection(self._respond, self._lose)
        self._connections.add(connection)
        self._empty.clear()
        return connection

    def _lose(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if flight := self._flights.pop(connection, None):
            self.aborted += flight.running
            self._metrics.ended("abort", flight.running)
        if not self._connections:
            self._empty.set()

    def _respond(self, connection: Connection, method: str, path: str, body: bytes) -> None:
        """Answer one request; what goes wrong is answered in vLLM's words."""
        wanted = "POST" if path in _POSTED else "GET"
        if path not in _POSTED | _READ:
            connection.answer(404, b'{"detail":"Not Found"}')
        elif method != wanted:
            connection.answer(405, b'{"detail":"Method Not Allowed"}')
        elif method == "GET":
            connection.answer(200, *self._tell(path))
        else:
            try:
                self._take(connection, path, _decoded(body))
            except Refused as refused:
                connection.answer(refused.status, error(refused))

    def _take(self, connection: Connection, path: str, body: Any) -> None:
        if self._record:
            self.requests.append(Received(path, body, connection.traceparent))
        if path == "/tokenize":
            connection.answer(200, self._tokenize(body))
        elif path == "/detokenize":
            connection.answer(200, json.dumps({"prompt": decode(convert(body, Detokenize).tokens)}).encode())
        else:
            self._generate(connection, body, chat=_GENERATING[path])

    def _tell(self, path: str) -> tuple[bytes, str]:
        """What a GET says, and its media type."""
        options = self.options
        match path:
            case "/v1/models":
                model = {
                    "id": options.model,
                    "object": "model",
                    "created": 0,
                    "owned_by": "vllm",
                    "root": options.model,
                }
                listed = {"object": "list", "data": [model | {"parent": None, "max_model_len": options.max_model_len}]}
                return json.dumps(listed).encode(), "application/json"
            case "/version":
                return json.dumps({"version": VERSION}).encode(), "application/json"
            case "/metrics":
                return self._counted(), "text/plain; version=1.0.0; charset=utf-8"
        return b"", "text/plain"

    def _counted(self) -> bytes:
        now = asyncio.get_running_loop().time()
        flights = self._flights.values()
        waiting = sum(flight.running for flight in flights if flight.ready_at > now)
        held = sum(flight.held for flight in flights)
        return self._metrics.text(self.generated, self.running - waiting, waiting, held)

    def _tokenize(self, body: Any) -> bytes:
        asked = convert(body, Tokenize)
        served(asked.model, self.options.model)
        if asked.prompt is None and asked.messages is None:
            raise Refused(400, "2 validation errors: Field required", "Bad Request", "body.prompt")
        ids = self._conversation(asked) if asked.prompt is None else encode(asked.prompt)
        told = {"count": len(ids), "max_model_len": self.options.max_model_len, "tokens": ids, "token_strs": None}
        return json.dumps(told).encode()

    def _conversation(self, asked: Tokenize) -> tuple[int, ...]:
        return conversation(asked)

    def _generate(self, connection: Connection, body: Any, *, chat: bool) -> None:
        """Take a request for samples on board; the next steps answer it."""
        options = self.options
        self._generations += 1
        wanted = read(body, chat=chat, model=options.model, max_model_len=options.max_model_len)
        failing = options.fail_every and self._generations % options.fail_every == 0
        texts = [decode(prompt) for prompt in wanted.prompts]
        replies = [self._ask(wanted, texts[index // wanted.n], index, body) for index in range(wanted.n * len(texts))]
        fault = options.fault if failing else next((reply.fault for reply in replies if reply.fault), None)
        if fault == "status":
            raise BROKEN
        samples = [unroll(reply, wanted.limits[index // wanted.n]) for index, reply in enumerate(replies)]
        flight = Flight(wanted, samples, Writer(wanted, options.model), connection)
        flight.fault = fault
        flight.cached = self._cached(wanted)
        flight.came_at = asyncio.get_running_loop().time()
        flight.ready_at = flight.came_at + options.ttft
        self._metrics.began(wanted.prompts, wanted.n, flight.cached, options.ttft)
        self._flights[connection] = flight
        connection.resumed = lambda: self._write(connection, flight)
        if wanted.stream:
            connection.stream([])
        self._schedule()

    def _ask(self, wanted: Wanted, text: str, index: int, body: Any) -> Reply:
        """The reply to one sample. Child j has seed + j, and the same seed after the same text says the same."""
        seed = None if wanted.seed is None else wanted.seed + index % wanted.n
        rng = Random(text) if wanted.greedy else Random() if seed is None else Random(f"{seed}:{text}")
        said = self._reply(Ask(text, index, seed, rng, body))
        reply = Reply(said) if isinstance(said, str) else said
        return choose(reply, wanted.choices, text, None if wanted.greedy else rng) if wanted.choices else reply

    def _cached(self, wanted: Wanted) -> int:
        """Tokens found in the cache as vLLM reports them: streamed for the first sample, else for the last one."""
        found = [self._cache.admit(prompt, wanted.salt) for prompt in wanted.prompts]
        if wanted.stream:
            return found[0]
        return found[-1] if wanted.n == 1 else self._cache.admit(wanted.prompts[-1], wanted.salt)

    def _schedule(self) -> None:
        """Plan the next step, `delay` after the last one, or when the first sample is ready."""
        ready = min((flight.ready_at for flight in self._flights.values() if flight.running), default=None)
        if self._timer is not None or ready is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._due = max(self._due + self.options.delay, ready, now)
        self._timer = loop.call_at(self._due, self._step) if self._due > now else loop.call_soon(self._step)

    def _step(self) -> None:
        """Give each running sequence its next token, and write what is due."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection, flight in tuple(self._flights.items()):
            if flight.running and flight.ready_at <= now:
                self.generated += flight.step(now, self._metrics)
                self._write(connection, flight)
        self._schedule()

    def _write(self, connection: Connection, flight: Flight) -> None:
        """Write what is due; a request that is answered leaves, and what it generated stays in the cache."""
        if self._flights.get(connection) is flight and flight.write():
            del self._flights[connection]
            self._metrics.ended("error", flight.running)
            for track in flight.tracks:
                ids = (*track.prompt, *track.sample.ids[: track.done - 1])
                if self._cache.whole(len(ids)) > self._cache.whole(len(track.prompt)):
                    self._cache.admit(ids, flight.wanted.salt)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refused(400, "1 validation error:\n  JSON decode error", "Bad Request", "body") from None


@asynccontextmanager
async def simulated(reply: Replier = arithmetic, **options: Any) -> AsyncIterator[Engine]:
    """Serve a simulated engine from the running event loop; `options` are those of Options.

    ```
    async with simulated(lambda ask: "4", delay=0.01) as engine:
        ...  # engine.url, engine.generated, engine.requests
    ```
    """
    engine = Engine(reply, Options(**options))
    await engine.listen()
    try:
        yield engine
    finally:
        await engine.close()


async def _serve(engine: Engine, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await engine.listen(host, port)
    print(f"listening on {engine.url}", flush=True)
    await stop.wait()
    await engine.close()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description="A simulated vLLM.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one; the line printed names it")
    parser.add_argument("--model", help="the name it serves")
    parser.add_argument("--delay", type=float, help="seconds per token, for all sequences at once")
    parser.add_argument("--ttft", type=float, help="seconds before a request's first token")
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--block-size", type=int, help="tokens per block of the prefix cache")
    parser.add_argument("--fail-every", type=int, help="break every k-th request; 0 breaks none")
    parser.add_argument("--fault", choices=get_args(Fault), help="how a request breaks")
    said = parser.add_mutually_exclusive_group()
    said.add_argument(
        "--reply", type=Path, help="a JSON list of replies, chosen by seed; without it, sums step by step"
    )
    said.add_argument("--words", type=int, help="say this many random words, one token each")
    parser.set_defaults(**asdict(Options()))
    return parser


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    given = vars(_arguments().parse_args())
    host, port, file, words = (given.pop(name) for name in ("host", "port", "reply", "words"))
    reply = scripted(json.loads(file.read_text())) if file else filler(words) if words else arithmetic
    engine = Engine(reply, Options(**given), record=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(engine, host, port))


if __name__ == "__main__":
    main()

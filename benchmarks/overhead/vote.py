"""What Ponder adds to the engine's own time: a vote over n samples beside one direct request for n samples.

`python -m benchmarks.overhead.vote` starts a local vLLM with the default model (`--engine-url` names a running one) and
a Ponder in a process of its own, and measures alternating pairs: the same prompt, sampling and number of tokens, no
early stop, no seed. It prints a table and writes JSON.
"""

import argparse
import json
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx

from server import paths
from server.backends.local import EngineSpec, local_engine

PROMPT = "Tom has 13 apples and buys 29 more. He gives 7 away. How many apples has he now? Explain each step."


@dataclass(frozen=True)
class Pair:
    """One round: seconds of the direct request, and of the vote."""

    direct: float
    ponder: float

    @property
    def ratio(self) -> float:
        return self.ponder / self.direct


async def measure(engine: str, ponder: str, options: argparse.Namespace) -> list[Pair]:
    """Alternate the two, warmed up, so that a drift of the machine meets both alike."""
    timeout = httpx.Timeout(600)
    async with httpx.AsyncClient(base_url=engine, timeout=timeout) as direct:
        model = (await direct.get("/v1/models")).json()["data"][0]["id"]
        sampling = {
            "model": model,
            "messages": [{"role": "user", "content": PROMPT}],
            "temperature": 0.8,
            "max_tokens": options.max_tokens,
            "ignore_eos": True,
        }
        vote = {"name": "self_consistency", "n": options.n, "early_stop": "none", "prompt": "none"}
        async with httpx.AsyncClient(base_url=ponder, timeout=timeout) as voting:
            pairs = []
            for round in range(options.rounds + 1):
                one = await timed(direct, {**sampling, "n": options.n})
                other = await timed(voting, {**sampling, "reasoning_strategy": vote})
                if round:
                    pairs.append(Pair(one, other))
                    print(
                        f"round {round}: direct {one:.2f} s, Ponder {other:.2f} s, ratio {other / one:.3f}", flush=True
                    )
    return pairs


async def timed(client: httpx.AsyncClient, body: dict[str, Any]) -> float:
    """Seconds for one request; it must generate all its tokens."""
    started = time.perf_counter()
    reply = (await client.post("/v1/chat/completions", json=body)).raise_for_status().json()
    seconds = time.perf_counter() - started
    wanted = body["max_tokens"] * body.get("n", body.get("reasoning_strategy", {}).get("n"))
    if reply["usage"]["completion_tokens"] != wanted:
        raise SystemExit(f"{reply['usage']['completion_tokens']} tokens came instead of {wanted}")
    return seconds


@asynccontextmanager
async def ponder_process(engine: str) -> AsyncIterator[str]:
    """A Ponder in a process of its own; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "server", "serve", "--engine-url", engine, "--port", str(port)]
    async with await anyio.open_process(command, stdout=None, stderr=None) as process:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url) as client:
            while not await answers(client):
                if process.returncode is not None:
                    raise SystemExit(f"ponder ended with status {process.returncode}")
                await anyio.sleep(0.1)
        try:
            yield url
        finally:
            process.send_signal(signal.SIGTERM)


async def answers(client: httpx.AsyncClient) -> bool:
    """Whether a server is ready."""
    try:
        return (await client.get("/ready")).is_success
    except httpx.TransportError:
        return False


async def engine_url(options: argparse.Namespace, stack: AsyncExitStack) -> str:
    """The engine to measure with: the one named, or a local one."""
    if options.engine_url:
        return str(options.engine_url)
    python, model = paths.engine_python(), paths.default_model()
    if not python or not model:
        raise SystemExit("no local engine is set up: use `make test` once, or name one with --engine-url")
    log = paths.cache_folder() / "logs" / "overhead.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    spec = EngineSpec(model=str(model), name=paths.DEFAULT_MODEL, python=python, log=log)
    engine = await stack.enter_async_context(local_engine(spec))
    await engine.ready(print)
    return engine.url


async def run(options: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        engine = await engine_url(options, stack)
        ponder = await stack.enter_async_context(ponder_process(engine))
        pairs = await measure(engine, ponder, options)
    ratios = [pair.ratio for pair in pairs]
    median = statistics.median(ratios)
    print(f"\nself_consistency n={options.n} / direct n={options.n}, {options.max_tokens} tokens each:")
    print(f"median ratio {median:.3f} of {len(ratios)} pairs, from {min(ratios):.3f} to {max(ratios):.3f}")
    result = {"n": options.n, "max_tokens": options.max_tokens, "median": median, "pairs": [asdict(p) for p in pairs]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine-url", help="a running vLLM")
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/results/overhead.json"))
    anyio.run(run, parser.parse_args())


if __name__ == "__main__":
    main()

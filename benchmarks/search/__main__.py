"""Seconds a generated token of searches over steps, beside as many tokens of plain samples at the same concurrency.

    python -m benchmarks.search --engine-url http://127.0.0.1:8001    on a running vLLM with prefix caching
    python -m benchmarks.search                                      on a simulated engine: only to try the script
    python -m benchmarks.search --engine-url … --resume               further rounds for the same file

A search and then its plain request, strategy after strategy, round after round; written down after each pair. Steps
are blocks of 32 tokens and judged by their log-probabilities, so that a search asks no other model; no text ends early.
"""

import argparse
import json
import shlex
import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx

from benchmarks.accuracy.report import table
from benchmarks.overhead.gateways import ponder
from benchmarks.overhead.running import end_when_told, running, scratch, simulated_engine
from benchmarks.search.figures import Timed, figures

STEP = {"step": "\u241e\u241e", "step_tokens": 32, "prompt": "none", "verifier": "logprob"}
"""Steps that only their length ends."""
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "beam_search": {"beams": 4, "width": 4},
    "dvts": {"trees": 4, "width": 4},
    "particle_filter": {"particles": 16},
    "mcts": {"iterations": 16, "width": 4, "parallel": 4},
}
WIDTH = 16
"""Sequences that each of them has in flight at most."""
PROMPT = (
    "Say 4096 tokens. Then explain in small steps how one finds all prime numbers below one hundred, and why it works."
)
COLUMNS = ("ratio", "search", "plain", "prefill", "waiting", "discarded", "hits")
HEAD = ("", "ratio", "search, ms a token", "plain, ms a token", "prefilled again", "waiting", "discarded", "cache hits")


async def search(client: httpx.AsyncClient, body: Mapping[str, Any], name: str, block: int) -> dict[str, float]:
    """One search: its seconds a token and its shares."""
    asked = {**body, "reasoning_strategy": {"name": name, **SEARCHES[name], **STEP}}
    events: list[Timed] = []
    usage: dict[str, int] = {}
    started = time.perf_counter()
    options = {"stream": True, "return_trace": True, "stream_options": {"include_usage": True}}
    async with client.stream("POST", "/v1/chat/completions", json=asked | options) as response:
        if response.is_error:
            raise SystemExit(f"{name}: {(await response.aread()).decode()}")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line.removeprefix("data: "))
                usage = chunk.get("usage") or usage
                if "ponder" in chunk:
                    events.append((time.perf_counter() - started, chunk["ponder"]))
    seconds = time.perf_counter() - started
    (_, trace), told = events[-1], events[:-1]
    found = figures(trace, told, usage["prompt_tokens"], block)
    return found | {"search": 1e3 * seconds / found["generated"]}


async def plain(client: httpx.AsyncClient, body: Mapping[str, Any], generated: int) -> float:
    """Milliseconds a token of one request to the engine itself for as many tokens."""
    asked = {**body, "n": WIDTH, "max_tokens": max(1, round(generated / WIDTH))}
    started = time.perf_counter()
    reply = (await client.post("/v1/chat/completions", json=asked)).raise_for_status().json()
    return 1e3 * (time.perf_counter() - started) / int(reply["usage"]["completion_tokens"])


async def measure(engine: str, gateway: str, options: argparse.Namespace, rounds: list[dict[str, Any]]) -> None:
    """Rounds of pairs, the first pair a warm-up. Each has a question of its own, so that nothing of it is cached."""
    timeout = httpx.Timeout(3600)
    async with httpx.AsyncClient(base_url=engine, timeout=timeout) as direct:
        model = (await direct.get("/v1/models")).json()["data"][0]["id"]
        async with httpx.AsyncClient(base_url=gateway, timeout=timeout) as client:
            for number in range(options.rounds + 1):
                found: dict[str, dict[str, float]] = {}
                for name in options.strategies if number else options.strategies[:1]:
                    question = f"({time.time_ns()}, {name}) {PROMPT}"
                    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0.8}
                    body |= {"max_tokens": options.max_tokens, "ignore_eos": True}
                    one = await search(client, body, name, options.block)
                    one["plain"] = await plain(direct, body, int(one["generated"]))
                    found[name] = one | {"ratio": one["search"] / one["plain"]}
                    print(name, {key: round(value, 3) for key, value in found[name].items()}, flush=True)
                if number:
                    rounds.append(found)
                    write(options.out, rounds)


def write(out: Path, rounds: list[dict[str, Any]]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"rounds": rounds}, indent=1) + "\n", encoding="utf-8")


def told(rounds: list[dict[str, Any]]) -> str:
    """Medians over rounds, a row a strategy."""
    rows = []
    for name in {name: None for one in rounds for name in one}:
        values = [one[name] for one in rounds if name in one]
        rows.append([name, *(f"{statistics.median(value[key] for value in values):.2f}" for key in COLUMNS)])
    return table(HEAD, rows)


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    rounds = json.loads(options.out.read_text())["rounds"] if options.resume and options.out.exists() else []
    with scratch() as name:
        async with AsyncExitStack() as stack:
            engine = options.engine_url or await stack.enter_async_context(simulated_engine(Path(name)))
            gateway = ponder(shlex.split(options.ponder_args))
            served = await stack.enter_async_context(running(gateway, engine, Path(name)))
            await measure(engine, served.url, options, rounds)
    return list(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine-url", help="a running vLLM")
    parser.add_argument("--strategies", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=256, help="of one path")
    parser.add_argument(
        "--block", type=int, default=16, help="tokens per block of the engine's cache; 32 or a part of it"
    )
    parser.add_argument("--ponder-args", default="", help="further flags for `ponder serve`, as one string")
    parser.add_argument("--resume", action="store_true", help="add to the rounds that are in the file")
    parser.add_argument("--out", type=Path, default=Path("docs/results/search.json"))
    options = parser.parse_args()
    end_when_told()
    print(f"\n{told(anyio.run(run, options))}")


if __name__ == "__main__":
    main()

"""What Ponder, and other gateways, add to an engine's own time and work: side by side, in alternating rounds.

    python -m benchmarks.overhead                       Ponder over a simulated engine, beside the engine alone
    python -m benchmarks.overhead --peers               other gateways too, installed where they are missing
    python -m benchmarks.overhead --resume --rounds 5   five more rounds for the same file

It prints a table and writes JSON after each round, and the page of results at the end.
`python -m benchmarks.overhead.vote` measures a vote on a real vLLM.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio

from benchmarks.overhead import gateways, peers
from benchmarks.overhead.gateways import Gateway
from benchmarks.overhead.measure import DIRECT, WORKS, measure
from benchmarks.overhead.processes import memory
from benchmarks.overhead.report import page, tables
from benchmarks.overhead.running import NotRunning, Running, end_when_told, running, scratch, simulated_engine

REST = 10.0
"""Seconds without load before memory is looked at for the last time."""
WARM_UP = 0.5


def wanted(options: argparse.Namespace) -> list[Gateway]:
    """The gateways to measure; a peer that cannot be installed here is told of and left out."""
    found = [gateways.ponder(shlex.split(options.ponder_args))]
    others = {
        "litellm": gateways.litellm,
        "vllm-router": gateways.router,
        "optillm": gateways.optillm,
        "its_hub": gateways.its_hub,
    }
    for name, made in others.items() if options.peers else ():
        try:
            if not peers.installed(name):
                peers.install(name)
            found.append(made())
        except subprocess.CalledProcessError as error:
            print(f"{name} cannot be installed here: {error}")
    return found


async def started(stack: AsyncExitStack, found: Sequence[Gateway], engine: str, folder: Path) -> list[Running]:
    """Those that start; what the others said is printed."""
    servers = []
    for gateway in found:
        try:
            servers.append(await stack.enter_async_context(running(gateway, engine, folder)))
        except NotRunning as error:
            print(f"{gateway.name} does not start here: {error}")
    return servers


async def one_round(engine: str, servers: Sequence[Running], seconds: float) -> dict[str, dict[str, Any]]:
    """Each kind of work on the engine alone, then on each gateway."""
    found: dict[str, dict[str, Any]] = {name: {} for name in ("direct", *(one.gateway.name for one in servers))}
    for name, work in WORKS.items():
        found["direct"][name] = await measure(work, engine, DIRECT[work.kind], seconds, None, "/health")
        for server in servers:
            fields = server.gateway.kinds[work.kind]
            if not isinstance(fields, str):
                health = server.gateway.health
                figures = await measure(work, server.url, fields, seconds, server.pid, health)
                found[server.gateway.name][name] = figures
    return found


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All rounds, and each server's memory before, at most and after; written down after each round."""
    results: dict[str, Any] = {"machine": machine(), "seconds": options.seconds, "rounds": [], "memory": {}}
    if options.resume and options.out.exists():
        results["rounds"] = json.loads(options.out.read_text())["rounds"]
    found = wanted(options)
    results["cannot"] = {one.name: {k: why for k, why in one.kinds.items() if isinstance(why, str)} for one in found}
    with scratch() as folder:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(simulated_engine(Path(folder)))
            servers = await started(stack, found, engine, Path(folder))
            idle = {server.gateway.name: memory(server.pid)[0] for server in servers}
            await one_round(engine, servers, WARM_UP)
            for _ in range(options.rounds):
                results["rounds"].append(await one_round(engine, servers, options.seconds))
                results["memory"] = remembered(idle, servers)
                write(results, options.out)
                print(f"\n{len(results['rounds'])} rounds\n\n{tables(results)}", flush=True)
            await anyio.sleep(REST)
            results["memory"] = remembered(idle, servers)
    write(results, options.out)
    return results


def remembered(idle: dict[str, float], servers: Sequence[Running]) -> dict[str, dict[str, float]]:
    """Memory of each server in MB: before the load, the most, and now."""
    known = {server.gateway.name: memory(server.pid) for server in servers}
    return {name: {"idle": idle[name], "peak": peak, "after": now} for name, (now, peak) in known.items()}


def machine() -> str:
    """The processor, in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} x {name}, Python {platform.python_version()}"


def write(results: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="measure other gateways too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--ponder-args", default="", help="further flags for `ponder serve`, as one string")
    parser.add_argument("--resume", action="store_true", help="add to the rounds that are in the file")
    parser.add_argument("--out", type=Path, default=Path("docs/results/bench.json"))
    options = parser.parse_args()
    end_when_told()
    results = anyio.run(run, options)
    print(tables(results))
    options.out.with_suffix(".md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()

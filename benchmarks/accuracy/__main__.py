"""What pays: accuracy against generated tokens.

    python -m benchmarks.accuracy draw --url URL --model small            all frozen pools of a model, on test seeds
    python -m benchmarks.accuracy draw --url URL --model NAME --split dev --task chain_sum --wording direct
    python -m benchmarks.accuracy live --url URL --model small            all frozen live strategies of a model
    python -m benchmarks.accuracy report                                  replays, tables, figures
    python -m benchmarks.accuracy page                                    the page again, from accuracy.json
    python -m benchmarks.accuracy smoke                                   all of it, tiny, on the simulated engine

What is interrupted goes on where it was. Needs the packages of the `bench` group, `smoke` none of them.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from benchmarks.accuracy import freeze, live, report
from benchmarks.accuracy.draw import Wanted, draw
from benchmarks.accuracy.freeze import Live
from benchmarks.accuracy.results import compute
from benchmarks.accuracy.smoke import smoke

OUT = Path("docs/results")
ROLES = ("small", "large", "smallest")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("command", choices=("draw", "live", "report", "page", "smoke"))
    made.add_argument("--url", default="http://127.0.0.1:8000", help="a running vLLM")
    made.add_argument("--model", default="small", help="small, large, smallest, or a served model's name")
    made.add_argument("--split", choices=("dev", "test"), default="test")
    made.add_argument("--task", help="of these alone; on dev seeds, what to draw")
    made.add_argument("--label", help="live: of these strategies alone")
    made.add_argument("--wording", default="zero_shot")
    made.add_argument("--count", type=int, default=30, help="problems, on dev seeds")
    made.add_argument("--samples", type=int, default=8)
    made.add_argument("--temperature", type=float, default=0.8)
    made.add_argument("--max-tokens", type=int, default=200)
    made.add_argument("--flying", type=int, default=64, help="samples at once")
    made.add_argument("--dtype", default="bfloat16", help="of the engine, for the record")
    made.add_argument("--resamples", type=int, default=20, help="orders in which each problem is replayed")
    made.add_argument("--data", type=Path, default=OUT / "data" / "accuracy")
    made.add_argument("--out", type=Path, default=OUT)
    return made


def frozen(options: argparse.Namespace) -> tuple[dict[str, Any], str, str]:
    """The frozen pools, their hash, and the name of the model that is meant."""
    freeze.allow(options.split)
    pools, digest = freeze.load("pools")
    return pools, digest, pools.get(options.model, options.model)


def wanted_pools(options: argparse.Namespace, pools: Mapping[str, Any], model: str) -> list[Wanted]:
    """What to draw: on test seeds what is frozen, on dev seeds what the command line says."""
    o = options
    if o.split == "dev":
        size = (o.count, o.samples, o.temperature, o.max_tokens)
        return [Wanted(o.task, o.split, model, o.wording, *size)]
    entries = [entry for entry in pools["pool"] if pools[entry["model"]] == model and o.task in (None, entry["task"])]
    return [Wanted(split="test", **{**entry, "model": model}) for entry in entries]


def machine(options: argparse.Namespace) -> str:
    return f"CPU, {len(os.sched_getaffinity(0))} cores, {options.dtype}"


async def drawn(options: argparse.Namespace) -> None:
    """Draw pools, one after the other."""
    pools, digest, model = frozen(options)
    for wanted in wanted_pools(options, pools, model):
        about = {"frozen": digest, "weights": pools.get("weights", {}).get(model, "")}
        await draw(wanted, options.url, options.data, flying=options.flying, machine=machine(options), about=about)


async def lived(options: argparse.Namespace) -> None:
    """Run live strategies, one after the other."""
    pools, _, model = frozen(options)
    strategies, digest = freeze.load("strategies")
    for entry in strategies.get("live", ()):
        wanted = Live(**{**entry, "model": pools.get(entry["model"], entry["model"])})
        if wanted.model == model and options.task in (None, wanted.task) and options.label in (None, wanted.label):
            about = {"frozen": digest, "machine": machine(options)}
            await live.run(wanted, options.split, options.url, options.data, about)


def reported(options: argparse.Namespace, folder: Path = freeze.FOLDER) -> None:
    """Compute, and write the numbers, the page and the figures."""
    results = compute(options.data, options.split, folder, options.resamples)
    (options.out / "accuracy.json").write_text(json.dumps(results, indent=1) + "\n")
    paged(options, folder)


def paged(options: argparse.Namespace, folder: Path = freeze.FOLDER) -> None:
    """Write the page and the figures from the numbers, with the notes of `accuracy-notes.md`."""
    from benchmarks.accuracy.plots import figures

    results = json.loads((options.out / "accuracy.json").read_text())
    pools, _ = freeze.load("pools", folder)
    models = [str(pools["weights"][pools[role]]) for role in ROLES if role in pools]
    notes = options.out / "accuracy-notes.md"
    text = notes.read_text() if notes.exists() else ""
    (options.out / "accuracy.md").write_text(report.page(results, "python -m benchmarks.accuracy report", models, text))
    figures(results, options.out / "accuracy")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    match options.command:
        case "draw":
            anyio.run(partial(drawn, options))
        case "live":
            anyio.run(partial(lived, options))
        case "report":
            reported(options)
        case "page":
            paged(options)
        case "smoke":
            smoke()


if __name__ == "__main__":
    main()

"""All of it, tiny, on the simulated engine: a pool, a live strategy, replays, and the page. Needs no other package."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from benchmarks.accuracy import live, report
from benchmarks.accuracy.draw import Wanted, draw
from benchmarks.accuracy.freeze import Live
from benchmarks.accuracy.results import compute
from benchmarks.engine import simulated
from benchmarks.engine_replies import Ask

POOLS = 'small = "simulated"\n'
STRATEGIES = """
[[curve]]
label = "vote"
tasks = ["sums"]
n = [1, 4]
strategy = { name = "self_consistency", early_stop = "none" }

[[curve]]
label = "best, arithmetic"
tasks = ["sums"]
n = [1, 4]
verifier = "arithmetic"
strategy = { name = "best_of_n" }

[[claim]]
task = "sums"
why = "choosing beats one greedy answer"
ours = "small/best, arithmetic@4"
theirs = "small/greedy@1"
"""


def adds(ask: Ask) -> str:
    """A model that adds two numbers, and errs by one in a third of its replies."""
    a, b = (int(number) for number in re.findall(r"(\d+) \+ (\d+)", ask.question)[-1])
    said = re.search(r"= (\d+)\n", ask.said)
    total = int(said[1]) if said else a + b + (ask.rng.random() < 1 / 3)
    return f"{a} + {b} = {total}\n\n<answer>{total}</answer>".removeprefix(ask.said)


async def made(folder: Path) -> None:
    """Draw a sampled and a greedy pool and run one strategy live."""
    async with simulated(adds) as engine:
        for samples, temperature in ((6, 0.8), (1, 0.0)):
            wanted = Wanted("sums", "smoke", "simulated", "direct", 4, samples, temperature)
            await draw(wanted, engine.url, folder, flying=16, machine="simulated", about={})
        beams = Live("beam", "sums", "direct", "simulated", {"name": "beam_search"}, {"name": "arithmetic"}, count=2)
        await live.run(beams, "smoke", engine.url, folder, {"machine": "simulated"})


def smoke() -> None:
    """Run it all in a folder of its own and print the page."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pools.toml").write_text(POOLS)
        (folder / "strategies.toml").write_text(STRATEGIES)
        anyio.run(made, folder / "data")
        results = compute(folder / "data", "smoke", folder, resamples=3)
        print(report.page(results, "python -m benchmarks.accuracy smoke", ["a simulated model"]))

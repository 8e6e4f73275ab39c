"""What pays: accuracy against generated tokens. `draw` samples pools from a running engine."""

import argparse
from pathlib import Path

import anyio

from benchmarks.accuracy.draw import Wanted, draw

DATA = Path("docs/results/data/accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("draw",))
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--wording", default="zero_shot")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--flying", type=int, default=64)
    parser.add_argument("--data", type=Path, default=DATA)
    o = parser.parse_args()
    wanted = Wanted(o.task, o.split, o.model, o.wording, o.count, o.samples, o.temperature, o.max_tokens)

    async def go() -> None:
        await draw(wanted, o.url, o.data, flying=o.flying, machine="2 cores", about={})

    anyio.run(go)


if __name__ == "__main__":
    main()

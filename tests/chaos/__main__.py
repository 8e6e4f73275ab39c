"""`python -m tests.chaos`: the whole matrix; prints how many cases had the documented outcome, and which had not."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.progress import track

from tests.chaos.matrix import bench, cases
from tests.faults.faults import FAULTS


async def run(faults: list[str], strategies: list[str] | None, out: Path | None) -> int:
    wrong, tried = [], Counter[str]()
    every = list(cases(faults, strategies))
    async with bench() as table:
        for case in track(every, "cases", console=Console(stderr=True)):
            tried[case.fault] += 1
            if problem := await table.tried(case):
                wrong.append((case, problem))
                print(f"{case}: {problem}", flush=True)
    for fault, count in tried.items():
        print(f"{fault:28} {count - sum(case.fault == fault for case, _ in wrong):4} of {count}")
    print(f"{len(every) - len(wrong)} of {len(every)} cases had the documented outcome")
    if out:
        write(out, {"cases": len(every), "wrong": [f"{case}: {problem}" for case, problem in wrong]})
    return int(bool(wrong))


def write(out: Path, told: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="of these alone")
    parser.add_argument("--strategy", action="append", help="of these alone")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sys.exit(anyio.run(run, given.fault or list(FAULTS), given.strategy, given.out))


if __name__ == "__main__":
    main()

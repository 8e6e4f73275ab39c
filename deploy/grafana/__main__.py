"""Write the dashboards' JSON, or say with `--check` whether the files are what the code makes."""

import argparse
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.budgets import budgets
from deploy.grafana.engine import engine
from deploy.grafana.overview import overview
from deploy.grafana.strategies import strategies

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = {"overview": overview, "strategies": strategies, "budgets": budgets, "engine": engine}


def files() -> dict[Path, str]:
    """What every file has to hold."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {FOLDER / f"{name}.json": encoder.encode(made().build()) + "\n" for name, made in DASHBOARDS.items()}


def differing() -> list[Path]:
    """Files that are not what the code makes, or should not be there."""
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return stale + [path for path in sorted(FOLDER.glob("*.json")) if path not in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    if parser.parse_args().check:
        sys.exit("\n".join(f"{path.name}: run `python -m deploy.grafana`" for path in differing()) or None)
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

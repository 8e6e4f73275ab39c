"""Fuzzing led by what the code does with its input: `python -m tests.fuzz.native TARGET [arguments of libFuzzer's]`.

Needs atheris (`pip install atheris`), which Ponder's own environment does not have. New inputs go to `.fuzz/TARGET`.
The seeds are in `corpus/TARGET`: what once failed, or is worth keeping, is added to them, and read by every test run.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
LIMITS = ("-timeout=5", "-rss_limit_mb=2048", "-max_len=4096")
"""Of one input: seconds, the process' memory in MB, bytes."""


def main():
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    with atheris.instrument_imports(include=["server", "strategies"]):
        from tests.fuzz.targets import TARGETS
    name, *given = sys.argv[1:]
    made = Path(".fuzz") / name
    made.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *LIMITS, *given, str(made), str(HERE / "corpus" / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

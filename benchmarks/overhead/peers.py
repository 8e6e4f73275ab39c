"""Other servers to measure beside, from PyPI, each in an environment of its own in the cache.

`python -m benchmarks.overhead.peers` installs them all; what is there already costs nothing.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from server import paths

Step = Sequence[str]
PEERS: dict[str, Sequence[Step]] = {
    "litellm": [["litellm[proxy]==1.106.2"]],
    "vllm-router": [["vllm-router==0.1.17"]],
    "its_hub": [["its-hub[iaas]==1.2.0"]],
    "optillm": [  # without torch, which none of what is measured needs
        ["--no-deps", "optillm==0.4.0"],
        ["aiohttp", "azure-identity", "cerebras_cloud_sdk", "flask", "math-verify", "networkx", "numpy", "openai"],
        ["pyyaml", "requests", "sympy", "z3-solver<=4.15.4.0"],
    ],
}
"""By name: what is installed, step by step."""


def folder(name: str) -> Path:
    """Where a peer's environment is; its name changes with what it holds."""
    wanted = "".join(one for step in PEERS[name] for one in step)
    return paths.cache_folder() / f"peers-{name}-{paths.fingerprint(salt=wanted)[:12]}"


def program(name: str, command: str) -> Path:
    """A program of a peer's environment."""
    return folder(name) / "bin" / command


def installed(name: str) -> bool:
    return (folder(name) / paths.STAMP).exists()


def install(name: str) -> None:
    """Make a peer's environment. Raises CalledProcessError where that cannot be done here."""
    where = folder(name)
    shutil.rmtree(where, ignore_errors=True)
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, where], check=True)
    for step in PEERS[name]:
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", where / "bin" / "python", *step], check=True)
    frozen = subprocess.run(
        [*uv, "pip", "freeze", "--quiet", "--python", where / "bin" / "python"], check=True, capture_output=True
    )
    (where / paths.STAMP).write_bytes(frozen.stdout)


def main() -> None:
    for name in PEERS:
        if not installed(name):
            print(f"{name}: installing into {folder(name)}", flush=True)
            install(name)


if __name__ == "__main__":
    main()

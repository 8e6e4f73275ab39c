"""Where Ponder keeps what it sets up. Needs the standard library only, so that the set-up can import it too."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

EngineKind = Literal["cpu", "cuda"]

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "deploy" / "lock"
DEFAULT_MODEL = "smollm2-135m"
STAMP = ".ponder-stamp"


def cache_folder() -> Path:
    """Return the folder for what outlives a checkout: `PONDER_CACHE`, else `~/.cache/ponder`."""
    named = os.environ.get("PONDER_CACHE")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "ponder"


def engine_kind() -> EngineKind:
    """Return `cuda` where an NVIDIA GPU can be used, else `cpu`."""
    if Path("/proc/driver/nvidia/version").exists():
        return "cuda"
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "cpu"
    works = subprocess.run([tool, "-L"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    return "cuda" if works else "cpu"


def engine_locks(kind: EngineKind) -> list[Path]:
    """Return the lock files that say what an engine environment holds."""
    locks = [LOCKS / f"engine-{kind}.txt"]
    return [*locks, LOCKS / "torch-cpu.txt"] if kind == "cpu" else locks


def engine_folder(kind: EngineKind) -> Path:
    """Return the engine environment's folder, which exists once it is set up; its name changes with its locks."""
    digest = fingerprint(*engine_locks(kind))[:12]
    return cache_folder() / f"engine-{kind}-{digest}-py{sys.version_info.major}{sys.version_info.minor}"


def engine_python() -> Path | None:
    """Return the Python that has vLLM, or None before `deploy/install.py engine` (or outside a checkout)."""
    if not LOCKS.is_dir():
        return None
    python = engine_folder(engine_kind()) / "bin" / "python"
    return python if python.exists() else None


def model_folder() -> Path:
    """Return where the default model lies once it is set up."""
    return cache_folder() / "models" / DEFAULT_MODEL


def default_model() -> Path | None:
    """Return the default model's folder, or None before `deploy/install.py model`."""
    return model_folder() if (model_folder() / STAMP).exists() else None


def fingerprint(*files: Path, salt: str = "") -> str:
    """Return the SHA-256 of the contents of `files` and of `salt`, in hexadecimal."""
    digest = hashlib.sha256(salt.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()

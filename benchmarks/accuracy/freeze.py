"""What was chosen on dev seeds and may not change any more: `frozen/pools.toml` and `frozen/strategies.toml`.

Test seeds are used only with files that git holds as they are; results carry their hash.
"""

import hashlib
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.accuracy.tasks import Split

HERE = Path(__file__).parent
FOLDER = HERE / "frozen"
DECIDING = (HERE / "tasks.py", HERE / "wordings.py")
"""Code that decides what is asked and what is right."""


class Unfrozen(Exception):
    """Test seeds were asked for, and the settings are not what was committed."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A strategy evaluated on the pools of some tasks at several `n`; `verifier` is one whose scores pools hold."""

    label: str
    strategy: Mapping[str, Any]
    tasks: tuple[str, ...]
    n: tuple[int, ...]
    verifier: str | None = None
    model: str = "small"

    def settings(self, n: int) -> dict[str, Any]:
        """The strategy's settings with `n` samples; `{n}` stands for it where a setting is called otherwise."""
        named = "n" if "n" not in self.strategy.values() else None
        return {**{k: n if v == "n" else v for k, v in self.strategy.items()}, **({named: n} if named else {})}


@dataclass(frozen=True, slots=True)
class Live:
    """A strategy that runs against an engine, at most `tokens` a problem, `flying` problems at once."""

    label: str
    task: str
    wording: str
    model: str
    strategy: Mapping[str, Any]
    verifier: Mapping[str, Any] = field(default_factory=dict)
    count: int = 100
    tokens: int = 1000
    max_tokens: int = 200
    flying: int = 8

    @property
    def name(self) -> str:
        """The name of its results' file, without its ending."""
        return f"{self.task}-live-{self.model}-{self.label.replace(' ', '_')}"


@dataclass(frozen=True, slots=True)
class Claim:
    """`ours` against `theirs`, each "label@n" on one task; "greedy" stands for a model's answer at temperature 0."""

    task: str
    ours: str
    theirs: str
    why: str
    saves: bool = False


def load(name: str, folder: Path = FOLDER) -> tuple[dict[str, Any], str]:
    """A settings file and its SHA-256."""
    data = (folder / f"{name}.toml").read_bytes()
    return tomllib.loads(data.decode()), hashlib.sha256(data).hexdigest()


def allow(split: Split, folder: Path = FOLDER) -> None:
    """Raise Unfrozen where `split` is test and the settings, or the code that asks and checks, are not committed."""
    if split != "test":
        return
    files = [*sorted(folder.glob("*.toml")), *DECIDING]
    for file in files:
        known = git("ls-files", "--error-unmatch", str(file))
        if not known or not git("diff", "--quiet", "HEAD", "--", str(file)):
            raise Unfrozen(f"{file.name} is not as committed: settings are frozen before test seeds are used")


def git(*arguments: str) -> bool:
    """Whether a git command succeeds in this repository."""
    return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, check=False).returncode == 0

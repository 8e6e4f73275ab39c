#!/usr/bin/env python3
"""Sets up what Ponder needs, once: `install.py PART…`, with Python's standard library alone.

    gateway   .venv with the server's locked dependencies        engine    vLLM in an environment of its own, cached
    dev       the same, and the tools for tests and linting      model     the embedded default model, cached

A part is made under a temporary name and renamed when it is whole; one that is there and current costs nothing.
"""

import argparse
import fcntl
import hashlib
import json
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from urllib.request import Request, urlopen

if sys.version_info < (3, 11):  # noqa: UP036 (this file runs before anything has been checked)
    sys.exit("Ponder needs Python 3.11 or newer; name one that you have: make PYTHON=python3.12 …")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from server import paths

VENV = paths.ROOT / ".venv"
GUARD = paths.ROOT / "server" / "backends" / "guard.py"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PIP_INSTALL = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install")
LOCKED = ("--require-hashes", "--no-deps", "-r")


class Failed(Exception):
    """A step did not work; the message says which, and why."""


@dataclass
class Progress:
    """Tells on standard error what goes on and for how long: one updating line on a terminal, else one every 10 s."""

    interrupted: int = 0
    told: float = field(default_factory=time.monotonic)

    def note_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal, so that work ends between two steps and never in the middle of one."""
        self.interrupted = number

    def tick(self, what: str, started: float) -> None:
        """Say how long `what` has been going on, if it is time to; leave the program if a signal came."""
        if self.interrupted:
            raise SystemExit(128 + self.interrupted)
        now = time.monotonic()
        live = sys.stderr.isatty()
        if now - max(started, self.told) >= (1 if live else 10):
            self.told = now
            print(f"{what} … {now - started:.0f} s", end="\x1b[K\r" if live else "\n", file=sys.stderr, flush=True)

    def done(self, what: str, started: float) -> None:
        """Say that `what` is done, if it took long enough to be noticed."""
        if time.monotonic() - started >= 1:
            clear = "\x1b[K" if sys.stderr.isatty() else ""
            print(f"{what}: {time.monotonic() - started:.0f} s{clear}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Builder:
    """Makes one folder, whole or not at all."""

    folder: Path
    key: str
    progress: Progress

    def beside(self, ending: str) -> Path:
        """Return a path next to the folder, such as that of its log."""
        return self.folder.with_name(self.folder.name + ending)

    def build(self, fill: Callable[["Builder", Path], None]) -> None:
        """Let `fill` make the folder under a temporary name and put it in place, unless it is there already."""
        if self.current():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.locked():
            if self.current():
                return
            part = self.beside(".part")
            shutil.rmtree(part, ignore_errors=True)
            self.beside(".log").unlink(missing_ok=True)
            try:
                fill(self, part)
                (part / paths.STAMP).write_text(self.key)
                self.progress.tick("", time.monotonic())
                if self.folder.exists():
                    self.folder.rename(self.beside(".old"))
                part.rename(self.folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
                shutil.rmtree(self.beside(".old"), ignore_errors=True)

    def current(self) -> bool:
        """Say whether the folder is there, whole, and made from today's recipe."""
        stamp = self.folder / paths.STAMP
        return stamp.exists() and stamp.read_text() == self.key

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock; the kernel frees it however this process ends."""
        started = time.monotonic()
        with self.beside(".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self.progress.tick(f"{self.folder.name}: waiting for another set-up", started)
                    time.sleep(0.1)
            yield

    def run(self, what: str, command: Sequence[str | Path]) -> None:
        """Run one command under guard, its output in the log; raise `Failed` with the log's tail if it fails."""
        if not self.works(what, command):
            log = self.beside(".log")
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise Failed(f"{what}: failed\n{tail}\n(all of it: {log})")

    def works(self, what: str, command: Sequence[str | Path]) -> bool:
        """Run one command like `run`, and say whether it worked."""
        started = time.monotonic()
        guarded = [sys.executable, "-I", "-S", str(GUARD), "--", *map(str, command)]
        with (
            self.beside(".log").open("ab") as log,
            subprocess.Popen(guarded, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True) as process,
        ):
            while process.poll() is None:
                self.progress.tick(what, started)
                time.sleep(0.05)
        self.progress.done(what, started)
        return process.returncode == 0


def make_environment(builder: Builder, part: Path, *, has_pip: bool = find_spec("ensurepip") is not None) -> None:
    """Make a virtual environment at `part`, with pip, whether or not this Python brings one (Debian's may not)."""
    what = f"{builder.folder.name}: creating the environment"
    if has_pip:
        builder.run(what, [sys.executable, "-m", "venv", part])
        return
    builder.run(what, [sys.executable, "-m", "venv", "--without-pip", part])
    builder.run(f"{builder.folder.name}: fetching pip", [sys.executable, __file__, "pip", part])
    [wheel] = part.glob("pip-*.whl")
    builder.run(what, [part / "bin" / "python", wheel / "pip", "install", "--no-index", "--no-deps", wheel])
    wheel.unlink()


def fetch_pip(folder: Path) -> None:
    """Download the wheel of the pip that `pip.txt` names into `folder`; refuse any other."""
    version, digest = re.findall(r"pip==(\S+)|sha256:(\w+)", (paths.LOCKS / "pip.txt").read_text())
    name = f"pip-{version[0]}-py3-none-any.whl"
    listing = Request("https://pypi.org/simple/pip/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urlopen(listing, timeout=60) as reply:
        [url] = [file["url"] for file in json.load(reply)["files"] if file["filename"] == name]
    with urlopen(url, timeout=60) as reply:
        wheel = reply.read()
    if hashlib.sha256(wheel).hexdigest() != digest[1]:
        raise Failed(f"{name}: not the file that {paths.LOCKS / 'pip.txt'} names")
    (folder / name).write_bytes(wheel)


def move_scripts(part: Path, folder: Path) -> None:
    """Make the scripts of an environment name the place it will be renamed to: they hold its absolute path."""
    for script in [*(part / "bin").iterdir(), part / "pyvenv.cfg"]:
        if script.is_file() and not script.is_symlink() and script.stat().st_size < 100_000:
            script.write_bytes(script.read_bytes().replace(bytes(part), bytes(folder)))


def project_key(name: str) -> str:
    """Return what tells one state of `.venv` from another: lock, the project's own entry, Python and place."""
    import tomllib  # not above: an older Python, which lacks it, is to reach the message about its age

    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())
    entry = json.dumps([project["project"], project["build-system"], project["tool"]["hatch"]])
    return f"{name} {paths.fingerprint(paths.LOCKS / f'{name}.txt', salt=f'{entry} {sys.version} {paths.ROOT}')}"


def install_project(progress: Progress, name: str) -> None:
    """Make `.venv` from the lock `name`, with the project itself in it, editable; one that has the tools keeps them."""
    stamp = VENV / paths.STAMP
    if stamp.exists() and stamp.read_text().startswith("dev "):
        name = "dev"

    def fill(builder: Builder, part: Path) -> None:
        make_environment(builder, part)
        python = part / "bin" / "python"
        lock = paths.LOCKS / f"{name}.txt"
        builder.run(f".venv: installing {lock.name}", [python, *PIP_INSTALL, *LOCKED, lock])
        project = ("--no-deps", "--no-build-isolation", "--editable", paths.ROOT)
        builder.run(".venv: installing ponder", [python, *PIP_INSTALL, *project])
        move_scripts(part, VENV)

    Builder(VENV, project_key(name), progress).build(fill)


def install_engine(progress: Progress) -> None:
    """Make the engine's environment in the cache: vLLM for the GPU that is here, or for the CPU."""
    kind = paths.engine_kind()

    def fill(builder: Builder, part: Path) -> None:
        here = (platform.system(), platform.libc_ver()[0], platform.machine(), sys.version_info[:2])
        if (reason := why_no_wheel(*here)) is not None:
            raise Failed(reason)
        make_environment(builder, part)
        python = part / "bin" / "python"
        if kind == "cpu":
            install_cpu_torch(builder, python)
        lock = paths.LOCKS / f"engine-{kind}.txt"
        builder.run(f"engine: installing vLLM ({kind})", [python, *PIP_INSTALL, *LOCKED, lock])
        move_scripts(part, builder.folder)

    Builder(paths.engine_folder(kind), paths.fingerprint(*paths.engine_locks(kind)), progress).build(fill)


def install_cpu_torch(builder: Builder, python: Path) -> None:
    """Install PyTorch from what pip finds by itself (a local wheel, a mirror), else from PyTorch's own index."""
    command: list[str | Path] = [python, *PIP_INSTALL, "--no-deps", "-r", paths.LOCKS / "torch-cpu.txt"]
    if not builder.works("engine: installing torch", command):
        builder.run("engine: installing torch from PyTorch's index", [*command, "--extra-index-url", TORCH_INDEX])


def why_no_wheel(system: str, libc: str, machine: str, python: tuple[int, int]) -> str | None:
    """Return why vLLM publishes no wheel for such a machine, or None where it does."""
    if system == "Linux" and libc == "glibc" and machine in ("x86_64", "aarch64") and (3, 11) <= python < (3, 15):
        return None
    return (
        "engine: vLLM 0.32 has wheels for Python 3.11 to 3.14 on Linux with glibc, x86_64 or aarch64; this is Python "
        f"{python[0]}.{python[1]} on {system} {libc} {machine}. Serve with --engine-url and a vLLM elsewhere instead."
    )


def install_model(progress: Progress) -> None:
    """Make the default model's folder in the cache, with the engine's Python."""
    lock, converter = paths.LOCKS / "default-model.txt", paths.ROOT / "deploy" / "default_model.py"

    def fill(builder: Builder, part: Path) -> None:
        install_engine(progress)
        python = paths.engine_python()
        assert python is not None
        wheels = builder.beside(".part") / "wheels"
        download = (python, "-m", "pip", "--disable-pip-version-check", "download", "--only-binary", ":all:")
        builder.run("model: downloading", [*download, "--dest", wheels, *LOCKED, lock])
        builder.run("model: converting", [python, converter, wheels, part])
        shutil.rmtree(wheels)

    Builder(paths.model_folder(), paths.fingerprint(lock, converter), progress).build(fill)


def main(arguments: Sequence[str]) -> None:
    """Set up the parts that the command line names, in that order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=("gateway", "dev", "engine", "model"), metavar="PART")
    progress = Progress()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, progress.note_signal)
    for part in parser.parse_args(arguments).parts:
        if part == "engine":
            install_engine(progress)
        elif part == "model":
            install_model(progress)
        else:
            install_project(progress, part)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["pip"]:
            fetch_pip(Path(sys.argv[2]))
        else:
            main(sys.argv[1:])
    except Failed as failure:
        sys.exit(str(failure))

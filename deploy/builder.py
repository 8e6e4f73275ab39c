"""Makes a folder whole or not at all, once: locks, a log, progress on standard error, and an end between two steps."""

import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from server import paths

GUARD = paths.ROOT / "server" / "backends" / "guard.py"


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

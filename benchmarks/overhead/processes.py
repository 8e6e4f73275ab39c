"""CPU time and memory of a process and its children, from Linux' /proc (proc_pid_stat(5), proc_pid_status(5))."""

import os
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True)
class Stat:
    """What is used here of one process: its parent, and the CPU seconds of it and of its children that have ended."""

    parent: int
    cpu: float


def stat(pid: int) -> Stat | None:
    """None for one that is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Stat(int(fields[1]), sum(map(int, fields[11:15])) * TICK)


def family(pid: int) -> dict[int, Stat]:
    """A process and all below it, by pid."""
    known = {
        int(entry.name): one for entry in PROC.iterdir() if entry.name.isdigit() and (one := stat(int(entry.name)))
    }
    found = {pid: known[pid]} if pid in known else {}
    while below := {child: one for child, one in known.items() if one.parent in found and child not in found}:
        found |= below
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and all below it have used so far; granular to 10 ms."""
    return sum(one.cpu for one in family(pid).values())


def memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process and all below it in MB: now, and the sum of each one's highest so far."""
    sizes = [resident(one) for one in family(pid)]
    return sum(now for now, _ in sizes), sum(highest for _, highest in sizes)


def resident(pid: int) -> tuple[float, float]:
    """Resident memory of one process in MB, now and at its highest so far; none for one that is gone."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    sizes = {
        name: int(rest.split()[0]) / 1024
        for name, _, rest in (line.partition(":") for line in lines)
        if name in ("VmRSS", "VmHWM")
    }
    return sizes.get("VmRSS", 0.0), sizes.get("VmHWM", 0.0)

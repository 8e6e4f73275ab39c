"""What a process gives up before it runs what is not trusted. Linux, no privileges needed, standard library only.

Three layers: a seccomp filter (no sockets, no other processes, no signals, no writing to files), Landlock (only some
folders can be read) and new namespaces (no network to be seen, no rights over anybody). See seccomp(2), landlock(7),
user_namespaces(7).
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Mapping, Sequence

from strategies.verifiers.sandbox.syscalls import (
    CLONE,
    DENIED,
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE,
    LANDLOCK_RESTRICT,
    MISSING,
    OPENING,
    Machine,
    machine_of,
)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
EPERM, ENOSYS = 1, 38
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
CLONE_THREAD, X32 = 0x10000, 0x40000000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000  # user, network, System V IPC
LANDLOCK_READ = 1 << 2 | 1 << 3
FILES = (13, 13, 14, 15, 15, 16)
"""How many kinds of file access each version of Landlock knows, the last for all later ones."""


class Unsafe(Exception):
    """This machine cannot keep untrusted code in."""


def machine() -> Machine | None:
    """How this machine numbers its system calls; None for one that we know nothing of."""
    return machine_of(platform.machine()) if sys.platform == "linux" else None


def limit(limits: Mapping[int, int]) -> None:
    """Set resource limits that cannot be raised again."""
    for name, most in limits.items():
        hard = resource.getrlimit(name)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(name, (most, most))


def die_with_parent() -> None:
    """Be killed when the thread that forked us ends; for a parent with one thread."""
    parent = os.getppid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent != os.getppid():
        os._exit(0)


def close_doors() -> None:
    """Install the filter: no sockets, processes, signals or written files from here on. Raises Unsafe."""
    known = machine()
    if not known:
        raise Unsafe(f"no system call filter is known for {platform.machine()} under {sys.platform}")
    program = filter_for(known)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if _prctl(PR_SET_NO_NEW_PRIVS, 1) or _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
        raise Unsafe("the kernel takes no seccomp filter")


def confine(readable: Sequence[str], *, with_parent: bool) -> None:
    """Give up everything but computing and reading in these folders. Raises Unsafe where that is not possible.

    Without Landlock (an older kernel) what this user can read stays readable; then it takes namespaces to keep other
    processes of this user out of reach. `with_parent`: be killed when the parent ends.
    """
    apart = _libc().unshare(NAMESPACES) == 0
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    drop_capabilities()
    if not restrict_files(readable) and not apart:
        raise Unsafe("neither Landlock nor namespaces of its own are to be had")
    _prctl(PR_SET_DUMPABLE, 0)
    if with_parent:
        die_with_parent()
    close_doors()


def drop_capabilities() -> None:
    """Give up all privileges, root's included."""
    numbers = machine()
    header = struct.pack("Ii", 0x20080522, 0)
    if numbers and _libc().syscall(numbers.capset, header, bytes(24)):
        raise Unsafe("privileges cannot be dropped")


def restrict_files(readable: Sequence[str]) -> bool:
    """Let nothing be read but what is in these folders; False where the kernel has no Landlock."""
    version = _libc().syscall(LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return False
    kinds = FILES[min(version, len(FILES) - 1)]
    attributes = struct.pack("QQQ", (1 << kinds) - 1, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = _libc().syscall(LANDLOCK_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return False
    for folder in readable:
        if os.path.exists(folder):
            at = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            allowed = LANDLOCK_READ if os.path.isdir(folder) else 1 << 2
            _libc().syscall(LANDLOCK_ADD_RULE, rules, 1, struct.pack("=Qi", allowed, at), 0)
            os.close(at)
    done: bool = _libc().syscall(LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return done


def filter_for(known: Machine) -> bytes:
    """The filter's program: what is not denied is allowed; another architecture's calls kill."""
    code = [_op(LOAD, 4), _op(EQUAL, known.audit, 1, 0), _op(RETURN, KILL), _op(LOAD, 0)]
    if known.x32:
        code += [_op(AT_LEAST, X32, 0, 1), _op(RETURN, KILL)]
    for name, argument in OPENING.items():
        if name in known.numbers:
            code += _unless_bits(known.numbers[name], argument, WRITING, allowed=False)
    code += _unless_bits(known.numbers[CLONE], 0, CLONE_THREAD, allowed=True)
    for names, error in ((DENIED, EPERM), (MISSING, ENOSYS)):
        for number in sorted(known.numbers[name] for name in names if name in known.numbers):
            code += [_op(EQUAL, number, 0, 1), _op(RETURN, ERRNO | error)]
    return b"".join([*code, _op(RETURN, ALLOW)])


def _unless_bits(number: int, argument: int, bits: int, *, allowed: bool) -> list[bytes]:
    """Decide call `number` by whether any of `bits` is set in an argument: allowed if so, else denied, or reversed."""
    yes, no = (ALLOW, ERRNO | EPERM) if allowed else (ERRNO | EPERM, ALLOW)
    return [
        _op(EQUAL, number, 0, 4),
        _op(LOAD, 16 + 8 * argument),
        _op(ANY_BIT, bits, 0, 1),
        _op(RETURN, yes),
        _op(RETURN, no),
    ]


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    """One instruction of classic BPF."""
    return struct.pack("HBBI", code, true, false, value)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int, pointer: bytes | None = None) -> int:
    if sys.platform != "linux":
        return -1
    result: int = _libc().prctl(option, ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0))
    return result

"""Numbers of system calls, from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl, asm-generic/unistd.h)."""

from collections.abc import Mapping
from dataclasses import dataclass

CLONE = "clone"
LANDLOCK_CREATE, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT = 444, 445, 446

OPENING = {"open": 1, "openat": 2}
"""Calls that open a file, and which argument holds the flags."""

X86_64 = {
    "open": 2, "socket": 41, "connect": 42, "bind": 49, "listen": 50, "clone": 56, "fork": 57, "vfork": 58,
    "execve": 59, "kill": 62, "semget": 64, "msgget": 68, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83,
    "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92,
    "fchown": 93, "lchown": 94, "ptrace": 101, "setuid": 105, "setgid": 106, "setpgid": 109, "setsid": 112,
    "setreuid": 113, "setregid": 114, "setgroups": 116, "setresuid": 117, "setresgid": 119, "utime": 132,
    "mknod": 133, "personality": 135, "setpriority": 141, "sched_setscheduler": 144, "pivot_root": 155, "prctl": 157,
    "setrlimit": 160, "chroot": 161, "mount": 165, "umount2": 166, "reboot": 169, "init_module": 175,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "tkill": 200, "utimes": 235, "tgkill": 234, "mq_open": 240, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "mkdirat": 258, "mknodat": 259, "fchownat": 260,
    "futimesat": 261, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268,
    "unshare": 272, "utimensat": 280, "fallocate": 285, "openat": 257, "shmget": 29, "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "prlimit64": 302, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313, "renameat2": 316, "memfd_create": 319,
    "bpf": 321, "execveat": 322, "userfaultfd": 323,
}  # fmt: skip
ARM64 = {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39,
    "mount": 40, "pivot_root": 41, "truncate": 45, "ftruncate": 46, "fallocate": 47, "chroot": 51, "fchmod": 52,
    "fchmodat": 53, "fchownat": 54, "fchown": 55, "openat": 56, "utimensat": 88, "personality": 92, "unshare": 97,
    "kexec_load": 104, "init_module": 105, "ptrace": 117, "sched_setscheduler": 119, "kill": 129, "tkill": 130,
    "tgkill": 131, "rt_sigqueueinfo": 138, "setpriority": 140, "reboot": 142, "setregid": 143, "setgid": 144,
    "setreuid": 145, "setuid": 146, "setresuid": 147, "setresgid": 149, "setpgid": 154, "setsid": 157,
    "setgroups": 159, "prctl": 167, "setrlimit": 164,
    "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "socket": 198,
    "bind": 200, "listen": 201, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220,
    "execve": 221, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "open_by_handle_at": 265,
    "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273, "renameat2": 276,
    "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282,
}  # fmt: skip
BOTH = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "pidfd_open": 434, "clone3": 435, "openat2": 437, "pidfd_getfd": 438, "fchmodat2": 452,
}  # fmt: skip

MISSING = frozenset({"clone3", "openat2"})
"""Calls that are denied as if this kernel did not have them, so that libraries use older ones, which can be checked."""
DENIED = frozenset(X86_64 | ARM64 | BOTH) - MISSING - {CLONE, *OPENING}


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture: how audit calls it, the numbers of its calls, and whether it has a second set (x32)."""

    audit: int
    numbers: Mapping[str, int]
    capset: int
    x32: bool = False


def machine_of(name: str) -> Machine | None:
    """The architecture that `uname -m` calls so."""
    return {
        "x86_64": Machine(0xC000003E, X86_64 | BOTH, 126, x32=True),
        "aarch64": Machine(0xC00000B7, ARM64 | BOTH, 91),
    }.get(name)

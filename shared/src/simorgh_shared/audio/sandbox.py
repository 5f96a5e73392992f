"""What a process that reads strangers' files may still do: Linux only, each measure on its own, none relied on alone.

Limits of resources, no privileges, no network, and a list of the system calls that decoding needs: none opens a file.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_THREAD = 0x1000_0000, 0x4000_0000, 0x0001_0000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_NOBODY = 65_534


@dataclass(frozen=True)
class ResourceLimits:
    """What one process may use; the kernel ends it, or refuses memory, beyond that."""

    memory_bytes: int
    """Address space on top of what the process has already."""
    processor_s: int


@dataclass(frozen=True)
class _Machine:
    """Numbers of system calls on one architecture."""

    audit: int
    allowed: str
    clone: int
    clone3: int


# read write close fstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 writev
# sched_yield mremap madvise alarm setitimer getpid exit fcntl gettimeofday getrusage sigaltstack gettid futex
# sched_getaffinity restart_syscall clock_gettime exit_group tgkill ppoll set_robust_list getrandom membarrier rseq
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000_003E,
        allowed="0 1 3 5 7 8 9 10 11 12 13 14 15 17 20 24 25 28 37 38 39 60 72 96 98 131 186 202 204 219 228 231"
        " 234 271 273 318 324 334",
        clone=56,
        clone3=435,
    ),
    "aarch64": _Machine(
        audit=0xC000_00B7,
        allowed="63 64 57 80 62 222 226 215 214 134 135 139 67 66 124 216 233 103 172 93 25 169 165 132 178 98 123 128"
        " 113 94 131 73 99 278 283 293",
        clone=220,
        clone3=435,
    ),
}


def leave_network() -> bool:
    """Move this process into a network of its own, which holds nothing; whether the kernel allowed it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        return bool(libc.unshare(_CLONE_NEWNET) == 0)
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def leave_privileges() -> None:
    """Stop being root, where this process is."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def end_with(parent_pid: int) -> None:
    """Be killed when the parent ends; at once where it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def limit_resources(limits: ResourceLimits) -> None:
    """No new descriptors, no bytes into files, no core, and no more memory or processor time than `limits`."""
    with open("/proc/self/statm") as statm:
        held_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    memory_bytes = held_bytes + limits.memory_bytes
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, limits.processor_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def limit_system_calls() -> bool:
    """Allow this thread the calls of the list alone: others fail with EPERM; whether the kernel took the filter.

    Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    code = _filter(machine)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0) == 0)


def _filter(machine: _Machine) -> bytes:
    """The filter as BPF. Threads may be made, processes not: clone3 hides its flags, so libc is sent back to clone."""
    load, equal, set_in, give = 0x20, 0x15, 0x45, 0x06
    allow, refuse, missing = 0x7FFF_0000, 0x0005_0000 | errno.EPERM, 0x0005_0000 | errno.ENOSYS
    code: list[tuple[int, int, int, int]] = [
        (load, 0, 0, 4),  # the architecture
        (equal, 1, 0, machine.audit),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the number of the call
    ]
    for number in map(int, machine.allowed.split()):
        code += [(equal, 0, 1, number), (give, 0, 0, allow)]
    code += [
        (equal, 0, 1, machine.clone3),
        (give, 0, 0, missing),
        (equal, 1, 0, machine.clone),
        (give, 0, 0, refuse),
        (load, 0, 0, 16),  # the flags of clone
        (set_in, 0, 1, _CLONE_THREAD),
        (give, 0, 0, allow),
        (give, 0, 0, refuse),
    ]
    return _packed(code)


def _packed(code: Sequence[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)

"""The few Linux system calls that Python's standard library does not offer, by ctypes.

Numbers are those of the kernel's x86_64 table and of the generic table that aarch64 uses.
Imported inside the sandboxed process before it is confined, so it stays light.
"""

import ctypes
import os
import platform
import sys
from contextlib import suppress

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_RELATIME = 1 << 21
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_GET_SECCOMP = 21
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

_NUMBERS = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capget": 125, "capset": 126},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capget": 90, "capset": 91},
}

IS_LINUX = sys.platform == "linux"
ARCHITECTURE = platform.machine()

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: object) -> int:
    """One raw system call. Raises: OSError with the kernel's errno."""
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def named(name: str) -> int:
    """The number of one of this module's calls here. Raises: OSError on a foreign machine."""
    numbers = _NUMBERS.get(ARCHITECTURE)
    if not IS_LINUX or numbers is None:
        raise OSError(38, f"`{name}` is not known on {sys.platform} {ARCHITECTURE}")
    return numbers[name]


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags`."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount a file system, or change how one is mounted."""
    _checked(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            options.encode() if options else None,
        )
    )


def unmount_detached(target: str) -> None:
    """Unmount `target` once nobody uses it."""
    _checked(_libc.umount2(target.encode(), ctypes.c_int(MNT_DETACH)))


def pivot_root(new_root: str, put_old: str) -> None:
    """Exchange the root of the file tree."""
    syscall(named("pivot_root"), new_root.encode(), put_old.encode())


def prctl(option: int, *values: int) -> int:
    """Ask something of the kernel about this process; the values not given are 0."""
    padded = (*values, 0, 0, 0, 0)[:4]
    return _checked(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(v) for v in padded)))


def _capability_header() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)


def drop_capabilities() -> None:
    """Empty every capability set of this process: bounding, ambient, effective and the rest."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # past the kernel's last one, or no CAP_SETPCAP: the sets below count
            break
    with suppress(OSError):  # a kernel before 4.3 has no ambient set
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    syscall(named("capset"), _capability_header(), (ctypes.c_uint32 * 6)())


def capabilities_are_empty() -> bool:
    """No effective, permitted or inheritable capability is left."""
    sets = (ctypes.c_uint32 * 6)()
    syscall(named("capget"), _capability_header(), sets)
    return not any(sets)

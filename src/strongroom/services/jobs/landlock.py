"""Landlock: which files a process may touch, enforced by the kernel without privilege.

Source: Linux Documentation/userspace-api/landlock.rst, ABI 1 to 7.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from strongroom.services.jobs import syscalls

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
_MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1, 2

READ = _READ_FILE | _READ_DIR
SCRATCH = (
    READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM
    | _REFER | _TRUNCATE
)  # fmt: skip  # one table, read as two lines
DEVICE = _READ_FILE | _WRITE_FILE
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    if not syscalls.IS_LINUX:
        return 0
    try:
        return syscalls.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    except OSError:
        return 0


def _handled(abi: int) -> tuple[int, bytes]:
    """Everything this ABI can refuse, and the attribute block that says so."""
    files = (1 << 13) - 1
    if abi >= 2:
        files |= _REFER
    if abi >= 3:
        files |= _TRUNCATE
    if abi >= 5:
        files |= _IOCTL_DEV
    if abi >= 6:
        scope = _SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL
        return files, struct.pack("=QQQ", files, _BIND_TCP | _CONNECT_TCP, scope)
    if abi >= 4:
        return files, struct.pack("=QQ", files, _BIND_TCP | _CONNECT_TCP)
    return files, struct.pack("=Q", files)


def restrict(rules: Iterable[tuple[str, int]]) -> int:
    """Confine this thread and all it starts to `rules`: pairs of a path and its rights.

    TCP, and from ABI 6 on abstract sockets and signals to the outside, are refused as well.
    `no_new_privs` must be set before.

    Returns: the ABI in force, >= 1.
    Raises: OSError where the kernel has no Landlock, or a path cannot be opened.
    """
    abi = version()
    if abi < 1:
        raise OSError(38, "the kernel has no Landlock")
    handled, attributes = _handled(abi)
    ruleset = syscalls.syscall(
        _CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0)
    )
    try:
        for path, rights in rules:
            _add(ruleset, path, rights & handled)
        syscalls.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
    return abi


def _add(ruleset: int, path: str, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _FOR_FILES
        rule = struct.pack("=Qi", rights, handle)
        syscalls.syscall(
            _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0)
        )
    finally:
        os.close(handle)

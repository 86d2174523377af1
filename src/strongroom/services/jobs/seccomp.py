"""A seccomp filter that lets pass what computing needs and refuses every other system call.

An allow list: a call that a later kernel adds is refused until someone adds it here. Refused
calls fail with EPERM, so that code which merely asks (a library looking for more cores) goes on.
Calls of a foreign machine or of x86_64's x32 numbering kill the process.

Source: Linux Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/bpf_common.h.
"""

import ctypes
import struct

from strongroom.services.jobs import syscalls

# What a filter answers.
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_EPERM, _ENOSYS = 1, 38

# Classic BPF: load a word of seccomp_data, compare it, answer.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE = 0, 4
_X32 = 0x40000000

_SET_MODE_FILTER = 1
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_CLONE_THREAD = 0x00010000
# New cgroup, uts, ipc, user, pid, net, mount and time namespaces.
_CLONE_NAMESPACES = 0x7E020080
_PRCTL_ALLOWED = (3, 15, 16, 21, 39)  # dumpable?, set and get a thread's name, seccomp?, nnp?
_IOCTL_ALLOWED = (0x5401, 0x5421, 0x5450, 0x5451)  # TCGETS, FIONBIO, FIONCLEX, FIOCLEX

# name: (x86_64, aarch64); -1 where that machine has no such call.
_COMPUTING = {
    "read": (0, 63), "write": (1, 64), "open": (2, -1), "close": (3, 57), "stat": (4, -1),
    "fstat": (5, 80), "lstat": (6, -1), "poll": (7, -1), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66), "access": (21, -1),
    "pipe": (22, -1), "select": (23, -1), "sched_yield": (24, 124), "mremap": (25, 216),
    "msync": (26, 227), "mincore": (27, 232), "madvise": (28, 233), "dup": (32, 23),
    "dup2": (33, -1), "nanosleep": (35, 101), "getitimer": (36, 102), "setitimer": (38, 103),
    "getpid": (39, 172), "sendfile": (40, 71), "exit": (60, 93), "wait4": (61, 260),
    "uname": (63, 160), "fcntl": (72, 25), "flock": (73, 32), "fsync": (74, 82),
    "fdatasync": (75, 83), "truncate": (76, 45), "ftruncate": (77, 46), "getdents": (78, -1),
    "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, -1),
    "mkdir": (83, -1), "rmdir": (84, -1), "creat": (85, -1), "link": (86, -1),
    "unlink": (87, -1), "symlink": (88, -1), "readlink": (89, -1), "chmod": (90, -1),
    "fchmod": (91, 52), "umask": (95, 166), "gettimeofday": (96, 169), "getrlimit": (97, 163),
    "getrusage": (98, 165), "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174),
    "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173),
    "getpgrp": (111, -1), "getgroups": (115, 158), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132),
    "utime": (132, -1), "statfs": (137, 43), "fstatfs": (138, 44), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "set_tid_address": (218, 96),
    "restart_syscall": (219, 128), "fadvise64": (221, 223), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "epoll_wait": (232, -1), "epoll_ctl": (233, 21), "utimes": (235, -1), "openat": (257, 56),
    "mkdirat": (258, 34), "newfstatat": (262, 79), "unlinkat": (263, 35), "renameat": (264, 38),
    "linkat": (265, 37), "symlinkat": (266, 36), "readlinkat": (267, 78), "fchmodat": (268, 53),
    "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "sync_file_range": (277, 84),
    "utimensat": (280, 88), "epoll_pwait": (281, 22), "fallocate": (285, 47),
    "eventfd2": (290, 19), "epoll_create1": (291, 20), "dup3": (292, 24), "pipe2": (293, 59),
    "preadv": (295, 69), "pwritev": (296, 70), "getcpu": (309, 168), "sched_getattr": (315, 275),
    "renameat2": (316, 276), "getrandom": (318, 278), "membarrier": (324, 283),
    "copy_file_range": (326, 285), "preadv2": (327, 286), "pwritev2": (328, 287),
    "statx": (332, 291), "rseq": (334, 293), "close_range": (436, 436), "openat2": (437, 437),
    "faccessat2": (439, 439), "epoll_pwait2": (441, 441), "futex_waitv": (449, 449),
    "fchmodat2": (452, 452),
}  # fmt: skip  # one call a line would be four pages
_CLONE, _CLONE3 = (56, 220), (435, 435)
_TGKILL, _PRCTL, _IOCTL, _PRLIMIT = (234, 131), (157, 167), (16, 29), (302, 261)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _answer(value: int) -> bytes:
    return _step(_ANSWER, value)


def _argument(index: int) -> int:
    """Offset of the low word of an argument; both machines are little-endian."""
    return 16 + 8 * index


def _block(number: int, body: list[bytes]) -> list[bytes]:
    """`body`, which must answer, run for one call only."""
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _only_values(values: tuple[int, ...], index: int) -> list[bytes]:
    body = [_step(_LOAD, _argument(index))]
    for value in values:
        body += [_step(_EQUAL, value, 0, 1), _answer(_ALLOW)]
    return [*body, _answer(_ERRNO | _EPERM)]


def program(machine: str, process_id: int) -> bytes:
    """The filter for one machine, as BPF instructions of eight bytes each.

    Args:
        machine: `x86_64` or `aarch64`.
        process_id: the only process that the confined code may signal: itself.
    Raises: KeyError on any other machine.
    """
    column = {"x86_64": 0, "aarch64": 1}[machine]
    steps = [
        _step(_LOAD, _MACHINE),
        _step(_EQUAL, _AUDIT[machine], 1, 0),
        _answer(_KILL_PROCESS),
        _step(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _answer(_KILL_PROCESS)]
    for numbers in _COMPUTING.values():
        if numbers[column] >= 0:
            steps += [_step(_EQUAL, numbers[column], 0, 1), _answer(_ALLOW)]
    # A thread, never a process or a namespace. libc falls back to clone when clone3 is absent.
    steps += _block(
        _CLONE[column],
        [
            _step(_LOAD, _argument(0)),
            _step(_ANY_BIT, _CLONE_NAMESPACES, 2, 0),
            _step(_ANY_BIT, _CLONE_THREAD, 0, 1),
            _answer(_ALLOW),
            _answer(_ERRNO | _EPERM),
        ],
    )
    steps += _block(_CLONE3[column], [_answer(_ERRNO | _ENOSYS)])
    steps += _block(_TGKILL[column], _only_values((process_id,), 0))
    steps += _block(_PRCTL[column], _only_values(_PRCTL_ALLOWED, 0))
    steps += _block(_IOCTL[column], _only_values(_IOCTL_ALLOWED, 1))
    # prlimit64 may read limits (no new value: both words of argument 2 are zero), not set them.
    steps += _block(
        _PRLIMIT[column],
        [
            _step(_LOAD, _argument(2)),
            _step(_EQUAL, 0, 0, 3),
            _step(_LOAD, _argument(2) + 4),
            _step(_EQUAL, 0, 0, 1),
            _answer(_ALLOW),
            _answer(_ERRNO | _EPERM),
        ],
    )
    return b"".join([*steps, _answer(_ERRNO | _EPERM)])


def is_known() -> bool:
    """This machine has a table here."""
    return syscalls.IS_LINUX and syscalls.ARCHITECTURE in _AUDIT


def install(process_id: int) -> None:
    """Filter every later system call of this process. `no_new_privs` must be set before.

    Raises: OSError when the kernel refuses, or the machine has no table.
    """
    if not is_known():
        raise OSError(38, f"no table of system calls for `{syscalls.ARCHITECTURE}`")
    code = program(syscalls.ARCHITECTURE, process_id)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a count, padding, a pointer.
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    syscalls.syscall(
        syscalls.named("seccomp"), ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(0), head
    )

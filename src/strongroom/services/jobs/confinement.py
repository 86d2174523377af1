"""The layers of the sandbox, put in force by the process that is to be confined.

Runs inside the fresh process, before anything untrusted is there. Each layer is tried; what the
host refuses is left out of the report, and a layer is reported only after a look that it holds.
docs/adr/0009-sandbox-layers.md says what each refuses.
"""

import json
import os
import resource
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from strongroom.services.jobs import landlock, seccomp, syscalls
from strongroom.services.jobs.users import NOBODY

INNER_SCRATCH = "/scratch"

_NAMESPACES = {
    "mount_namespace": syscalls.CLONE_NEWNS,
    "network_namespace": syscalls.CLONE_NEWNET,
    "ipc_namespace": syscalls.CLONE_NEWIPC,
    "process_namespace": syscalls.CLONE_NEWPID,
    "host_name_namespace": syscalls.CLONE_NEWUTS,
    "cgroup_namespace": syscalls.CLONE_NEWCGROUP,
}
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the parent asks for. Paths are absolute; sizes in bytes, times in seconds.

    Attributes:
        cpu_seconds: 0 for no limit over the whole life.
        readable: files and folders that may be read.
        search: the import path.
        scratch: the private folder made by the parent.
        user: who it becomes, as user and as group, where the parent is root.
    """

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    scratch_bytes: int
    open_files: int
    threads: int
    scratch: str
    user: int = NOBODY
    readable: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    request: int = -1
    answer: int = -1
    inputs: dict[str, int] = field(default_factory=dict)

    def dumps(self) -> str:
        """As JSON, for the command line; it holds no secret."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> "Plan":
        """The inverse of `dumps`."""
        return cls(**json.loads(text))


def separate() -> list[str]:
    """Enter new namespaces; the next fork is the first process in them.

    Returns: the layers entered. As root without a user namespace, else with one in which the
    caller appears as nobody.
    """
    if not syscalls.IS_LINUX:
        return []
    layers = []
    uid, gid = os.getuid(), os.getgid()
    everything = 0
    for flag in _NAMESPACES.values():
        everything |= flag
    if uid == 0 and _tried(everything):
        return list(_NAMESPACES)
    # A root without capabilities may not map itself (Linux 5.12), and unmapped it owns nothing.
    if uid != 0 and _tried(syscalls.CLONE_NEWUSER):
        layers.append("user_namespace")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{NOBODY} {uid} 1")
        _write("/proc/self/gid_map", f"{NOBODY} {gid} 1")
    return layers + [name for name, flag in _NAMESPACES.items() if _tried(flag)]


def _tried(flags: int) -> bool:
    try:
        syscalls.unshare(flags)
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def confine(plan: Plan, entered: list[str], host_uid: int) -> tuple[list[str], str]:
    """Put the other layers in force, strictest last, and look that each holds.

    Args:
        entered: what `separate` returned.
        host_uid: the user before `separate`, which in a user namespace looks like another.
    Returns: the layers in force, and the scratch folder as seen from inside.
    """
    layers = [name for name in entered if name != "mount_namespace"]
    scratch = plan.scratch
    if "mount_namespace" in entered and _own_root(plan):
        layers.append("mount_namespace")
        scratch = INNER_SCRATCH
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    layers += _limit(plan)
    if syscalls.IS_LINUX:
        layers += _shed_privileges(plan.user, host_uid == 0 and "user_namespace" in entered)
        layers += _restrict_files(plan, scratch)
        layers += _filter_calls()
    # Closing is the parent's work (close_fds, a new environment): look that it was done.
    if set(os.environ) <= ALLOWED_VARIABLES:
        layers.append("environment")
    return sorted(layers), scratch


ALLOWED_VARIABLES = frozenset({
    "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS", "PYTHONHASHSEED", "LOKY_MAX_CPU_COUNT", "POLARS_MAX_THREADS",
    "ORT_DISABLE_TELEMETRY",
})  # fmt: skip  # names only


def _own_root(plan: Plan) -> bool:
    """Replace the file tree by one that holds only what may be read, and a scratch in memory."""
    root = plan.scratch
    try:
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmpfs", root, "tmpfs", flags, "size=1m,mode=0755")
        for path in (*plan.readable, *_DEVICES):
            _show(path, root)
        inner = root + INNER_SCRATCH
        Path(inner).mkdir()
        syscalls.mount(
            "tmpfs",
            inner,
            "tmpfs",
            flags | syscalls.MS_NOEXEC,
            f"size={plan.scratch_bytes},nr_inodes=10000,mode=0700",
        )
        user = plan.user if os.getuid() == 0 else NOBODY
        os.chown(inner, user, user)
        syscalls.mount("none", root, None, syscalls.MS_REMOUNT | syscalls.MS_RDONLY | flags)
        os.chdir(root)
        syscalls.pivot_root(".", ".")
        # Old and new root now lie on each other; this takes the old one away.
        syscalls.unmount_detached(".")
        os.chdir("/")
    except OSError:
        return False
    return not Path("/proc/self").exists()


def _show(path: str, root: str) -> None:
    """Make one file or folder of the host visible below `root`, read-only, at the same path."""
    source, place = Path(path), Path(root + path)
    if not source.exists() or place.is_symlink() or place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        place.symlink_to(source.readlink())
        _show(os.path.realpath(path), root)
        return
    if source.is_dir():
        place.mkdir()
    else:
        place.touch(0o444)
    target = str(place)
    syscalls.mount(path, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    # A user namespace may not loosen what the host's mount has: keep its flags.
    kept = os.statvfs(target).f_flag & (
        syscalls.MS_NODEV | syscalls.MS_NOEXEC | syscalls.MS_NOATIME
        | syscalls.MS_NODIRATIME | syscalls.MS_RELATIME
    )  # fmt: skip  # one mask
    device = path in _DEVICES
    flags = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY | syscalls.MS_NOSUID
    with suppress(OSError):  # a device stays usable through a read-only mount; Landlock decides
        syscalls.mount("none", target, None, flags | (0 if device else kept))


def _limit(plan: Plan) -> list[str]:
    wanted = {
        resource.RLIMIT_AS: plan.memory_bytes,
        resource.RLIMIT_FSIZE: plan.file_bytes,
        resource.RLIMIT_NOFILE: plan.open_files,
        resource.RLIMIT_NPROC: plan.threads,
        resource.RLIMIT_CORE: 0,
    }
    if hasattr(resource, "RLIMIT_MSGQUEUE"):
        wanted[resource.RLIMIT_MSGQUEUE] = 0
    if plan.cpu_seconds:
        wanted[resource.RLIMIT_CPU] = plan.cpu_seconds
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with suppress(OSError, ValueError):  # macOS refuses RLIMIT_AS; the look below tells
            resource.setrlimit(kind, (least, least))
    holds = all(
        0 <= resource.getrlimit(kind)[1] <= value
        for kind, value in wanted.items()
        if kind != resource.RLIMIT_AS
    )
    layers = ["limits"] if holds else []
    if 0 <= resource.getrlimit(resource.RLIMIT_AS)[1] <= plan.memory_bytes:
        layers.append("memory_limit")
    return layers


def _shed_privileges(user: int, is_root_outside: bool) -> list[str]:
    """Become `user` where that is possible, without capabilities, for good."""
    layers = []
    if os.getuid() == 0:
        try:
            os.chown(".", user, user)  # the scratch folder
            _can_work(user)
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:
            pass  # the report then lacks `not_root`
    with suppress(OSError):
        syscalls.drop_capabilities()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    # Set after the change of user, which clears it: die with the process that guards this one.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    with suppress(OSError):
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if syscalls.capabilities_are_empty():
        layers.append("no_capabilities")
    if 0 not in os.getresuid() and not is_root_outside:
        layers.append("not_root")
    if syscalls.prctl(syscalls.PR_GET_NO_NEW_PRIVS) == 1:
        layers.append("no_new_privileges")
    return layers


def _can_work(user: int) -> None:
    """Raises: OSError when `user` could not read Python's own files or write the scratch."""
    os.seteuid(user)
    try:
        for path in (os.__file__, __file__):
            os.close(os.open(path, os.O_RDONLY))
        if not os.access(".", os.W_OK, effective_ids=True):
            raise PermissionError(13, "the scratch folder is not theirs")
    finally:
        os.seteuid(0)


def _restrict_files(plan: Plan, scratch: str) -> list[str]:
    rules = [(path, landlock.READ) for path in plan.readable if Path(path).exists()]
    rules += [(path, landlock.DEVICE) for path in _DEVICES if Path(path).exists()]
    rules.append((scratch, landlock.SCRATCH))
    try:
        abi = landlock.restrict(rules)
    except OSError:
        return []
    try:
        os.close(os.open("/", os.O_RDONLY))
    except PermissionError:
        layers = ["landlock"]
        if abi >= 4:
            layers.append("landlock_tcp")
        if abi >= 6:
            layers.append("landlock_signals")
        return layers
    return []


def _filter_calls() -> list[str]:
    try:
        seccomp.install(os.getpid())
        in_force = syscalls.prctl(syscalls.PR_GET_SECCOMP) == 2
    except OSError:
        return []
    return ["seccomp"] if in_force else []


def python_paths() -> tuple[list[str], list[str]]:
    """What this interpreter needs: the import path, and the files and folders it reads."""
    import sysconfig

    package_root = str(Path(__file__).resolve().parents[3])
    search, readable = [], []
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        path = sysconfig.get_path(name)
        readable.append(path)
        if name in {"purelib", "platlib"} and path not in search:
            search.append(path)
    search.append(package_root)
    # sys.path also names a distribution's own folders (dist-packages); never the current one.
    search += [p for p in sys.path if p.endswith("-packages") and p not in search]
    libraries = [str(Path(sys.base_prefix) / "lib"), "/lib", "/lib64", "/usr/lib", "/usr/lib64"]
    extra = ["/etc/ld.so.cache", "/usr/share/zoneinfo", "/etc/localtime"]
    readable += [*search, str(Path(package_root) / "strongroom"), *libraries, *extra]
    readable.remove(package_root)
    wanted = dict.fromkeys(os.path.normpath(p) for p in readable if Path(p).exists())
    # A folder below another one adds nothing.
    return search, [
        p for p in wanted if not any(p != o and p.startswith(o + os.sep) for o in wanted)
    ]

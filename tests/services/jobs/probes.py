"""What hostile code would try; called inside the sandbox by test_sandbox.py.

Each probe really tries. It returns a sentence when it got through, else None; an OSError or
MemoryError counts as refused.
"""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
PROBES: dict[str, Callable[[Facts, Path], str | None]] = {}


def probe(function: Callable[[Facts, Path], str | None]) -> Callable[[Facts, Path], str | None]:
    PROBES[function.__name__] = function
    return function


def attempt_all(facts: Facts, folder: Path) -> Facts:
    answers: Facts = {}
    for name, function in PROBES.items():
        try:
            answers[name] = function(facts, folder)
        except (OSError, MemoryError, subprocess.SubprocessError) as error:
            answers[name] = None
            answers.setdefault("how", {})[name] = f"{type(error).__name__}: {error}"
    return answers


def _raw(number: int, *arguments: object) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *arguments)
    return f"system call {number} gave {result}" if result >= 0 else None


@probe
def read_a_file_outside(facts: Facts, folder: Path) -> str | None:
    return Path(str(facts["secret"])).read_text()


@probe
def read_the_accounts(facts: Facts, folder: Path) -> str | None:
    return Path("/etc/passwd").read_text()[:20]


@probe
def list_the_host(facts: Facts, folder: Path) -> str | None:
    return f"saw {list(Path('/').iterdir())}"


@probe
def read_the_servers_environment(facts: Facts, folder: Path) -> str | None:
    return repr(Path(f"/proc/{facts['server']}/environ").read_bytes()[:20])


@probe
def find_the_servers_variables(facts: Facts, folder: Path) -> str | None:
    return "found" if "STRONGROOM_TEST_SECRET" in os.environ else None


@probe
def find_an_open_file(facts: Facts, folder: Path) -> str | None:
    for handle in range(3, 256):
        try:
            os.lseek(handle, 0, os.SEEK_SET)
        except OSError:
            continue  # closed, or a pipe
        return f"descriptor {handle} is a file"
    return None


@probe
def follow_a_link_out(facts: Facts, folder: Path) -> str | None:
    link = folder / "link"
    link.symlink_to(facts["secret"])
    return link.read_text()


@probe
def link_a_file_in(facts: Facts, folder: Path) -> str | None:
    os.link(facts["secret"], folder / "hard")
    return "linked"


@probe
def climb_out(facts: Facts, folder: Path) -> str | None:
    return (folder / ("../" * 20 + str(facts["secret"]))).read_text()


@probe
def write_outside(facts: Facts, folder: Path) -> str | None:
    Path(facts["outside"]).write_text("was here")
    return "written"


@probe
def change_a_file_outside(facts: Facts, folder: Path) -> str | None:
    os.truncate(facts["secret"], 0)
    return "truncated"


@probe
def remove_a_file_outside(facts: Facts, folder: Path) -> str | None:
    Path(facts["secret"]).unlink()
    return "removed"


@probe
def plant_code_in_python(facts: Facts, folder: Path) -> str | None:
    Path(os.__file__).with_name("planted_by_test.py").write_text("")
    return "planted"


@probe
def write_shared_memory(facts: Facts, folder: Path) -> str | None:
    Path("/dev/shm/strongroom-probe").write_text("x")
    return "written"


@probe
def connect_by_tcp(facts: Facts, folder: Path) -> str | None:
    with socket.create_connection(("127.0.0.1", facts["tcp"]), timeout=2):
        return "connected"


@probe
def send_by_udp(facts: Facts, folder: Path) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"x", ("127.0.0.1", facts["udp"]))
        return "sent"


@probe
def connect_by_unix_socket(facts: Facts, folder: Path) -> str | None:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(facts["unix"])
        return "connected"


@probe
def connect_by_abstract_socket(facts: Facts, folder: Path) -> str | None:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect("\0" + facts["abstract"])
        return "connected"


@probe
def listen(facts: Facts, folder: Path) -> str | None:
    with socket.create_server(("127.0.0.1", 0)):
        return "listens"


@probe
def fork(facts: Facts, folder: Path) -> str | None:
    if os.fork() == 0:
        os._exit(0)
    return "forked"


@probe
def start_a_shell(facts: Facts, folder: Path) -> str | None:
    return subprocess.run(["/bin/sh", "-c", "id"], capture_output=True, check=True).stdout.decode()


@probe
def become_a_shell(facts: Facts, folder: Path) -> str | None:
    os.execv("/bin/sh", ["sh", "-c", "echo shell"])  # noqa: S606 - the probe is about this


@probe
def run_what_it_wrote(facts: Facts, folder: Path) -> str | None:
    program = folder / "program"
    program.write_bytes(b"#!/bin/sh\necho ran\n")
    program.chmod(0o700)
    os.execv(program, ["program"])  # noqa: S606 - the probe is about this


@probe
def trace_the_server(facts: Facts, folder: Path) -> str | None:
    return _raw(101, 16, facts["server"], 0, 0)  # PTRACE_ATTACH


@probe
def read_the_servers_memory(facts: Facts, folder: Path) -> str | None:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_uint64 * 2)(facts["address"], 8)
    return _raw(310, facts["server"], local, 1, remote, 1, 0)


@probe
def kill_the_parent(facts: Facts, folder: Path) -> str | None:
    os.kill(os.getppid(), signal.SIGCONT)
    return "signalled"


@probe
def kill_the_server(facts: Facts, folder: Path) -> str | None:
    os.kill(facts["server"], signal.SIGCONT)
    return "signalled"


@probe
def kill_everything(facts: Facts, folder: Path) -> str | None:
    os.kill(-1, signal.SIGCONT)
    return "signalled"


@probe
def mount_a_file_system(facts: Facts, folder: Path) -> str | None:
    return _raw(165, b"tmpfs", str(folder).encode(), b"tmpfs", 0, None)


@probe
def make_a_user_namespace(facts: Facts, folder: Path) -> str | None:
    return _raw(272, 0x10000000)


@probe
def become_root(facts: Facts, folder: Path) -> str | None:
    os.setuid(0)
    return "root"


@probe
def change_the_root(facts: Facts, folder: Path) -> str | None:
    os.chroot(folder)
    return "changed"


@probe
def raise_a_limit(facts: Facts, folder: Path) -> str | None:
    try:
        limit = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except ValueError:
        return None
    return "raised"


@probe
def use_io_uring(facts: Facts, folder: Path) -> str | None:
    return _raw(425, 8, ctypes.create_string_buffer(256))


@probe
def load_bpf(facts: Facts, folder: Path) -> str | None:
    return _raw(321, 0, ctypes.create_string_buffer(128), 128)


@probe
def read_the_keyring(facts: Facts, folder: Path) -> str | None:
    return _raw(250, 0, -3, 1, 0, 0)


@probe
def watch_performance(facts: Facts, folder: Path) -> str | None:
    return _raw(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)


@probe
def handle_page_faults(facts: Facts, folder: Path) -> str | None:
    return _raw(323, 0)


@probe
def make_hidden_memory(facts: Facts, folder: Path) -> str | None:
    os.close(os.memfd_create("hidden"))
    return "made"


@probe
def take_memory(facts: Facts, folder: Path) -> str | None:
    return f"took {len(bytearray(facts['memory_bytes']))}"


@probe
def write_a_large_file(facts: Facts, folder: Path) -> str | None:
    with (folder / "large").open("wb") as file:
        for _ in range(facts["file_bytes"] // 2**20 + 1):
            file.write(bytes(2**20))
    return "written"


@probe
def open_many_files(facts: Facts, folder: Path) -> str | None:
    opened = []
    try:
        for number in range(600):
            opened.append((folder / f"many-{number}").open("w"))  # noqa: PERF401 # partial on error
    finally:
        for file in opened:
            file.close()
    return "opened"


# ---- those that end the process, and the honest ones ----


def spin(facts: Facts, folder: Path) -> Facts:
    while True:
        pass


def sleep(facts: Facts, folder: Path) -> Facts:
    time.sleep(60)
    return {}


def crash(facts: Facts, folder: Path) -> Facts:
    ctypes.string_at(0)
    return {}


def leave(facts: Facts, folder: Path) -> Facts:
    os._exit(3)


def answer_much(facts: Facts, folder: Path) -> Facts:
    return {"text": "x" * facts["bytes"]}


def output_much(facts: Facts, folder: Path) -> Facts:
    for number in range(3):
        (folder / "out" / f"{number}").write_bytes(bytes(facts["bytes"] // 2))
    return {}


def talk_much(facts: Facts, folder: Path) -> Facts:
    for _ in range(200):
        sys.stderr.write("x" * 65_536)
        sys.stdout.write("x" * 65_536)
    return {"talked": True}


def answer_out_of_shape(facts: Facts, folder: Path) -> Facts:
    return ["not", "a", "dict"]  # type: ignore[return-value] # hostile on purpose


def answer_by_hand(facts: Facts, folder: Path) -> Facts:
    """Write bytes of its own choice to every pipe that it finds."""
    for handle in range(3, 4096):
        try:
            os.write(handle, bytes.fromhex(facts["hex"]))
        except OSError:
            continue
    time.sleep(60)
    return {}


def foreign_numbering(facts: Facts, folder: Path) -> Facts:
    _raw(0x40000000 + 39)
    return {}


def many_threads(facts: Facts, folder: Path) -> Facts:
    stop = threading.Event()
    count = 0
    try:
        for _ in range(2_000):
            threading.Thread(target=stop.wait, daemon=True).start()
            count += 1
    except (RuntimeError, MemoryError):
        pass
    stop.set()
    return {"count": count}


def hold_threads(facts: Facts, folder: Path) -> Callable[[Facts, bytes], tuple[Facts, bytes]]:
    """As many threads as there may be, until it ends."""
    never = threading.Event()
    count = 0
    try:
        for _ in range(2_000):
            threading.Thread(target=never.wait, daemon=True).start()
            count += 1
    except (RuntimeError, MemoryError):
        pass
    return lambda _head, _body: ({"count": count, "user": os.getuid()}, b"")


def fail(facts: Facts, folder: Path) -> Facts:
    raise KeyError("the message " + "x" * 5_000)


def copy_input(facts: Facts, folder: Path) -> Facts:
    data = (folder / "in" / "deep" / "file.bin").read_bytes()
    (folder / "out" / "copy.bin").write_bytes(data[::-1])
    (folder / "out" / "link").symlink_to("/etc/passwd")
    return {"size": len(data), "argument": facts}


def start_adder(facts: Facts, folder: Path) -> Callable[[Facts, bytes], tuple[Facts, bytes]]:
    base = facts["base"]

    def handle(head: Facts, body: bytes) -> tuple[Facts, bytes]:
        if head.get("spin"):
            spin(head, folder)
        if head.get("fail"):
            raise ValueError("no")
        return {"sum": base + head["number"]}, body[::-1]

    return handle


def import_heavy(facts: Facts, folder: Path) -> Facts:
    import numpy as np
    import onnxruntime
    import sklearn.linear_model

    data = np.arange(20.0).reshape(10, 2)
    model = sklearn.linear_model.LogisticRegression().fit(data, [0] * 5 + [1] * 5)
    return {"score": float(model.score(data, [0] * 5 + [1] * 5)), "ort": onnxruntime.__version__}

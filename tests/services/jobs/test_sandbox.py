"""The sandbox refuses what hostile code tries, and never claims a layer it has not."""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import SandboxError
from strongroom.services.jobs import frames, sandbox, seccomp, syscalls, users
from strongroom.services.jobs.sandbox import ConfinedError, LayerMissingError, Limits
from strongroom.services.jobs.sandbox import OversteppedError as Overstepped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="layers exist on Linux only")

HERE = Path(__file__).parent
SMALL = Limits(
    cpu_seconds=20, wall_seconds=30, memory_bytes=2**30, file_bytes=8 * 2**20, threads=64
)
MANAGED = HERE.parents[2] / "src"


Options = Any


def run(name: str, argument: dict[str, Any] | None = None, **options: Options) -> sandbox.Result:
    options.setdefault("limits", SMALL)
    return sandbox.run(f"probes:{name}", argument or {}, code=[HERE], **options)


@pytest.fixture
def facts() -> Iterator[dict[str, Any]]:
    """Things to go for: a file, a writable folder, listening sockets, this very process."""
    open_to_all = Path(tempfile.mkdtemp(prefix="strongroom-probe-"))
    secret = open_to_all / "secret"
    secret.write_text("the secret")
    secret.chmod(0o666)
    open_to_all.chmod(0o777)
    name = f"strongroom-probe-{os.getpid()}-{time.monotonic_ns()}"
    buffer = ctypes.create_string_buffer(b"memories")
    path = f"/tmp/{name}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(path)
        Path(path).chmod(0o777)
        unix.listen()
        abstract.bind("\0" + name)
        abstract.listen()
        yield {
            "secret": str(secret),
            "outside": str(open_to_all / "outside"),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": path,
            "abstract": name,
            "server": os.getpid(),
            "address": ctypes.addressof(buffer),
            "memory_bytes": 2 * SMALL.memory_bytes,
            "file_bytes": SMALL.file_bytes,
        }
        udp.setblocking(False)
        with pytest.raises(BlockingIOError):
            udp.recv(1)
    Path(path).unlink()
    shutil.rmtree(open_to_all)
    assert buffer.value == b"memories"


# The same probes where root, an ordinary user, a root without capabilities, and a host without
# namespaces start the sandbox.
_START = {
    "as_is": "",
    "ordinary_user": "become_ordinary()",
    "without_capabilities": "syscalls.drop_capabilities()",
    "without_namespaces": "become_ordinary(); refuse_unshare()",
}
_SCRIPT = """
import ctypes, json, os, struct, sys
sys.path[:0] = [{source!r}]
from pathlib import Path
from strongroom.services.jobs import sandbox, seccomp, syscalls

def become_ordinary():
    if os.getuid() != 0:
        return
    show_to_all(Path(os.__file__).resolve())
    os.setgroups([])
    os.setresgid(12345, 12345, 12345)
    os.setresuid(12345, 12345, 12345)

def show_to_all(file):
    # Python may lie in a private home folder: open the closed folder above it, for us alone.
    closed = [p for p in reversed(file.parents) if not p.stat().st_mode & 1]
    if not closed:
        return
    inside = closed[0] / file.relative_to(closed[0]).parts[0]
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    handle = os.open(inside, os.O_PATH)
    syscalls.mount("tmpfs", str(closed[0]), "tmpfs", 0, "mode=0755")
    inside.mkdir()
    here = f"/proc/self/fd/{{handle}}"
    syscalls.mount(here, str(inside), None, syscalls.MS_BIND | syscalls.MS_REC)
    os.close(handle)

def refuse_unshare():
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    number = {{"x86_64": 272, "aarch64": 97}}[syscalls.ARCHITECTURE]
    steps = [seccomp._step(0x20, 0), seccomp._step(0x15, number, 0, 1),
             seccomp._answer(0x00050001), seccomp._answer(0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(steps))
    head = struct.pack("@HP", len(steps), ctypes.addressof(code))
    syscalls.syscall(syscalls.named("seccomp"), ctypes.c_uint(1), ctypes.c_uint(0), head)

{start}
given = json.loads(sys.stdin.read())
limits = sandbox.Limits(**given["limits"])
result = sandbox.run("probes:attempt_all", given["facts"], code=[Path({here!r})], limits=limits)
print(json.dumps([result.output, sorted(result.layers)]))
"""


def attempt(start: str, facts: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    script = _SCRIPT.format(
        source=str(MANAGED), here=str(HERE), start=textwrap.dedent(_START[start])
    )
    limits = {name: getattr(SMALL, name) for name in ("cpu_seconds", "memory_bytes", "file_bytes")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps({"facts": facts, "limits": limits}),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "STRONGROOM_TEST_SECRET": "x"},
    )
    assert done.returncode == 0, done.stderr
    answers, layers = json.loads(done.stdout)
    return answers, set(layers)


@pytest.mark.parametrize("start", _START)
def test_every_probe_is_refused(start: str, facts: dict[str, Any]) -> None:
    answers, layers = attempt(start, facts)
    answers.pop("how")
    assert len(answers) >= 40
    assert {name: how for name, how in answers.items() if how is not None} == {}
    assert Path(facts["secret"]).read_text() == "the secret"
    assert not Path(facts["outside"]).exists()
    assert layers >= sandbox.DEFAULT_REQUIRED
    if start == "without_namespaces":
        assert not {name for name in layers if name.endswith("_namespace")}
    assert ("not_root" in layers) == (start != "without_capabilities" or os.getuid() != 0)
    assert layers <= sandbox.LAYERS


def test_probes_get_through_without_a_sandbox(facts: dict[str, Any], tmp_path: Path) -> None:
    """The probes are real: outside they reach what they go for."""
    script = (
        "import json, sys; from pathlib import Path; import probes\n"
        "facts = json.loads(sys.stdin.read())\n"
        "names = ['read_a_file_outside', 'read_the_accounts', 'list_the_host', 'write_outside',"
        "'connect_by_tcp', 'connect_by_unix_socket', 'connect_by_abstract_socket',"
        "'listen', 'fork', 'start_a_shell', 'kill_the_parent', 'kill_the_server',"
        "'read_the_servers_environment', 'make_hidden_memory', 'follow_a_link_out',"
        "'find_the_servers_variables']\n"
        "held = [n for n in names if probes.PROBES[n](facts, Path(sys.argv[1])) is None]\n"
        "print(json.dumps(held))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        input=json.dumps(facts),
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), "STRONGROOM_TEST_SECRET": "x"},
    )
    assert json.loads(done.stdout) == []


def test_a_cpu_loop_is_stopped() -> None:
    limits = Limits(cpu_seconds=1, wall_seconds=20, memory_bytes=2**30)
    with pytest.raises(Overstepped, match="processor time"):
        run("spin", limits=limits)


def test_a_sleeper_is_stopped_with_its_group() -> None:
    started = time.monotonic()
    with pytest.raises(Overstepped, match="too long"):
        run("sleep", limits=Limits(wall_seconds=0.5, memory_bytes=2**30))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("crash", {}, "SIGSEGV"),
        ("leave", {}, "without an answer"),
        ("answer_much", {"bytes": 2 * 2**20}, "over the limit"),
        ("output_much", {"bytes": 2 * 2**20}, "over the limit"),
        ("answer_out_of_shape", {}, "out of shape"),
        ("answer_by_hand", {"hex": "ff" * 64}, "over the limit"),
        ("answer_by_hand", {"hex": "00000002" + "00" * 8 + "5b5d"}, "not a JSON object"),
        ("answer_by_hand", {"hex": "00000002" + "00" * 8 + "7b78"}, "not JSON"),
        ("answer_by_hand", {"hex": "00000002" + "00" * 8 + "7b7d"}, "out of shape"),
    ],
)
def test_answers_out_of_bounds_are_refused(
    name: str, argument: dict[str, Any], message: str
) -> None:
    limits = Limits(memory_bytes=2**30, answer_bytes=2**20, output_bytes=2**20, wall_seconds=20)
    with pytest.raises(Overstepped, match=message):
        run(name, argument, limits=limits)


@pytest.mark.skipif(syscalls.ARCHITECTURE != "x86_64", reason="x32 belongs to x86_64")
def test_foreign_call_numbers_kill() -> None:
    with pytest.raises(Overstepped, match="SIGSYS"):
        run("foreign_numbering")


def test_output_is_not_a_way_to_fill_memory() -> None:
    assert run("talk_much").output == {"talked": True}


def test_threads_are_bounded() -> None:
    count = run("many_threads").output["count"]
    assert isinstance(count, int)
    assert count < 1_500


def test_one_that_takes_all_its_threads_leaves_others_theirs() -> None:
    # Memory for all of them: threads alone are to be the limit.
    limits = replace(SMALL, memory_bytes=2**33)
    worker = sandbox.Worker("probes:hold_threads", {}, code=[HERE], limits=limits)
    try:
        held, _ = worker.request({})
        count = run("many_threads", limits=limits).output["count"]
    finally:
        worker.stop()
    assert isinstance(count, int)
    assert held["count"] == pytest.approx(limits.threads, abs=3)
    assert count == pytest.approx(limits.threads, abs=3)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives away users")
def test_each_has_a_user_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def user(worker: sandbox.Worker) -> object:
        return worker.request({})[0]["user"]

    few = replace(SMALL, threads=2)
    monkeypatch.setattr(users, "_LAST", users._FIRST + 1)
    workers = [sandbox.Worker("probes:hold_threads", {}, code=[HERE], limits=few) for _ in range(3)]
    try:
        found = [user(worker) for worker in workers]
        # When all are taken, the rest share nobody.
        assert sorted(map(str, found)) == ["60706", "60707", "65534"]
        own = next(worker for worker in workers if user(worker) == users._FIRST)
        own.stop()
        assert users.take() == users._FIRST
        users.give_back(users._FIRST)
    finally:
        for worker in workers:
            worker.stop()
    assert not users._taken


@pytest.mark.parametrize(
    ("mapping", "is_mapped"),
    [
        ("0 0 4294967295", True),
        ("0 100000 65536", True),
        ("0 1000 1\n1 100000 65536", True),
        ("0 1000 1", False),
        ("0 100000 61183", False),
    ],
)
def test_users_that_do_not_exist_in_a_container_are_not_given(
    mapping: str, is_mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uid_map").write_text(mapping)
    monkeypatch.setattr(users, "Path", lambda _, name: tmp_path / name)
    assert users._is_mapped("uid_map") is is_mapped
    assert users._is_mapped("gid_map") is False  # no such file: not Linux


def test_an_exception_comes_back_as_words() -> None:
    with pytest.raises(ConfinedError, match="KeyError: 'the message") as caught:
        run("fail")
    assert caught.value.kind == "KeyError"
    assert len(caught.value.message) < 2_200


def test_files_go_in_and_come_out(tmp_path: Path) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(os.urandom(3_000_000))
    file.chmod(0o600)
    result = run("copy_input", {"a": [1, None]}, files_in={"deep/file.bin": file})
    assert result.output == {"size": 3_000_000, "argument": {"a": [1, None]}}
    assert result.files == {"copy.bin": file.read_bytes()[::-1]}
    again = run("copy_input", files_in={"deep/file.bin": b"in memory"})
    assert again.files == {"copy.bin": b"yromem ni"}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", ".", "a\x00b", "a\\b"])
def test_input_names_stay_inside(name: str) -> None:
    with pytest.raises(SandboxError, match="not a name"):
        run("copy_input", files_in={name: b""})


def test_output_names_stay_inside() -> None:
    for name in ("../x", "/x", "a/../b", 5, None):
        with pytest.raises(Overstepped):
            sandbox._files({"files": [[name, 1]]}, b"x")
    for size in (-1, 2, True, "1", 1.0):
        with pytest.raises(Overstepped):
            sandbox._files({"files": [["a", size]]}, b"x")


def test_a_missing_input_is_named() -> None:
    with pytest.raises(SandboxError, match="cannot open `absent`"):
        run("copy_input", files_in={"a": Path("/absent")})


def test_nothing_runs_when_a_required_layer_is_missing() -> None:
    with pytest.raises(LayerMissingError, match="`lock_of_gold`"):
        run("leave", required=["lock_of_gold"])


def test_the_setting_names_layers() -> None:
    assert sandbox.required_layers("") == sandbox.DEFAULT_REQUIRED
    assert sandbox.required_layers("seccomp, landlock") == {"seccomp", "landlock"}
    with pytest.raises(SandboxError, match="`moat`"):
        sandbox.required_layers("seccomp,moat")


def test_real_libraries_work_inside() -> None:
    result = run("import_heavy", limits=Limits())
    assert result.output["score"] == 1.0
    assert result.usage.cpu_seconds > 0
    assert result.usage.memory_bytes > 50 * 2**20


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handles = len(list(Path("/proc/self/fd").iterdir()))
    run("copy_input", files_in={"deep/file.bin": b"1"})
    for name in ("leave", "fail"):
        with pytest.raises(SandboxError):
            run(name)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


def test_a_worker_answers_many_requests() -> None:
    worker = sandbox.Worker("probes:start_adder", {"base": 5}, code=[HERE], limits=SMALL)
    try:
        for number in range(20):
            assert worker.request({"number": number}, b"ab") == ({"sum": 5 + number}, b"ba")
        with pytest.raises(ConfinedError, match="no"):
            worker.request({"fail": True})
        with pytest.raises(SandboxError, match="may not name"):
            worker.request({"call": "os:getpid"})
        large = os.urandom(5_000_000)
        assert worker.request({"number": 1}, large)[1] == large[::-1]
        assert worker.alive
        with pytest.raises(Overstepped, match="too long"):
            worker.request({"spin": True}, seconds=0.3)
        assert not worker.alive
    finally:
        worker.stop()
        worker.stop()


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(ConfinedError, match="KeyError: 'base'"):
        sandbox.Worker("probes:start_adder", {}, code=[HERE], limits=SMALL)


def test_confined_processes_die_with_the_server(tmp_path: Path) -> None:
    script = (
        "import sys, os; from pathlib import Path; from strongroom.services.jobs import sandbox\n"
        f"w = sandbox.Worker('probes:start_adder', {{'base': 1}}, code=[Path({str(HERE)!r})])\n"
        "print(w._process._child.pid, flush=True)\n"
        "import threading; threading.Thread(target=lambda: w.request({'spin': 1}), daemon=True)"
        ".start()\nimport time; time.sleep(0.3); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    group = int(done.stdout)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("a confined process outlived its server")
    assert list(tmp_path.iterdir()) == []


def test_the_guard_cleans_up_before_anyone_can_say_that_the_server_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dying server closes its pipes first and loses its children later: its pid says nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    worker = sandbox.Worker("probes:start_adder", {"base": 1}, code=[HERE], limits=SMALL)
    try:
        assert len(list(tmp_path.iterdir())) == 1
        worker._process._close("_request")
        worker._process._child.wait(30)
        assert list(tmp_path.iterdir()) == []
    finally:
        worker.stop()


def test_layers_start_fast() -> None:
    """Anchor: at most 5 ms added. The bound here is loose, for a loaded machine."""
    seconds = min(
        sandbox.run("strongroom.services.jobs.sandbox:_nothing", {}).usage.setup_seconds
        for _ in range(5)
    )
    assert seconds < 0.02


def test_the_filter_is_refused_on_an_unknown_machine() -> None:
    with pytest.raises(KeyError):
        seccomp.program("vax", 1)
    for machine in ("x86_64", "aarch64"):
        code = seccomp.program(machine, 1)
        assert len(code) % 8 == 0
        assert len(code) // 8 < 4_096


def test_frames_that_are_no_json_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        frames.encode({"x": float("nan")})
    with pytest.raises(frames.FrameError):
        frames.decode_head(b"[" * 100_000)


def test_each_layer_is_documented() -> None:
    page = (HERE.parents[2] / "docs/sandbox.md").read_text()
    assert {name for name in sandbox.LAYERS if f"`{name}`" not in page} == set()

"""One confined process and the pipes to it: started, spoken with, ended. Used by `sandbox`."""

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from strongroom.errors import SandboxError
from strongroom.services.jobs import confinement, frames, users

_READ_BYTES = 1 << 18
_STDERR_BYTES = 8_192
_START_SECONDS = 30
_REMOVALS = 20
_NOTHING = memoryview(b"")
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from strongroom.services.jobs import confined; confined.main(sys.argv[2])"
)
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                    "LOKY_MAX_CPU_COUNT", "POLARS_MAX_THREADS")  # fmt: skip  # names only

LAYERS = frozenset({
    "environment", "limits", "memory_limit", "no_new_privileges", "no_capabilities", "not_root",
    "landlock", "landlock_tcp", "landlock_signals", "seccomp",
    "mount_namespace", "network_namespace", "ipc_namespace", "process_namespace",
    "host_name_namespace", "cgroup_namespace",
})  # fmt: skip  # names only


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What confined code may use; sizes in bytes.

    Attributes:
        cpu_seconds: over the whole life of the process; 0 for none (a worker has none).
        wall_seconds: for one request.
        memory_bytes: address space.
        file_bytes: the longest file it may write.
        scratch_bytes: all files it may write together, where a mount namespace is in force.
        threads: threads of the user it runs as.
        answer_bytes: JSON that comes back.
        output_bytes: files or arrays that come back.
    """

    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    memory_bytes: int = 4 * 2**30
    file_bytes: int = 2**30
    scratch_bytes: int = 2 * 2**30
    open_files: int = 256
    threads: int = 256
    answer_bytes: int = 4 * 2**20
    output_bytes: int = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """What it used, measured outside the confined process."""

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int
    setup_seconds: float


class OversteppedError(SandboxError):
    """The confined code ran into a limit, or broke the protocol, and was killed."""

    code = "sandbox.limit"
    status = 422
    next_step = "raise the limit if the code is to be trusted with more"


class LayerMissingError(SandboxError):
    """This host lacks a layer that the policy needs, so nothing was run."""

    code = "sandbox.layer"


def check_name(name: object) -> None:
    """Raises: ValueError unless `name` stays below any folder that it is put in."""
    if not isinstance(name, str) or len(name) > 1_000 or "\x00" in name or "\\" in name:
        raise ValueError
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in {"..", "."} for part in parts):
        raise ValueError


class Process:
    """One confined process and the pipes to it."""

    def __init__(
        self,
        files: Mapping[str, Path | bytes],
        limits: Limits,
        required: Collection[str],
        code: Sequence[Path],
    ) -> None:
        self.limits = limits
        self.layers: frozenset[str] = frozenset()
        self.usage = Usage(0.0, 0.0, 0, 0.0)
        self._stderr = b""
        self._scratch = tempfile.mkdtemp(prefix="strongroom-")
        self._user = users.take()
        try:
            self._start(files, code)
            head, _ = self._receive(time.monotonic() + _START_SECONDS)
            self._note(head)
            if missing := sorted(frozenset(required) - self.layers):
                raise LayerMissingError(
                    f"the sandbox lacks {', '.join(f'`{name}`' for name in missing)} on this host"
                )
        except BaseException:
            self.kill()
            raise

    def _start(self, files: Mapping[str, Path | bytes], code: Sequence[Path]) -> None:
        inputs: dict[str, int] = {}
        opened: list[int] = []
        try:
            for name, source in files.items():
                try:
                    check_name(name)
                except ValueError:
                    raise SandboxError(f"`{name}` is not a name for a file") from None
                inputs[name] = _open(source)
                opened.append(inputs[name])
            request, self._request = os.pipe()
            self._answer, answer = os.pipe()
            opened += [request, answer]
            plan = self._plan(code, request, answer, inputs)
            root = str(Path(__file__).resolve().parents[3])
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, root, plan.dumps()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                cwd="/",
                pass_fds=opened,
                start_new_session=True,
            )
        finally:
            for handle in opened:
                os.close(handle)
        os.set_blocking(self._request, False)
        os.set_blocking(self._answer, False)
        assert self._child.stderr is not None  # noqa: S101 # it was asked for above
        os.set_blocking(self._child.stderr.fileno(), False)

    def _plan(
        self, code: Sequence[Path], request: int, answer: int, inputs: dict[str, int]
    ) -> confinement.Plan:
        search, readable = confinement.python_paths()
        more = [str(folder.resolve()) for folder in code]
        limits = self.limits
        return confinement.Plan(
            cpu_seconds=limits.cpu_seconds,
            memory_bytes=limits.memory_bytes,
            file_bytes=limits.file_bytes,
            scratch_bytes=limits.scratch_bytes,
            open_files=limits.open_files,
            threads=limits.threads,
            scratch=os.path.realpath(self._scratch),
            user=self._user,
            readable=readable + more,
            search=search + more,
            request=request,
            answer=answer,
            inputs=inputs,
        )

    def _note(self, head: dict[str, object]) -> None:
        layers, seconds = head.get("layers"), head.get("setup_seconds")
        if not isinstance(layers, list) or not isinstance(seconds, float):
            raise SandboxError("the sandbox did not come up")
        self.layers = frozenset(str(name) for name in layers) & LAYERS
        self.usage = replace(self.usage, setup_seconds=seconds)

    @property
    def alive(self) -> bool:
        """The guard is there, so the confined process is too."""
        return self._child.poll() is None

    def exchange(
        self, head: dict[str, object], body: bytes, seconds: float | None = None
    ) -> tuple[dict[str, object], bytes]:
        """Send one frame and receive one. Kills the process when it oversteps."""
        deadline = time.monotonic() + (seconds or self.limits.wall_seconds)
        try:
            frame = frames.encode(head, body)
        except (TypeError, ValueError) as error:
            raise SandboxError(f"the argument is not JSON: {error}") from None
        try:
            return self._receive(deadline, memoryview(frame))
        except BaseException:
            self.kill()
            raise

    def _receive(
        self, deadline: float, unsent: memoryview = _NOTHING
    ) -> tuple[dict[str, object], bytes]:
        """Write what is unsent while reading one frame."""
        received = bytearray()
        wanted, head_size = frames.PREFIX_BYTES, -1
        assert self._child.stderr is not None  # noqa: S101 # it was asked for at the start
        with selectors.DefaultSelector() as selector:
            selector.register(self._answer, selectors.EVENT_READ)
            selector.register(self._child.stderr, selectors.EVENT_READ)
            if unsent:
                selector.register(self._request, selectors.EVENT_WRITE)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise OversteppedError("the confined code took too long and was killed")
                for key, _ in selector.select(left):
                    if key.fd == self._request:
                        unsent = self._push(unsent)
                        if not unsent:
                            selector.unregister(self._request)
                    elif key.fd == self._answer:
                        block = os.read(self._answer, min(_READ_BYTES, wanted - len(received)))
                        if not block:
                            raise self._end()
                        received += block
                    elif not self._drain():
                        selector.unregister(key.fileobj)
                if len(received) == wanted and head_size < 0:
                    head_size, body_size = self._sizes(bytes(received))
                    wanted += head_size + body_size
                if head_size >= 0 and len(received) == wanted:
                    split = frames.PREFIX_BYTES + head_size
                    return self._head(bytes(received[frames.PREFIX_BYTES : split])), bytes(
                        received[split:]
                    )

    def _push(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(self._request, unsent[:_READ_BYTES]) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:
            return memoryview(b"")  # it has ended; the reading side finds out how

    def _drain(self) -> bool:
        """Keep the end of what it wrote to stderr. Returns: False at the end of the stream."""
        assert self._child.stderr is not None  # noqa: S101 # it was asked for at the start
        try:
            block = os.read(self._child.stderr.fileno(), _READ_BYTES)
        except BlockingIOError:
            return True
        self._stderr = (self._stderr + block)[-_STDERR_BYTES:]
        return bool(block)

    def _sizes(self, prefix: bytes) -> tuple[int, int]:
        try:
            return frames.lengths(prefix, self.limits.answer_bytes, self.limits.output_bytes)
        except frames.FrameError as error:
            raise OversteppedError(str(error)) from None

    @staticmethod
    def _head(text: bytes) -> dict[str, object]:
        try:
            return frames.decode_head(text)
        except frames.FrameError as error:
            raise OversteppedError(str(error)) from None

    def _end(self) -> SandboxError:
        """Why it ended without an answer."""
        report = self.finish()
        exited = report.get("exit")
        limit = self.limits.cpu_seconds
        # The kernel counts in ticks, so the sum at the end may fall short of the limit.
        if limit and exited == -signal.SIGKILL and self.usage.cpu_seconds >= limit * 0.8:
            return OversteppedError(f"the confined code used its {limit} s of processor time")
        if not self.layers:
            said = self._stderr.decode(errors="replace").strip().rpartition("\n")[2]
            return SandboxError(f"the sandbox did not come up: {said[:300]}")
        if isinstance(exited, int) and exited < 0:
            with suppress(ValueError):
                return OversteppedError(f"the confined code died of {signal.Signals(-exited).name}")
        return OversteppedError("the confined code ended without an answer")

    def finish(self) -> dict[str, object]:
        """Close the request pipe, wait for the end, note what was used."""
        self._close("_request")
        try:
            report, errors = self._child.communicate(timeout=2)
        except (subprocess.TimeoutExpired, ValueError):
            self.kill()
            return {}
        self._stderr = (self._stderr + errors)[-_STDERR_BYTES:]
        try:
            head = frames.decode_head(report)
            cpu, memory = float(str(head["cpu_seconds"])), int(str(head["memory_bytes"]))
        except (frames.FrameError, KeyError, ValueError):
            return {}
        self.usage = replace(self.usage, cpu_seconds=cpu, memory_bytes=memory)
        return head

    def kill(self) -> None:
        """End the whole process group and remove the scratch folder. May be called twice."""
        child = getattr(self, "_child", None)
        if child is not None and child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if child is not None:
            for stream in (child.stdout, child.stderr):
                stream.close()
        self._close("_request")
        self._close("_answer")
        self._remove_scratch()
        users.give_back(self._user)

    def _remove_scratch(self) -> None:
        """Remove the folder; a confined process that is just dying may still write into it."""
        for _ in range(_REMOVALS):
            shutil.rmtree(self._scratch, ignore_errors=True)
            if not os.path.lexists(self._scratch):
                return
            time.sleep(0.01)

    def _close(self, name: str) -> None:
        handle = getattr(self, name, -1)
        if handle >= 0:
            setattr(self, name, -1)
            os.close(handle)


def _environment() -> dict[str, str]:
    return {
        "LANG": "C.UTF-8",
        "PATH": "/nonexistent",
        # Read when the library is loaded: nobody is told about a hospital's models.
        "ORT_DISABLE_TELEMETRY": "1",
        **dict.fromkeys(_SINGLE_THREADED, "1"),
    }


def _open(source: Path | bytes) -> int:
    """A handle to a file, or to bytes held in memory only."""
    if isinstance(source, Path):
        try:
            return os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxError(f"cannot open `{source.name}`: {error.strerror}") from None
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("input", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    view = memoryview(source)
    while view:
        view = view[os.write(handle, view) :]
    os.lseek(handle, 0, os.SEEK_SET)
    return handle

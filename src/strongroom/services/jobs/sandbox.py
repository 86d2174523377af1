"""Run a function where it can harm nothing: the only place where untrusted code is loaded.

    result = sandbox.run("package.module:function", {"rows": 3}, files_in={"model.pkl": path})

The function is called as `function(argument, folder)` in a fresh process. It finds its files in
`folder / "in"`, may leave files in `folder / "out"`, and returns a dict that JSON can carry.
Nothing that comes back is unpickled, and all of it is limited in size.

`Worker` keeps such a process for many requests.
"""

import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from strongroom.errors import SandboxError
from strongroom.services.jobs.process import (
    LAYERS,
    LayerMissingError,
    Limits,
    OversteppedError,
    Process,
    Usage,
    check_name,
)

__all__ = [
    "DEFAULT_REQUIRED",
    "LAYERS",
    "ConfinedError",
    "LayerMissingError",
    "Limits",
    "OversteppedError",
    "Result",
    "Usage",
    "Worker",
    "probe",
    "required_layers",
    "run",
]

# What every supported host can have without privilege: the files, the calls and the sizes are
# each refused by one of these. Namespaces come on top where the host allows them.
DEFAULT_REQUIRED = frozenset(
    {"environment", "limits", "memory_limit", "no_new_privileges", "landlock", "seccomp"}
    if sys.platform == "linux"
    else {"environment", "limits"}
)


@dataclass(frozen=True, slots=True)
class Result:
    """What the function returned, and under which layers it ran."""

    output: dict[str, object]
    layers: frozenset[str]
    usage: Usage
    files: dict[str, bytes] = field(default_factory=dict)


class ConfinedError(SandboxError):
    """The confined function raised; the message is its own, cut to 2 kB.

    Attributes:
        kind: the exception's class name.
    """

    code = "sandbox.raised"
    status = 422
    next_step = "see what the code in the file needs; nothing of it was kept"

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"the confined code raised {kind}: {message}")
        self.kind = kind


def required_layers(setting: str) -> frozenset[str]:
    """The setting `sandbox_required_layers` as names. Raises: SandboxError on an unknown name."""
    names = frozenset(name.strip() for name in setting.split(",") if name.strip())
    if unknown := sorted(names - LAYERS):
        raise SandboxError(
            f"unknown sandbox layer `{unknown[0]}`", next_step="see docs/sandbox.md for the names"
        )
    return names or DEFAULT_REQUIRED


def run(
    function: str,
    argument: Mapping[str, object],
    *,
    files_in: Mapping[str, Path | bytes] | None = None,
    limits: Limits | None = None,
    required: Collection[str] = DEFAULT_REQUIRED,
    code: Sequence[Path] = (),
) -> Result:
    """Call `module:function` once in a process of its own.

    Args:
        function: importable from the Python environment or from `code`.
        argument: what JSON can carry.
        files_in: name below `in/` to a file, or to bytes that must not touch the disk.
        required: layers without which nothing is run.
        code: more folders to import from and to read.

    Raises:
        ConfinedError: the function raised.
        OversteppedError: a limit was reached.
        LayerMissingError: a required layer is not to be had here.
    """
    limits = limits or Limits()
    started = time.perf_counter()
    process = Process(files_in or {}, limits, required, code)
    try:
        head, body = process.exchange({"call": function, "argument": dict(argument)}, b"")
        output, files = _output(head), _files(head, body)
        process.finish()
    finally:
        process.kill()
    usage = replace(process.usage, wall_seconds=time.perf_counter() - started)
    return Result(output, process.layers, usage, files)


class Worker:
    """A confined process that is started once and then answers requests.

    `function(argument, folder)` runs at the start and returns a callable
    `handle(head, body) -> (head, body)`: a dict that JSON can carry, and raw bytes.
    One request at a time; calls from several threads wait for each other.
    """

    def __init__(
        self,
        function: str,
        argument: Mapping[str, object],
        *,
        files_in: Mapping[str, Path | bytes] | None = None,
        limits: Limits | None = None,
        required: Collection[str] = DEFAULT_REQUIRED,
        code: Sequence[Path] = (),
    ) -> None:
        """Start, and wait until the function has returned. Raises: as `run`."""
        limits = replace(limits or Limits(), cpu_seconds=0)
        self._lock = threading.Lock()
        self._process = Process(files_in or {}, limits, required, code)
        try:
            head, _ = self._process.exchange({"start": function, "argument": dict(argument)}, b"")
            _output(head)
        except BaseException:
            self._process.kill()
            raise

    @property
    def layers(self) -> frozenset[str]:
        """The layers in force."""
        return self._process.layers

    @property
    def alive(self) -> bool:
        """The process is there."""
        return self._process.alive

    def request(
        self, head: Mapping[str, object], body: bytes = b"", *, seconds: float | None = None
    ) -> tuple[dict[str, object], bytes]:
        """One request. After an OversteppedError the worker is gone; start another.

        Raises: ConfinedError, OversteppedError.
        """
        if head.keys() & {"call", "start"}:
            raise SandboxError("a request may not name `call` or `start`")
        with self._lock:
            if not self._process.alive:
                raise OversteppedError("the confined process has ended")
            answer, out = self._process.exchange(dict(head), body, seconds)
        return _output(answer), out

    def stop(self) -> None:
        """End it. May be called twice."""
        self._process.kill()


def probe() -> frozenset[str]:
    """The layers that this host allows, found by putting them in force once."""
    return run("strongroom.services.jobs.sandbox:_nothing", {}, required=()).layers


def _nothing(argument: dict[str, object], folder: Path) -> dict[str, object]:  # noqa: ARG001 # shape
    return {}


def _output(head: dict[str, object]) -> dict[str, object]:
    error = head.get("error")
    if isinstance(error, dict):
        raise ConfinedError(str(error.get("type"))[:100], str(error.get("message"))[:2_000])
    output = head.get("output")
    if not isinstance(output, dict):
        raise OversteppedError("the confined code answered out of shape")
    return output


def _files(head: dict[str, object], body: bytes) -> dict[str, bytes]:
    """The files that came back, under names that stay below any folder they are put in."""
    listed = head.get("files", [])
    found: dict[str, bytes] = {}
    offset = 0
    try:
        if not isinstance(listed, list):
            raise TypeError
        for name, size in listed:
            check_name(name)
            if type(size) is not int or size < 0 or offset + size > len(body):
                raise ValueError
            found[name] = body[offset : offset + size]
            offset += size
    except (TypeError, ValueError):
        raise OversteppedError("the confined code answered out of shape") from None
    return found

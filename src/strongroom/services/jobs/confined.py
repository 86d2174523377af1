"""What runs inside the sandbox: the guard, and the process that it guards.

    server ── guard (trusted, waits) ── confined process (layers, then the asked function)

The guard kills the confined process when the server goes away, and reports how it ended. The
confined process puts itself under the layers, says which hold, and only then receives what it
is to work on: the server can still refuse.
"""

import json
import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from strongroom.services.jobs import confinement, frames

_MESSAGE_BYTES = 2_000
_COPY_BYTES = 1 << 20

_Function = Callable[..., Any]


def main(plan_text: str) -> None:
    """Never returns. `plan_text` is a `confinement.Plan` as JSON."""
    plan = confinement.Plan.loads(plan_text)
    started = time.perf_counter()
    host_uid = os.getuid()
    # The guard's way back to the scratch folder: `pivot_root` below changes its tree as well.
    scratch = Path(plan.scratch)
    around = os.open(scratch.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    entered = confinement.separate()
    ended, alive = os.pipe()
    child = os.fork()
    if child:
        os.close(alive)
        os.close(plan.answer)
        _guard(child, ended, plan.request, lambda: _remove(scratch.name, around))
    os.close(ended)
    os.close(around)
    os.set_inheritable(alive, False)
    code = 70
    try:
        _confined(plan, entered, host_uid, started)
        code = 0
    except EOFError:
        code = 0  # the server has closed the pipe: no more work
    except BaseException as error:  # noqa: BLE001 # last stop before exit; the guard reports it
        _say(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _remove(name: str, around: int) -> None:
    """Remove the scratch folder in place of a server that has gone."""
    import shutil

    shutil.rmtree(name, ignore_errors=True, dir_fd=around)


def _guard(child: int, ended: int, request: int, clean: Callable[[], None]) -> None:
    """Wait until the child ends, or the server has gone; then say how it ended, and exit."""
    poll = select.poll()
    poll.register(ended, 0)  # only POLLHUP: no process holds the other end any more
    poll.register(request, 0)
    gone = poll.poll()
    if any(handle == request for handle, _ in gone):
        with suppress(ProcessLookupError):
            # A worker that was asked to stop reads the end of its pipe and leaves by itself.
            poll.unregister(request)
            if not poll.poll(200):
                os.kill(child, 9)
    _, status, usage = os.wait4(child, 0)
    # The server may have gone, or be about to: a process closes its pipes before its children
    # are given to another parent, so who the parent is says nothing yet. A server that is there
    # removes the folder too, and whoever comes second finds nothing.
    clean()
    report = {
        "exit": os.waitstatus_to_exitcode(status),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 4),
        "memory_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }
    with suppress(OSError):
        os.write(1, json.dumps(report).encode())
    os._exit(0)


def _say(text: str) -> None:
    with suppress(OSError):
        os.write(2, text.encode(errors="replace")[:_MESSAGE_BYTES] + b"\n")


def _confined(plan: confinement.Plan, entered: list[str], host_uid: int, started: float) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # the report pipe stays with the guard
    os.close(null)
    sys.dont_write_bytecode = True
    layers, scratch = confinement.confine(plan, entered, host_uid)
    setup_seconds = time.perf_counter() - started
    folder = Path(scratch)
    _take_inputs(plan.inputs, folder)
    sys.path[:] = [*sys.path, *(p for p in plan.search if p not in sys.path)]
    _send(plan.answer, {"layers": list(layers), "setup_seconds": setup_seconds})
    _serve(plan, folder)


def _take_inputs(inputs: dict[str, int], folder: Path) -> None:
    """Copy what the parent has opened; the copy cannot change under the confined code."""
    for name, handle in inputs.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(handle, "rb") as source, path.open("wb") as target:
            while block := source.read(_COPY_BYTES):
                target.write(block)
    (folder / "in").mkdir(exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)


def _serve(plan: confinement.Plan, folder: Path) -> None:
    """Answer requests until the pipe closes: `call` names a function, or `handle` is used."""
    handle: _Function | None = None
    while True:
        head, body = frames.read(lambda size: _read_exactly(plan.request, size))
        try:
            if "start" in head:
                handle = _function(str(head["start"]))(head["argument"], folder)
                frame = frames.encode({"output": {}})
            elif "call" in head:
                output = _function(str(head["call"]))(head["argument"], folder)
                files, out = _outputs(folder)
                frame = frames.encode({"output": output, "files": files}, out)
            elif handle is not None:
                output, out = handle(head, body)
                frame = frames.encode({"output": output}, out)
            else:
                raise RuntimeError("nothing was started")
        except BaseException as error:  # noqa: BLE001 # whatever the code raises is its answer
            message = str(error)[:_MESSAGE_BYTES]
            frame = frames.encode({"error": {"type": type(error).__name__, "message": message}})
        _write_all(plan.answer, frame)


def _function(reference: str) -> _Function:
    module, _, name = reference.partition(":")
    found: _Function = getattr(import_module(module), name)
    return found


def _outputs(folder: Path) -> tuple[list[list[object]], bytes]:
    """Names and sizes of the files left in `out/`, and their bytes. Links are left out."""
    files, blocks = [], []
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            files.append([path.relative_to(folder / "out").as_posix(), len(data)])
            blocks.append(data)
    return files, b"".join(blocks)


def _send(handle: int, head: dict[str, object]) -> None:
    _write_all(handle, frames.encode(head))


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _read_exactly(handle: int, size: int) -> bytes:
    blocks, missing = [], size
    while missing:
        block = os.read(handle, min(missing, 1 << 20))
        if not block:
            raise EOFError
        blocks.append(block)
        missing -= len(block)
    return b"".join(blocks)

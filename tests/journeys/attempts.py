"""Attempts to start a server, each in a process of its own.

Importing the server takes seconds, so one process imports it and every attempt is forked off
that, before anything of it has run. What runs then is the command line as a person calls it.

    python -m tests.journeys.attempts    reads attempts from standard input, one JSON a line
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended; the exit code is negative where a signal ended it."""

    exit_code: int
    stdout: str
    stderr: str


class Attempts:
    """The process that attempts are forked off."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """Run the command line; SIGALRM ends it after a minute."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"arguments": list(arguments), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@contextmanager
def attempting() -> Iterator[Attempts]:
    """Attempts can be made until the block ends."""
    command = [sys.executable, "-m", "tests.journeys.attempts"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Attempts(process)
        assert process.stdin is not None
        process.stdin.close()


def _attempt(asked: Mapping[str, Any], stdout: int, stderr: int) -> None:
    """In the forked process: become the command."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["strongroom", *asked["arguments"]]
    signal.alarm(SECONDS)
    from strongroom.faces.cli import main

    main.run()


def _run(asked: Mapping[str, Any]) -> Ended:
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _attempt(asked, stdout.fileno(), stderr.fileno())
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read().decode("utf-8", "replace"))
    return Ended(os.waitstatus_to_exitcode(status), *said)


def main() -> None:
    """Import, then fork for each line."""
    importlib.import_module("strongroom.faces.server")
    importlib.import_module("strongroom.faces.cli.main")
    for line in sys.stdin:
        ended = _run(json.loads(line))
        sys.stdout.write(
            json.dumps(
                {"exit_code": ended.exit_code, "stdout": ended.stdout, "stderr": ended.stderr}
            )
            + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()

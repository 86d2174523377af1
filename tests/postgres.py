"""A PostgreSQL server of the tests' own, where its programs are installed.

`STRONGROOM_TEST_POSTGRES` names another one to use instead: a URL of a server on which databases
may be made.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "STRONGROOM_TEST_POSTGRES"


@contextmanager
def postgres_server() -> Iterator[str]:
    """URL of a server: a Unix socket in a folder of its own, nothing on the network.

    Skips, by name, where there is neither a server nor the programs to start one.
    """
    if given := os.environ.get(VARIABLE):
        yield given
        return
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (initdb was not found)")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="sr-pg-", dir="/tmp"))
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(folder, user.pw_uid, user.pw_gid)
        other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments], cwd=folder, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **other,
        )  # fmt: skip

    data = folder / "data"
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    try:
        run("initdb", "-D", str(data), "-A", "trust", "-U", "tests", "-E", "UTF8")
        run("pg_ctl", "-D", str(data), "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql://tests@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """Folder of initdb and pg_ctl: on the path, or where Debian keeps them."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    return kept[-1].parent if kept else None


def _version(program: Path) -> int:
    text = program.parts[-3]
    return int(text) if text.isdigit() else 0


def _user() -> pwd.struct_passwd:
    """Who runs it: ourselves, or `postgres` where we are root, which it refuses to run as."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres`")

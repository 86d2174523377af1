"""`strongroom doctor`: can a server run here, and what to do where it cannot."""

import errno
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from strongroom.errors import HomeInUseError, StrongroomError
from strongroom.faces.cli import output
from strongroom.settings import Settings

MIN_PYTHON = (3, 11)
CERTIFICATE_WARNING = timedelta(days=30)
_EARLIEST = datetime(2026, 11, 1, tzinfo=UTC)
"""This version is not older: an earlier clock is wrong."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination.

    Attributes:
        state: ok, warn (works, with less) or fail (does not work).
        advice: what to do; empty where nothing is to be done.
    """

    name: str
    state: str
    found: str
    advice: str = ""


def examine(settings: Settings, *, as_json: bool) -> int:
    """Show every check; exit code 1 where one fails, else 0."""
    checks = list(examined(settings))
    if as_json:
        output.data(
            [{"name": c.name, "state": c.state, "found": c.found, "advice": c.advice}
             for c in checks], as_json=True,
        )  # fmt: skip
    else:
        for check in checks:
            sys.stdout.write(f"{output.mark(check.state)}  {check.name:<12} {check.found}\n")
            if check.advice:
                sys.stdout.write(f"      {'':<12} → {check.advice}\n")
    return 1 if any(check.state == "fail" for check in checks) else 0


def examined(settings: Settings) -> Iterator[Check]:
    """The checks, one by one; a check that itself breaks is a failed one."""
    examinations: tuple[tuple[str, Callable[[Settings], Check]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("home", _home),
        ("disk", _disk),
        ("database", _database),
        ("integrity", _integrity),
        ("certificate", _certificate),
        ("port", _port),
        ("clock", _clock),
        ("sandbox", _sandbox),
    )
    for name, examination in examinations:
        try:
            yield examination(settings)
        except StrongroomError as error:
            yield Check(name, "fail", output.clean(error.message), error.next_step)
        except (OSError, ValueError, sqlite3.Error) as error:
            yield Check(name, "fail", f"cannot be examined: {type(error).__name__}",
                        "run it again as the user who runs the server")  # fmt: skip


def _python(_settings: Settings) -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        return Check("python", "fail", found, "install Python 3.11 or newer")
    return Check("python", "ok", found)


def _packages(_settings: Settings) -> Check:
    from packaging.requirements import Requirement

    wrong = []
    needed = [Requirement(text) for text in metadata.requires("strongroom") or ()]
    for requirement in needed:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            if not requirement.specifier.contains(metadata.version(requirement.name), True):
                wrong.append(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(requirement.name)
    if wrong:
        return Check("packages", "fail", f"missing or of another version: {', '.join(wrong)}",
                     "install again from requirements/runtime.lock")  # fmt: skip
    return Check("packages", "ok", f"strongroom {metadata.version('strongroom')}, all as required")


def _home(settings: Settings) -> Check:
    from strongroom.vault.home import Home

    if not settings.home.exists():
        return Check("home", "ok", f"{settings.home} is not there yet; it is made at first start")
    try:
        with Home.open(settings.home):
            return Check("home", "ok", f"{settings.home}, private and usable")
    except HomeInUseError as error:
        return Check("home", "ok", f"{error.message}: a server runs")


def _disk(settings: Settings) -> Check:
    import shutil

    place = settings.home
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free"
    if free < settings.min_free_bytes:
        return Check("disk", "fail", found, f"free {settings.min_free_bytes // 2**20} MiB or more")
    if free < 4 * 2**30:
        return Check("disk", "warn", found, "make room before adding large data")
    return Check("disk", "ok", found)


def _database(settings: Settings) -> Check:
    file = settings.home / "strongroom.db"
    if settings.database_url and not settings.database_url.startswith("sqlite"):
        from strongroom.vault.database import Database

        Database.open(settings.database_url).close()
        return Check("database", "ok", "reached")
    if not file.exists():
        return Check("database", "ok", "none yet; it is made at first start")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except UnicodeDecodeError:  # sqlite quotes a damaged table's name in its message
            answer = "damaged"
    if answer != "ok":
        return Check("database", "fail", "damaged", "stop the server and restore a backup")
    return Check("database", "ok", f"{file.stat().st_size / 2**20:.1f} MiB, whole")


def _integrity(settings: Settings) -> Check:
    """What was found changed, and whether the file against rollback is there."""
    from sqlalchemy import inspect

    from strongroom.gate.audit.findings import open_findings
    from strongroom.gate.audit.tables import IntegrityFindingRow
    from strongroom.vault.anchor import ANCHOR_FILE
    from strongroom.vault.database import Database
    from strongroom.vault.home import Home

    file = settings.home / "strongroom.db"
    if not settings.home.exists() or not (settings.database_url or file.exists()):
        return Check("integrity", "ok", "nothing to look at yet")
    home = Home.look(settings.home)
    if home.is_anchored and not (settings.home / ANCHOR_FILE).is_file():
        return Check("integrity", "fail", f"the file `{ANCHOR_FILE}` of the home is missing",
                     "see docs/log.md, after a rollback")  # fmt: skip
    database = Database.open(settings.database_url or home.database_url)
    try:
        with database.read() as session:
            if not inspect(session.connection()).has_table(IntegrityFindingRow.__tablename__):
                return Check("integrity", "ok", "the database is of an earlier version")
            found = open_findings(session)
    finally:
        database.close()
    if found:
        first = found[0]
        return Check("integrity", "fail", f"{len(found)} findings, the first: {first.kind} "
                     f"`{output.clean(first.subject)}`, {output.clean(first.reason)}",
                     "see docs/log.md, after tampering; `strongroom audit findings` lists them"
                     )  # fmt: skip
    return Check("integrity", "ok", "no findings")


def _certificate(settings: Settings) -> Check:
    from cryptography import x509

    folder = settings.home / "tls"
    files = sorted(folder.glob("*.pem")) if folder.is_dir() else []
    ends: list[tuple[datetime, Path]] = []
    for file in files:
        content = file.read_bytes()
        if b"BEGIN CERTIFICATE" in content:
            ends += [
                (c.not_valid_after_utc, file) for c in x509.load_pem_x509_certificates(content)
            ]
    if not ends:
        return Check("certificate", "ok", "none yet; it is made at first start")
    soonest, file = min(ends)
    left = soonest - datetime.now(UTC)
    until = f"{file.name} is good until {soonest:%Y-%m-%d}"
    advice = "stop the server, remove the file and start it again: a new one is made"
    if left < timedelta():
        return Check("certificate", "fail", until, advice)
    return Check("certificate", "warn" if left < CERTIFICATE_WARNING else "ok", until,
                 advice if left < CERTIFICATE_WARNING else "")  # fmt: skip


def _port(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return Check("port", "warn", f"{where} is taken",
                             "fine if that is this server; else choose another --port")  # fmt: skip
            if error.errno in {errno.EACCES, errno.EPERM}:
                return Check("port", "fail", f"{where} may not be used",
                             "choose a --port from 1024 on")  # fmt: skip
            return Check("port", "fail", f"{where} cannot be listened on", "correct --host")
    return Check("port", "ok", f"{where} is free")


def _clock(settings: Settings) -> Check:
    now = datetime.now(UTC)
    if now < _EARLIEST:
        return Check("clock", "fail", f"{now:%Y-%m-%d %H:%M} UTC is in the past",
                     "set the clock: expiry and the log depend on it")  # fmt: skip
    file = settings.home / "strongroom.db"
    if file.exists() and file.stat().st_mtime > time.time() + 60:
        return Check("clock", "fail", "the database was written in the future",
                     "set the clock: it has been put back")  # fmt: skip
    return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def _sandbox(settings: Settings) -> Check:
    from strongroom.services.jobs.sandbox import LAYERS, probe, required_layers

    there = probe()
    needed = required_layers(settings.sandbox_required_layers)
    found = ", ".join(sorted(there)) or "no layer"
    if missing := sorted(needed - there):
        return Check("sandbox", "fail", f"lacks {', '.join(missing)}; has {found}",
                     "code-carrying models are refused here; use a Linux kernel that has "
                     "them, or set sandbox_required_layers")  # fmt: skip
    if missing := sorted(LAYERS - there):
        return Check("sandbox", "warn", f"{found}; without {', '.join(missing)}",
                     "see docs/sandbox.md for what each layer stops")  # fmt: skip
    return Check("sandbox", "ok", found)

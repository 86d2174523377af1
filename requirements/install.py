"""Installs what a lock file names, or a project, into the environment of who runs this.

    python requirements/install.py requirements/runtime.lock .

uv does in a few seconds what pip takes a minute for, and checks the same hashes. It does not read
pip's configuration, which may say that packages come from a house's own index and from nowhere
else: here it is told, and where pip has been told something that uv cannot be, pip installs.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UV = (sys.executable, "-m", "uv", "--quiet", "--no-config", "--no-python-downloads")

VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "cert": ("SSL_CERT_FILE", " "),
}
"""Setting of pip → the variable of uv, and what stands between several values. No arguments: an
address may hold a password, and arguments can be read by everybody at the machine."""
CONSTRAINT = "constraint"
IDLE = {
    "cache-dir", "default-timeout", "timeout", "retries", "disable-pip-version-check",
    "no-compile", "no-warn-script-location", "progress-bar", "quiet", "verbose",
    "root-user-action", "require-virtualenv", "no-input", "no-color",
}  # fmt: skip
"""Settings of pip that change nothing about what is installed, or from where."""


@dataclass
class Told:
    """What pip's configuration says.

    Attributes:
        variables: where packages come from, as uv's environment.
        constraints: files of versions that are allowed.
    """

    variables: dict[str, str] = field(default_factory=dict)
    constraints: list[str] = field(default_factory=list)


def told(configuration: str) -> Told | None:
    """What `pip config list` printed; None where uv cannot be told all of it."""
    places: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in configuration.splitlines():
        name, _, written = line.partition("=")
        where, _, setting = name.rpartition(".")
        if where in places and setting not in IDLE:
            places[where][setting] = str(ast.literal_eval(written))
    # Of a setting in several places the last one holds.
    settings = {key: value for place in places.values() for key, value in place.items()}
    constraints = settings.pop(CONSTRAINT, "").split()
    if not settings.keys() <= VARIABLES.keys():
        return None
    found = Told(constraints=constraints)
    for setting, value in settings.items():
        variable, between = VARIABLES[setting]
        found.variables[variable] = between.join(value.split())
    return found


def install(*wanted: Path) -> int:
    """Install what lock files name, and projects in folders; exit code of the installer."""
    listing = (*PIP, "config", "list")
    configured = subprocess.run(listing, check=False, capture_output=True, text=True)
    known = None if configured.returncode else told(configured.stdout)
    if not (known is None or _has_uv()):
        known = None
    for what in wanted:
        project = what.is_dir()
        asked = ("--no-deps", "-e", str(what)) if project else ("--require-hashes", "-r", str(what))
        if known is not None and (project or _allowed(what, known)) and _uv(known, *asked):
            continue
        command = (*PIP, "install", "--quiet", "--no-compile", *asked)
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


def _has_uv() -> bool:
    """Install uv itself, where there is one for this machine."""
    command = (
        *PIP, "install", "--quiet", "--no-compile", "--only-binary=:all:", "--require-hashes",
        "-r", str(HERE / "installer.lock"),
    )  # fmt: skip
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _allowed(lock: Path, known: Told) -> bool:
    """Whether the constraints allow every version; uv takes no constraints beside hashes."""
    if not known.constraints:
        return True
    pins = re.sub(r"\\\n| +--hash=\S+", "", lock.read_text("utf-8"))
    files = [part for file in known.constraints for part in ("--constraints", file)]
    return _uv(known, "--dry-run", "--no-deps", *files, "-r", "-", said=pins)


def _uv(known: Told, *asked: str, said: str = "") -> bool:
    # Of all indexes what fits best, as pip does; trusting whom the machine trusts, as pip does.
    command = (
        *UV, "pip", "install", "--python", sys.executable, "--system-certs",
        "--index-strategy", "unsafe-best-match", *asked,
    )  # fmt: skip
    environment = os.environ | known.variables
    return (
        subprocess.run(command, check=False, env=environment, input=said, text=True).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(install(*map(Path, sys.argv[1:])))

"""The options of `strongroom scan`, declared once, and a light way to read them.

What reads command lines for all commands takes several times longer to load than it takes to scan
a small model. So what is given plainly is read here; anything else (help, completion, a mistake,
`--option=value`) is left to that, which makes the same options of the same declarations.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


@dataclass(frozen=True, slots=True)
class ScanOption:
    """One option.

    Attributes:
        metavar: what its value is, in the help; empty: it takes none.
        envvar: what stands for it where it is not given.
    """

    name: str
    help: str
    metavar: str = ""
    envvar: str | None = None
    default: str = ""


SARIF = ScanOption("--sarif", "Print SARIF 2.1.0.")
JSON = ScanOption("--json", "Print JSON.")
FAIL_ON = ScanOption("--fail-on", "Exit 6 from this severity on.", "SEVERITY", None, "medium")
ADVISORIES = ScanOption(
    "--advisories",
    "Folder or zip of OSV advisories, to look up requirements in.",
    "PATH",
    "STRONGROOM_ADVISORIES",
)
ALLOWED = ScanOption(
    "--allow-licences",
    "Licences that requirements may have; all others go to a person.",
    "SPDX,...",
    "STRONGROOM_LICENCES_ALLOWED",
)
DENIED = ScanOption(
    "--deny-licences",
    "Licences that they may not have.",
    "SPDX,...",
    "STRONGROOM_LICENCES_DENIED",
)
_OPTIONS = {one.name: one for one in (SARIF, JSON, FAIL_ON, ADVISORIES, ALLOWED, DENIED)}
_COMPLETION = "_STRONGROOM_COMPLETE"


class ScanArguments(TypedDict):
    """What `run_scan` takes."""

    paths: list[Path]
    sarif: bool
    fail_on: str
    as_json: bool
    advisories: str
    allowed_licences: str
    denied_licences: str


def plainly_given(arguments: Sequence[str]) -> ScanArguments | None:
    """What the arguments behind `scan` ask for; None where they have to be read with more care."""
    if _COMPLETION in os.environ:
        return None
    paths: list[Path] = []
    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument and not argument.startswith("-"):
            paths.append(Path(argument))
            continue
        option = _OPTIONS.get(argument)
        if option is None or option.name in given:
            return None
        value = next(rest, "-") if option.metavar else argument
        if option.metavar and value.startswith("-"):
            return None
        given[option.name] = value
    if not paths:
        return None
    return {
        "paths": paths,
        "sarif": SARIF.name in given,
        "fail_on": _value(FAIL_ON, given),
        "as_json": JSON.name in given,
        "advisories": _value(ADVISORIES, given),
        "allowed_licences": _value(ALLOWED, given),
        "denied_licences": _value(DENIED, given),
    }


def _value(option: ScanOption, given: dict[str, str]) -> str:
    stands_for_it = os.environ.get(option.envvar, "") if option.envvar else ""
    return given.get(option.name, stands_for_it or option.default)

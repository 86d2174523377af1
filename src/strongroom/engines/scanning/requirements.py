"""What a model asks to be installed: each requirement, where it comes from, and odd names.

Reads requirements files, `conda.yaml` and `python_env.yaml` of an MLflow folder.

Source: PEP 508 and 440 through `packaging`; pip's requirements file format; conda's environment
files; mlflow 3.17, `mlflow/utils/environment.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from strongroom.engines.scanning.lookalikes import resembles
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.yaml_reading import read_yaml

MAX_REQUIREMENTS = 5_000
_MAX_LINE = 4_096
_SHOWN = 200

_CHANNELS = frozenset(("conda-forge", "defaults", "nodefaults"))
_HARMLESS = frozenset(
    ("--require-hashes", "--prefer-binary", "--only-binary", "--no-deps")
)  # fmt: skip
_INDEXES = frozenset(("-i", "--index-url", "--extra-index-url", "-f", "--find-links"))
_FILES = frozenset(("-r", "--requirement", "-c", "--constraint"))
_HASH = re.compile(r"\s--hash[=\s]\S+")
_INLINE = re.compile(r"\s(--?[A-Za-z][\w-]*)")
_VCS = re.compile(r"(?:^|@\s*)(git|hg|svn|bzr)\+", re.IGNORECASE)
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:(?:/|[^=\s])")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
# What installs the rest; nobody pins it, and MLflow writes it so.
_INSTALLERS = frozenset(("pip", "setuptools", "wheel", "python"))
_CONDA_SPEC = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*(?:\[[^\]]*\])?\s*(.*)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One distribution that is to be installed.

    Attributes:
        name: normalized (PEP 503).
        specifier: the versions it allows.
        version: the one version it allows; None where it allows several.
        offset: byte of its line in the file, or None.
        is_pypi: False for what conda installs, whose names need not be those of PyPI.
    """

    name: str
    specifier: SpecifierSet
    version: Version | None
    offset: int | None = None
    is_pypi: bool = True


@dataclass(slots=True)
class Requirements:
    """What one file asks for, and what is wrong with it."""

    wanted: list[Requirement] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_requirements(text: str) -> Requirements:
    """The requirements of a `requirements.txt`.

    What pip would take from elsewhere than the configured index, and lines that cannot be read,
    are problems.
    """
    found = Requirements()
    for offset, line in _lines(text):
        if len(found.wanted) + len(found.problems) >= MAX_REQUIREMENTS:
            says = "asks for more than any honest model does; the rest was not looked at"
            found.problems.append(Problem("SR-PKG-003", says, offset))
            break
        _read_line(line, offset, found)
    _tell_unpinned(found)
    return found


def read_environment(data: bytes) -> Requirements:
    """The requirements of a `conda.yaml` or `python_env.yaml`.

    Raises:
        MalformedError: it cannot be parsed.
    """
    environment = read_yaml(data)
    if not isinstance(environment, dict):
        raise MalformedError("YAML that is no mapping")
    found = Requirements()
    channels = environment.get("channels")
    for channel in channels if isinstance(channels, list) else []:
        if not isinstance(channel, str) or channel not in _CHANNELS:
            says = "installs from a conda channel that is not a common one"
            found.problems.append(Problem("SR-MLF-004", says, None, without_secret(str(channel))))
    is_conda = "channels" in environment
    for key in ("dependencies", "build_dependencies"):
        entries = environment.get(key)
        for entry in (entries if isinstance(entries, list) else [])[:MAX_REQUIREMENTS]:
            nested = entry.get("pip") if isinstance(entry, dict) else None
            for line in (nested if isinstance(nested, list) else [])[:MAX_REQUIREMENTS]:
                if line:
                    _read_line(str(line), None, found)
            if isinstance(entry, str) and not _is_own_file(entry):
                if is_conda:
                    _read_conda(entry, found)
                else:
                    _read_line(entry, None, found)
    _tell_unpinned(found)
    return found


def without_secret(text: str) -> str:
    """An address without the password or token that may stand in it."""
    bare = re.sub(r"//[^/@\s]*@", "//…@", text)
    return re.sub(r"(?i)((?:token|key|password|sig)[\w-]*=)[^&\s]+", r"\1…", bare)[:_SHOWN]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines as pip reads them: continued ones joined, comments away; each with its byte offset."""
    offset, start, waiting = 0, 0, ""
    for line in text.splitlines(keepends=True):
        if not waiting:
            start = offset
        offset += len(line.encode())
        bare = line.rstrip("\r\n")
        if bare.endswith("\\") and not bare.lstrip().startswith("#"):
            waiting += bare[:-1] + " "
            continue
        whole = re.sub(r"(^|\s)#.*", "", waiting + bare).strip()
        waiting = ""
        if whole:
            yield start, whole
    if waiting.strip():
        yield start, waiting.strip()


def _read_line(line: str, offset: int | None, found: Requirements) -> None:
    shown = without_secret(line)
    if len(line) > _MAX_LINE:
        found.problems.append(Problem("SR-PKG-003", "is longer than any honest line", offset))
        return
    if line.startswith("-"):
        why = _option(line)
        if why:
            found.problems.append(Problem("SR-MLF-004", why, offset, shown))
        return
    why = _elsewhere(line)
    if why:
        found.problems.append(Problem("SR-MLF-004", why, offset, shown))
        return
    bare = _HASH.sub("", line).strip()
    if option := _INLINE.search(bare):
        why = _option(option[1])
        found.problems.append(Problem("SR-MLF-004", why, offset, shown))
        return
    try:
        parsed = Parsed(bare)
    except InvalidRequirement:
        found.problems.append(_unreadable(bare, offset, shown))
        return
    if parsed.url:
        says = "installs from an address, whatever lies there on that day"
        found.problems.append(Problem("SR-MLF-004", says, offset, shown))
        return
    _keep(parsed.name, parsed.specifier, offset, found)


def _option(line: str) -> str:
    """Why an option of pip lets a requirement come from elsewhere; empty where it does not."""
    name = re.split(r"[=\s]", line, maxsplit=1)[0]
    if name in _HARMLESS:
        return ""
    if name[:2] in ("-i", "-f") and not name.startswith("--"):
        name = name[:2]
    if name == "--extra-index-url":
        return "adds another index, which may answer for any name with a higher version"
    if name in _INDEXES:
        return "installs from another index or folder"
    if name in ("-e", "--editable"):
        return "installs from a folder or repository, and runs its setup"
    if name in _FILES:
        return "takes requirements from another file"
    if name == "--trusted-host":
        return "installs over a connection whose certificate is not checked"
    return "sets an option of the installer that no model needs"


def _elsewhere(line: str) -> str:
    """Why a requirement does not come from the index; empty where it does."""
    if found := _VCS.search(line):
        return f"installs from a {found[1].lower()} repository, whose content can change"
    if line.startswith((".", "/", "~", "\\")) or re.match(r"[A-Za-z]:[\\/]", line):
        return "installs from a folder or file of the machine"
    if _ADDRESS.match(line):
        return "installs from an address, whatever lies there on that day"
    head = re.split(r"[;\s]", line, maxsplit=1)[0]
    if "@" not in line and re.search(r"[/\\]|\.(?:whl|zip|tar\.gz|tgz)$", head):
        return "installs from a folder or file of the machine"
    return ""


def _unreadable(line: str, offset: int | None, shown: str) -> Problem:
    name = re.split(r"[\s<>=!~;\[(@]", line, maxsplit=1)[0]
    known = resembles(name) if not name.isascii() else ""
    if known:
        says = f"asks for a name that looks like `{known}` and is another"
        return Problem("SR-PKG-003", says, offset, shown)
    return Problem("SR-PKG-003", "is a requirement that cannot be read", offset, shown)


def _read_conda(entry: str, found: Requirements) -> None:
    """A match specification of conda: `name`, `name=1.2`, `name==1.2`, `channel::name>=1`."""
    channel, _, spec = entry.rpartition("::")
    if channel and channel not in _CHANNELS:
        says = "installs from a conda channel that is not a common one"
        found.problems.append(Problem("SR-MLF-004", says, None, without_secret(entry)))
        return
    if why := (_option(spec) if spec.startswith("-") else _elsewhere(spec)):
        found.problems.append(Problem("SR-MLF-004", why, None, without_secret(entry)))
        return
    matched = _CONDA_SPEC.fullmatch(spec)
    if matched is None:
        found.problems.append(_unreadable(spec, None, without_secret(entry)))
        return
    versions = matched[2].split("=")  # a single `=` fixes the version up to a last part
    text = matched[2]
    if re.match(r"=[^=]", text):
        text = f"=={versions[1].strip().rstrip('.*')}" + ("" if len(versions) > 2 else ".*")
    try:
        specifier = SpecifierSet(text.replace(" ", ""))
    except InvalidSpecifier:
        specifier = SpecifierSet()
    _keep(matched[1], specifier, None, found, is_pypi=False)


def _keep(
    name: str,
    specifier: SpecifierSet,
    offset: int | None,
    found: Requirements,
    *,
    is_pypi: bool = True,
) -> None:
    normal = str(canonicalize_name(name))
    found.wanted.append(Requirement(normal, specifier, _only(specifier), offset, is_pypi))
    known = resembles(normal) if is_pypi and normal not in _INSTALLERS else ""
    if known:
        says = f"asks for `{normal}`, which is easily taken for `{known}`: make sure it is meant"
        found.problems.append(Problem("SR-PKG-002", says, offset, normal))


def _only(specifier: SpecifierSet) -> Version | None:
    """The one version that is allowed."""
    for one in specifier:
        if one.operator in ("==", "===") and not one.version.endswith(".*"):
            try:
                return Version(one.version)
            except InvalidVersion:
                return None
    return None


def _tell_unpinned(found: Requirements) -> None:
    """One problem for all requirements of a file that leave the version open."""
    names = [w.name for w in found.wanted if w.version is None and w.name not in _INSTALLERS]
    if names:
        several = f"{len(names)} requirements" if len(names) > 1 else "a requirement"
        says = f"leaves the version of {several} to the day of installation: {', '.join(names)}"
        found.problems.append(Problem("SR-PKG-001", says, None, ", ".join(names)[:_SHOWN]))


def _is_own_file(entry: str) -> bool:
    """What MLflow writes into `python_env.yaml`: the requirements file beside it."""
    return entry.strip() == "-r requirements.txt"

"""Where a person's servers and keys are kept: one file that only they can read.

$XDG_CONFIG_HOME/strongroom/profiles.json   (~/.config/strongroom/profiles.json)
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from strongroom.errors import CallerError, UsageError

DEFAULT_PROFILE = "default"
DEFAULT_SERVER = "https://127.0.0.1:8443"
RUNNING_IN_HOME = Path("run") / "server.json"
"""Where a server on this machine says its address while it runs, within its home folder."""
CA_IN_HOME = Path("tls") / "ca.pem"
"""The server's own certificate authority, within its home folder."""
MAX_FILE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Profile:
    """How to reach one server as one person.

    Attributes:
        server: its address, `https://host:port`.
        key: API key; empty where there is none.
        ca: file with the certificate authority to trust; empty for the system's.
        workspace: taken where a call names none; empty for the key's only one.
    """

    server: str = DEFAULT_SERVER
    key: str = ""
    ca: str = ""
    workspace: str = ""

    def __repr__(self) -> str:
        """Without the key."""
        return f"Profile(server={self.server!r}, ca={self.ca!r}, workspace={self.workspace!r})"


def folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the profiles."""
    environment = os.environ if environment is None else environment
    base = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "strongroom"


def _file(environment: Mapping[str, str] | None) -> Path:
    return folder(environment) / "profiles.json"


def _read(file: Path) -> dict[str, dict[str, str]]:
    try:
        if file.stat().st_mode & 0o077:
            raise CallerError(
                f"`{file}` holds keys and can be read by others",
                next_step=f"run `chmod 600 {file}`, and create new keys",
            )
        with file.open(encoding="utf-8") as opened:
            document = json.loads(opened.read(MAX_FILE_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CallerError(f"cannot read `{file}`: {error.strerror}") from error
    except ValueError:
        raise CallerError(
            f"`{file}` is damaged", next_step="remove it and run `strongroom login` again"
        ) from None
    if not isinstance(document, dict):
        raise CallerError(f"`{file}` is damaged", next_step="remove it and sign in again")
    return document


def stored(name: str, environment: Mapping[str, str] | None = None) -> Profile:
    """The profile `name`; the default one may be missing and is then empty.

    Raises:
        UsageError: no such profile.
        CallerError: the file is damaged, or open to others.
    """
    fields = _read(_file(environment)).get(name)
    if fields is None:
        if name != DEFAULT_PROFILE:
            raise UsageError(f"there is no profile `{name}`", next_step="run `strongroom login`")
        return Profile()
    known = {key: str(fields[key]) for key in Profile.__slots__ if key in fields}
    return Profile(**known)


def store(name: str, profile: Profile, environment: Mapping[str, str] | None = None) -> Path:
    """Keep a profile, in place of the one of that name.

    Returns: the file.
    """
    file = _file(environment)
    profiles = _read(file)
    profiles[name] = asdict(profile)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp gives mode 0600 from the start; a crash before the rename leaves the old file.
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=".profiles-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(profiles, opened, indent=2)
            opened.flush()
            os.fsync(opened.fileno())
        Path(draft).rename(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return file


def secret_from_file(path: str) -> str:
    """The secret in a file: its first line.

    Raises:
        CallerError: not readable, or open to others.
    """
    file = Path(path).expanduser()
    try:
        if file.is_file() and file.stat().st_mode & 0o007:
            raise CallerError(
                f"`{file}` holds a key and can be read by others",
                next_step=f"run `chmod 600 {file}`",
            )
        with file.open(encoding="utf-8") as opened:
            return opened.readline(65_536).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CallerError(f"cannot read the key in `{file}`") from error


def _running(home: Path) -> str:
    """The address of the server that runs on `home`; empty where it does not say one."""
    try:
        with (home / RUNNING_IN_HOME).open(encoding="utf-8") as file:
            address = json.loads(file.read(4096))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return address if isinstance(address, str) else ""


def resolve(
    *,
    name: str | None = None,
    server: str | None = None,
    ca: str | None = None,
    workspace: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Profile:
    """What to use: arguments over variables over the stored profile over the defaults.

    Variables: STRONGROOM_PROFILE, STRONGROOM_SERVER, STRONGROOM_API_KEY_FILE,
    STRONGROOM_API_KEY, STRONGROOM_CA_FILE, STRONGROOM_WORKSPACE, STRONGROOM_HOME. Where none of
    them names a server, the one that runs on this home folder is taken. A stored key goes only to
    the server that it was stored for.
    """
    environment = os.environ if environment is None else environment
    kept = stored(name or environment.get("STRONGROOM_PROFILE") or DEFAULT_PROFILE, environment)
    home = Path(environment.get("STRONGROOM_HOME") or "~/.strongroom").expanduser()
    server = server or environment.get("STRONGROOM_SERVER")
    if not server and kept == Profile():
        server = _running(home)
    server = (server or kept.server).rstrip("/")
    same = server == kept.server.rstrip("/")
    key = kept.key if same else ""
    if path := environment.get("STRONGROOM_API_KEY_FILE"):
        key = secret_from_file(path)
    elif given := environment.get("STRONGROOM_API_KEY"):
        key = given.strip()
    ca = ca or environment.get("STRONGROOM_CA_FILE") or (kept.ca if same else "")
    if not ca and (home / CA_IN_HOME).is_file():
        ca = str(home / CA_IN_HOME)
    workspace = workspace or environment.get("STRONGROOM_WORKSPACE") or kept.workspace
    return Profile(server, key, ca, workspace)

"""Every setting, with its unit, default and reason; read once at start.

Order: keyword (a command-line flag) over `STRONGROOM_*` variable over `strongroom.toml` in the
home folder over the default. Unknown names in the file are refused. No setting holds a secret:
secrets come from files whose paths may stand here.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args, get_type_hints

from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server; each annotation carries the reason for its default."""

    home: Annotated[Path, "one folder holds all that must be kept"] = Path("~/.strongroom")
    host: Annotated[str, "loopback: nothing is open to others by default"] = "127.0.0.1"
    port: Annotated[int, "TCP port, 0 picks a free one; TLS always"] = 8443
    names: Annotated[str, "comma list of host names beyond loopback that the certificate holds"] = (
        ""
    )
    database_url: Annotated[str, "SQLAlchemy URL; empty: SQLite in the home folder"] = ""
    blob_url: Annotated[str, "object store URL; empty: a folder in the home folder"] = ""
    root_passphrase_file: Annotated[str, "file with a passphrase that wraps the root key"] = ""
    log_origin: Annotated[str, "name of the log in checkpoints; empty: strongroom/<log id>"] = ""
    witnesses: Annotated[
        str, "comma list of `URL KEY`: who cosigns the log's checkpoints (C2SP tlog-witness)"
    ] = ""
    log_level: Annotated[str, "debug, info, warning or error, of the structured log"] = "info"
    max_upload_bytes: Annotated[int, "bytes of one upload: a 20 GB model fits"] = 64 * 2**30
    max_request_bytes: Annotated[int, "bytes of one JSON request"] = 8 * 2**20
    max_field_bytes: Annotated[int, "bytes of one field of a table"] = 16 * 2**20
    max_columns: Annotated[int, "columns of one table"] = 10_000
    min_free_bytes: Annotated[int, "below this much free disk writes are refused"] = 256 * 2**20
    request_seconds: Annotated[int, "seconds a caller may take to send one request"] = 300
    api_key_days: Annotated[int, "days until a new API key expires"] = 90
    session_hours: Annotated[int, "hours until a console session ends"] = 8
    link_minutes: Annotated[int, "minutes a one-time sign-in link is good for"] = 10
    invitation_hours: Annotated[int, "hours an invitation to claim an account is good for"] = 72
    key_cache_seconds: Annotated[int, "seconds an unwrapped workspace key may stay in memory"] = 60
    model_sweep_hours: Annotated[
        int, "hours in which every approved model version is verified once; 0: never"
    ] = 24
    model_sweep_bytes: Annotated[int, "bytes a second that this reads at most"] = 64 * 2**20
    decision_cache_seconds: Annotated[int, "seconds until a revocation is felt everywhere"] = 1
    calls_per_minute: Annotated[int, "control calls of one caller in a minute"] = 1_200
    requests_per_minute: Annotated[
        int, "requests of one client, known or not: an IPv4 address or an IPv6 /64"
    ] = 60_000
    metrics: Annotated[
        str, "credential or loopback: who may read /metrics without a credential, if anybody"
    ] = "credential"
    metrics_token_file: Annotated[
        str, "file with a secret of 32 characters or more that is good for /metrics alone"
    ] = ""
    sandbox_required_layers: Annotated[str, "comma list; empty: all that the platform can have"] = (
        ""
    )
    sandbox_seconds: Annotated[int, "seconds of CPU for one confined check of a model"] = 120
    sandbox_memory_bytes: Annotated[int, "address space of confined code"] = 4 * 2**30
    guards_of_trained: Annotated[
        str, "fitted or none: whether a classifier that is trained here gets a guard of its rows"
    ] = "fitted"
    advisories: Annotated[
        str, "folder or zip of OSV advisories; empty: known vulnerabilities are not checked"
    ] = ""
    licences_allowed: Annotated[
        str, "comma list of SPDX ids that requirements of models may have; empty: any"
    ] = ""
    licences_denied: Annotated[str, "comma list of SPDX ids that they may not have"] = ""
    record_predictions: Annotated[
        str, "before_answer or batched: when a prediction is in the log"
    ] = "before_answer"


_CHOICES = {
    "log_level": ("debug", "info", "warning", "error"),
    "guards_of_trained": ("fitted", "none"),
    "metrics": ("credential", "loopback"),
    "record_predictions": ("before_answer", "batched"),
}
_MAY_BE_ZERO = {"port", "min_free_bytes", "key_cache_seconds", "decision_cache_seconds"}
_MAXIMUM = {
    "port": 65_535, "key_cache_seconds": 60, "decision_cache_seconds": 60,
    "api_key_days": 3_650, "session_hours": 8_760, "link_minutes": 1_440,
    "invitation_hours": 720,
}  # fmt: skip


def declared() -> dict[str, object]:
    """Name of each setting and its annotation `Annotated[type, reason]`, in order."""
    return get_type_hints(Settings, include_extras=True)


def _convert(name: str, kind: type, value: object) -> object:
    """`value` as the type of the setting `name`, or a ValidationError that names it."""
    try:
        if kind is int and isinstance(value, bool):
            raise ValueError
        if kind is int and isinstance(value, int | str):
            number = int(value)
            if number < 0:
                raise ValueError
            return _in_range(name, number)
        if kind is str and isinstance(value, str):
            return _chosen(name, value)
        if kind is Path and isinstance(value, str | Path):
            return Path(value)
        raise ValueError
    except ValueError:
        kind_name = {int: "a whole number from 0", str: "a text", Path: "a path"}[kind]
        raise ValidationError(f"setting `{name}` must be {kind_name}") from None


def _in_range(name: str, number: int) -> int:
    if number == 0 and name not in _MAY_BE_ZERO:
        raise ValidationError(f"setting `{name}` must not be 0")
    if number > _MAXIMUM.get(name, number):
        raise ValidationError(f"setting `{name}` may be at most {_MAXIMUM[name]}")
    return number


def _chosen(name: str, text: str) -> str:
    if text not in _CHOICES.get(name, (text,)):
        raise ValidationError(f"setting `{name}` must be one of: {', '.join(_CHOICES[name])}")
    return text


def load(environment: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """The settings in force. `flags` that are None count as not given.

    Raises:
        ValidationError: an unknown name, or a value of the wrong type.
    """
    environment = os.environ if environment is None else environment
    kinds = {name: get_args(hint)[0] for name, hint in declared().items()}
    chosen: dict[str, object] = {}
    home = Path(
        str(flags.get("home") or environment.get("STRONGROOM_HOME") or "~/.strongroom")
    ).expanduser()
    file = home / "strongroom.toml"
    if file.is_file():
        try:
            chosen.update(tomllib.loads(file.read_text("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValidationError(f"`{file}` is not valid TOML: {error}") from error
    for name in kinds:
        if (value := environment.get(f"STRONGROOM_{name.upper()}")) is not None:
            chosen[name] = value
    chosen.update({name: value for name, value in flags.items() if value is not None})
    chosen["home"] = home
    if unknown := sorted(chosen.keys() - kinds.keys()):
        raise ValidationError(
            f"unknown setting `{unknown[0]}`", next_step="see docs/settings.md for the names"
        )
    return Settings(
        **{name: _convert(name, kinds[name], value) for name, value in chosen.items()}  # type: ignore[arg-type] # converted by kind
    )

"""`strongroom backup` and `restore`."""

import time
from pathlib import Path
from typing import Any

from strongroom.faces.backing import make_backup, restore
from strongroom.faces.cli import output
from strongroom.settings import Settings
from strongroom.vault.backup_manifest import Backup, Progress

_SECONDS = 2.0


def run_backup(settings: Settings, to: Path, *, with_root_key: bool, as_json: bool) -> None:
    """Make a backup and say where it is. Raises as `make_backup`."""
    if with_root_key:
        output.words(
            "whoever has this backup can read everything in it: keep it as the home itself"
        )
    made = make_backup(settings, to, with_root_key=with_root_key, progress=_telling("copied"))
    output.words(f"backed up to {made.path}")
    if not with_root_key:
        output.words(
            "the root key is not in it: keep `root.key` somewhere else, or it is worth nothing"
        )
    output.data(described(made), as_json=as_json)


def run_restore(
    settings: Settings, source: Path, root_key: Path | None, *, same_log: bool, as_json: bool
) -> None:
    """Restore the newest or the named backup. Raises as `restore`."""
    backup = Backup.open(source)
    done = restore(
        settings, backup, root_key=root_key, same_log=same_log, progress=_telling("restored")
    )
    output.words(f"{done.home} is as it was at {done.made_at}; look at `strongroom doctor`")
    if not same_log:
        output.words("the log goes on under a new name and key: tell those who keep the old key")
    if done.settings_file:
        output.words(
            f"the backup's settings name a database or store, so they are in `{done.settings_file}`"
        )
    output.data(
        {"home": str(done.home), "made_at": done.made_at, "log_key": done.log_key},
        as_json=as_json,
    )


def described(backup: Backup) -> dict[str, Any]:
    """What a person sees of a backup."""
    manifest = backup.manifest
    return {
        "backup": str(backup.path),
        "made_at": manifest.made_at,
        "database": manifest.dialect,
        "blobs": len(manifest.blobs),
        "bytes": manifest.total_bytes,
        "log_size": manifest.log_size,
        "log_root": manifest.log_root,
        "log_key": manifest.log_key,
    }


def _telling(what: str) -> Progress:
    """Tells how far it is, not more than every two seconds."""
    told_at = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _SECONDS:
            told_at = time.monotonic()
            output.words(f"{what} {done >> 20} of {total >> 20} MiB")

    return tell

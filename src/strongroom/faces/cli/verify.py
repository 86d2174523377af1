"""`strongroom verify`: receipts, exports, backups, offline, by the log's public key alone."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.cosignature import WitnessKey, require_cosigned
from strongroom.engines.ledger.receipt import HEADER, MAX_RECEIPT_BYTES, Receipt
from strongroom.engines.ledger.verification import CHECKPOINT, verify_export
from strongroom.errors import CallerError, TamperedError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.backup import described
from strongroom.vault.backup_manifest import Backup

KEY_VARIABLE = "STRONGROOM_LOG_KEY"
_MAX_KEY_BYTES = 4096


def run_verify(
    path: Path,
    *,
    key: str | None,
    against: Sequence[Path] = (),
    witnesses: Sequence[str] = (),
    as_json: bool,
) -> None:
    """Verify the file and say what is proven; raises TamperedError (exit 5) where it is not.

    Args:
        path: a receipt, a log export, a backup or a home.
        key: the log's public key.
        against: files of checkpoints or receipts that were kept: the log must have grown from
            them.
        witnesses: keys of witnesses that must have cosigned a receipt or an export.

    Raises:
        UsageError: nothing would be proven of that file, or not by that witness.
    """
    log_key = _key(key or os.environ.get(KEY_VARIABLE))
    known = [_kept_checkpoint(file) for file in against]
    if path.is_dir():
        if witnesses:
            raise UsageError(
                "--witness is for receipts and log exports",
                next_step="verify an export of the log, made by `strongroom audit export`",
            )
        found = _folder(path, log_key, known)
        output.words(f"verified: {found['verified']} of the log `{output.clean(log_key.name)}`")
        output.data(found, as_json=as_json)
        return
    try:
        with path.open("rb") as file:
            start, shown = _receipt_in(file.read(MAX_RECEIPT_BYTES + 1))
            if start.startswith(HEADER.encode()):
                found = _receipt(start, log_key, known, _witnesses(witnesses))
                if shown is not None:
                    _must_be_proven(shown, found)
            elif start.startswith(b"PK"):
                file.seek(0)
                done = verify_export(file, [log_key], known=known)
                if witnesses:
                    file.seek(0)
                    with ZipFile(file) as archive:
                        require_cosigned(archive.read(CHECKPOINT), _witnesses(witnesses))
                found = {
                    "verified": "log export",
                    **_checkpoint(done.checkpoint),
                    "older_checkpoints": list(done.older_sizes),
                    "withheld": done.withheld,
                }
            else:
                raise UsageError(
                    f"`{path.name}` is neither a receipt nor a log export",
                    next_step="give a file from `audit prove` or `audit export`, or a backup",
                )
    except OSError as error:
        raise CallerError(f"cannot read `{path}`: {error.strerror}") from error
    output.words(f"verified: {found['verified']} of the log `{output.clean(log_key.name)}`")
    output.data(found, as_json=as_json)


def _receipt_in(content: bytes) -> tuple[bytes, Any]:
    """The receipt, and the entry shown beside it, in the JSON that `audit prove --json` prints.

    Other content comes back as it is, without an entry. The key that stands beside them is not
    used: it comes from the same hand.
    """
    if not content.startswith(b"{"):
        return content, None
    try:
        given = json.loads(content)
        return str(given["receipt"]).encode(), given.get("entry")
    except (ValueError, KeyError, TypeError):
        return content, None


def _must_be_proven(shown: Any, found: dict[str, Any]) -> None:  # noqa: ANN401 # any JSON
    """Raise TamperedError where the entry that a person reads is not the one that is proven."""
    proven = {name: value for name, value in found["entry"].items() if name not in {"v", "salt"}}
    proven |= {
        "index": found["index"],
        "audit_class": proven.pop("class"),
        "time": datetime.fromtimestamp(proven["time"], UTC),
    }
    try:
        said = {**shown, "time": datetime.fromisoformat(shown["time"])}
    except (ValueError, KeyError, TypeError):
        said = {}
    if said != proven:
        raise TamperedError("the entry beside the receipt is not the one that it proves")


def _kept_checkpoint(path: Path) -> bytes:
    """The signed checkpoint in a file that was kept: itself, or a receipt's."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RECEIPT_BYTES + 1)
    except OSError as error:
        raise CallerError(f"cannot read `{path}`: {error.strerror}") from error
    receipt, _ = _receipt_in(content)
    if receipt.startswith(HEADER.encode()):
        return Receipt.parse(receipt.decode("utf-8", "replace")).checkpoint_note
    return content


def _witnesses(texts: Sequence[str]) -> list[WitnessKey]:
    try:
        return [WitnessKey.parse(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"--witness: {error}") from error


def _folder(path: Path, key: LogKey, known: Sequence[bytes]) -> dict[str, Any]:
    """A backup, byte by byte; or the log of a home, as far as its public hashes tell."""
    older = [Checkpoint.open(note, [key]) for note in known]
    if (path / "home.json").is_file():
        return _home(path, key, older)
    backup = Backup.open(path)
    backup.require_signed([key])
    backup.verify()
    manifest = backup.manifest
    for checkpoint in older:
        same_size = checkpoint.size == manifest.log_size
        if checkpoint.size > manifest.log_size or (
            same_size and checkpoint.root.hex() != manifest.log_root
        ):
            raise TamperedError(
                f"the backup holds {manifest.log_size} log entries, the checkpoint you kept "
                f"{checkpoint.size}"
            )
    return {"verified": "backup", **described(backup)}


def _home(path: Path, key: LogKey, older: Sequence[Checkpoint]) -> dict[str, Any]:
    from strongroom.gate.audit.anchoring import require_growth
    from strongroom.gate.audit.integration import latest_checkpoint
    from strongroom.settings import load
    from strongroom.vault.database import Database
    from strongroom.vault.home import Home

    if not older:
        raise UsageError(
            "a home is verified against what you kept of its log",
            next_step="give a checkpoint or receipt with --against; `strongroom doctor` and "
            "`strongroom audit export` look at the whole",
        )
    settings = load(home=path)
    database = Database.open(settings.database_url or Home.look(path).database_url)
    try:
        with database.read() as session:
            newest, _ = latest_checkpoint(session, key)
            for checkpoint in older:
                require_growth(session, key, checkpoint)
    finally:
        database.close()
    return {"verified": f"home, grown from {len(older)} checkpoints", **_checkpoint(newest)}


def _receipt(
    text: bytes, key: LogKey, known: Sequence[bytes], witnesses: Sequence[WitnessKey]
) -> dict[str, Any]:
    try:
        receipt = Receipt.parse(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise TamperedError("the receipt is not UTF-8") from None
    checkpoint = receipt.verify([key])
    require_cosigned(receipt.checkpoint_note, witnesses)
    for note in known:
        kept = Checkpoint.open(note, [key])
        if kept.size == checkpoint.size and kept.root != checkpoint.root:
            raise TamperedError(f"the log was forked: two signed roots at size {kept.size}")
    return {
        "verified": "receipt",
        "index": receipt.index,
        **_checkpoint(checkpoint),
        "entry": json.loads(receipt.entry),
    }


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }


def _key(given: str | None) -> LogKey:
    """The log's public key, from a text or a file; it must come from elsewhere than the log."""
    if not given:
        raise UsageError(
            "the log's public key is needed",
            next_step="give it with --log-key (a `name+id+base64` line or a file with it), from "
            "a source other than the file you verify",
        )
    if Path(given).is_file():
        with Path(given).open(encoding="utf-8") as file:
            given = file.read(_MAX_KEY_BYTES)
    try:
        return LogKey.parse(given)
    except ValueError as error:
        raise UsageError(f"--log-key: {error}") from error

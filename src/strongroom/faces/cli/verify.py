"""`strongroom verify`: receipts and log exports, offline, by the log's public key alone."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.receipt import HEADER, MAX_RECEIPT_BYTES, Receipt
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import CallerError, TamperedError, UsageError
from strongroom.faces.cli import output

KEY_VARIABLE = "STRONGROOM_LOG_KEY"
_MAX_KEY_BYTES = 4096


def run_verify(path: Path, *, key: str | None, as_json: bool) -> None:
    """Verify the file and say what is proven; raises TamperedError (exit 5) where it is not."""
    log_key = _key(key or os.environ.get(KEY_VARIABLE))
    try:
        with path.open("rb") as file:
            start, shown = _receipt_in(file.read(MAX_RECEIPT_BYTES + 1))
            if start.startswith(HEADER.encode()):
                found = _receipt(start, log_key)
                if shown is not None:
                    _must_be_proven(shown, found)
            elif start.startswith(b"PK"):
                file.seek(0)
                done = verify_export(file, [log_key])
                found = {
                    "verified": "log export",
                    **_checkpoint(done.checkpoint),
                    "older_checkpoints": list(done.older_sizes),
                    "withheld": done.withheld,
                }
            else:
                raise UsageError(
                    f"`{path.name}` is neither a receipt nor a log export",
                    next_step="give a file from `strongroom audit prove` or `audit export`",
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


def _receipt(text: bytes, key: LogKey) -> dict[str, Any]:
    try:
        receipt = Receipt.parse(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise TamperedError("the receipt is not UTF-8") from None
    checkpoint = receipt.verify([key])
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

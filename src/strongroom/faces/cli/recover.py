"""`strongroom recover`: a way back in for whoever can open the home folder."""

import sys
from pathlib import Path
from typing import Any

from strongroom.errors import StateError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.foundation import open_foundation
from strongroom.faces.recovering import (
    Evidence,
    accept_rollback,
    begin_new_log,
    export_evidence,
)
from strongroom.gate.hosting import host_event
from strongroom.gate.identity.accounts import Accounts
from strongroom.gate.identity.bootstrap import local_key
from strongroom.gate.repairing import as_details
from strongroom.settings import Settings

PURPOSE = "recovery"
KEY_PREFIX = "key:"
"""Before the name of a workspace whose key is to be repaired; without it an account is."""


def run_recovery(settings: Settings, account: str, *, as_json: bool) -> None:
    """Make a key for `account` and show it this once; earlier recovery keys of it are revoked.

    It is on the record. Whoever can do this can read the root key as well.

    Raises:
        HomeInUseError: the server is running.
        NotFoundError: there is no such account.
    """
    with open_foundation(settings) as foundation:
        key = local_key(
            foundation.database, foundation.log, foundation.issuer,
            account=account, purpose=PURPOSE, days=settings.api_key_days,
        )  # fmt: skip
    output.words(f"a new API key of {output.clean(account)}, shown this once:")
    if as_json:
        output.data({"account": account, "api_key": key}, as_json=True)
    else:
        sys.stdout.write(f"{key}\n")


def run_acceptance(settings: Settings, *, yes: bool, as_json: bool) -> None:
    """Go on with a database that is older than the anchor, on the record.

    Raises:
        StateError: it is not older.
    """
    _ask("What was done since is lost, also revocations. Go on with the older database?", yes=yes)
    accepted: list[str] = []

    def accept(*found: Any) -> None:  # noqa: ANN401 # as `Accept`
        accepted.append(found[-1].message)
        accept_rollback(*found)

    with open_foundation(settings, accept=accept) as foundation:
        key = str(foundation.log.key)
    if not accepted:
        raise StateError("the database is not older than the anchor: there is nothing to accept")
    output.words(f"on the record: {output.clean(accepted[0])}")
    output.words(
        "review who holds what and which API keys are good; the log has a new name and key"
    )
    output.data({"accepted": accepted[0], "log_key": key}, as_json=as_json)


def run_new_log(settings: Settings, *, older_too: bool, yes: bool, as_json: bool) -> None:
    """Put a damaged log away and begin another. Raises as `begin_new_log`."""
    _ask("The log is put away as a file of evidence, and a new one begins. Go on?", yes=yes)
    if older_too:
        _ask("What was done since is lost, also revocations. Go on?", yes=yes)
    evidence = begin_new_log(settings, older_too=older_too)
    output.words(f"the evidence is in {evidence.path}; copy it to where nobody can change it")
    output.data(_shown(evidence), as_json=as_json)


def run_export(settings: Settings, to: Path | None, *, as_json: bool) -> None:
    """Export the log of a stopped server as it is. Raises as `export_evidence`."""
    evidence = export_evidence(settings, to)
    output.words(f"exported to {evidence.path}")
    output.words(f"found: {evidence.damage.found[0]}" if evidence.damage.found else "it is whole")
    output.data(_shown(evidence), as_json=as_json)


def run_reseal(settings: Settings, who: str, *, yes: bool, as_json: bool) -> None:
    """Make an account hold, or a key be, what the log says, after showing the difference.

    Raises:
        StateError: nothing differs. NotFoundError, TamperedError: the log cannot tell.
    """
    with open_foundation(settings) as foundation:
        repairs = foundation.repairs
        with foundation.database.read() as session:
            if who.startswith(KEY_PREFIX):
                repair = repairs.of_key(session, who.removeprefix(KEY_PREFIX))
            else:
                repair = repairs.of_account(session, Accounts().find(session, who).id)
        for line in repair.difference():
            output.words(output.clean(line))
        _ask("Make it so?", yes=yes)
        with foundation.database.write() as session:
            repairs.make(session, repair)
            event = host_event(
                "server.resealed", resource_type=repair.type, resource=repair.subject
            )
            foundation.log.append(session, event.with_details(as_details(repair.difference())))
    output.data({"resealed": repair.subject, "difference": repair.difference()}, as_json=as_json)


def _shown(evidence: Evidence) -> dict[str, Any]:
    damage = evidence.damage
    return {
        "file": str(evidence.path),
        "sha256": evidence.sha256,
        "entries": damage.entries,
        "size": damage.size,
        "root": damage.root,
        "first_bad_entry": damage.first_bad,
        "bad_entries": damage.bad_count,
        "found": damage.found,
    }


def _ask(question: str, *, yes: bool) -> None:
    """Go on after a yes at the terminal, or with --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this must be confirmed", next_step="add --yes when you are sure")
    output.words(question)
    if input("yes or no: ").strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed", next_step="nothing was changed")

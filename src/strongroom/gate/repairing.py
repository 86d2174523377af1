"""Repairs after tampering: rows are made again as journal and log say they must be.

What the database says now is not believed; it is only shown, as a difference, to the person who
decides. What somebody must hold is the sum of the changes that the log tells of, each at the
place that the journal of sealed changes names; the journal itself says in which state a key must
be. Wrapped keys that were overwritten cannot be made again: that takes a backup.

So a repair leaves nothing to choose, and gives nobody what the log does not tell that they had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.orm import Session

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import NotFoundError, StateError, TamperedError
from strongroom.gate.access import told
from strongroom.gate.access.grants import KIND as STANDING
from strongroom.gate.access.grants import Grants, held_by, since_suspended
from strongroom.gate.access.told import Held, HeldGrant
from strongroom.gate.audit.findings import clear_finding
from strongroom.gate.audit.log import SEALED
from strongroom.gate.audit.reading import LogReader
from strongroom.vault.keys import KIND as KEY
from strongroom.vault.keys import Keyring
from strongroom.vault.seals import Change

_TOLD_LINES = 16
_UNSEALED = "the rows say what they must, but not under the right seal"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that rows say, and the workspace that it is about; None: about all."""

    where: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Repair:
    """What is to be made again, and what the rows say now.

    Attributes:
        kind: `standing` or `key`, as in the journal.
        subject: id of the account, or the workspace.
        due: what must be: grants and suspension, or the key's state.
        present: what the rows say.
        wanted: what they must say.
    """

    kind: str
    subject: str
    due: Held | str
    present: tuple[Line, ...]
    wanted: tuple[Line, ...]

    @property
    def type(self) -> str:
        """What it is about, as entries of the log name it."""
        return "Account" if self.kind == STANDING else "Workspace"

    @property
    def code(self) -> str:
        """Stands for this very difference: whoever confirms it has seen it."""
        lines = [line.text for line in (*self.present, Line(None, "must be"), *self.wanted)]
        return sha256(bind(self.kind, self.subject, *lines)).hexdigest()[:16]

    def concerns(self, workspace: str) -> bool:
        """Whether anything that the rows say, or must say, is about a workspace."""
        return any(line.where == workspace for line in (*self.present, *self.wanted))

    def difference(self, workspace: str | None = None) -> list[str]:
        """Line by line: `-` stands in the rows and must not, `+` must and does not.

        Args:
            workspace: leave out what is about others; None: everything.
        """
        changed = self._changed()
        shown = [text for where, text in changed if workspace is None or where in (workspace, None)]
        if hidden := len(changed) - len(shown):
            shown.append(f"and {hidden} more elsewhere")
        return shown or [_UNSEALED]

    def _changed(self) -> list[tuple[str | None, str]]:
        gone = [(line.where, f"- {line.text}") for line in self.present if line not in self.wanted]
        new = [(line.where, f"+ {line.text}") for line in self.wanted if line not in self.present]
        return [*gone, *new]


def as_details(lines: Sequence[str]) -> dict[str, str | int]:
    """A difference, as details of a record; how many lines are left out, where some are."""
    details: dict[str, str | int] = {
        f"line.{number}": line for number, line in enumerate(lines[:_TOLD_LINES])
    }
    if len(lines) > _TOLD_LINES:
        details["lines_left_out"] = len(lines) - _TOLD_LINES
    return details


class Repairs:
    """Finds out what must be, and makes it so."""

    def __init__(self, log: LogReader, grants: Grants, keyring: Keyring) -> None:
        """Take those that know."""
        self._log = log
        self._grants = grants
        self._keyring = keyring

    def of_account(self, session: Session, account: str) -> Repair:
        """The repair of what an account holds, by its id.

        Raises:
            StateError: its rows are as they must be.
            TamperedError: journal or log were changed, too, so that neither can tell.
        """
        try:
            self._grants.standing(session, account)
        except TamperedError:
            pass
        else:
            raise StateError(f"what `{account}` holds is as this server left it")
        due = self._due_standing(session, account)
        present = Held(
            tuple(
                sorted(
                    HeldGrant(row.workspace, row.role, row.granted_by, row.granted_at)
                    for row in held_by(session, account)
                )
            ),
            since_suspended(session, account),
        )
        return Repair(STANDING, account, due, _lines(present), _lines(due))

    def of_key(self, session: Session, workspace: str) -> Repair:
        """The repair of the state of a workspace's key.

        Raises:
            NotFoundError: there is no such key.
            StateError: its rows are as they must be.
        """
        due = self._keyring.seals.latest(session, KEY, workspace)
        found = self._keyring.versions(session, workspace)
        if due is None or not found:
            raise NotFoundError(f"the workspace `{workspace}` has no key")
        try:
            self._keyring.verify_state(session, workspace)
        except TamperedError:
            states = "+".join(sorted({info.state for info in found}))
            present = Line(workspace, f"{states}/{len(found)}")
            return Repair(KEY, workspace, due, (present,), (Line(workspace, due),))
        raise StateError(f"the key of `{workspace}` is as this server left it")

    def make(self, session: Session, repair: Repair) -> None:
        """Make the rows again, in the caller's transaction, which also records it.

        Raises:
            TamperedError: keys are missing that only a backup has.
        """
        if isinstance(repair.due, Held):
            self._grants.reseal(session, repair.subject, repair.due)
        else:
            self._keyring.reseal(session, repair.subject, repair.due)
        clear_finding(session, repair.kind, repair.subject)

    def _due_standing(self, session: Session, account: str) -> Held:
        """What somebody must hold, by the log; nothing, where nobody ever gave them anything."""
        words: list[str] = []
        for change in reversed(self._keyring.seals.history(session, STANDING, account)):
            words.append(self._words(session, change))
            if words[-1] == told.EMPTY:
                break  # what was before is told again after it: a log or the journal began here
        return told.added_up(reversed(words))

    def _words(self, session: Session, change: Change) -> str:
        silent = TamperedError(
            f"the log does not tell what changed at line {change.position} of the journal",
            next_step="restore a backup; the log cannot say what was held",
        )
        if change.entry is None:
            raise silent
        try:
            event = self._log.entry(session, change.entry).event
        except NotFoundError:
            raise silent from None
        text = str(event.details.get(f"{SEALED}{change.position}", ""))
        begin = f"{change.kind} {change.subject} {change.value} "
        if not text.startswith(begin):
            raise silent
        return text.removeprefix(begin)


def _lines(held: Held) -> tuple[Line, ...]:
    lines = [
        Line(grant.workspace, f"{grant.role} of {grant.workspace or 'the server'}")
        for grant in held.grants
    ]
    if held.suspended_since is not None:
        lines.append(Line(None, "disabled"))
    return tuple(lines)

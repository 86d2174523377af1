"""The semantic types of a workspace's own, kept sealed, noted in the journal of sealed changes.

They decide what counts as personal. The journal says which file is in force, or that there is none:
one that was taken away, changed, or put back from an older day in the database stops reads.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sqlalchemy.orm import Session

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.privacy.discover.custom import CustomType, parse_custom_types
from strongroom.errors import TamperedError, ValidationError
from strongroom.services.data.tables import CustomTypesRow
from strongroom.vault.keys import Keyring

KIND = "custom types"
"""Of the changes of a workspace's types, in the journal of sealed changes."""

_PURPOSE = "custom types"


@dataclass(frozen=True, slots=True)
class WorkspaceTypes:
    """The types of a workspace beside the built-in ones.

    Attributes:
        text: TOML, as it was set; empty where none was.
        set_by, set_at: None where none was.
    """

    text: str = ""
    types: tuple[CustomType, ...] = ()
    set_by: str | None = None
    set_at: datetime | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the types, in the order of the file."""
        return tuple(one.name for one in self.types)

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the text, for records."""
        return f"sha256:{sha256(self.text.encode()).hexdigest()}"


class CustomTypes:
    """Rows of types."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of(self, session: Session, workspace: str) -> WorkspaceTypes:
        """The types in force.

        Raises:
            TamperedError: the row is not the one that was written last.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        row = session.get(CustomTypesRow, workspace)
        seals = self._keyring.seals
        if row is None:
            if seals.latest(session, KIND, workspace) is not None:
                raise TamperedError("the custom types of the workspace were taken away")
            return WorkspaceTypes()
        if not isinstance(row.types, bytes):
            raise TamperedError("custom types are not of this form")
        seals.require(session, KIND, workspace, sha256(row.types).hexdigest())
        key = self._keyring.object_key(
            session, workspace, workspace, row.types_key, row.types_key_version, purpose=_PURPOSE
        )
        text = b"".join(open_stream(key, _context(workspace), [row.types])).decode()
        return WorkspaceTypes(text, _parsed(text), row.set_by, row.set_at)

    def set(
        self, session: Session, workspace: str, text: str, *, by: str, now: datetime
    ) -> WorkspaceTypes:
        """Put types in force, from the commit on, in place of those there were.

        Raises:
            ValidationError: it is not a file of types.
        """
        types = parse_custom_types(text)
        key = self._keyring.new_object_key(session, workspace, workspace, purpose=_PURPOSE)
        sealed = b"".join(seal_stream(key.key, _context(workspace), [text.encode()]))
        session.merge(
            CustomTypesRow(
                workspace=workspace,
                types=sealed,
                types_key=key.wrapped,
                types_key_version=key.kek_version,
                set_by=by,
                set_at=now,
            )
        )
        session.flush()
        self._keyring.seals.record(session, KIND, workspace, sha256(sealed).hexdigest())
        return WorkspaceTypes(text, types, by, now)

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the key of the types to the workspace's newest key; how many changed."""
        row = session.get(CustomTypesRow, workspace)
        if row is None:
            return 0
        held = [(workspace, row.types_key, row.types_key_version)]
        changed = self._keyring.rewrap(session, workspace, held, purpose=_PURPOSE)
        for _, wrapped, version in changed:
            row.types_key, row.types_key_version = wrapped, version
        session.flush()
        return len(changed)


def _context(workspace: str) -> bytes:
    return bind("strongroom custom types", 1, workspace)


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[CustomType, ...]:
    try:
        return parse_custom_types(text)
    except ValidationError as error:
        # It was one when it was set: a later version has a built-in type of the same name.
        raise TamperedError(
            f"the custom types of the workspace are none any more: {error.message}",
            next_step="set the types of the workspace anew",
        ) from None

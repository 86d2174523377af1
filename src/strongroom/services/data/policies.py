"""The mask policy of a dataset, kept sealed, and noted in the journal of sealed changes.

The journal says which policy is in force, or that it is the default: a row that is taken away,
changed, or put back from an older day in the database unmasks nothing, it stops masked reads.
"""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.privacy.mask.default_policy import DEFAULT_POLICY, default_policy
from strongroom.engines.privacy.mask.policy import MaskPolicy
from strongroom.engines.privacy.mask.policy_file import parse_policy
from strongroom.errors import NotFoundError, TamperedError, ValidationError
from strongroom.services.data.custom_types import CustomTypes
from strongroom.services.data.tables import DatasetPolicyRow, DatasetRow
from strongroom.vault.keys import Keyring

KIND = "mask policy"
"""Of the changes of a dataset's policy, in the journal of sealed changes."""

_PURPOSE = "dataset policy"
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class DatasetPolicy:
    """The policy of a dataset.

    Attributes:
        text: as it was set; the default's where none was.
        set_by, set_at: None where it is the default.
    """

    text: str
    policy: MaskPolicy
    set_by: str | None = None
    set_at: datetime | None = None

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the text, for records."""
        return f"sha256:{sha256(self.text.encode()).hexdigest()}"


class Policies:
    """Rows of policies."""

    def __init__(self, keyring: Keyring, types: CustomTypes) -> None:
        """`types`: what policies may name beside the built-in ones."""
        self._keyring = keyring
        self._types = types

    def of(self, session: Session, dataset: DatasetRow) -> DatasetPolicy:
        """The policy in force, the default where the dataset has none.

        Raises:
            TamperedError: the row is not the one that was written last.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        text = self._text(session, dataset)
        if text is None:
            return DatasetPolicy(DEFAULT_POLICY, default_policy())
        row = session.get_one(DatasetPolicyRow, dataset.id)
        names = self._types.of(session, dataset.workspace).names
        return DatasetPolicy(text, _parsed(text, names), row.set_by, row.set_at)

    def _text(self, session: Session, dataset: DatasetRow) -> str | None:
        """The text of the dataset's own policy; None where it has none."""
        row = session.get(DatasetPolicyRow, dataset.id)
        seals = self._keyring.seals
        if row is None:
            if seals.latest(session, KIND, dataset.id) is not None:
                seals.require(session, KIND, dataset.id, _DEFAULT)
            return None
        if not isinstance(row.policy, bytes):
            raise TamperedError("a mask policy is not of this form")
        seals.require(session, KIND, dataset.id, sha256(row.policy).hexdigest())
        key = self._keyring.object_key(
            session, dataset.workspace, dataset.id, row.policy_key, row.policy_key_version,
            purpose=_PURPOSE,
        )  # fmt: skip
        return b"".join(open_stream(key, _context(dataset.id), [row.policy])).decode()

    def names_in(self, session: Session, dataset: DatasetRow) -> set[str]:
        """Names of types that the policy in force has rules for, whether or not they are there.

        Raises:
            TamperedError, KeyUnavailableError: as in `of`.
        """
        document = tomllib.loads(self._text(session, dataset) or "")
        return {*document.get("types", {}), *document.get("spans", {})}

    def set(
        self, session: Session, dataset: DatasetRow, text: str, *, by: str, now: datetime
    ) -> DatasetPolicy:
        """Put a policy in force, from the commit on.

        Raises:
            ValidationError: it is not a policy.
        """
        names = self._types.of(session, dataset.workspace).names
        policy = parse_policy(text, custom_types=names)
        key = self._keyring.new_object_key(session, dataset.workspace, dataset.id, purpose=_PURPOSE)
        sealed = b"".join(seal_stream(key.key, _context(dataset.id), [text.encode()]))
        session.merge(
            DatasetPolicyRow(
                dataset=dataset.id,
                policy=sealed,
                policy_key=key.wrapped,
                policy_key_version=key.kek_version,
                set_by=by,
                set_at=now,
            )
        )
        session.flush()
        self._keyring.seals.record(session, KIND, dataset.id, sha256(sealed).hexdigest())
        return DatasetPolicy(text, policy, by, now)

    def unset(self, session: Session, dataset: DatasetRow) -> None:
        """Return to the default.

        Raises:
            NotFoundError: the dataset has no policy of its own.
        """
        if session.get(DatasetPolicyRow, dataset.id) is None:
            raise NotFoundError("the dataset has no mask policy of its own")
        self.remove(session, dataset)

    def remove(self, session: Session, dataset: DatasetRow) -> None:
        """Take the dataset's policy away, if it has one."""
        gone = session.scalars(
            delete(DatasetPolicyRow)
            .where(DatasetPolicyRow.dataset == dataset.id)
            .returning(DatasetPolicyRow.dataset)
        ).all()
        if gone:
            self._keyring.seals.record(session, KIND, dataset.id, _DEFAULT)

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the keys of policies to the workspace's newest key; how many changed."""
        rows = {
            row.dataset: row
            for row in session.scalars(
                select(DatasetPolicyRow)
                .join(DatasetRow, DatasetRow.id == DatasetPolicyRow.dataset)
                .where(DatasetRow.workspace == workspace)
            )
        }
        held = [(row.dataset, row.policy_key, row.policy_key_version) for row in rows.values()]
        changed = self._keyring.rewrap(session, workspace, held, purpose=_PURPOSE)
        for dataset, wrapped, version in changed:
            rows[dataset].policy_key, rows[dataset].policy_key_version = wrapped, version
        session.flush()
        return len(changed)


def _context(dataset: str) -> bytes:
    return bind("strongroom mask policy", 1, dataset)


@lru_cache(maxsize=256)
def _parsed(text: str, custom_types: tuple[str, ...]) -> MaskPolicy:
    try:
        return parse_policy(text, custom_types=custom_types)
    except ValidationError as error:
        # It was one when it was set: a later version took a type or an option away.
        raise TamperedError(
            f"the mask policy of the dataset is none any more: {error.message}",
            next_step="set the policy of the dataset anew",
        ) from None

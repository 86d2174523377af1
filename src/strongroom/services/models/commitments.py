"""Which data a model was trained on, told to those who may read the model and not the data.

The digest of a dataset lets anyone test a guess of its rows: of a small or an almost known table
that is as good as reading it. So what leaves the server, signed or shown, names data by the keyed
commitment that `data show` gives for the version (docs/adr/0029-signing-for-stock-tools.md). A
digest that is none of a dataset here is keyed by a secret of the server.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import NotFoundError, TamperedError
from strongroom.services.data.catalog import Catalog
from strongroom.vault.keys import Keyring

PREFIX = "hmac-sha256:"
_PURPOSE = "model-dataset-digests"


class Commitments:
    """Puts keyed commitments in the place of digests of data."""

    def __init__(self, catalog: Catalog, keyring: Keyring) -> None:
        self._catalog = catalog
        self._keyring = keyring

    def facts(self, session: Session, workspace: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Facts of a version as they may be shown and signed."""
        datasets = [str(one) for one in facts.get("datasets", ())]
        return {**facts, "datasets": [self._committed(session, workspace, one) for one in datasets]}

    def _committed(self, session: Session, workspace: str, recorded: str) -> str:
        """`name@commitment` for `name@digest`."""
        name, at, digest = recorded.rpartition("@")
        if digest.startswith(PREFIX):
            return recorded
        commitment = self._of_version(session, workspace, name, digest)
        if not commitment:
            key = self._keyring.secret(_PURPOSE)
            commitment = PREFIX + hmac.new(key, bind(workspace, digest), sha256).hexdigest()
        return f"{name}{at}{commitment}"

    def _of_version(self, session: Session, workspace: str, name: str, digest: str) -> str:
        """The commitment of the dataset version of that digest; empty where there is none."""
        try:
            newest = self._catalog.find(session, workspace, name, 0)
            for held in self._catalog.versions(session, newest.dataset):
                if hmac.compare_digest(held.record.digest.encode(), digest.encode()):
                    return held.commitment
        except (NotFoundError, TamperedError):
            pass  # a dataset that cannot be opened raises an alarm of its own
        return ""

"""What the registry needs of the model room: files handed over sealed, and how their checks ended.

`ModelOperations` offers it. The checks run on their own; how they ended is asked for whenever
MLflow looks at a version.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.orm import Session

from strongroom.faces.mlflow.foreign import Foreign
from strongroom.services.models.types import Checked, ModelFile, Provenance

# Together they stay below what the model room takes: a name has at most 250 characters.
MAX_PARAMETERS = 80
MAX_PARAMETER_CHARACTERS = 200
MAX_DATASETS = 20
MAX_METRICS = 80
_COMMIT_TAG, _CODE_TAG = "mlflow.source.git.commit", "mlflow.source.git.repoURL"

DIGEST_TAG = "strongroom.digest"
"""Tag of a run's input with the whole digest of the dataset; MLflow's own field is too short."""


class ModelChecks(Protocol):
    """Takes model versions in, quarantined, and checks them."""

    def register(
        self,
        session: Session,
        *,
        workspace: str,
        model: str,
        version: int,
        files: Sequence[ModelFile],
        provenance: Provenance,
        actor: str,
    ) -> str:
        """Take a version in and queue its checks, in the transaction of `session`; its id."""
        ...

    def states(self, session: Session, entries: Sequence[str]) -> Mapping[str, Checked]:
        """How the checks stand, by the id that `register` gave; unknown ones are left out."""
        ...

    def is_pending(self, workspace: str, model: str, version: int) -> bool:
        """Whether there is such a version whose checks have yet to end."""
        ...


def provenance(run: Foreign, *, experiment: str, source: str) -> Provenance:
    """Where a model comes from, as its run recorded it; `run` is None where none is known."""
    if run is None:
        return Provenance(experiment=experiment, source=source)
    datasets = [_dataset(it) for it in run.inputs.dataset_inputs] if run.inputs else []
    return Provenance(
        run_id=run.info.run_id,
        experiment=experiment,
        source=source,
        datasets=tuple(sorted(set(datasets))[:MAX_DATASETS]),
        parameters={
            name: value[:MAX_PARAMETER_CHARACTERS]
            for name, value in sorted(run.data.params.items())[:MAX_PARAMETERS]
        },
        metrics={
            name: value
            for name, value in sorted(run.data.metrics.items())[:MAX_METRICS]
            if math.isfinite(value)
        },
        code_source=_without_login(str(run.data.tags.get(_CODE_TAG, "")))[
            :MAX_PARAMETER_CHARACTERS
        ],
        code_commit=str(run.data.tags.get(_COMMIT_TAG, ""))[:MAX_PARAMETER_CHARACTERS],
        started_at=_moment(run.info.start_time),
        ended_at=_moment(run.info.end_time),
    )


def _without_login(address: str) -> str:
    """An address without the name and the secret that git remotes are given for signing in."""
    scheme, separator, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _moment(milliseconds: int | None) -> str:
    """RFC 3339 of a time that a client gave; empty where it is none or out of range."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if milliseconds else ""
    except (ValueError, OverflowError, OSError):
        return ""


def _dataset(given: Foreign) -> str:
    """`name@digest` of one input of a run."""
    whole = next((tag.value for tag in given.tags if tag.key == DIGEST_TAG), given.dataset.digest)
    return f"{given.dataset.name}@{whole}"[:MAX_PARAMETER_CHARACTERS]

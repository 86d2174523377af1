"""What the registry needs of the model room: files handed over sealed, and how their checks ended.

`ModelOperations` offers it. The checks run on their own; how they ended is asked for whenever
MLflow looks at a version.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy.orm import Session

from strongroom.faces.mlflow.foreign import Foreign
from strongroom.services.models.types import Checked, ModelFile, Provenance

# Together they stay below what the model room takes: a name has at most 250 characters.
MAX_PARAMETERS = 80
MAX_PARAMETER_CHARACTERS = 200
MAX_DATASETS = 20

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
    )


def _dataset(given: Foreign) -> str:
    """`name@digest` of one input of a run."""
    whole = next((tag.value for tag in given.tags if tag.key == DIGEST_TAG), given.dataset.digest)
    return f"{given.dataset.name}@{whole}"[:MAX_PARAMETER_CHARACTERS]

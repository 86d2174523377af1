"""The room of model versions: its verbs stand in the classes that it is made of."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from strongroom.gate.operation import Alarm
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.byte_operations import ByteOperations
from strongroom.services.models.checking import Checker
from strongroom.services.models.comparing_operations import ComparingOperations
from strongroom.services.models.deciding_operations import DecidingOperations
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.export_operations import ExportOperations
from strongroom.services.models.fitted_guard import FittedGuard
from strongroom.services.models.guard_fitting import GuardFitter
from strongroom.services.models.guard_operations import GuardOperations
from strongroom.services.models.guards import FIT_KIND, ModelGuards
from strongroom.services.models.import_operations import ImportOperations
from strongroom.services.models.import_reuse import Reusable
from strongroom.services.models.keeping_operations import KeepingOperations
from strongroom.services.models.policy_operations import PolicyOperations
from strongroom.services.models.promotion_cases import PromotionCases
from strongroom.services.models.promotion_policies import PromotionPolicies
from strongroom.services.models.registry import CHECK_KIND, Registry
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.sweeping import Sweep
from strongroom.services.models.types import Checked, ModelFile, ModelState, Provenance, Servable
from strongroom.services.models.uploads import Uploads
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring


class ModelOperations(
    ComparingOperations,
    DecidingOperations,
    PolicyOperations,
    ByteOperations,
    KeepingOperations,
    ExportOperations,
    ImportOperations,
    GuardOperations,
):
    """The room of model versions.

    `start` must be called before the jobs start.
    """

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        jobs: Jobs,
        log: Recorder,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""

        def now() -> datetime:
            return datetime.fromtimestamp(clock(), UTC)

        self._database = database
        self._blobs = blobs
        self._keyring = keyring
        self._settings = settings
        self._keys = ModelKeys(keyring)
        self._now = now
        self._registry = Registry(blobs, keyring, jobs, now)
        self._uploads = Uploads(blobs, now)
        self._reusable = Reusable(blobs, self._registry)
        self._verifier = Verifier(database, blobs, self._registry, self._keys, log, now)
        self._policies = PromotionPolicies(keyring)
        self._decisions = Decisions(keyring, self._keys)
        self._cases = PromotionCases(
            keyring, self._keys, self._registry, self._policies, self._decisions
        )
        alarm = self._verifier.alarm
        self._guards = ModelGuards(blobs, jobs, keyring.seals, now)
        checker = Checker(
            blobs, self._registry, self._keys, log, settings, now, alarm, self._guards.checked
        )
        jobs.register_kind(CHECK_KIND, checker.check)
        fitter = GuardFitter(
            blobs, Catalog(blobs, keyring), self._registry, self._verifier, self._guards, log,
            settings, now,
        )  # fmt: skip
        jobs.register_kind(FIT_KIND, fitter.fit, fitter.give_up)

    # ---- for the server and other rooms ----

    def sweep(self, alarm: Alarm | None) -> Sweep:
        """What verifies approved versions again and again, to be started by the server."""
        return Sweep(
            self._database, self._verifier, self._now, hours=self._settings.model_sweep_hours,
            bytes_per_second=self._settings.model_sweep_bytes, alarm=alarm, tidy=self._tidy,
        )  # fmt: skip

    def falls_back(self, workspace: str) -> bool:
        """Whether an endpoint goes on with its former version when one was tampered with."""
        with self._database.read() as session:
            return self._policies.of(session, workspace).rules.falls_back

    def start(self) -> None:
        """Make the signing key at the first start, and check again what a crash left unchecked."""
        with self._database.write() as session:
            self._keys.ensure(session)
        self._tidy()
        with self._database.write() as session:
            for row in self._registry.unchecked(session):
                row.job = self._registry.enqueue_check(session, row, row.registered_by)

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
        """Take a version in, quarantined, and queue its checks; see `Registry.register`."""
        return self._registry.register(
            session,
            workspace=workspace,
            model=model,
            version=version,
            files=files,
            provenance=provenance,
            actor=actor,
        )

    def states(self, session: Session, entries: Sequence[str]) -> dict[str, Checked]:
        """How the checks of versions stand, by the id that `register` gave."""
        return self._registry.states(session, entries)

    def is_pending(self, workspace: str, model: str, version: int) -> bool:
        """Whether there is such a version whose checks have yet to end."""
        with self._database.read() as session:
            return self._registry.is_pending(session, workspace, model, version)

    def servable(self, workspace: str, model: str, version: int) -> Servable:
        """An approved version, verified and opened; see `Verifier.servable`."""
        return self._verifier.servable(workspace, model, version)

    def guard_of(self, session: Session, workspace: str, model: str, version: int) -> str | None:
        """What the guard of a version is known by; see `ModelGuards.current`."""
        return self._guards.current(session, workspace, model, version)

    def open_guard(self, session: Session, guard: str) -> FittedGuard:
        """A guard that `guard_of` named; see `ModelGuards.open`."""
        return self._guards.open(session, guard)

    def require_standing(self, session: Session, workspace: str, model: str, version: int) -> None:
        """Return if a version that an endpoint holds may go on answering; reads no bytes of it.

        Raises:
            StateError: it is no longer approved.
            TamperedError: it is called approved, but that is not its latest state.
            NotFoundError: it is gone.
            KeyUnavailableError: the workspace's key is disabled or destroyed.
        """
        self._keyring.require_enabled(session, workspace)
        row = self._registry.find(session, workspace, model, version)
        with self._verifier.alarm(row):
            self._require_state(session, row, ModelState.APPROVED)

    def begin_workspace(self, session: Session, workspace: str) -> None:
        """Give a workspace that is being made the rules that new ones begin with."""
        self._policies.begin(session, workspace, by="server", now=self._now())

    def rewrap(self, session: Session, workspace: str) -> int:
        """After a rotation: bring the room's own keys to the newest version; how many changed."""
        changed = self._registry.rewrap(session, workspace)
        return changed + self._policies.rewrap(session, workspace)

"""A server over the real rooms, with the HTTP interface and the console, in this process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.faces.serving import certificates, serving

from strongroom.faces.api import app as api
from strongroom.faces.console import app as console
from strongroom.faces.foundation import Foundation, open_foundation
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import BoundOperation, operations_of
from strongroom.gate.identity.accounts import Accounts
from strongroom.gate.identity.bootstrap import bootstrap, local_link
from strongroom.gate.identity.operations import IdentityOperations
from strongroom.gate.workspaces.operations import WorkspaceOperations
from strongroom.services.compliance.operations import ComplianceOperations
from strongroom.services.data.operations import DataOperations
from strongroom.services.jobs.operations import JobOperations
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessing_operations import AssessingOperations
from strongroom.services.models.dataset_assessing_operations import DatasetAssessingOperations
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.types import ModelFile, Provenance
from strongroom.settings import Settings

CSV = b"""patient_name,email,date_of_birth,mean_radius
Jane Roe,jane.roe@example.org,1970-01-01,14.2
John Doe,john.doe@example.org,1980-02-02,12.1
Mary Major,mary.major@example.org,1990-03-03,13.9
Rick Miles,rick.miles@example.org,1960-04-04,11.7
"""


_HEADER = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
SAFETENSORS = len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(8)
MALICIOUS = b"cos\nsystem\n(S'true'\ntR."


@dataclass
class House:
    """The running console, and what a test does to it without a browser."""

    foundation: Foundation
    operations: list[BoundOperation]
    address: str
    ca: Path
    operator: Principal
    api_key: str

    def call(
        self, operation: str, principal: Principal | None = None, /, **fields: object
    ) -> object:
        """Perform an operation as the operator, or as another."""
        bound = next(bound for bound in self.operations if bound.declared.name == operation)
        body = fields.pop("body", None)
        request = bound.declared.input.model_validate(fields, strict=False)
        answer = self.foundation.gate.perform(
            bound, principal or self.operator, request,
            body=iter([body]) if isinstance(body, bytes) else None, content_type="text/csv",
        )  # fmt: skip
        return answer.result

    def link(self, user: str = "operator") -> str:
        """A fresh one-time link's secret."""
        # As someone at the machine makes one: calls of `link.create` are limited a minute.
        return local_link(
            self.foundation.database, self.foundation.log, self.foundation.issuer,
            account=user, link_minutes=5,
        )  # fmt: skip

    def web(self) -> httpx.Client:
        """A browser-like client that trusts the server and follows nothing by itself."""
        import ssl

        context = ssl.create_default_context(cafile=self.ca)
        return httpx.Client(base_url=self.address, verify=context, trust_env=False)

    @contextmanager
    def signed_in(self, user: str = "operator") -> Iterator[httpx.Client]:
        """A client with a session."""
        with self.web() as web:
            answer = post(web, "/sign-in", {"link": self.link(user)})
            assert answer.status_code == 303, answer.text
            yield web


def post(
    web: httpx.Client, path: str, form: dict[str, str], **headers: str | None
) -> httpx.Response:
    """A form sent from the console's own page; `origin=…` says otherwise."""
    origin = headers.get("origin", str(web.base_url).rstrip("/"))
    sent = {} if origin is None else {"Origin": origin}
    return web.post(path, data=form, headers=sent)


@contextmanager
def housed(folder: Path) -> Iterator[House]:
    """A running house in `folder`, with a workspace, people, a dataset and two models."""
    ca, certificate, key = certificates(folder)
    settings = Settings(home=folder / "home", min_free_bytes=0)
    yield from _built(settings, ca, certificate, key)


def _built(settings: Settings, ca: Path, certificate: Path, key: Path) -> Iterator[House]:
    with open_foundation(settings) as foundation:
        first = bootstrap(
            foundation.database,
            foundation.log,
            foundation.issuer,
            foundation.grants,
            api_key_days=1,
            link_minutes=5,
        )
        assert first is not None
        jobs = Jobs(foundation.database)
        models = ModelOperations(
            foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log,
            settings,
        )  # fmt: skip
        rooms = [
            IdentityOperations(
                foundation.sign_in, foundation.issuer, foundation.grants,
                api_key_days=1, link_minutes=5, invitation_hours=1,
            ),
            WorkspaceOperations(
                foundation.access, foundation.grants,
                Accounts(foundation.keyring.seals),
                foundation.keyring.create_workspace_key,
                actions=foundation.access.policies.actions,
            repairs=foundation.repairs, log=foundation.log,
            ),
            DataOperations(foundation.blobs, foundation.keyring, settings),
            models,
            AssessingOperations(
                foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log,
                settings,
            ),
            DatasetAssessingOperations(
                foundation.database, foundation.blobs, foundation.keyring, jobs, foundation.log,
                settings,
            ),
            JobOperations(jobs),
            ComplianceOperations(foundation.log),
        ]  # fmt: skip
        operations = [bound for room in rooms for bound in operations_of(room)]
        app = api.build(
            operations, foundation.gate, foundation.sign_in.identify, settings,
            log=foundation.log,
            faces=console.routes(operations, foundation.gate, foundation.sign_in, settings),
        )  # fmt: skip
        with serving(app, certificate=certificate, key=key) as port:
            operator = foundation.sign_in.identify(first.api_key)
            made = House(
                foundation, operations, f"https://localhost:{port}", ca, operator, first.api_key
            )  # fmt: skip
            made.call("workspace.create", name="clinic", description="Breast biopsies")
            made.call("user.create", name="reader")
            with foundation.database.write() as session:
                foundation.issuer.claim_here(session, Accounts().find(session, "reader").id)
                claim = Accounts().claim(session, Accounts().find(session, "reader").id)
            made.call(
                "role.grant", workspace="clinic", principal="reader", role="Reader", claim=claim
            )
            made.call("user.create", name="stranger")
            made.call(
                "data.add", workspace="clinic", name="patients", purpose="find tumours", body=CSV
            )
            models.start()
            jobs.start()
            try:
                register(made, models, "weights", "model.safetensors", SAFETENSORS)
                register(made, models, "trap", "model.pkl", MALICIOUS)
                yield made
            finally:
                jobs.stop()


def register(house: House, models: ModelOperations, name: str, path: str, content: bytes) -> None:
    """Register a model of one file and wait for its checks."""
    blobs = house.foundation.blobs
    staged = blobs.put("clinic", "artifact", [content])
    with house.foundation.database.write() as session:
        info = blobs.commit(session, staged)
        models.register(
            session, workspace="clinic", model=name, version=1,
            files=[ModelFile(path, info.id)], provenance=Provenance(run_id="run1"),
            actor=house.operator.id,
        )  # fmt: skip
    blobs.settle(staged)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        shown = house.call("model.show", workspace="clinic", name=name, version=1)
        if shown.state != "quarantined":  # type: ignore[attr-defined] # ModelDetail
            return
        time.sleep(0.05)
    raise TimeoutError("the checks did not end")

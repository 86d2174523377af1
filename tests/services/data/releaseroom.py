"""The room of releases over a real gate, database, blob folder, job queue and sandbox."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.data.release_operations import ReleaseOperations
from strongroom.services.data.release_types import (
    MakeRelease,
    ReadRelease,
    ReleaseDetail,
    ReleaseReference,
    ReleaseShown,
)
from strongroom.services.jobs.queue import Jobs
from strongroom.settings import Settings

RECIPE = """
[demands]
k = {k}
l = {l}
suppression = {suppression}

[columns.id]
role = "drop"
[columns.age]
role = "quasi"
hierarchy = "numbers"
steps = [{steps}]
[columns.zip]
role = "{zip}"
hierarchy = "prefixes"
[columns.illness]
role = "sensitive"
"""
ILLNESSES = ("flu", "gout")


def recipe(
    *, k: int = 3, l: int = 2, suppression: float = 0.0, steps: str = "10, 20",  # noqa: E741 # l-diversity's l
    zip: str = "quasi",  # noqa: A002 # the column
) -> str:  # fmt: skip
    """A recipe for the patients."""
    return RECIPE.format(k=k, l=l, suppression=suppression, steps=steps, zip=zip)


def patients(count: int = 60, *, skip: frozenset[int] = frozenset()) -> bytes:
    """So many patients, one a row; the same number is always the same person."""
    rows = [
        f"p{n},{n % 60},{80000 + (n % 4) * 100 + n % 10},{ILLNESSES[n % 2]}"
        for n in range(count)
        if n not in skip
    ]
    return ("id,age,zip,illness\n" + "\n".join(rows) + "\n").encode()


@dataclass
class ReleaseRoom:
    """What the tests of releases work with; `owner` and `officer` may both make and approve."""

    data: DataRoom
    room: ReleaseOperations
    jobs: Jobs
    owner: Principal
    officer: Principal
    reader: Principal

    def call(self, principal: Principal, name: str, request: BaseModel, body: str = "") -> Any:  # noqa: ANN401 # each has its own
        """Perform an operation of this room through the gate; what it gave."""
        bound = next(b for b in operations_of(self.room) if b.declared.name == name)
        chunks = iter([body.encode()]) if body else None
        return self.data.house.gate.perform(bound, principal, request, body=chunks).result

    def ask(self, text: str, by: Principal | None = None, **fields: object) -> ReleaseShown:
        """Ask for a release of the patients, for `reader` unless said."""
        request = MakeRelease.model_validate(
            {"workspace": "clinic", "name": "patients", "purpose": "research",
             "recipients": [self.reader.name], **fields}
        )  # fmt: skip
        shown = self.call(by or self.owner, "data.release", request, text)
        assert isinstance(shown, ReleaseShown)
        return shown

    def make(self, text: str, **fields: object) -> ReleaseShown:
        """Ask for a release and wait for its job."""
        asked = self.ask(text, None, **fields)
        self.jobs.wait(asked.job, 120)
        return self.show(asked.number).shown

    def ready(self, text: str, **fields: object) -> ReleaseShown:
        """Make a release that is approved."""
        made = self.make(text, **fields)
        assert made.state == "waiting", made
        shown = self.call(self.officer, "data.approve_release", self.reference(made.number))
        assert isinstance(shown, ReleaseShown)
        return shown

    def reference(self, number: int) -> ReleaseReference:
        """One release of the patients."""
        return ReleaseReference(workspace="clinic", name="patients", number=number)

    def show(self, number: int, by: Principal | None = None) -> ReleaseDetail:
        """A release as shown."""
        detail = self.call(by or self.owner, "data.show_release", self.reference(number))
        assert isinstance(detail, ReleaseDetail)
        return detail

    def read(self, number: int, by: Principal | None = None) -> pa.Table:
        """The rows of a release."""
        request = ReadRelease.model_validate(
            {"workspace": "clinic", "name": "patients", "number": number, "format": "arrow"}
        )
        stream = self.call(by or self.reader, "data.read_release", request)
        return pa.ipc.open_stream(io.BytesIO(b"".join(stream.chunks))).read_all()

    def pass_days(self, days: float) -> None:
        """Let so many days pass."""
        self.data.house.clock.now += days * 86_400


@contextmanager
def releaseroom(
    folder: Path, *, url: str = "", who: str = "", start_jobs: bool = True
) -> Iterator[ReleaseRoom]:
    """A room over the database in `folder`, or at `url`; its jobs run unless said.

    Args:
        who: after the names of people; another one each time that a folder is opened again.
    """
    with dataroom(folder, url=url, owner=f"olga{who}") as data:
        house = data.house
        jobs = Jobs(house.database)
        settings = Settings(home=folder)
        room = ReleaseOperations(
            data.blobs, house.keyring, jobs, house.log, settings, clock=house.clock
        )
        if start_jobs:
            jobs.start()
        try:
            yield ReleaseRoom(
                data, room, jobs, data.owner,
                house.person(f"pia{who}", "Privacy Officer"), house.person(f"rita{who}"),
            )  # fmt: skip
        finally:
            jobs.stop()

"""The verb that gives the findings of a dataset as a page with pictures."""

from sqlalchemy.orm import Session

from strongroom.engines.privacy.report.contents import FileReport, Report, TableReport
from strongroom.engines.privacy.report.page import report_page
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.services.data.catalog import Catalog
from strongroom.services.data.types import DatasetReference


def dataset_of(_room: object, _session: Session, request: DatasetReference) -> Entity:
    """The dataset that a request names, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


class ReportOperations:
    """The part of the room of datasets that draws."""

    _catalog: Catalog

    @operation(
        "data.report",
        action="readDataset",
        resource=dataset_of,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}/report"),
        command=Command("data report", positional=("name",)),
    )
    def report(self, call: Call, request: DatasetReference) -> Stream:
        """Give the findings of a dataset as one HTML page with pictures.

        It tells what `data show` tells: types, roles, confidence, who stands alone, what stands
        inside texts, and what the sample may have missed. No row and no value is part of it.
        """
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
        version = held.row.version
        call.note(version=version)
        title = f"{request.name}, version {version}"
        table = TableReport("", held.findings)
        report = Report(title, (FileReport(title, held.record.source_format, (table,)),))
        made = f"Dataset {request.workspace}/{title}, added {held.row.created_at:%Y-%m-%d}."
        return Stream(
            media_type="text/html; charset=utf-8",
            chunks=iter([report_page(report, made=made).encode()]),
            filename=f"{request.name}-v{version}-report.html",
            headers={"Strongroom-Version": str(version)},
        )

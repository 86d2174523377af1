"""What people may do with jobs: list, look, cancel."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError, StateError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.jobs.queue import Jobs, describe
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.types import JobList, JobName, JobState, JobStatus, ListJobs


def job_entity(_room: object, _session: Session, request: JobName) -> Entity:
    """One job as a resource."""
    return Entity("Job", f"{request.workspace}/{request.job}", request.workspace)


class JobOperations:
    """The verbs of jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    @operation(
        "job.ls",
        action="readJob",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/jobs"),
        command=Command("job ls"),
    )
    def ls(self, call: Call, request: ListJobs) -> JobList:
        """List the jobs of a workspace, newest first."""
        query = select(JobRow).where(JobRow.workspace == request.workspace)
        if request.state is not None:
            query = query.where(JobRow.state == request.state)
        query = query.order_by(JobRow.created_at.desc()).limit(request.limit)
        with call.reading() as session:
            return JobList(jobs=[describe(row) for row in session.scalars(query)])

    @operation(
        "job.show",
        action="readJob",
        resource=job_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/jobs/{job}"),
        command=Command("job show", positional=("job",)),
    )
    def show(self, call: Call, request: JobName) -> JobStatus:
        """Show one job: its state, progress, result or error."""
        with call.reading() as session:
            return describe(_row(session, request))

    @operation(
        "job.cancel",
        action="cancelJob",
        resource=job_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/jobs/{job}/cancel"),
        command=Command("job cancel", positional=("job",)),
    )
    def cancel(self, call: Call, request: JobName) -> JobStatus:
        """Cancel a job: at once while it waits, at its next look while it runs."""
        with call.transaction() as session:
            row = _row(session, request)
            if JobState(row.state).is_final:
                raise StateError(f"job `{request.job}` is finished: {row.state}")
            self._jobs.cancel(session, row)
            call.note(job_kind=row.kind)
            return describe(row)


def _row(session: Session, request: JobName) -> JobRow:
    row = session.get(JobRow, request.job)
    if row is None or row.workspace != request.workspace:
        raise NotFoundError(f"no job `{request.job}` in `{request.workspace}`")
    return row

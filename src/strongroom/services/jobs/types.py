"""The nouns of jobs: states, what a caller sees, what a handler gets."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

MAX_ATTEMPTS = 3


class JobState(StrEnum):
    """queued → running → done, failed or cancelled; waiting for space, where a disk is full."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Nothing more will happen to it."""
        return self not in {JobState.QUEUED, JobState.RUNNING, JobState.WAITING}

    @property
    def is_to_do(self) -> bool:
        """It is tried, at once or in a while."""
        return self in {JobState.QUEUED, JobState.WAITING}


class JobStatus(BaseModel):
    """A job as a caller sees it.

    Times are seconds since 1970 UTC. `result` is what the handler returned; `error` one
    sentence, never data: why it failed, or why it is tried again.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    workspace: str
    actor: str
    state: JobState
    attempts: int
    progress: str = ""
    error: str = ""
    result: dict[str, object] = Field(default_factory=dict)
    created_at: float
    finished_at: float | None = None


class JobList(BaseModel):
    """The newest jobs of a workspace first."""

    jobs: list[JobStatus]


class ListJobs(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    workspace: str
    state: JobState | None = None
    limit: int = Field(default=100, ge=1, le=1_000)


class JobName(BaseModel):
    """Names one job."""

    model_config = ConfigDict(extra="forbid")

    workspace: str
    job: str = Field(pattern=r"^job_[0-9a-f]{24}$")

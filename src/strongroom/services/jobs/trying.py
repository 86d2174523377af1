"""One try of a job: what a handler is given, and how its try ended."""

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.orm import Session

from strongroom.errors import StorageFullError, StrongroomError
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.types import MAX_ATTEMPTS, JobState
from strongroom.vault.database import Database

FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 300.0
WAITS_FOR_SPACE_SECONDS = 86_400.0
"""From when it was asked for, a job waits so long for space on a full disk before it fails."""
_FULL = {errno.ENOSPC, errno.EDQUOT}

_log = structlog.get_logger(__name__)


class JobCancelledError(Exception):
    """Raised inside a handler, at its next look, when its job was cancelled."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler may know and do beside its work.

    A handler may be called again for the same job after a crash: it must find what it has done.
    """

    job_id: str
    workspace: str
    actor: str
    attempt: int
    database: Database

    def progress(self, text: str) -> None:
        """Tell how far it is; at most 500 characters, no data.

        Raises:
            JobCancelledError: somebody cancelled the job; let it pass.
        """
        with self.database.write() as session:
            row = session.get_one(JobRow, self.job_id)
            if row.is_cancel_asked:
                raise JobCancelledError
            row.progress = text[:500]


Handler = Callable[[JobContext, dict[str, Any]], Mapping[str, Any]]
"""(context, payload) → result; both what JSON can carry. A StrongroomError fails the job with its
words; one of status 503 is tried again, at most three times in all; for space on a full disk the
job waits."""

GivenUp = Callable[[Session, str, dict[str, Any], str], None]
"""(session, job, payload, why): told of a job that ends undone, in the transaction that ends it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a try ended.

    Attributes:
        state: of the job from now on; QUEUED and WAITING ones are tried again.
        delay_seconds: until then.
    """

    state: JobState
    error: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    delay_seconds: float = 0.0


def tried(
    handler: Handler, context: JobContext, payload: dict[str, Any], age: Callable[[], float]
) -> Ending:
    """Try once. Never raises: a handler may do anything, and the worker threads live on.

    Args:
        age: seconds since the job was asked for.
    """
    try:
        result = dict(handler(context, payload))
        json.dumps(result, allow_nan=False)
    except JobCancelledError:
        return Ending(JobState.CANCELLED)
    except StorageFullError as problem:
        return _without_space(f"{problem.code}: {problem.message}", age())
    except StrongroomError as problem:
        error = f"{problem.code}: {problem.message}"
        if type(problem).status == 503 and context.attempt < MAX_ATTEMPTS:
            return Ending(JobState.QUEUED, error, delay_seconds=2.0 ** (context.attempt - 1))
        return Ending(JobState.FAILED, error)
    except Exception as problem:  # noqa: BLE001 # see above
        if isinstance(problem, OSError) and problem.errno in _FULL:
            return _without_space(f"{StorageFullError.code}: a disk of the server is full", age())
        # A fault of ours: its words may hold data, so only its kind is kept.
        _log.exception("job_fault", job=context.job_id)
        return Ending(JobState.FAILED, f"internal: {type(problem).__name__}")
    return Ending(JobState.DONE, result=result)


def _without_space(error: str, age: float) -> Ending:
    """Wait as long again as it has taken so far: the waits double, and need not be counted."""
    if age >= WAITS_FOR_SPACE_SECONDS:
        return Ending(JobState.FAILED, error)
    wait = min(max(age, FIRST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
    return Ending(JobState.WAITING, error, delay_seconds=wait)

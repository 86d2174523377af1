"""Our errors in MLflow's own shape, so that the stock client shows them.

A denied read answers 404, a denied write 403. MLflow's client repeats a request for minutes after
a 5xx or 429 answer, so these are only given where waiting can help.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as code

from strongroom.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SignInError,
    StorageFullError,
    StrongroomError,
    UndeclaredError,
)

_CODES: tuple[tuple[type[StrongroomError], int], ...] = (
    (RateLimitedError, code.REQUEST_LIMIT_EXCEEDED),
    (UndeclaredError, code.ENDPOINT_NOT_FOUND),
    (RefusedError, code.PERMISSION_DENIED),
    (SignInError, code.UNAUTHENTICATED),
    (NotFoundError, code.RESOURCE_DOES_NOT_EXIST),
    (ConflictError, code.RESOURCE_CONFLICT),
    (BusyError, code.TEMPORARILY_UNAVAILABLE),
)


class DiskFullException(MlflowException):  # type: ignore[misc] # MLflow is untyped
    """A full disk is no fault of the caller; their client does not repeat this status by itself."""

    def get_http_status_code(self) -> int:
        """Of RFC 4918, section 11.5."""
        return StorageFullError.status


HIDDEN = "there is no such thing here, or you may not see it"


def as_mlflow(error: StrongroomError, *, reading: bool) -> MlflowException:
    """`error` as MLflow's exception; a refused read looks as if nothing were there."""
    if reading and type(error) is RefusedError:
        return MlflowException(HIDDEN, code.RESOURCE_DOES_NOT_EXIST)
    if isinstance(error, StorageFullError):
        return DiskFullException(f"{error.message}: {error.next_step}", code.RESOURCE_EXHAUSTED)
    known = next((value for kind, value in _CODES if isinstance(error, kind)), code.BAD_REQUEST)
    return MlflowException(f"{error.message}: {error.next_step}", known)


@contextmanager
def in_mlflow_terms(*, reading: bool) -> Iterator[None]:
    """Raise our errors of the block as MLflow's."""
    try:
        yield
    except StrongroomError as error:
        raise as_mlflow(error, reading=reading) from error

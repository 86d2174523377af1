"""One tree of errors: each has a stable code, an HTTP status, an exit code and a next step.

    StrongroomError
    ├── CallerError        the request is wrong; the caller can mend it        exit 1 (2: usage)
    ├── SignInError        who is asking is not known                          exit 3
    ├── RefusedError       a policy or a limit says no                         exit 4
    ├── TamperedError      stored bytes are not what was stored                exit 5
    └── UnavailableError   the server or disk cannot serve now   exit 1 (7: unreachable)

Messages carry no secret and no row of data; user input stands in backticks. Foreign exceptions
stop at the module that met them.
"""

from typing import ClassVar


class StrongroomError(Exception):
    """Base of all errors that a person may see.

    Attributes:
        code: stable, dotted, documented in docs/errors.md.
        status: HTTP status of the answer.
        exit_code: exit code of the command line (DESIGN.md, section 5).
        next_step: what the reader can do about it, one sentence.
        entry: index of the log entry that records it, where there is one.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    next_step: str = "look for the request id in the server's log and report it"

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.entry: int | None = None
        if next_step is not None:
            self.next_step = next_step


class InternalError(StrongroomError):
    """A fault of ours; the details are in the server's log under the request id."""


# ---- the caller can mend it ----


class CallerError(StrongroomError):
    """The request is wrong."""

    code = "request.invalid"
    status = 400
    next_step = "correct the request and send it again"


class UsageError(CallerError):
    """The command line was not understood."""

    code = "usage"
    exit_code = 2
    next_step = "run the command with --help"


class ValidationError(CallerError):
    """A field is missing, of the wrong type or outside its range."""

    code = "request.field"
    status = 422
    next_step = "correct the named field"


class NotFoundError(CallerError):
    """No such thing, or the caller may not know of it."""

    code = "not_found"
    status = 404
    next_step = "list what is there, and check the workspace"


class ConflictError(CallerError):
    """It exists already or has changed meanwhile."""

    code = "conflict"
    status = 409
    next_step = "look at the present state, then decide"


class TooLargeError(CallerError):
    """A size, count or length is over its limit."""

    code = "request.too_large"
    status = 413
    next_step = "send less, or ask the operator to raise the limit"


class TruncatedError(CallerError):
    """The upload ended before it was whole; nothing was stored."""

    code = "request.truncated"
    next_step = "send it again from the start"


class SlowError(CallerError):
    """The request did not arrive in the time a caller may take; nothing was stored."""

    code = "request.slow"
    status = 408
    next_step = "send it again over a faster connection"


class MediaTypeError(CallerError):
    """The body is of a kind that is not taken here."""

    code = "request.media_type"
    status = 415
    next_step = "send the media type that the message names, without content encoding"


class TableError(CallerError):
    """The table cannot be taken in as it is; nothing was stored."""

    code = "table.invalid"
    status = 422
    next_step = "correct the table and add it again"


class FormatError(TableError):
    """The bytes are of no form that is read, or of another one than stated.

    Attributes:
        is_other_kind: the whole file is something else, such as a picture, or nothing known.
    """

    code = "table.format"
    next_step = "state the format it has, or save it as CSV, JSON lines, Parquet, Arrow or xlsx"

    def __init__(
        self, message: str, *, next_step: str | None = None, is_other_kind: bool = False
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.is_other_kind = is_other_kind


class EncodingError(TableError):
    """The text is not of the encoding that was stated or found."""

    code = "table.encoding"
    next_step = "state the encoding it has, or save it as UTF-8"


class ChoiceError(TableError):
    """The file holds several tables where one is wanted, or not the one that was named."""

    code = "table.choice"
    next_step = "name one of the tables"


class NoRowsError(TableError):
    """There is a table, and no row in it."""

    code = "table.empty"

    def __init__(
        self, message: str = "the table has no rows", *, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)


class StateError(CallerError):
    """The thing is in a state that does not allow this step."""

    code = "state.invalid"
    status = 409
    next_step = "look at its state and do the step before"


class DriftStateError(CallerError):
    """The bytes are no drift state, or its plan is another than the one asked for."""

    code = "drift.state"
    status = 422
    next_step = "make the state again from its data, by the plan of the reference"


class DpQueryError(CallerError):
    """The differentially private query cannot be answered as it is; nothing was spent."""

    code = "dp.query"
    status = 422
    next_step = "correct the query and ask again"


class DpSqlError(DpQueryError):
    """The SQL is outside the subset whose privacy is bounded."""

    code = "dp.sql"
    next_step = "see docs/differential-privacy.md for what SQL is taken"


class DpColumnError(DpQueryError):
    """The query names a column that is not there, or one of a type that does not fit."""

    code = "dp.column"
    next_step = "check the name and the type of the column"


class DpUnboundedError(DpQueryError):
    """One person could change the answer without limit."""

    code = "dp.unbounded"
    next_step = "declare bounds from what is publicly known, or spend budget to estimate them"


class DpBudgetError(DpQueryError):
    """Epsilon or delta is out of its range, or the query needs a delta and has none."""

    code = "dp.budget"
    next_step = "give an epsilon above 0, commonly 0.1 to 4, and a delta below 1 / people"


class DpGroupsError(DpQueryError):
    """The query has more groups, or more results, than are answered at once."""

    code = "dp.groups"
    next_step = "name fewer keys, make bins wider, or group by fewer columns"


# ---- who is asking ----


class SignInError(StrongroomError):
    """No credential, or one that is not valid."""

    code = "sign_in.required"
    status = 401
    exit_code = 3
    next_step = "sign in, or send a valid API key"


class ExpiredError(SignInError):
    """The key, link or session was good once and has expired."""

    code = "sign_in.expired"
    next_step = "ask for a new key or link"


# ---- policy says no ----


class RefusedError(StrongroomError):
    """The policy does not permit it. Recorded."""

    code = "refused"
    status = 403
    exit_code = 4
    next_step = "ask an owner of the workspace for a role that may do this"


class UndeclaredError(RefusedError):
    """The route or surface is not declared, so it is refused."""

    code = "refused.undeclared"
    status = 404
    next_step = "see /api/v1/openapi.json for what is offered"


class BudgetError(RefusedError):
    """The privacy budget of the dataset does not allow it; nothing was spent."""

    code = "refused.budget"
    next_step = "ask for a smaller epsilon, or ask for a raise with `strongroom data ask-raise`"


class RateLimitedError(RefusedError):
    """Too many calls in too short a time.

    Attributes:
        retry_after_seconds: when a call would be admitted again.
    """

    code = "refused.rate"
    status = 429
    next_step = "wait for the time in Retry-After, then go on more slowly"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class GuardRefusedError(RefusedError):
    """The guard of an endpoint keeps the answer back: odd rows, or an odd caller; never which."""

    code = "refused.guard"
    status = 422
    next_step = "ask who runs the endpoint: they see why with `strongroom endpoint guard`"


class ModelRefusedError(RefusedError):
    """The model did not pass its checks."""

    code = "model.refused"
    status = 422
    next_step = "see the scan report of the model version"


class PromotionError(ModelRefusedError):
    """The model version does not meet the rules of its workspace; the message names each."""

    code = "model.promotion"
    next_step = "see `strongroom model show` for the rules and `strongroom model waiting`"


# ---- integrity ----


class TamperedError(StrongroomError):
    """Stored or presented bytes are not what was sealed, signed or logged."""

    code = "integrity.broken"
    status = 500
    exit_code = 5
    next_step = "keep the evidence, restore from a backup, and look for who wrote there"


class RolledBackError(TamperedError):
    """The database is an earlier state of itself, or another than the anchor or a witness knows."""

    code = "integrity.rolled_back"
    next_step = (
        "put the newest database or backup in its place; if there is none, accept the loss on the "
        "record with `strongroom recover --accept-rollback`"
    )


# ---- it cannot be done now ----


class UnavailableError(StrongroomError):
    """The server cannot do it at present."""

    code = "unavailable"
    status = 503
    next_step = "try again a little later"


class UnreachableError(UnavailableError):
    """No server answers at that address."""

    code = "server.unreachable"
    exit_code = 7
    next_step = "start it with `strongroom serve`, or check --server"


class StorageFullError(UnavailableError):
    """The disk is full; nothing was half-written."""

    code = "storage.full"
    status = 507
    next_step = "free disk space, then repeat the request"


class BusyError(UnavailableError):
    """Another writer held the database for too long."""

    code = "storage.busy"


class KeyUnavailableError(UnavailableError):
    """The key is disabled or destroyed, or the root key cannot be opened."""

    code = "key.unavailable"
    next_step = "enable the key, or give the root passphrase"


class HomeError(UnavailableError):
    """The home folder cannot be used."""

    code = "home.unusable"
    next_step = "check the folder given by --home or STRONGROOM_HOME"


class HomeNewerError(HomeError):
    """The home folder was written by a newer version."""

    code = "home.newer"
    next_step = "install that version or a newer one; nothing was changed"


class HomeInUseError(HomeError):
    """Another server holds this home folder."""

    code = "home.in_use"
    next_step = "stop the other server, or use another --home"


class PortInUseError(UnavailableError):
    """The address to listen on is taken."""

    code = "server.port_in_use"
    next_step = "choose another --port, or stop what listens there"


class SandboxError(UnavailableError):
    """The sandbox cannot be built as policy demands, or the confined code overstepped."""

    code = "sandbox.failed"
    next_step = "run `strongroom doctor` to see which layers this host allows"


class MissingExtraError(UnavailableError):
    """An optional component is not installed."""

    code = "extra.missing"
    next_step = "install the extra that the message names"

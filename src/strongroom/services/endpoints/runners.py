"""Models in memory, ready to answer: ONNX in process, everything else in a confined worker.

A model is verified when it is loaded, not at each call. A load that fails leaves the model that
answers in place.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from strongroom.errors import (
    StrongroomError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.limits import TokenBuckets
from strongroom.services.endpoints.answer_forms import in_form
from strongroom.services.endpoints.guarding import Guarding
from strongroom.services.endpoints.schema import Column, InputSchema
from strongroom.services.endpoints.types import Form
from strongroom.services.jobs import sandbox
from strongroom.services.models.types import Servable

_log = structlog.get_logger(__name__)
# ONNX Runtime's log: errors and worse. Its warnings quote shapes of callers' inputs.
_ORT_ERROR = 3
_MOST_WAITING = 4


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says.

    Attributes:
        labels: one for each row: classes, or a regressor's numbers.
        probabilities: (rows, classes), or None.
        flagged: rows that the guard found odd.
    """

    labels: NDArray[Any]
    probabilities: NDArray[Any] | None
    flagged: int = 0

    def part(self, start: int, stop: int) -> "Prediction":
        """The rows from `start` up to `stop`."""
        probabilities = self.probabilities
        return Prediction(
            self.labels[start:stop], None if probabilities is None else probabilities[start:stop]
        )


Batch = Column | list[Column]
"""Rows as `InputSchema` gives them: a table, or a column for each feature."""


class Runner(Protocol):
    """A loaded model."""

    form: Form
    float_type: type[np.floating[Any]]
    is_matrix: bool
    is_in_process: bool

    def predict(self, batch: Batch) -> Prediction:
        """Answer for some rows. Raises: UnavailableError when the model cannot answer."""
        ...

    def close(self) -> None:
        """Let go of what it holds. May be called twice."""
        ...


class OnnxRunner:
    """ONNX Runtime in this process, one thread, from bytes that never touched the disk."""

    form: Form = "onnx"
    float_type: type[np.floating[Any]] = np.float32
    is_in_process = True

    def __init__(self, model: bytes, features: Sequence[str]) -> None:
        """Load it.

        Args:
            model: the verified ONNX bytes.
            features: names in order; a model with one input for each takes columns.
        Raises: ValidationError when the runtime does not take it, or its inputs are others.
        """
        # From its first import on, ONNX Runtime reports models and machine to its maker, and keeps
        # an identity in ~/.cache; switching it off afterwards is too late.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One row costs microseconds: a pool of threads would cost more than it saves.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ORT_ERROR
        # Model files may name external data: with bytes there is no folder to read it from.
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 # onnxruntime's share no useful base
            kind = type(error).__name__
            raise ValidationError(f"the runtime does not take the model: {kind}") from None
        inputs = self._session.get_inputs()
        self._names = [entry.name for entry in inputs]
        self._outputs = [entry.name for entry in self._session.get_outputs()][:2]
        self.is_matrix = len(inputs) == 1 and len(inputs[0].shape) == 2
        if self.is_matrix:
            width = inputs[0].shape[1]
            if isinstance(width, int) and width != len(features):
                raise ValidationError("the model takes another number of features")
        elif len(self._names) != len(features):
            raise ValidationError("the model takes other inputs")

    def predict(self, batch: Batch) -> Prediction:
        """Answer for some rows."""
        if isinstance(batch, list):
            feed = {
                name: column.reshape(-1, 1) for name, column in zip(self._names, batch, strict=True)
            }
        else:
            feed = {self._names[0]: batch}
        try:
            found = self._session.run(self._outputs, feed)
        except Exception as error:  # noqa: BLE001 # onnxruntime's share no useful base
            _log.error("model_failed", kind=type(error).__name__)
            raise UnavailableError("the model could not answer") from None
        return _prediction(found[0], found[1] if len(found) > 1 else None)

    def close(self) -> None:
        """Nothing is held outside memory."""


class ConfinedRunner:
    """The original model in a sandboxed process; started again when it dies."""

    form: Form = "confined"
    float_type: type[np.floating[Any]] = np.float64
    is_matrix = False
    is_in_process = False

    def __init__(
        self,
        servable: Servable,
        *,
        limits: sandbox.Limits,
        required: Collection[str],
    ) -> None:
        """Start the worker and load the model in it. Raises: SandboxError."""
        self._servable = servable
        self._limits = limits
        self._required = required
        self._lock = threading.Lock()
        # Whoever waits holds a thread of the server, so only a few may.
        self._places = threading.BoundedSemaphore(_MOST_WAITING)
        self._turn = threading.Lock()
        self._worker: sandbox.Worker | None = self._start()

    def _start(self) -> sandbox.Worker:
        return sandbox.Worker(
            "strongroom.services.endpoints.confined_model:start",
            {"features": list(self._servable.features)},
            files_in=self._servable.files,
            limits=self._limits,
            required=self._required,
        )

    def predict(self, batch: Batch) -> Prediction:
        """Answer for some rows; one call at a time.

        Raises:
            SandboxError: the model failed or took too long; the next call gets a new worker.
            UnavailableError: too many wait already, or it was unloaded.
        """
        head, body = _pack(batch if isinstance(batch, list) else list(batch.T))
        if not self._places.acquire(blocking=False):
            raise UnavailableError("too many requests wait for this model")
        try:
            with self._turn:
                worker = self._ready()
                try:
                    answer, out = worker.request(head, body)
                except (OSError, ValueError):
                    # Its pipes were closed under us.
                    raise UnavailableError("the model was unloaded") from None
        finally:
            self._places.release()
        try:
            return _unpack(answer, out, len(batch[0]) if isinstance(batch, list) else len(batch))
        except (KeyError, TypeError, ValueError):
            raise UnavailableError("the confined model answered out of shape") from None

    def _ready(self) -> sandbox.Worker:
        with self._lock:
            if self._worker is None:
                raise UnavailableError("the model is unloaded")
            if not self._worker.alive:
                self._worker.stop()
                self._worker = self._start()
            return self._worker

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()


def _prediction(labels: Any, probabilities: Any) -> Prediction:  # noqa: ANN401 # from a model
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UnavailableError("the model answered out of shape")
    if probabilities is not None:
        probabilities = np.asarray(probabilities)
        if probabilities.ndim != 2 or len(probabilities) != len(labels):
            probabilities = None
    return Prediction(labels, probabilities)


_RAW = {"f8": np.float64, "f4": np.float32, "i8": np.int64, "b1": np.bool_}


def _pack(columns: list[Column]) -> tuple[dict[str, object], bytes]:
    """Columns for the worker: numbers raw, words in the head."""
    described: list[object] = []
    blocks = []
    for column in columns:
        if column.dtype == object:
            described.append({"words": column.tolist()})
        else:
            described.append({"raw": column.dtype.str[1:]})
            blocks.append(np.ascontiguousarray(column).tobytes())
    return {"columns": described, "rows": len(columns[0])}, b"".join(blocks)


def _unpack(answer: dict[str, object], out: bytes, rows: int) -> Prediction:
    """The worker's answer; untrusted, so its sizes are checked against what was asked."""
    if "words" in answer:
        words = answer["words"]
        if not isinstance(words, list) or len(words) != rows:
            raise ValueError
        labels: NDArray[Any] = np.array([str(word)[:1_000] for word in words], dtype=object)
        offset = 0
    else:
        kind = np.dtype(_RAW[str(answer["raw"])])
        offset = kind.itemsize * rows
        labels = np.frombuffer(out[:offset], dtype=kind)
        if len(labels) != rows:
            raise ValueError
    classes = answer.get("classes")
    if not isinstance(classes, int) or classes == 0:
        return _prediction(labels, None)
    probabilities = np.frombuffer(out[offset:], dtype=np.float64).reshape(rows, classes)
    return _prediction(labels, probabilities)


@dataclass(frozen=True, slots=True)
class Live:
    """What answers at an endpoint now."""

    workspace: str
    endpoint: str
    deployment: str
    servable: Servable
    runner: Runner
    schema: InputSchema
    decimals: int
    rows_per_minute: int
    guarding: Guarding

    @property
    def is_ready(self) -> bool:
        """Whether questions can be answered."""
        return self.guarding.is_usable

    @property
    def shows_probabilities(self) -> bool:
        """Whether they leave the endpoint at all."""
        return self.guarding.policy.shows == "probabilities"

    @property
    def label_type(self) -> str:
        """Datatype of the labels: `INT64`, `BYTES`, or `FP32` for a regressor."""
        classes = self.servable.classes
        if not classes:
            return "FP32"
        return "INT64" if all(name.lstrip("-").isdigit() for name in classes) else "BYTES"

    def harden(self, prediction: Prediction) -> tuple[list[Any], list[list[float]] | None]:
        """Labels and probabilities as they may leave: in the form that tells as little as is set.

        The likeliest class stays the first of the largest, whatever rounding does.

        Raises: UnavailableError when a model answers with what is no number.
        """
        policy = self.guarding.policy
        decimals = self.decimals if policy.decimals is None else policy.decimals
        return in_form(prediction, policy, decimals)


def build_runner(
    servable: Servable, *, limits: sandbox.Limits, required: Collection[str]
) -> Runner:
    """Load a verified model. Raises: StrongroomError."""
    if servable.onnx is not None:
        return OnnxRunner(servable.onnx, servable.features)
    return ConfinedRunner(servable, limits=limits, required=required)


class Runners:
    """What is live, by workspace and endpoint. Safe to share between threads."""

    def __init__(
        self,
        *,
        required_layers: Collection[str] = sandbox.DEFAULT_REQUIRED,
        limits: sandbox.Limits | None = None,
        request_seconds: float = 10.0,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            required_layers: of the sandbox, for models that run confined.
            limits: of such a model; by default 4 GiB.
            request_seconds: for one call of such a model.
        """
        self._required = required_layers
        self._limits = replace(limits or sandbox.Limits(), wall_seconds=request_seconds)
        self._live: dict[tuple[str, str], Live] = {}
        self._faults: dict[tuple[str, str], str] = {}
        self._suspended: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._buckets = TokenBuckets(time.monotonic)

    def spend(self, live: Live, caller: str, rows: int) -> None:
        """Take rows from what `caller` may ask of an endpoint in a minute, whatever the way in.

        Raises: RateLimitedError; nothing was taken.
        """
        self._buckets.take(
            (caller, live.workspace, live.endpoint),
            per_second=live.rows_per_minute / 60, burst=live.rows_per_minute, cost=rows,
        )  # fmt: skip

    def load(self, servable: Servable) -> Runner:
        """Load without making it live. Raises: StrongroomError."""
        return build_runner(servable, limits=self._limits, required=self._required)

    def put(self, live: Live) -> None:
        """Let it answer from now on; what answered before is closed."""
        key = (live.workspace, live.endpoint)
        with self._lock:
            before = self._live.get(key)
            self._live[key] = live
            self._forget(key)
        if before is not None and before.runner is not live.runner:
            before.runner.close()

    def get(self, workspace: str, endpoint: str) -> Live | None:
        """What answers there, or None."""
        return self._live.get((workspace, endpoint))

    def fault(self, workspace: str, endpoint: str) -> str:
        """Why nothing answers there though something is deployed; or empty."""
        return self._faults.get((workspace, endpoint), "")

    def places(self) -> set[tuple[str, str]]:
        """Workspace and endpoint of all that answer."""
        with self._lock:
            return set(self._live)

    def may_load(self, workspace: str, endpoint: str) -> bool:
        """Whether loading is worth another try: not where the model itself was at fault."""
        place = (workspace, endpoint)
        return place not in self._faults or place in self._suspended

    def is_suspended(self, workspace: str, endpoint: str) -> bool:
        """Whether it was stopped by `suspend`, and nothing has been loaded since."""
        return (workspace, endpoint) in self._suspended

    def remove(self, workspace: str, endpoint: str) -> None:
        """Nothing answers there any more."""
        with self._lock:
            live = self._live.pop((workspace, endpoint), None)
            self._forget((workspace, endpoint))
        if live is not None:
            live.runner.close()

    def suspend(self, workspace: str, endpoint: str, reason: str) -> None:
        """Nothing answers there until the reason is gone; the model leaves the memory."""
        with self._lock:
            live = self._live.pop((workspace, endpoint), None)
            self._faults[workspace, endpoint] = reason
            self._suspended.add((workspace, endpoint))
        if live is not None:
            _log.warning("endpoint_suspended", endpoint=endpoint, reason=reason)
            live.runner.close()

    def _forget(self, place: tuple[str, str]) -> None:
        self._faults.pop(place, None)
        self._suspended.discard(place)

    def restore(
        self, workspace: str, endpoint: str, digest: str, build: Callable[[], Live]
    ) -> StrongroomError | None:
        """Load what is deployed; on failure note why, and keep what answers. Returns: why not."""
        try:
            live = build()
            if live.servable.digest != digest:
                live.runner.close()
                raise TamperedError("the model is not the one that was deployed")
        except StrongroomError as error:
            _log.error("endpoint_not_loaded", endpoint=endpoint, code=error.code)
            with self._lock:
                self._faults[workspace, endpoint] = f"{error.code}: {error.message}"
                self._suspended.discard((workspace, endpoint))
            return error
        self.put(live)
        return None

    def stand_in(self, live: Live) -> None:
        """Let it answer in place of what is deployed there, whose fault stays in sight."""
        place = (live.workspace, live.endpoint)
        fault = f"{self.fault(*place)}; version {live.servable.version} answers in its place"
        self.put(live)
        with self._lock:
            self._faults[place] = fault

    def close(self) -> None:
        """Close every model."""
        with self._lock:
            everything, self._live = list(self._live.values()), {}
        for live in everything:
            with suppress(OSError):
                live.runner.close()

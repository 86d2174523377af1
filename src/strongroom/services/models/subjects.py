"""Models for an assessment: loaded in the sandbox, asked for numbers, never trusted with more."""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from strongroom.engines.robustness.hardening.stating import Stated, read
from strongroom.engines.robustness.replicas import Replica
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import ModelError, Predict, Rows, Scores, Truth
from strongroom.errors import SandboxError, ValidationError
from strongroom.services.jobs import sandbox
from strongroom.services.models.model_inside import Inside, understood
from strongroom.services.models.replicated import unpacked

MAX_FEATURES = 10_000
MAX_CLASSES = 1_000
MAX_NAME = 500
_BATCH_BYTES = 16 << 20

Request = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
"""Head and body of a request → those of its answer."""


@dataclass(frozen=True, slots=True)
class About:
    """What a model says of itself.

    Attributes:
        kind: `sklearn` or `onnx`; `model_class` more exactly.
        features: names of its inputs in order; empty where it knows none.
        count: of inputs; 0 for unknown.
        classes: in the order of its answers; empty where it knows none.
        is_regression: it answers one number a row.
        has_probabilities: else it only names a class.
        can_fit: another like it can be fitted.
    """

    kind: str
    model_class: str
    features: tuple[str, ...]
    count: int
    classes: tuple[str, ...]
    is_regression: bool
    has_probabilities: bool
    can_fit: bool


class AssessedModel:
    """A model that is asked through requests, as `confined_subject` answers them.

    Attributes:
        about: what it says of itself.
    """

    def __init__(self, request: Request) -> None:
        """Ask what it is.

        Raises: SandboxError, ValidationError: it cannot be loaded, or says nonsense of itself.
        """
        self._request = request
        self._numbers = itertools.count()
        self._gone: list[int] = []
        self._seconds = 0.0
        self._classes = 0
        self._has_answered = False
        self.about = _about(request({"do": "about"}, b"")[0])

    def predict(self, space: Space, classes: int) -> Predict:
        """How it answers points of a space.

        Args:
            classes: how many numbers a row it is expected to answer; 1 for a regression.
        """
        self._tell(space)
        self._classes = classes
        return lambda rows: self._ask(space, rows, {})

    def recipe(self, space: Space, classes: int) -> "OwnRecipe | None":
        """How another like it is fitted; None where that is unknown."""
        return OwnRecipe(self, space, classes) if self.about.can_fit else None

    def inside(self, space: Space) -> Inside:
        """What is known of its inside; nothing where it says none, or none that makes sense."""
        if not self.about.can_fit and self.about.kind != "onnx":
            return Inside()
        return understood(*self._send({"do": "inside"}, b""), space)

    def stated(self) -> Stated | None:
        """How it was fitted, as it says; None: it does not, or what cannot be fitted elsewhere."""
        return read(self._send({"do": "recipe"}, b"")[0])

    def replica(self, space: Space) -> Replica | None:
        """The numbers its answers are computed from, once it knows the features; None: unknown."""
        about = self.about
        if about.kind != "sklearn" or not (about.has_probabilities or about.is_regression):
            return None
        return unpacked(*self._send({"do": "numbers"}, b""), len(space.features))

    def fit(self, space: Space, rows: Rows, labels: Truth, seed: int) -> Predict:
        """Another model of its kind, fitted in the sandbox. Raises: SandboxError."""
        number = next(self._numbers)
        head = {"do": "fit", "rows": len(rows), "seed": seed % (1 << 32), "fitted": number}
        truth = labels.astype(np.float64)  # places of classes are exact in it
        body = truth.tobytes() + np.ascontiguousarray(space.matrix(rows)).tobytes()
        self._send(head, body)
        return _Fitted(self, space, number)

    def _send(self, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """A request, which also says what nobody needs any more."""
        gone = [self._gone.pop() for _ in range(len(self._gone))]
        try:
            answer, found = self._request({**head, "gone": gone}, body)
        except sandbox.ConfinedError as error:
            if not self._has_answered:
                raise  # nothing was asked yet whose answer would stand in a report
            raise ModelError(error.kind) from None
        except sandbox.OversteppedError:
            raise ModelError(ModelError.ENDED) from None
        spent = answer.get("cpu")
        if isinstance(spent, float) and spent >= self._seconds:
            self._seconds = spent
        return answer, found

    def cpu_seconds(self) -> float:
        """Processor time of this process and of the model's, as that says it, so far."""
        return time.process_time() + self._seconds

    def _tell(self, space: Space) -> None:
        levels = {one.name: list(one.levels) for one in space.features if one.levels}
        names = [one.name for one in space.features]
        self._send({"do": "features", "names": names, "levels": levels}, b"")

    def _ask(self, space: Space, rows: Rows, more: Mapping[str, int]) -> Scores:
        each = max(_BATCH_BYTES // (8 * max(space.width, self._classes, 1)), 1)
        pieces = [
            self._asked(space.matrix(rows[at : at + each]), more)
            for at in range(0, len(rows), each)
        ]
        return np.concatenate(pieces) if pieces else np.empty((0, self._classes))

    def _asked(self, matrix: Rows, more: Mapping[str, int]) -> Scores:
        head: dict[str, Any] = {"do": "answer", "rows": len(matrix), **more}
        answer, body = self._send(head, np.ascontiguousarray(matrix).tobytes())
        self._has_answered = True
        found = np.frombuffer(body)
        if answer.get("classes") != self._classes or found.size != len(matrix) * self._classes:
            raise SandboxError(
                f"the model answered {answer.get('classes')} numbers a row, "
                f"{self._classes} were expected",
                next_step="see whether the label column has the classes of the model",
            )
        return found.reshape(len(matrix), self._classes)

    def _forget(self, number: int) -> None:
        # May be called in the middle of a request: the collector runs when it likes.
        self._gone.append(number)


class _Fitted:
    """Another model in the sandbox; forgotten there once nobody holds it here."""

    def __init__(self, model: AssessedModel, space: Space, number: int) -> None:
        self._model = model
        self._space = space
        self._number = number

    def __call__(self, rows: Rows) -> Scores:
        return self._model._ask(self._space, rows, {"fitted": self._number})  # noqa: SLF001 # one thing in two classes

    def __del__(self) -> None:
        self._model._forget(self._number)  # noqa: SLF001 # as above


@dataclass(frozen=True, slots=True)
class OwnRecipe:
    """Fits models as the attacked one was fitted: the same class with the same settings."""

    model: AssessedModel
    space: Space
    classes: int
    is_own: bool = True

    @property
    def name(self) -> str:
        """The class of the model."""
        return self.model.about.model_class

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """A new model of these rows."""
        return self.model.fit(self.space, rows, labels, seed)


@contextmanager
def confined(
    files: Mapping[str, Path | bytes],
    *,
    limits: sandbox.Limits | None = None,
    required: Collection[str] = sandbox.DEFAULT_REQUIRED,
) -> Iterator[AssessedModel]:
    """A model in the sandbox, until the block ends.

    Args:
        files: of its folder, by name.
        limits: of the process.
        required: layers without which nothing is loaded.
    Raises: SandboxError: it cannot be loaded, or says nonsense of itself.
    """
    worker = sandbox.Worker(
        "strongroom.services.models.confined_subject:start", {},
        files_in=files, limits=limits, required=required,
    )  # fmt: skip
    try:
        yield AssessedModel(worker.request)
    finally:
        worker.stop()


def _about(found: Mapping[str, object]) -> About:
    """What came out of the sandbox, checked: the model's code may have written it."""
    features, classes, count = found.get("features"), found.get("classes"), found.get("count")
    for names, most in ((features, MAX_FEATURES), (classes, MAX_CLASSES)):
        if not isinstance(names, list) or len(names) > most or not all(map(_is_name, names)):
            raise ValidationError(
                f"the model names more than {most:,} features or classes, or no names at all"
            )
    if not isinstance(count, int) or not 0 <= count <= MAX_FEATURES:
        raise ValidationError("the model does not say how many features it takes")
    assert isinstance(features, list) and isinstance(classes, list)  # noqa: S101, PT018 # looked at above
    return About(
        str(found.get("kind"))[:20], str(found.get("class"))[:200], tuple(features), count,
        tuple(classes), bool(found.get("is_regression", not classes)),
        bool(found.get("probabilities")), bool(found.get("can_fit")),
    )  # fmt: skip


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_NAME

"""A model's numbers in the place of its answers, while the two agree.

`packed` runs in the sandbox beside the model, all else outside. What comes over is believed of no
model: before the first test the numbers must answer as it does on rows of the tables and on rows by
chance, and while the tests run one row in some is asked of the model too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.replicas import Layers, Replica, TreeSums, replica_of
from strongroom.engines.robustness.sampling import freed, uniform
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, Rows, Scores
from strongroom.errors import ValidationError

Numbers = NDArray[np.float64]
MAX_BYTES = 24 << 20
"""Of the numbers; a larger model is asked itself."""
_COMPARED, _MADE_UP = 2_000, 500
"""Rows that are compared before the first test: of each table, and by chance."""
_ONE_IN = 32
_AT_ONCE = 256
"""While the tests run: rows that are compared, and how many in one question."""
_SAME = 1e-12
"""Sums of the same numbers in another order differ by less."""
_TREE_ARRAYS = ("features", "thresholds", "left", "right", "values", "roots", "base")
_OPERATIONS = ("add", "subtract", "multiply", "divide")


# ---- beside the model ----


def packed(model: Any, width: int) -> tuple[dict[str, Any], bytes]:  # noqa: ANN401 # scikit-learn has no types
    """Head and body of a model's numbers; of kind `none` where it has none that are understood."""
    made = replica_of(model, width)
    if made is None:
        return {"kind": "none"}, b""
    head: dict[str, Any] = {
        "width": width, "link": made.link, "steps": [operation for operation, _ in made.steps],
    }  # fmt: skip
    arrays = [by for _, by in made.steps]
    if isinstance(made.core, TreeSums):
        head |= {"kind": "trees", "parts": made.core.parts, "single": made.core.is_single}
        arrays += [getattr(made.core.trees, name) for name in _TREE_ARRAYS]
    else:
        head |= {"kind": "layers", "activation": made.core.activation}
        arrays += [*made.core.weights, *made.core.biases]
    body = b"".join(np.ascontiguousarray(one, np.float64).tobytes() for one in arrays)
    if len(body) > MAX_BYTES:
        return {"kind": "none"}, b""
    return {**head, "shapes": [list(one.shape) for one in arrays]}, body


# ---- outside ----


def unpacked(head: Mapping[str, object], body: bytes, width: int) -> Replica | None:
    """The numbers that a model stated; None where it stated none, or what makes no sense."""
    try:
        if head.get("kind") not in {"trees", "layers"} or head.get("width") != width:
            return None
        return _replica(head, _arrays(head, body), width)
    except (ValueError, TypeError, KeyError, IndexError, ValidationError):
        return None


def replicated(
    replica: Replica | None, space: Space, own: Predict, tables: Sequence[Rows], seed: int
) -> tuple[Predict, str]:
    """How a model's numbers answer points, and a remark; its own answers where the two differ.

    Args:
        own: the model itself.
        tables: rows of which the first ones are compared.
    """
    if replica is None or any(one.levels for one in space.features):
        return own, ""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([
        *(one[np.isfinite(one).all(axis=1)][:_COMPARED] for one in tables),
        uniform(freed(space), _MADE_UP, rng),
    ])  # fmt: skip
    made = Replicated(replica, space, own, rng)
    if made.differing(rows, made.computed(rows)):
        return own, "the model answers otherwise than its numbers would: it was asked itself"
    return made, (
        f"answers were computed from the model's own numbers, which answer as it does on all "
        f"{len(rows):,} rows that were compared first, and on one in {_ONE_IN} of those asked later"
    )


class Replicated:
    """Answers by numbers; some of the rows are asked of the model itself, too."""

    def __init__(
        self, replica: Replica, space: Space, own: Predict, rng: np.random.Generator
    ) -> None:
        self._replica = replica
        self._low = np.array([one.low for one in space.features])
        self._span = np.array([one.high - one.low or 1.0 for one in space.features])
        self._own = own
        self._rng = rng
        self._agrees = True
        self._kept: list[tuple[Rows, Scores]] = []

    def __call__(self, rows: Rows) -> Scores:
        """Answers of points; rows that lack a number are the model's own affair.

        Raises: ValidationError: model and numbers differ; from then on the model is asked.
        """
        if not self._agrees or not np.isfinite(rows).all():
            return self._own(rows)
        found = self.computed(rows)
        chosen = self._rng.random(len(rows)) < 1 / _ONE_IN
        if chosen.any():
            self._kept.append((rows[chosen], found[chosen]))
            if sum(len(one) for one, _ in self._kept) >= _AT_ONCE:
                self._compare()
        return found

    def computed(self, rows: Rows) -> Scores:
        """Answers by the numbers alone."""
        return self._replica.answers(rows * self._span + self._low)  # as `Space.matrix` has it

    def differing(self, rows: Rows, found: Scores) -> int:
        """Rows that the model answers otherwise."""
        true = np.asarray(self._own(rows), dtype=np.float64)
        if true.shape != found.shape:
            return len(rows)
        # Probabilities are at most 1; numbers of a regression are compared by their size.
        is_same = (np.abs(true - found) <= _SAME * np.maximum(np.abs(true), 1.0)).all(axis=1)
        is_same &= true.argmax(axis=1) == found.argmax(axis=1)
        return int((~is_same).sum())

    def _compare(self) -> None:
        rows, found = (np.concatenate(part) for part in zip(*self._kept, strict=True))
        self._kept.clear()
        if other := self.differing(rows, found):
            self._agrees = False
            raise ValidationError(
                f"the model answers {other:,} of {len(rows):,} rows otherwise than its own numbers",
                next_step="look at what its code does: it answers some rows in another way",
            )


def _arrays(head: Mapping[str, object], body: bytes) -> list[Numbers]:
    shapes = head["shapes"]
    if not isinstance(shapes, list) or len(shapes) > 1_000 or len(body) > MAX_BYTES:
        raise ValueError
    arrays, at = [], 0
    for shape in shapes:
        if not isinstance(shape, list) or not all(type(one) is int and one >= 0 for one in shape):
            raise ValueError
        size = int(np.prod(shape, dtype=np.int64))
        arrays.append(np.frombuffer(body, np.float64, size, at).reshape(shape))
        at += 8 * size
    if at != len(body) or not all(np.isfinite(one).all() for one in arrays):
        raise ValueError
    return arrays


def _replica(head: Mapping[str, object], arrays: list[Numbers], width: int) -> Replica:
    names, link = head["steps"], head["link"]
    if not isinstance(names, list) or not set(names) <= set(_OPERATIONS):
        raise ValueError
    if link not in {"shares", "softmax", "logistic", "numbers"}:
        raise ValueError
    steps = tuple(zip(names, arrays[: len(names)], strict=True))
    rest = arrays[len(names) :]
    core: TreeSums | Layers
    if head["kind"] == "trees":
        found: dict[str, Any] = dict(zip(_TREE_ARRAYS, rest, strict=True))
        for name in ("features", "left", "right", "roots"):
            found[name] = _places(found[name])
        parts = head["parts"]
        if type(parts) is not int or not 1 <= parts <= len(found["roots"]):
            raise ValueError
        core = TreeSums(Trees(**found), parts, is_single=head["single"] is True)
    else:
        activation = str(head["activation"])
        if activation not in {"relu", "tanh", "logistic", "identity"} or len(rest) % 2:
            raise ValueError
        half = len(rest) // 2
        core = Layers(tuple(rest[:half]), tuple(rest[half:]), activation)  # type: ignore[arg-type] # looked at above
    return Replica(width, steps, core, link)


def _places(numbers: Numbers) -> NDArray[np.intp]:
    if np.abs(numbers).max(initial=0.0) > MAX_BYTES:
        raise ValueError
    return numbers.astype(np.intp)

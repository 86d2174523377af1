"""Rows of the training table that a fitted model keeps as they are.

A neighbour's model, a support vector machine or a Gaussian process is its training rows, or some
of them: whoever gets the file has the people in it. That is how these models work, so a few rows
are no news; many are for a person to decide.

Source: scikit-learn 1.9, attributes of the classes below; pandas 3, `core/internals/managers.py`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.symbols import Call, Items, Made, Symbol

MANY_ROWS = 1_000
MANY_BYTES = 1 << 20

# Attribute → the beginning of the module or class whose instances keep rows in it.
_KEPT: dict[str, tuple[str, ...]] = {
    "_fit_X": ("sklearn.neighbors.", "sklearn.impute.", "sklearn.manifold.", "sklearn.cluster."),
    "support_vectors_": ("sklearn.svm.",),
    "X_train_": ("sklearn.gaussian_process.",),
    "X_fit_": ("sklearn.kernel_ridge.", "sklearn.decomposition."),
    "X_": ("sklearn.semi_supervised.",),
    "components_": ("sklearn.cluster.", "sklearn.kernel_approximation."),
    "training_data_": ("sklearn.manifold.",),
    "_raw_data": ("sklearn.cluster.",),
    "cluster_centers_": ("sklearn.cluster._affinity_propagation.",),
}
_LIBRARY = "sklearn."
"""All of them are of one library: objects of others need not be gone through."""
# As they are called where the class is not told: those that mean nothing else.
_ROW_NAMES = frozenset(
    ("_fit_X", "support_vectors_", "X_train_", "X_fit_", "X_train", "support_vectors")
)
_NAME_CHARS = 256
_NOWHERE = ("\0",)
_RECONSTRUCT = "multiarray._reconstruct"
# As pandas 3 names it, and as the versions before.
_FRAMES = (Symbol("pandas", "DataFrame"), Symbol("pandas.core.frame", "DataFrame"))
_NDARRAY = Symbol("numpy", "ndarray")
_DTYPE = Symbol("numpy", "dtype")
_MAX_BLOCKS = 64
_ITEM_BYTES = 8  # of most types, where the type does not tell


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows that a model keeps.

    Attributes:
        place: class and attribute.
        size_bytes: of the array, uncompressed.
    """

    place: str
    rows: int
    columns: int
    size_bytes: int

    @property
    def are_many(self) -> bool:
        """Whether a person should decide."""
        return self.rows >= MANY_ROWS or self.size_bytes >= MANY_BYTES

    def says(self) -> str:
        """In words, for a finding."""
        return (
            f"keeps {self.rows:,} rows of {self.columns:,} columns of a table as they were, in "
            f"`{self.place}`: whoever gets the file has them"
        )

    def problem(self) -> Problem:
        """As a finding to be."""
        return Problem("SR-PII-003", self.says(), None, self.place, self.size_bytes)


def kept_rows(call: Call) -> list[KeptRows]:
    """Tables in the state that is given to an object."""
    made = call.target
    if call.how != "build" or not isinstance(made, Made) or not call.args:
        return []
    state, name = call.args[0], made.origin
    if made.target in _FRAMES:
        return _frame(state)
    if name.endswith(_RECONSTRUCT):
        return _objects(state)
    if not name.startswith(_LIBRARY):
        return []
    found = []
    for attribute, value in _attributes(state):
        if name.startswith(_KEPT.get(attribute, _NOWHERE)):
            rows = _rows(f"{name.rpartition('.')[2]}.{attribute}", *_shape(value))
            found.extend([rows] if rows is not None else [])
    return found


def _attributes(state: object) -> Iterator[tuple[str, object]]:
    """Attributes of a state that is a dict, or a dict and slots."""
    for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):  # and slots
        for pair in part.items if isinstance(part, Items) and part.kind == "dict" else ():
            if isinstance(pair, tuple) and isinstance(pair[0], str):
                yield pair[0], pair[1]


def _objects(state: object) -> list[KeptRows]:
    """A table whose cells are Python objects: numbers of a model never are."""
    if not isinstance(state, tuple) or len(state) != 5:  # version, shape, type, order, data
        return []
    dtype = state[2]
    if not isinstance(dtype, Made) or not dtype.args or str(dtype.args[0]) != "O8":
        return []
    rows = _rows("an array of objects", _whole(state[1]), _ITEM_BYTES)
    return [rows] if rows is not None else []


def _rows(place: str, shape: tuple[int, ...], item: int) -> KeptRows | None:
    if len(shape) != 2 or 0 in shape:  # rows and columns
        return None
    return KeptRows(place, shape[0], shape[1], shape[0] * shape[1] * item)


def _frame(state: object) -> list[KeptRows]:
    """A data frame: its blocks hold several columns each, one row an element."""
    rows = columns = size = 0
    stack: list[object] = [value for name, value in _attributes(state) if name == "_mgr"]
    looked = 0
    while stack and looked < _MAX_BLOCKS:
        looked += 1
        value = stack.pop()
        shape, item = _shape(value)
        if len(shape) == 2:  # columns and rows
            rows, columns = max(rows, shape[1]), columns + shape[0]
            size += shape[0] * shape[1] * item
        elif isinstance(value, Made) and value.args is not None:
            stack.extend(value.args)
        elif isinstance(value, tuple):
            stack.extend(value)
        elif isinstance(value, Items):
            stack.extend(value.items)
    return [KeptRows("DataFrame", rows, columns, size)] if rows and columns else []


def _shape(value: object) -> tuple[tuple[int, ...], int]:
    """Shape and bytes of an item of an array as pickle or joblib build it; () for others."""
    if not isinstance(value, Made):
        return (), 0
    if value.origin.endswith((".csr_matrix", ".csr_array")):
        return _whole((value.attributes or {}).get("_shape")), 1
    wrapper = value.state
    if value.target == _NDARRAY and isinstance(wrapper, Made):  # joblib
        attributes = wrapper.attributes or {}
        return _whole(attributes.get("shape")), _item(attributes.get("dtype"))
    if value.origin.endswith(_RECONSTRUCT):
        state = value.state
        if isinstance(state, tuple) and len(state) == 5:  # version, shape, type, order, data
            return _whole(state[1]), _item(state[2])
    if value.origin.endswith("numeric._frombuffer") and value.args and len(value.args) == 4:
        return _whole(value.args[2]), _item(value.args[1])  # buffer, type, shape, order
    return (), 0


def _whole(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple):
        return ()
    return shape if all(type(one) is int and 0 <= one < 1 << 50 for one in shape) else ()


def _item(dtype: object) -> int:
    if isinstance(dtype, Made) and dtype.target == _DTYPE and dtype.args:
        name = str(dtype.args[0]).lstrip("<>=|")
        digits = name[1:]
        if digits.isdigit() and len(digits) < 6:
            return int(digits) * (4 if name.startswith("U") else 1)
    return _ITEM_BYTES


# ---- formats that are no pickles ----


def named_rows(name: str, shape: tuple[int, ...], item: int) -> list[KeptRows]:
    """A tensor whose name is that of an attribute that keeps rows, if they are many."""
    attribute = re.split(r"[./:]", name[-_NAME_CHARS:])[-1]
    if attribute not in _ROW_NAMES:
        return []
    rows = _rows(attribute, shape, item)
    return [rows] if rows is not None and rows.are_many else []


def skops_rows(
    schema: object, shape_of: Callable[[str], tuple[tuple[int, ...], int]]
) -> Iterator[KeptRows]:
    """Tables in the attributes of a skops schema's objects.

    Args:
        shape_of: shape and bytes of an item of an array, by the name of its file.
    """
    stack: list[object] = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        if not isinstance(node, dict):
            continue
        stack.extend(node.values())
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        content = node.get("content")
        inner = content.get("content") if isinstance(content, dict) else None
        if not name.startswith(_LIBRARY) or not isinstance(inner, dict):
            continue
        for attribute, value in inner.items():
            file = value.get("file") if isinstance(value, dict) else None
            if isinstance(file, str) and name.startswith(_KEPT.get(attribute, _NOWHERE)):
                place = f"{name.rpartition('.')[2]}.{attribute}"
                rows = _rows(place, *shape_of(file))
                if rows is not None and rows.are_many:
                    yield rows

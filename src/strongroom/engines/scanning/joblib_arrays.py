"""Raw arrays that joblib writes between the opcodes of a pickle.

How far such an array reaches depends on the wrapper that the program has just built. To find the
next opcode where joblib would, the extent must come out exactly as joblib computes it; where the
wrapper does not tell it plainly, the file is unreadable to us.

Source: joblib 1.6, `numpy_pickle.NumpyArrayWrapper.read_array`.
"""

import re
from collections.abc import Callable

from strongroom.engines.scanning.reading import MalformedError, Reader
from strongroom.engines.scanning.symbols import Items, Made, Symbol

_DTYPE = Symbol("numpy", "dtype")
_MAX_BYTES = 1 << 50
_NAMED = re.compile(r"[<>=|]?([?bBiufcSUVOMmaa])(\d*)\Z")
_FLEXIBLE = "SUVa"
_HAS_OBJECT = 0x01
_STATE_ITEMSIZE, _STATE_FLAGS = 5, 7


def read_array(wrapper: Made, reader: Reader, nested: Callable[[], None]) -> None:
    """Passes over the array that belongs to `wrapper`.

    Args:
        wrapper: what the program has built.
        reader: positioned behind the BUILD that completed it.
        nested: follows the pickle that stands there when the array holds objects.

    Raises:
        MalformedError: the extent is not plain, or the bytes end within it.
    """
    attributes = wrapper.attributes or {}
    count = _count(attributes.get("shape"))
    itemsize, has_object = _dtype(attributes.get("dtype"))
    if has_object:
        nested()
        return
    alignment = attributes.get("numpy_array_alignment_bytes")
    if alignment is not None:
        reader.skip(reader.take(1)[0])
    if count * itemsize > _MAX_BYTES:
        raise MalformedError("an array larger than any file")
    if _is_numbers(attributes.get("dtype")):
        reader.skip_numbers(count * itemsize)
    else:
        reader.skip(count * itemsize)


def _is_numbers(dtype: object) -> bool:
    name = dtype.args[0] if isinstance(dtype, Made) and dtype.args else None
    found = _NAMED.match(name) if isinstance(name, str) else None
    return found is not None and found[1] not in _FLEXIBLE


def _count(shape: object) -> int:
    if not isinstance(shape, tuple):
        raise MalformedError("an array without a plain shape")
    count = 1
    for length in shape:
        if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length < _MAX_BYTES:
            raise MalformedError("an array with a strange shape")
        count *= length
        if count > _MAX_BYTES:
            raise MalformedError("an array larger than any file")
    return count


def _dtype(value: object) -> tuple[int, bool]:
    """Bytes of one element and whether it holds Python objects."""
    if not isinstance(value, Made) or value.target != _DTYPE or not value.args:
        raise MalformedError("an array without a plain type")
    name = value.args[0]
    if not isinstance(name, str) or (found := _NAMED.match(name)) is None:
        raise MalformedError("an array of an unusual type")
    kind, digits = found[1], found[2]
    if kind == "O":
        return 8, True
    state = _state(value)
    if kind in _FLEXIBLE and state is not None:
        size, flags = state[_STATE_ITEMSIZE], state[_STATE_FLAGS]
        if not isinstance(size, int) or not isinstance(flags, int) or size < 0:
            raise MalformedError("an array of an unusual type")
        return size, bool(flags & _HAS_OBJECT) or _fields_hold_objects(state, 0)
    size = int(digits or (1 if kind in "?bB" else 0))
    if kind == "U":
        size *= 4
    if size == 0 and kind not in _FLEXIBLE:
        raise MalformedError("an array of an unusual type")
    return size, False


def _state(dtype: Made) -> tuple[object, ...] | None:
    """The tuple that BUILD gave to the dtype: version, order, subtype, names, fields, and more."""
    state = dtype.state
    if state is None:
        return None
    if not isinstance(state, tuple) or len(state) <= _STATE_FLAGS:
        raise MalformedError("an array of an unusual type")
    return state


def _fields_hold_objects(state: tuple[object, ...], depth: int) -> bool:
    if depth > 16:  # deeper than NumPy's own limit on nested types would make sense
        raise MalformedError("an array type nested too deep")
    parts: list[object] = []
    subtype, fields = state[2], state[4]
    if isinstance(subtype, tuple) and subtype:
        parts.append(subtype[0])
    if isinstance(fields, Items):
        if not fields.whole:
            raise MalformedError("an array type with too many fields")
        parts.extend(
            pair[1][0]
            for pair in fields.items
            if isinstance(pair, tuple) and isinstance(pair[1], tuple) and pair[1]
        )
    for part in parts:
        if not isinstance(part, Made) or part.target != _DTYPE or not part.args:
            raise MalformedError("an array of an unusual type")
        name = part.args[0]
        if not isinstance(name, str) or name.lstrip("<>=|").startswith("O"):
            return True
        inner = _state(part)
        if inner is not None and _fields_hold_objects(inner, depth + 1):
            return True
    return False

"""Values of the symbolic pickle machine: what stands on its stack in place of real objects.

None, bool, int, float and short str and bytes stand for themselves, tuples for tuples. All else
is one of the classes here. Nothing compares or hashes by content: a hostile pickle can nest a
tuple a million deep, and recursion would be a way in.
"""

from dataclasses import dataclass
from typing import Literal

How = Literal["call", "new", "build", "append", "setitem", "additems"]

# Items of a container that are kept for judging; the count goes on.
KEPT_ITEMS = 512


@dataclass(frozen=True, slots=True)
class Symbol:
    """A global: whatever importing `module` and walking the dotted `name` gives."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Opaque:
    """A scalar whose value is not kept: too long, or not known."""

    __slots__ = ("kind", "size")

    def __init__(self, kind: str, size: int = 0) -> None:
        self.kind = kind
        self.size = size


class Items:
    """A list, dict or set built by the program.

    Attributes:
        kind: `list`, `dict`, `set`, `frozenset` or `bytearray`.
        items: the first `KEPT_ITEMS` values; for a dict the pairs.
        count: how many were put in.
    """

    __slots__ = ("count", "items", "kind")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.items: list[object] = []
        self.count = 0

    def add(self, values: list[object]) -> None:
        """Puts values in, keeping the first ones."""
        room = KEPT_ITEMS - len(self.items)
        if room > 0:
            self.items.extend(values[:room])
        self.count += len(values)

    @property
    def whole(self) -> bool:
        """Whether every value put in was kept."""
        return self.count == len(self.items)


class Made:
    """The result of a call or of `cls.__new__`.

    Attributes:
        how: `call` or `new`.
        target: what was called: a Symbol, or another value.
        args: positional arguments, or None where they are not a known tuple.
        attributes: state given by BUILD where it was a dict with text keys.
        state: what the last BUILD gave, as it was.
    """

    __slots__ = ("args", "attributes", "how", "state", "target")

    def __init__(self, how: How, target: object, args: tuple[object, ...] | None) -> None:
        self.how = how
        self.target = target
        self.args = args
        self.attributes: dict[str, object] | None = None
        self.state: object = None

    @property
    def origin(self) -> str:
        """Name of the class it is an instance of, or of the function whose result it is."""
        if isinstance(self.target, Symbol):
            return str(self.target)
        return ""


class Persistent:
    """What a persistent id resolves to."""

    __slots__ = ("key",)

    def __init__(self, key: object) -> None:
        self.key = key


@dataclass(slots=True)
class Call:
    """One action of the program on something that is not a plain container.

    Attributes:
        how: `call` (REDUCE, INST, OBJ), `new` (NEWOBJ), `build`, or filling a foreign container.
        target: what is called, or whose state or items are set.
        args: arguments; for `build` the one state; None where they are not a known tuple.
        offset: byte of the opcode.
    """

    how: How
    target: object
    args: tuple[object, ...] | None
    offset: int


def kind_of(value: object) -> str:
    """A word for the kind of a value, the alphabet of argument shapes.

    `None`, `int` (bool too), `float`, `str`, `bytes`, `tuple`, `list`, `dict`, `set`, `object`
    for anything made, `persistent` for what a torch archive keeps elsewhere, and `@module.name`
    for a global: which function is handed over matters.
    """
    if isinstance(value, Symbol):
        return f"@{value}"
    if isinstance(value, Made):
        return "object"
    if isinstance(value, Items):
        return "set" if value.kind == "frozenset" else value.kind
    if isinstance(value, Opaque):
        return value.kind
    if isinstance(value, Persistent):
        return "persistent"
    if value is None:
        return "None"
    if isinstance(value, int):
        return "int"
    if isinstance(value, tuple):
        return "tuple"
    return type(value).__name__ if isinstance(value, float | str | bytes) else "unknown"

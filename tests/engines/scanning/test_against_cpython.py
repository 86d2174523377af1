# ruff: noqa: ARG004 - watcher and stand-ins take what they are given
"""The symbolic machine against CPython's two unpicklers, on random programs.

The real ones run with a `find_class` that imports nothing: it notes the name and gives an inert
stand-in, whose calls are noted too. Whatever a real one imports or calls before it ends or fails,
the symbolic one must have reported. It may report more.
"""

import io
import pickle
import struct
from contextlib import suppress
from typing import Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strongroom.engines.scanning.pickle_machine import PickleMachine
from strongroom.engines.scanning.reading import (
    FrameError,
    LimitError,
    Limits,
    MalformedError,
    Reader,
)
from strongroom.engines.scanning.symbols import Call, Made, Symbol


class Noted:
    """Watches the symbolic machine."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.called: set[str] = set()
        self.is_refused = False

    def on_global(self, symbol: Symbol, offset: int) -> None:
        self.names.add(f"{symbol.module}:{symbol.name}")

    def on_call(self, call: Call) -> None:
        if isinstance(call.target, Symbol):
            self.called.add(f"{call.target.module}:{call.target.name}")

    def on_oddity(self, rule_id: str, says: str, offset: int) -> None:
        self.is_refused = True  # names that are not in the file: a finding of its own

    def may_be_text(self, value: object) -> bool:
        return isinstance(value, str)

    def on_bytes(self, reader: Reader, size: int) -> None:
        pass

    def on_array(self, wrapper: Made, reader: Reader) -> None:
        pass


def symbolic(program: bytes) -> Noted:
    noted = Noted()
    machine = PickleMachine(Reader(io.BytesIO(program)), noted, Limits(), inline_arrays=False)
    try:
        machine.run(100_000)
    except FrameError:
        noted.is_refused = True  # a finding of its own, whatever would come
    except (MalformedError, LimitError):
        pass
    return noted


def real(program: bytes, unpickler: type[pickle.Unpickler]) -> tuple[set[str], set[str]]:
    """Names imported and names called by one of CPython's unpicklers."""
    names: set[str] = set()
    called: set[str] = set()

    def stand_in(module: str, name: str) -> type:
        names.add(f"{module}:{name}")

        class StandIn:
            def __new__(cls, *arguments: object, **keywords: object) -> Self:
                called.add(f"{module}:{name}")
                return object.__new__(cls)

            def __init__(self, *arguments: object, **keywords: object) -> None:
                pass

            def __setstate__(self, state: object) -> None:
                pass

            def append(self, value: object) -> None:
                pass

            def extend(self, values: object) -> None:
                pass

            def add(self, value: object) -> None:
                pass

            def __setitem__(self, key: object, value: object) -> None:
                pass

        return StandIn

    class Confined(unpickler):  # type: ignore[misc, valid-type] # either of the two
        def find_class(self, module: str, name: str) -> type:
            return stand_in(module, name)

        def persistent_load(self, key: object) -> object:
            return key

    with suppress(Exception):  # random programs fail in every way there is
        Confined(io.BytesIO(program), buffers=iter([b""] * 99)).load()
    return names, called


TEXTS = st.sampled_from(["os", "system", "a.b", "x", "", "é", "posix"])


def _short(text: str) -> bytes:
    data = text.encode()
    return b"\x8c" + bytes([len(data)]) + data


OPCODES = st.one_of(
    st.sampled_from(
        [bytes([code]) for code in b"(0122NRabdelostu)}]\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92"]
        + [b"\x93", b"\x94", b"\x93", b"R", b"Q", b"\x97", b"\x98"]
    ),
    TEXTS.map(_short),
    TEXTS.map(lambda text: b"X" + struct.pack("<I", len(text.encode())) + text.encode()),
    TEXTS.map(lambda text: b"V" + text.encode("raw-unicode-escape") + b"\n"),
    TEXTS.map(lambda text: b"S'" + text.encode("ascii", "ignore") + b"'\n"),
    st.tuples(TEXTS, TEXTS).map(lambda two: f"c{two[0]}\n{two[1]}\n".encode()),
    st.tuples(TEXTS, TEXTS).map(lambda two: f"i{two[0]}\n{two[1]}\n".encode()),
    st.integers(0, 5).map(lambda n: b"\x80" + bytes([n])),
    st.integers(0, 4).map(lambda n: b"q" + bytes([n])),
    st.integers(0, 4).map(lambda n: b"h" + bytes([n])),
    st.integers(0, 4).map(lambda n: f"p{n}\n".encode()),
    st.integers(0, 4).map(lambda n: f"g{n}\n".encode()),
    st.integers(0, 255).map(lambda n: b"K" + bytes([n])),
    st.sampled_from([b"I7\n", b"I01\n", b"L7L\n", b"F1.5\n", b"J\x01\x00\x00\x00", b"M\x01\x00"]),
    st.binary(max_size=5).map(lambda data: b"C" + bytes([len(data)]) + data),
    st.binary(max_size=5).map(lambda data: b"B" + struct.pack("<I", len(data)) + data),
    st.binary(max_size=5).map(lambda data: b"\x96" + struct.pack("<Q", len(data)) + data),
    st.integers(0, 9).map(lambda n: b"\x95" + struct.pack("<Q", n)),
    st.integers(-9, 99).map(lambda n: b"\x8a\x01" + struct.pack("<b", n)),
)
# Pieces that are likely to reach a call.
PHRASES = st.sampled_from(
    [
        b"cos\nsystem\n)R",
        b"cos\nsystem\n(S'id'\ntR",
        b"(cos\nsystem\nNo",
        b"(Nios\nsystem\n",
        b"\x8c\x02os\x8c\x06system\x93)\x81",
        b"\x8c\x02os\x8c\x06system\x93)}\x92",
        b"cos\nX\n)\x81}b",
        b"cos\nX\n)\x81K\x01a",
        b"cos\nX\n)\x81K\x01K\x02s",
        b"\x8c\x02os\x94\x8c\x01x\x94\x93",
    ]
)


@pytest.mark.parametrize("unpickler", [pickle._Unpickler, pickle.Unpickler])
@settings(max_examples=1500, deadline=None, print_blob=True)
@given(st.lists(st.one_of(OPCODES, OPCODES, PHRASES), max_size=25), st.booleans())
@example([b"\x95\x02\0\0\0\0\0\0\0", b"cos\nos\n"], False)
def test_nothing_that_is_imported_or_called_is_missed(
    unpickler: type[pickle.Unpickler], opcodes: list[bytes], has_stop: bool
) -> None:
    program = b"".join(opcodes) + (b"." if has_stop else b"")
    names, called = real(program, unpickler)
    noted = symbolic(program)
    if noted.is_refused:
        return
    assert names <= noted.names, program
    assert called <= noted.called, program


@pytest.mark.parametrize("unpickler", [pickle._Unpickler, pickle.Unpickler])
@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=60), PHRASES)
def test_nor_among_random_bytes(
    unpickler: type[pickle.Unpickler], data: bytes, phrase: bytes
) -> None:
    program = data[: len(data) // 2] + phrase + data[len(data) // 2 :]
    names, called = real(program, unpickler)
    noted = symbolic(program)
    if noted.is_refused:
        return
    assert names <= noted.names
    assert called <= noted.called

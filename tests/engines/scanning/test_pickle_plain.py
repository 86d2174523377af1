"""The loop over plain opcodes against the handlers that it stands for, on random programs."""

import io
import pickle
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strongroom.engines.scanning.pickle_machine import PickleMachine
from strongroom.engines.scanning.reading import LimitError, Limits, MalformedError, Reader
from strongroom.engines.scanning.symbols import Call, Items, Made, Opaque, Symbol


class Diary:
    """Writes down what the machine tells, in order."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_global(self, symbol: Symbol, offset: int) -> None:
        self.told.append((str(symbol), offset))

    def on_call(self, call: Call) -> None:
        self.told.append((call.how, shown(call.target), shown(call.args), call.offset))

    def on_oddity(self, rule_id: str, says: str, offset: int) -> None:
        self.told.append((rule_id, says, offset))

    def may_be_text(self, value: object) -> bool:
        return isinstance(value, str)

    def on_bytes(self, reader: Reader, size: int) -> None:
        self.told.append((reader.offset, size))

    def on_array(self, wrapper: Made, reader: Reader) -> None:
        raise MalformedError("no array here")


class ByHandlers(PickleMachine):
    """The machine with every opcode followed by its handler."""

    def run_plain(self, frame_end: int) -> int:
        return 0


class Drops:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 37))


def shown(value: object, depth: int = 6) -> object:
    """A value that can be compared."""
    if isinstance(value, tuple) and depth:
        return tuple(shown(one, depth - 1) for one in value)
    if isinstance(value, Items) and depth:
        return (value.kind, value.count, [shown(one, depth - 1) for one in value.items])
    if isinstance(value, Opaque):
        return (value.kind, value.size)
    if isinstance(value, None | bool | int | str | bytes | Symbol | float):
        return repr(value)
    return type(value).__name__


def outcome(
    kind: type[PickleMachine], program: bytes, *, drops: bool = False
) -> tuple[object, object, int, int, int]:
    """What a machine makes of a program: its words, its end, its count, its size, its place."""
    diary = Diary()
    reader = Reader(Drops(program) if drops else io.BytesIO(program))
    machine = kind(reader, diary, Limits(), inline_arrays=False)
    end: object
    try:
        end = shown(machine.run(1_000_000))
    except (MalformedError, LimitError) as error:
        end = (type(error).__name__, str(error))
    return diary.told, end, machine.opcodes, machine._held, reader.offset


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**40), 2**40),
        st.floats(allow_nan=False),
        st.text(max_size=20),
        st.binary(max_size=80),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.tuples(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
    ),
    max_leaves=20,
)
OPCODES = b"K\x94hj\x8cXMqr\x85\x86\x87JGN\x88\x89)(]}.0cR\x93b\x95au"


@settings(max_examples=80)
@given(PLAIN, st.integers(0, 5), st.integers(0, 1 << 16), st.booleans())
def test_real_pickles_and_mutated_ones(
    value: object, protocol: int, change: int, drops: bool
) -> None:
    program = bytearray(pickle.dumps(value, protocol))
    whole = bytes(program)
    assert outcome(PickleMachine, whole, drops=drops) == outcome(ByHandlers, whole)
    at = change % len(program)
    program[at] = OPCODES[(change >> 8) % len(OPCODES)]
    for changed in (bytes(program), bytes(program[:at])):
        assert outcome(PickleMachine, changed, drops=drops) == outcome(ByHandlers, changed)


@settings(max_examples=100)
@given(st.lists(st.sampled_from([bytes([one]) for one in OPCODES]), max_size=40))
@example([b"\x95\x02\0\0\0\0\0\0\0cos\nos\n"])
@example([b"\x95\x05\0\0\0\0\0\0\0K\x01K\x02K\x03."])
def test_random_programs(parts: list[bytes]) -> None:
    program = b"".join(parts) + b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00."
    assert outcome(PickleMachine, program) == outcome(ByHandlers, program)


@pytest.mark.parametrize("frame", [0, 1, 2, 3, 20, 30])
def test_a_frame_that_ends_within_plain_opcodes(frame: int) -> None:
    inside = b"K\x01" * 20
    program = b"\x80\x04\x95" + struct.pack("<Q", frame) + inside + b"."
    assert outcome(PickleMachine, program) == outcome(ByHandlers, program)
    end = outcome(PickleMachine, program)[1]
    assert (end == ("FrameError", "an opcode crosses the end of its frame")) is bool(frame % 2)


def test_limits_hold_in_a_long_run() -> None:
    reader = Reader(io.BytesIO(b"N" * 100_000))
    machine = PickleMachine(reader, Diary(), Limits(stack=10_000), inline_arrays=False)
    with pytest.raises(LimitError):
        machine.run(1_000_000)
    assert machine.opcodes < 20_000

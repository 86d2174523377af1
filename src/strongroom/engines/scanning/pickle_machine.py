"""The pickle machine, run symbolically: what a pickle would do, without doing it.

Every opcode of protocols 0 to 5 moves symbols on a stack as the real machine moves objects; each
global, call, construction and change of state is handed to a watcher. Where CPython's two
unpicklers are lenient so is this one: a program that they would run to some point is followed at
least to there. What it cannot follow raises, and an artifact that raises is not approved.

Source: CPython 3.11, `Lib/pickle.py`, `Lib/pickletools.py`, `Modules/_pickle.c`.
"""

import struct
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Protocol

from strongroom.engines.scanning.pickle_plain import PlainRun
from strongroom.engines.scanning.pickle_stack import drop, whole
from strongroom.engines.scanning.reading import (
    FrameError,
    LimitError,
    Limits,
    MalformedError,
    Reader,
)
from strongroom.engines.scanning.symbols import Call, How, Items, Made, Opaque, Persistent, Symbol

_NO_FRAME = sys.maxsize
_CHECK_EVERY = 1024
_STOP = ord(".")
_WRAPPER = Symbol("joblib.numpy_pickle", "NumpyArrayWrapper")
_RECONSTRUCTOR = Symbol("copyreg", "_reconstructor")
_NEWOBJ = Symbol("copyreg", "__newobj__")
_GETATTR = Symbol("builtins", "getattr")

_NOT_CALLED = (bool, int, float, str, bytes, tuple, Items)

_I4 = struct.Struct("<i")
_U2 = struct.Struct("<H")
_F8 = struct.Struct(">d")


class Watcher(Protocol):
    """Told what the program does, in order."""

    def on_global(self, symbol: Symbol, offset: int) -> None:
        """The program imports a module and takes a name from it."""

    def on_call(self, call: Call) -> None:
        """The program calls, constructs, or changes something that is not a plain container."""

    def on_oddity(self, rule_id: str, says: str, offset: int) -> None:
        """The program does something else that a person should know of."""

    def may_be_text(self, value: object) -> bool:
        """Whether a value that the program takes for a name could be one."""

    def on_bytes(self, reader: Reader, size: int) -> None:
        """A bytes value begins, or a long text for the bytes that it may stand for.

        The reader gives its bytes to their end; `size` is how many the file has of it.
        """

    def on_array(self, wrapper: Made, reader: Reader) -> None:
        """A joblib array follows in the stream; reads exactly what joblib would read."""


class PickleMachine(PlainRun):
    """One run over one pickle stream.

    Args:
        inline_arrays: read as joblib does, arrays between the opcodes; otherwise as `pickle`.
        held: what the machines around this one keep alive.

    Attributes:
        storages: of torch, by key: the class of each storage that the program asked for.
    """

    def __init__(
        self,
        reader: Reader,
        watcher: Watcher,
        limits: Limits,
        *,
        inline_arrays: bool,
        held: int = 0,
    ) -> None:
        super().__init__(reader)
        self._held = held
        self._watcher = watcher
        self._limits = limits
        self._inline_arrays = inline_arrays
        self._protocol = 0
        self._frame_end = _NO_FRAME
        table = self._table()
        self._handlers = [table.get(bytes([code])) for code in range(256)]
        self.opcodes = 0
        self.acted = False
        self.saw_array = False
        self.storages: dict[str, Symbol] = {}

    def run(self, opcodes_left: int) -> object:
        """Follows the program to its STOP and returns the symbol of its value.

        Raises:
            MalformedError: the real machine would fail here, or this one cannot follow.
            LimitError: it is too long, too deep or holds too much.
        """
        reader, handlers = self._reader, self._handlers
        next_opcode = reader.opcode
        count, next_check = 0, _CHECK_EVERY
        try:
            while True:
                count += self.run_plain(self._frame_end)
                if count >= next_check:
                    self._check(count, opcodes_left)
                    next_check = count + _CHECK_EVERY
                code = next_opcode()
                if reader.opcode_at >= self._frame_end:
                    if reader.opcode_at > self._frame_end:
                        raise FrameError("an opcode crosses the end of its frame")
                    self._frame_end = _NO_FRAME
                handler = handlers[code]
                if handler is None:
                    if code == _STOP:
                        return self._pop()
                    raise MalformedError(f"no opcode has the byte {code:#04x}")
                handler()
                count += 1
        except MalformedError as error:
            # The last opcode was read across the end of its frame, by this machine or that.
            if reader.offset > self._frame_end and not isinstance(error, FrameError):
                raise FrameError("an opcode crosses the end of its frame") from error
            raise
        finally:
            self.opcodes = count

    def _check(self, count: int, opcodes_left: int) -> None:
        limits = self._limits
        if count > opcodes_left:
            raise LimitError("more opcodes than the limit")
        if len(self._stack) + self._depth_below > limits.stack:
            raise LimitError("deeper stack than the limit")
        if len(self._memo) > limits.memo:
            raise LimitError("larger memo than the limit")
        if self._held > limits.held_bytes:
            raise LimitError("holds more memory than the limit")

    # ---- globals and calls ----

    @property
    def held(self) -> int:
        """Bytes that the symbols keep alive, at most, with those of the machines around."""
        return self._held

    def _on_bytes(self, reader: Reader, size: int) -> None:
        self._watcher.on_bytes(reader, size)

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            if not (self._watcher.may_be_text(module) and self._watcher.may_be_text(name)):
                raise MalformedError("imports by a name that is no text")
            self._watcher.on_oddity(
                "SR-PKL-006",
                "takes the name of what it imports from a value, not from its text",
                self._reader.opcode_at,
            )
            self.acted = True
            self._push(Symbol("?", "?"))
            return
        if self._protocol < 3:  # both unpicklers rename Python 2 modules below 3
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[(module, name)]
            elif module in IMPORT_MAPPING:
                module = IMPORT_MAPPING[module]
        symbol = Symbol(module, name)
        self._held += 160 + len(module) + len(name)
        self._watcher.on_global(symbol, self._reader.opcode_at)
        self._push(symbol)

    def _op_global(self) -> None:
        module = self._name_line()
        self._global(module, self._name_line())

    def _name_line(self) -> str:
        try:
            return self._line().decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError("a name that is not UTF-8") from None

    def _op_stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _extension(self, code: int) -> None:
        if code <= 0:
            raise MalformedError("extension code below one")
        says = f"takes what stands under extension code {code}, which the file does not tell"
        self._watcher.on_oddity("SR-PKL-008", says, self._reader.opcode_at)
        self.acted = True
        self._push(Symbol("copyreg", f"extension {code}"))

    def _act(self, call: Call) -> None:
        self.acted = True
        self._watcher.on_call(call)

    def _make(self, how: How, target: object, args: object) -> None:
        known = args if isinstance(args, tuple) else None
        if type(target) is not Symbol and (target is None or isinstance(target, _NOT_CALLED)):
            raise MalformedError("calls what cannot be called")
        self._act(Call(how, target, known, self._reader.opcode_at))
        self._held += 200
        if known is not None and len(known) >= 2 and target == _GETATTR:  # object, name
            owner, name = known[:2]
            if isinstance(owner, Symbol) and isinstance(name, str):
                symbol = Symbol(owner.module, f"{owner.name}.{name}")
                self._watcher.on_global(symbol, self._reader.opcode_at)
                self._push(symbol)
                return
        if known and target in (_RECONSTRUCTOR, _NEWOBJ):
            self._push(Made("new", known[0], known[1:]))
            return
        self._push(Made(how, target, known))

    def _op_reduce(self) -> None:
        args = self._pop()
        self._make("call", self._pop(), args)

    def _op_newobj(self) -> None:
        args = self._pop()
        self._make("new", self._pop(), args)

    def _op_newobj_ex(self) -> None:
        keywords, args, target = self._pop(), self._pop(), self._pop()
        plain = isinstance(keywords, Items) and keywords.count == 0
        # Keyword arguments are one more unknown argument: shapes then match no allowed one.
        known = args if isinstance(args, tuple) else (Opaque("unknown"),)
        self._make("new", target, known if plain else (*known, keywords))

    def _op_inst(self) -> None:
        module = self._name_line()
        self._global(module, self._name_line())
        target = self._pop()
        self._make("call", target, tuple(self._pop_mark()))

    def _op_obj(self) -> None:
        values = self._pop_mark()
        if not values:
            raise MalformedError("makes an object of nothing")
        self._make("call", values[0], tuple(values[1:]))

    def _op_build(self) -> None:
        state = self._pop()
        target = self._top()
        if not isinstance(target, Made | Symbol | Persistent):
            return
        self._act(Call("build", target, (state,), self._reader.opcode_at))
        if not isinstance(target, Made):
            return
        _merge_state(target, state)
        if target.target == _WRAPPER:
            self.saw_array = True
            if self._inline_arrays:
                self._inline_array(target)

    def _inline_array(self, wrapper: Made) -> None:
        at = self._reader.offset
        if self._frame_end != _NO_FRAME and at != self._frame_end:
            raise FrameError("an array begins inside a frame")
        self._frame_end = _NO_FRAME
        self._watcher.on_array(wrapper, self._reader)
        array = Made("call", Symbol("numpy", "ndarray"), ())
        array.state = wrapper  # its shape and type
        self._stack[-1] = array

    def _persistent(self, key: object) -> None:
        self._watcher.on_oddity(
            "SR-PKL-009", "asks its loader for an object by a persistent id", self._reader.opcode_at
        )
        # torch before 1.6 names its layers so: kind, class, source file, source.
        parts = key if isinstance(key, tuple) and len(key) > 1 else (None, None)
        is_named = isinstance(parts[0], str) and isinstance(parts[1], Symbol)
        named = parts[1] if is_named and parts[0] == "module" else None
        # Its tensors so: kind, class of the storage, key, place, and more.
        if is_named and parts[0] == "storage" and len(parts) > 2 and isinstance(parts[2], str):
            self._held += 200
            self.storages[parts[2]] = parts[1]
        self._push(Persistent(key) if named is None else named)

    # ---- protocol ----

    def _op_proto(self) -> None:
        protocol = self._reader.take(1)[0]
        if protocol > 5:  # the highest protocol there is
            raise MalformedError(f"pickle protocol {protocol}")
        self._protocol = protocol

    def _op_frame(self) -> None:
        size = self._u8()
        if self._frame_end != _NO_FRAME:
            raise FrameError("a frame begins inside a frame")
        self._frame_end = self._reader.offset + size

    def _op_buffer(self) -> None:
        self._watcher.on_oddity(
            "SR-PKL-015", "takes a buffer that is kept outside the file", self._reader.opcode_at
        )
        self._push(Opaque("buffer"))

    def _table(self) -> dict[bytes, Callable[[], None]]:
        """Opcode byte → what it does; STOP is in the loop."""
        take = self._reader.take
        return {
            b"(": self._mark,
            b"0": self._op_pop,
            b"1": lambda: drop(self._pop_mark()),
            b"2": self._dup,
            b"F": self._op_float,
            b"I": self._op_int,
            b"J": lambda: self._stack.append(_I4.unpack(take(4))[0]),
            b"K": lambda: self._stack.append(take(1)[0]),
            b"L": self._op_long,
            b"M": lambda: self._stack.append(_U2.unpack(take(2))[0]),
            b"N": lambda: self._stack.append(None),
            b"P": lambda: self._persistent(self._line().decode("ascii", "replace")),
            b"Q": lambda: self._persistent(self._pop()),
            b"R": self._op_reduce,
            b"S": self._op_string,
            b"T": lambda: self._bin_string(self._i4()),
            b"U": lambda: self._bin_string(take(1)[0]),
            b"V": self._op_unicode,
            b"X": lambda: self._text(self._u4()),
            b"a": self._op_append,
            b"b": self._op_build,
            b"c": self._op_global,
            b"d": self._op_dict,
            b"}": lambda: self._new_items("dict"),
            b"e": self._op_appends,
            b"g": lambda: self._get(whole(self._line())),
            b"h": lambda: self._get(take(1)[0]),
            b"i": self._op_inst,
            b"j": lambda: self._get(self._u4()),
            b"l": self._op_list,
            b"]": lambda: self._new_items("list"),
            b"o": self._op_obj,
            b"p": self._op_put,
            b"q": lambda: self._put(take(1)[0]),
            b"r": lambda: self._put(self._u4()),
            b"s": self._op_setitem,
            b"t": self._op_tuple,
            b")": lambda: self._stack.append(()),
            b"u": self._op_setitems,
            b"G": lambda: self._stack.append(_F8.unpack(take(8))[0]),
            b"B": lambda: self._bytes(self._u4()),
            b"C": lambda: self._bytes(take(1)[0]),
            b"\x80": self._op_proto,
            b"\x81": self._op_newobj,
            b"\x82": lambda: self._extension(take(1)[0]),
            b"\x83": lambda: self._extension(_U2.unpack(take(2))[0]),
            b"\x84": lambda: self._extension(self._i4()),
            b"\x85": lambda: self._small_tuple(1),
            b"\x86": lambda: self._small_tuple(2),
            b"\x87": lambda: self._small_tuple(3),
            b"\x88": lambda: self._stack.append(True),
            b"\x89": lambda: self._stack.append(False),
            b"\x8a": lambda: self._long_bytes(take(1)[0]),
            b"\x8b": self._op_long4,
            b"\x8c": lambda: self._text(take(1)[0]),
            b"\x8d": lambda: self._text(self._u8()),
            b"\x8e": lambda: self._bytes(self._u8()),
            b"\x8f": lambda: self._new_items("set"),
            b"\x90": self._op_additems,
            b"\x91": self._op_frozenset,
            b"\x92": self._op_newobj_ex,
            b"\x93": self._op_stack_global,
            b"\x94": self._op_memoize,
            b"\x95": self._op_frame,
            b"\x96": lambda: self._bytes(self._u8(), "bytearray"),
            b"\x97": self._op_buffer,
            b"\x98": lambda: None,
        }


def _merge_state(target: Made, state: object) -> None:
    """Remembers the attributes that a BUILD sets, from a dict or a (dict, slots) pair."""
    target.state = state
    parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)  # dict, slots
    for part in parts:
        if not isinstance(part, Items) or part.kind != "dict":
            continue
        attributes = target.attributes if target.attributes is not None else {}
        for pair in part.items:
            if isinstance(pair, tuple) and isinstance(pair[0], str):
                attributes[pair[0]] = pair[1]
        target.attributes = attributes

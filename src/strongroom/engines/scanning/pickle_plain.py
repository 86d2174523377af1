"""The opcodes that most of a pickle consists of, followed in one loop without calls.

Numbers, short texts, small tuples, marks and the memo import nothing and call nothing. What this
loop does with them is what the handlers of `pickle_stack` do, one by one; whatever is not quite
as usual (a value that crosses the window or the frame, an empty stack, a text that is not UTF-8)
it leaves where it stands, for the handlers to judge.
"""

import struct
from abc import ABC

from strongroom.engines.scanning.pickle_stack import KEPT_CHARS, PickleStack
from strongroom.engines.scanning.symbols import Items

_AT_ONCE = 1 << 12
# Bytes that an opcode with a value of fixed size takes at most.
_LONGEST = 9

_i4 = struct.Struct("<i").unpack_from
_u4 = struct.Struct("<I").unpack_from
_f8 = struct.Struct(">d").unpack_from
_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False, ord(")"): ()}


class PlainRun(PickleStack, ABC):
    """A stack that follows plain opcodes many at a time."""

    def run_plain(self, frame_end: int) -> int:
        """Follows plain opcodes up to the first that is not, and gives how many there were.

        Args:
            frame_end: offset that no opcode here may reach beyond.
        """
        # One long function, for a call an opcode is what it saves.
        window, begin, stop = self._reader.ahead(frame_end)
        last = stop - _LONGEST
        at = begin
        stack, memo, held = self._stack, self._memo, 0
        push = stack.append
        count = 0
        while at <= last and count < _AT_ONCE:
            code = window[at]
            if code == 0x4B:  # BININT1
                push(window[at + 1])
                at += 2
            elif code == 0x94:  # MEMOIZE
                if not stack:
                    break
                memo[len(memo)] = stack[-1]
                held += 90
                at += 1
            elif code == 0x68:  # BINGET
                index = window[at + 1]
                if index not in memo:
                    break
                push(memo[index])
                at += 2
            elif code == 0x6A:  # LONG_BINGET
                (index,) = _u4(window, at + 1)
                if index not in memo:
                    break
                push(memo[index])
                at += 5
            elif code == 0x8C or code == 0x58:  # SHORT_BINUNICODE, BINUNICODE
                if code == 0x8C:
                    size, start = window[at + 1], at + 2
                else:
                    (size,), start = _u4(window, at + 1), at + 5
                if size > KEPT_CHARS or start + size > stop:
                    break
                try:
                    push(window[start : start + size].decode("utf-8", "surrogatepass"))
                except UnicodeDecodeError:
                    break
                held += 56 + size
                at = start + size
            elif code == 0x4D:  # BININT2
                push(window[at + 1] | window[at + 2] << 8)
                at += 3
            elif code == 0x71:  # BINPUT
                if not stack:
                    break
                memo[window[at + 1]] = stack[-1]
                held += 90
                at += 2
            elif code == 0x72:  # LONG_BINPUT
                if not stack:
                    break
                memo[_u4(window, at + 1)[0]] = stack[-1]
                held += 90
                at += 5
            elif 0x85 <= code <= 0x87:  # TUPLE1, TUPLE2, TUPLE3
                size = code - 0x84
                if len(stack) < size:
                    break
                stack[-size:] = (tuple(stack[-size:]),)
                held += 72
                at += 1
            elif code == 0x4A:  # BININT
                push(_i4(window, at + 1)[0])
                at += 5
            elif code == 0x47:  # BINFLOAT
                push(_f8(window, at + 1)[0])
                at += 9
            elif code in _CONSTANTS:
                push(_CONSTANTS[code])
                at += 1
            elif code == 0x28:  # MARK
                self._mark()
                stack = self._stack
                push = stack.append
                at += 1
            elif code == 0x5D or code == 0x7D:  # EMPTY_LIST, EMPTY_DICT
                push(Items("list" if code == 0x5D else "dict"))
                held += 120
                at += 1
            else:
                break
            count += 1
        self._held += held
        self._reader.consumed(at - begin)
        return count

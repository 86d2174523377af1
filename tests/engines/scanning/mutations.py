"""Ways to change a file: bits, bytes, blocks, lengths, cuts and doubles."""

import random
import struct

_LENGTHS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A copy of `data` with one to four changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(max(1, len(out)))
        kind = chance.randrange(7)
        if kind == 0 and out:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and out:
            out[at] = chance.randrange(256)
        elif kind == 2:
            form = chance.choice(("<B", "<H", "<I", "<Q", ">I", ">Q"))
            width = struct.calcsize(form)
            value = chance.choice(_LENGTHS) & ((1 << 8 * width) - 1)
            out[at : at + width] = struct.pack(form, value)
        elif kind == 3:
            del out[at : at + chance.randint(1, 32)]
        elif kind == 4:
            out[at:at] = chance.randbytes(chance.randint(1, 16))
        elif kind == 5:
            block = out[at : at + chance.randint(1, 64)]
            out[at:at] = block
        else:
            del out[max(1, int(len(out) * chance.uniform(0.2, 1))) :]
    return bytes(out)

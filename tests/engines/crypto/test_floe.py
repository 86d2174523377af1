"""FLOE against its published vectors, as properties, and under every kind of change."""

import json
import secrets
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.crypto.floe import (
    HEADER_LENGTH,
    SEGMENT_OVERHEAD,
    STANDARD,
    BytesLike,
    Opener,
    Parameters,
    SealedReader,
    Sealer,
    open_stream,
    plain_length,
    seal_stream,
    sealed_length,
    unverified_parameters,
)
from strongroom.errors import TamperedError

# Snowflake-Labs/floe-specification at e466ef42, folder kats: three implementations. `_rotation`
# uses a mask of 2 bits; the Java files end in a full and in an empty segment.
VECTORS = [
    "cpp_GCM256_IV256_4K",
    "cpp_GCM256_IV256_64",
    "cpp_rotation",
    "go_GCM256_IV256_4K",
    "go_GCM256_IV256_64",
    "go_rotation",
    "java_lastSegAligned",
    "java_lastSegEmpty",
]
KEY = bytes(range(32))
DATA = b"object 1"
SMALL = Parameters(64)


def _vector(folder: Path, name: str) -> tuple[bytes, bytes, bytes, bytes, Parameters]:
    described = json.loads((folder / "floe/params.json").read_text())
    plaintext = bytes.fromhex((folder / f"floe/{name}_pt.txt").read_text())
    sealed = bytes.fromhex((folder / f"floe/{name}_ct.txt").read_text())
    mask_bits = 2 if name.endswith("_rotation") else 20
    parameters = Parameters(unverified_parameters(sealed).segment_length, mask_bits)
    key = bytes.fromhex(described["key_hex"])
    return key, described["aad_utf8"].encode(), plaintext, sealed, parameters


def _segments(sealed: bytes, parameters: Parameters) -> Iterator[bytes]:
    for start in range(HEADER_LENGTH, len(sealed), parameters.segment_length):
        yield sealed[start : start + parameters.segment_length]


def _replay(sealed: bytes, parameters: Parameters) -> Callable[[int], bytes]:
    """The IV and nonces that made `sealed`, in the order they were drawn."""
    drawn = [sealed[10:42], *(segment[4:16] for segment in _segments(sealed, parameters))]
    remaining = iter(drawn)

    def random_bytes(length: int) -> bytes:
        value = next(remaining)
        assert len(value) == length
        return value

    return random_bytes


def _reader(sealed: bytes, parameters: Parameters = SMALL, data: bytes = DATA) -> SealedReader:
    return SealedReader(
        KEY, data, lambda at, n: sealed[at : at + n], len(sealed), parameters=parameters
    )


def _seal(plaintext: bytes, parameters: Parameters = SMALL) -> bytes:
    return b"".join(seal_stream(KEY, DATA, [plaintext], parameters=parameters))


@pytest.mark.parametrize("name", VECTORS)
def test_opens_published_vectors(shared_data: Path, name: str) -> None:
    key, data, plaintext, sealed, parameters = _vector(shared_data / "vectors", name)
    assert b"".join(open_stream(key, data, [sealed], parameters=parameters)) == plaintext
    bytewise = [bytes([value]) for value in sealed]
    assert b"".join(open_stream(key, data, bytewise, parameters=parameters)) == plaintext
    reader = SealedReader(
        key, data, lambda at, n: sealed[at : at + n], len(sealed), parameters=parameters
    )
    assert reader.size == len(plaintext)
    assert b"".join(reader.chunks()) == plaintext


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "java_lastSegEmpty"])
@pytest.mark.parametrize("cut", [1, 7, 5000])
def test_seals_published_vectors(shared_data: Path, name: str, cut: int) -> None:
    # Sealing never ends in an empty segment after others, so that one file is read only.
    key, data, plaintext, sealed, parameters = _vector(shared_data / "vectors", name)
    chunks = [plaintext[at : at + cut] for at in range(0, len(plaintext), cut)]
    made = seal_stream(
        key, data, chunks, parameters=parameters, random_bytes=_replay(sealed, parameters)
    )
    assert b"".join(made) == sealed


def test_rotation_vectors_need_their_mask(shared_data: Path) -> None:
    key, data, _, sealed, parameters = _vector(shared_data / "vectors", "go_rotation")
    with pytest.raises(TamperedError, match="segment 4"):
        list(open_stream(key, data, [sealed], parameters=Parameters(parameters.segment_length)))


@st.composite
def _cut_bytes(draw: st.DrawFn, content: bytes) -> list[BytesLike]:
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=12)))
    edges = [0, *cuts, len(content)]
    kinds = st.sampled_from([bytes, bytearray, memoryview])
    return [draw(kinds)(content[a:b]) for a, b in pairwise(edges)]


@given(st.data(), st.integers(0, 400), st.integers(33, 90))
@settings(max_examples=150, deadline=None)
def test_any_cut_of_input_gives_the_same(data: st.DataObject, length: int, segment: int) -> None:
    parameters = Parameters(segment)
    plaintext = secrets.token_bytes(length)
    chunks = data.draw(_cut_bytes(plaintext))
    sealed = b"".join(seal_stream(KEY, DATA, chunks, parameters=parameters))
    assert len(sealed) == sealed_length(length, parameters)
    assert plain_length(len(sealed), parameters) == length
    received = data.draw(_cut_bytes(sealed))
    assert b"".join(open_stream(KEY, DATA, received, parameters=parameters)) == plaintext
    reader = _reader(sealed, parameters)
    for _ in range(4):
        start = data.draw(st.integers(0, length + 10))
        count = data.draw(st.integers(0, length + 10))
        assert reader.read(start, count) == plaintext[start : start + count]
        assert b"".join(reader.chunks(start, start + count)) == plaintext[start : start + count]


def test_chunks_larger_and_smaller_than_a_segment_of_a_mebibyte() -> None:
    plaintext = secrets.token_bytes((3 << 20) + 12345)
    for cut in (1000, 5000, 100_000, 1 << 20, (1 << 20) + 1, 5 << 20):
        chunks = (plaintext[at : at + cut] for at in range(0, len(plaintext), cut))
        sealed = b"".join(seal_stream(KEY, DATA, chunks))
        assert len(sealed) == sealed_length(len(plaintext))
        received = (sealed[at : at + cut] for at in range(0, len(sealed), cut))
        assert b"".join(open_stream(KEY, DATA, received)) == plaintext


def test_a_producer_may_reuse_its_buffer() -> None:
    buffer = bytearray(20_000)

    def chunks() -> Iterator[memoryview]:
        for value in range(8):
            buffer[:] = bytes([value]) * len(buffer)
            yield memoryview(buffer)

    sealed = b"".join(seal_stream(KEY, DATA, chunks(), parameters=Parameters(50_000)))
    opened = b"".join(open_stream(KEY, DATA, [sealed], parameters=Parameters(50_000)))
    assert opened == b"".join(bytes([value]) * 20_000 for value in range(8))


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    sealed = _seal(bytes(70))
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << bit
        with pytest.raises(TamperedError):
            list(open_stream(KEY, DATA, [changed], parameters=SMALL))
        with pytest.raises(TamperedError):
            list(_reader(bytes(changed)).chunks())


def test_every_truncation_and_extension_is_noticed() -> None:
    sealed = _seal(bytes(range(100)))
    for length in range(len(sealed)):
        with pytest.raises(TamperedError):
            list(open_stream(KEY, DATA, [sealed[:length]], parameters=SMALL))
        with pytest.raises(TamperedError):
            list(_reader(sealed[:length]).chunks())
    for extra in (b"\0", bytes(31), bytes(32), bytes(64), sealed[HEADER_LENGTH:]):
        with pytest.raises(TamperedError):
            list(open_stream(KEY, DATA, [sealed, extra], parameters=SMALL))
        with pytest.raises(TamperedError):
            list(_reader(sealed + extra).chunks())


def test_segments_cannot_change_places_or_streams() -> None:
    sealed, other = _seal(bytes(160)), _seal(bytes(160))
    header = sealed[:HEADER_LENGTH]
    parts, others = list(_segments(sealed, SMALL)), list(_segments(other, SMALL))
    assert len(parts) == 5
    for arranged in (
        [parts[1], parts[0], *parts[2:]],  # two exchanged
        [parts[0], parts[0], *parts[2:]],  # one twice
        [*parts[:3], parts[4]],  # one left out
        [*parts, parts[4]],  # the last one twice
        [*parts[:2], others[2], *parts[3:]],  # one of another stream under the same key
        parts[:4],  # the last one gone
    ):
        with pytest.raises(TamperedError):
            list(open_stream(KEY, DATA, [header, *arranged], parameters=SMALL))


def test_only_verified_segments_come_out() -> None:
    sealed = bytearray(_seal(bytes(range(96))))
    sealed[HEADER_LENGTH + 2 * 64 + 20] ^= 1
    opened = open_stream(KEY, DATA, [sealed], parameters=SMALL)
    assert next(opened) == bytes(range(32))
    assert next(opened) == bytes(range(32, 64))
    with pytest.raises(TamperedError, match="segment 2 is not what was sealed"):
        next(opened)


def test_other_key_data_or_parameters_do_not_open() -> None:
    sealed = _seal(b"some text")
    with pytest.raises(TamperedError, match="does not fit this key"):
        list(open_stream(bytes(32), DATA, [sealed], parameters=SMALL))
    with pytest.raises(TamperedError, match="does not fit this key"):
        list(open_stream(KEY, b"object 2", [sealed], parameters=SMALL))
    with pytest.raises(TamperedError, match="other parameters"):
        list(open_stream(KEY, DATA, [sealed]))
    with pytest.raises(TamperedError, match="does not fit this key"):
        _reader(sealed, data=b"")


@pytest.mark.parametrize("length", [0, 1, 31])
def test_nothing_sealed_is_that_short(length: int) -> None:
    with pytest.raises(TamperedError, match="cut off"):
        list(open_stream(KEY, DATA, [bytes(length)]))
    with pytest.raises(TamperedError, match="cut off"):
        plain_length(HEADER_LENGTH + length)


def test_an_empty_stream_is_sealed_too() -> None:
    sealed = b"".join(seal_stream(KEY, DATA, []))
    assert len(sealed) == sealed_length(0) == HEADER_LENGTH + SEGMENT_OVERHEAD
    assert b"".join(open_stream(KEY, DATA, [sealed])) == b""
    assert _reader(sealed, STANDARD).read(0, 10) == b""


def test_a_mebibyte_anywhere_opens_at_most_two_segments() -> None:
    sealed = b"".join(seal_stream(KEY, DATA, [bytes(4 << 20)]))
    reads: list[int] = []

    def read_range(offset: int, length: int) -> bytes:
        reads.append(offset)
        return sealed[offset : offset + length]

    for offset, most in ((0, 1), (1, 2), (1 << 20, 1), ((1 << 20) - 1, 2), ((3 << 20) - 31, 2)):
        reader = SealedReader(KEY, DATA, read_range, len(sealed))
        reads.clear()
        assert reader.read(offset, 1 << 20) == bytes(min(1 << 20, (4 << 20) - offset))
        assert len(reads) <= most


def test_small_reads_in_order_open_each_segment_once() -> None:
    sealed = _seal(bytes(96))
    reads: list[int] = []

    def read_range(offset: int, length: int) -> bytes:
        reads.append(offset)
        return sealed[offset : offset + length]

    reader = SealedReader(KEY, DATA, read_range, len(sealed), parameters=SMALL)
    assert b"".join(reader.read(at, 4) for at in range(0, 96, 4)) == bytes(96)
    assert len(reads) == 1 + 3


def test_a_short_read_of_the_storage_is_noticed() -> None:
    sealed = _seal(bytes(96))
    reader = SealedReader(
        KEY,
        DATA,
        lambda at, n: sealed[at : at + n] if at == 0 else sealed[at : at + n - 1],
        len(sealed),
        parameters=SMALL,
    )
    with pytest.raises(TamperedError, match="cut off"):
        reader.read(0, 1)


def test_an_exception_of_the_source_passes_through() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 100
        raise ConnectionResetError

    sealing = seal_stream(KEY, DATA, chunks(), parameters=SMALL)
    with pytest.raises(ConnectionResetError):
        list(sealing)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        list(seal_stream(b"short", DATA, []))
    for length in (0, 32, (1 << 26) + 33):
        with pytest.raises(ValueError, match="out of range"):
            Parameters(length)
    with pytest.raises(ValueError, match="out of range"):
        Parameters(64, 41)
    with pytest.raises(ValueError, match="never negative"):
        sealed_length(-1)
    reader = _reader(_seal(b"text"))
    for offset, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="never negative"):
            reader.read(offset, length)
    sealer = Sealer(KEY, DATA, parameters=SMALL)
    room = memoryview(bytearray(64))
    with pytest.raises(ValueError, match="does not fit"):
        sealer.seal([bytes(33)], 0, room, final=True)
    with pytest.raises(ValueError, match="does not fit"):
        sealer.seal([bytes(31)], 0, room, final=False)
    with pytest.raises(ValueError, match="more segments"):
        sealer.seal([bytes(32)], (1 << 40) - 1, room, final=False)
    sealed = sealer.seal([bytes(32)], (1 << 40) - 1, room, final=True)
    opener = Opener(KEY, DATA, sealer.header, parameters=SMALL)
    assert opener.open(room[:sealed], (1 << 40) - 1, final=True) == bytes(32)
    with pytest.raises(TamperedError):
        opener.open(room[:sealed], 1 << 40, final=True)


def test_a_claimed_segment_length_is_limited() -> None:
    header = bytearray(Sealer(KEY, DATA).header)
    assert unverified_parameters(header) == STANDARD
    for claimed in (b"\0\0\0\0", b"\0\0\0\x20", b"\xff\xff\xff\xff"):
        header[2:6] = claimed
        with pytest.raises(TamperedError, match="no valid header"):
            unverified_parameters(header)
    header[:6] = b"\1\0" + STANDARD.segment_length.to_bytes(4, "big")
    with pytest.raises(TamperedError, match="no valid header"):
        unverified_parameters(header)


def test_two_seals_of_the_same_share_nothing() -> None:
    first, second = _seal(bytes(64)), _seal(bytes(64))
    assert first[10:42] != second[10:42]
    assert first[HEADER_LENGTH:] != second[HEADER_LENGTH:]

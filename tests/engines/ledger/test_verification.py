"""A whole exported log: the honest one passes, and every way to cheat is caught and named."""

import io
from collections.abc import Callable
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.hashing import leaf_hashes
from strongroom.engines.ledger.tiles import (
    TILE_WIDTH,
    RightEdge,
    bundles_of,
    pack_entries,
    tiles_of,
)
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import TamperedError

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("example.com/log", PRIVATE.public_key().public_bytes_raw())
ENTRIES = [f'{{"entry":{number}}}'.encode() for number in range(700)]

Members = dict[str, bytes]


def note(entries: list[bytes]) -> bytes:
    """The signed checkpoint over entries."""
    edge, _ = RightEdge().extended(leaf_hashes(entries))
    return Checkpoint(KEY.name, edge.size, edge.root()).signed(KEY, PRIVATE.sign)


def members(entries: list[bytes], older: tuple[int, ...] = ()) -> Members:
    """An honest export, as a dictionary of its files."""
    size = len(entries)
    _, tiles = RightEdge().extended(leaf_hashes(entries))
    found = {"checkpoint": note(entries)}
    found |= {f"checkpoints/{each}": note(entries[:each]) for each in older}
    for bundle in bundles_of(size):
        first = bundle.index * TILE_WIDTH
        found[bundle.path] = pack_entries(entries[first : first + bundle.width])
    return found | {name.path: tiles[name.level, name.index] for name in tiles_of(size)}


def zipped(files: Members, compression: int = ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


def refused(files: Members, match: str, known: tuple[bytes, ...] = ()) -> None:
    with pytest.raises(TamperedError, match=match):
        verify_export(zipped(files), [KEY], known=known)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 700])
def test_the_honest_log(size: int) -> None:
    older = tuple({1, size // 2 + 1, size - 1} - {0, size})
    seen: list[tuple[int, int]] = []
    verified = verify_export(
        zipped(members(ENTRIES[:size], older)),
        [KEY],
        known=[note(ENTRIES[:size]), note([])],
        progress=lambda *counts: seen.append(counts),
    )
    assert verified.checkpoint.size == size
    assert verified.older_sizes == tuple(sorted({*older, 0, size}))
    assert seen


def test_the_empty_log() -> None:
    assert verify_export(zipped(members([])), [KEY]).checkpoint.size == 0


def test_a_larger_tree_has_its_upper_tiles_checked() -> None:
    entries = [number.to_bytes(4, "big") for number in range(65_536 + 300)]
    files = members(entries)
    assert verify_export(zipped(files, 0), [KEY]).checkpoint.size == len(entries)
    for path in ("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"):
        broken = {**files, path: bytes([files[path][0] ^ 1]) + files[path][1:]}
        with pytest.raises(TamperedError, match=f"hash tile `{path}` was changed"):
            verify_export(zipped(broken, 0), [KEY])


def edited(at: int) -> list[bytes]:
    return [*ENTRIES[:at], b'{"entry":"other"}', *ENTRIES[at + 1 :]]


@pytest.mark.parametrize("at", [0, 255, 256, 300, 699])
def test_an_edit_is_named(at: int) -> None:
    files = members(ENTRIES)
    path = next(each for each in bundles_of(700) if each.index == at // 256).path
    refused({**files, path: members(edited(at))[path]}, f"not as logged: entry {at}$")


def test_an_edit_with_its_hash_tiles() -> None:
    # The forger has no key: all can be made anew, but not the checkpoint's signature.
    forged = {**members(edited(300)), "checkpoint": note(ENTRIES)}
    refused(forged, "do not lead to the signed root")


def test_a_removed_entry() -> None:
    without = [*ENTRIES[:300], *ENTRIES[301:]]
    files = members(ENTRIES)
    path = "tile/entries/001"
    refused({**files, path: pack_entries(ENTRIES[256:511])}, "entries 256 to 511: a bundle holds")
    refused({**members(without), "checkpoint": note(ENTRIES)}, "are missing|do not belong")


def test_two_entries_swapped() -> None:
    files = members(ENTRIES)
    swapped = [*ENTRIES[:10], ENTRIES[11], ENTRIES[10], *ENTRIES[12:]]
    path = "tile/entries/000"
    refused({**files, path: members(swapped)[path]}, "not as logged: entry 10, 11$")
    refused({**members(swapped), "checkpoint": note(ENTRIES)}, "another order")


def test_many_edits_are_not_all_listed() -> None:
    files = members(ENTRIES)
    path = "tile/entries/000"
    refused(
        {**files, path: pack_entries([b"x"] * 256)},
        "entry 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and perhaps",
    )


def test_truncation() -> None:
    cut = members(ENTRIES[:600])
    refused({**cut, "checkpoint": note(ENTRIES)}, "counts 700 entries, but those from 512 to 699")
    # Cut with an old checkpoint that was honestly signed: only a newer one known tells.
    assert verify_export(zipped(cut), [KEY]).checkpoint.size == 600
    refused(cut, "cut off: it had 700 entries and now has 600", known=(note(ENTRIES),))


def test_a_fork() -> None:
    # The log's own key signs two histories.
    other = [*ENTRIES[:100], b"hidden", *ENTRIES[100:699]]
    refused(members(other), "two signed roots|rewritten", known=(note(ENTRIES),))
    refused(members(other), "first 650 entries are not those", known=(note(ENTRIES[:650]),))
    verify_export(zipped(members(other)), [KEY], known=[note(ENTRIES[:100])])
    refused({**members(ENTRIES, (650,)), "checkpoints/650": note(other[:650])}, "first 650 entries")
    refused(members(ENTRIES, (650,)), "forked: two signed roots", known=(note(other[:650]),))


def test_withheld_entries_are_counted_and_still_bound() -> None:
    files = members(ENTRIES)
    shown = [entry if at % 3 else b"" for at, entry in enumerate(ENTRIES)]
    for bundle in bundles_of(700):
        first = bundle.index * TILE_WIDTH
        files[bundle.path] = pack_entries(shown[first : first + bundle.width])
    verified = verify_export(zipped(files), [KEY])
    assert verified.withheld == 234
    assert verify_export(zipped(members(ENTRIES)), [KEY]).withheld == 0
    # What is shown is checked as before, and so are the hashes of what is not.
    shown[1] = b"other"
    refused({**files, "tile/entries/000": pack_entries(shown[:256])}, "not as logged: entry 1$")
    tile = bytearray(files["tile/0/000"])
    tile[0] ^= 1
    refused({**files, "tile/0/000": bytes(tile)}, "do not lead to the signed root")
    refused({**files, "tile/0/000": b""}, "do not lead to the signed root")


def test_a_changed_hash_tile() -> None:
    files = members(ENTRIES)
    for name in tiles_of(700):
        content = bytearray(files[name.path])
        content[-1] ^= 1
        refused({**files, name.path: bytes(content)}, f"hash tile `{name.path}` was changed")
        refused({**files, name.path: b""}, f"hash tile `{name.path}` was changed")


def test_files_that_do_not_belong_or_are_missing() -> None:
    files = members(ENTRIES, (5,))
    refused({**files, "tile/entries/003": b""}, "do not belong")
    refused({**files, "readme.txt": b""}, "do not belong")
    refused({**files, "checkpoints/five": b""}, "does not belong")
    refused({**files, "checkpoints/" + "9" * 5000: b""}, "does not belong")
    refused({**files, "checkpoints/6": note(ENTRIES[:5])}, "named 6 is of size 5")
    for name in [*bundles_of(700), *tiles_of(700)]:
        refused({path: each for path, each in files.items() if path != name.path}, "missing")
    refused({path: each for path, each in files.items() if path != "checkpoint"}, "lacks")


def test_another_key() -> None:
    stranger = LogKey(KEY.name, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(TamperedError, match="not signed"):
        verify_export(zipped(members(ENTRIES)), [stranger])
    other = LogKey("example.com/other", KEY.public)
    foreign = Checkpoint(other.name, 0, RightEdge().root()).signed(other, PRIVATE.sign)
    with pytest.raises(TamperedError, match="of another log"):
        verify_export(zipped(members(ENTRIES)), [KEY, other], known=[foreign])


def test_two_members_of_one_name() -> None:
    file = zipped(members(ENTRIES[:3]))
    with ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("checkpoint", note(ENTRIES[:2]))
    with pytest.raises(TamperedError, match="two files of one name"):
        verify_export(file, [KEY])


def test_a_bomb_is_not_inflated() -> None:
    files = members(ENTRIES[:300])
    refused({**files, "tile/entries/000": bytes(17 * 2**20)}, "larger than it can be")
    refused({**files, "checkpoint": bytes(2**20)}, "larger than it can be")


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_what_is_not_a_zip() -> None:
    whole = zipped(members(ENTRIES[:3]), 0).getvalue()
    for data in (b"", b"PK\x03\x04", whole[:-30], whole[: len(whole) // 2]):
        with pytest.raises(TamperedError, match="zip"):
            verify_export(io.BytesIO(data), [KEY])


def test_a_flipped_byte_anywhere_in_the_contents() -> None:
    files = members(ENTRIES[:3], (2,))
    for name, content in files.items():
        for at in range(len(content)):
            with pytest.raises(TamperedError):
                verify_export(zipped({**files, name: flip(at)(content)}, 0), [KEY])

"""Bodies that bring many files: cut anywhere they are the same, and nothing else fits."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import NotFoundError, StrongroomError, TooLargeError, ValidationError
from strongroom.faces.client.importing import OutgoingFile, _body
from strongroom.services.models.import_batches import MAX_BYTES, MAX_FILES, batch_files
from strongroom.services.models.statements import ManifestFile

CONTENTS = {"a.md": b"one\n\ntwo", "deep/ä.md": b"", "b": b"\n\n" * 100}


def announced(files: dict[str, bytes]) -> dict[str, ManifestFile]:
    return {
        path: ManifestFile(path, len(content), sha256(content).hexdigest())
        for path, content in files.items()
    }


def body(files: dict[str, bytes]) -> bytes:
    """As the client makes it."""
    return _body([
        OutgoingFile(path, len(content), "", lambda content=content: iter([content]))  # type: ignore[misc] # bound for this turn
        for path, content in files.items()
    ])  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text("abc/ä", min_size=1, max_size=6), st.binary(max_size=60), min_size=1),
    st.lists(st.integers(1, 40), min_size=1, max_size=40),
)
def test_what_the_client_sends_comes_out_however_it_is_cut(
    files: dict[str, bytes], cuts: list[int]
) -> None:
    whole, at = body(files), 0
    pieces: list[bytes] = []
    while at < len(whole):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(whole[at : at + size])
        at += size
    found = list(batch_files(iter(pieces), announced(files)))
    assert {file.path: content for file, content in found} == files


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", ValidationError, "no empty line"),
        (b"a.md\n", ValidationError, "no empty line"),
        (b"a.md\na.md\n\n", ValidationError, "twice"),
        (b"c.md\n\n", NotFoundError, "no file `c.md`"),
        (b"\n\n", NotFoundError, "no file ``"),
        (b"\xff\n\n", ValidationError, "UTF-8"),
        (body(CONTENTS)[:-1], ValidationError, "ends within `b`"),
        (body(CONTENTS) + b"x", ValidationError, "left"),
        (b"a" * 300_000, TooLargeError, "too long"),
        (b"\n".join(b"%d" % at for at in range(MAX_FILES + 1)) + b"\n\n", TooLargeError, "200"),
    ],
    ids=["nothing", "no end", "twice", "unknown", "empty path", "bytes", "cut", "more", "long",
         "many"],
)  # fmt: skip
def test_another_body_is_refused(content: bytes, error: type[StrongroomError], says: str) -> None:
    with pytest.raises(error, match=says):
        list(batch_files([content], announced(CONTENTS)))


def test_too_many_bytes_are_refused_before_they_come() -> None:
    large = {"a": ManifestFile("a", MAX_BYTES, "0"), "b": ManifestFile("b", 1, "0")}

    def pieces() -> object:
        yield b"a\nb\n\n"
        raise AssertionError("more was read")

    with pytest.raises(TooLargeError, match="at most"):
        list(batch_files(pieces(), large))  # type: ignore[arg-type] # a generator of bytes

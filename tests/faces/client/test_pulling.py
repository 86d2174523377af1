"""A version that is pulled appears only as what was signed, whatever became of it on the way."""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faces.house import SAFETENSORS, House

from strongroom.errors import NotFoundError, TamperedError
from strongroom.faces.client.client import Client
from strongroom.faces.client.profiles import Profile
from strongroom.faces.client.pulling import pull_model

FILE = "model.safetensors"
Change = Callable[[bytes], bytes]


class Meddled(Client):
    """A client whose downloads somebody changes on their way."""

    change: Change | None = None

    @contextmanager
    def stream(self, operation: Any, /, **fields: Any) -> Iterator[Iterator[bytes]]:  # noqa: ANN401 # as Client.stream
        with super().stream(operation, **fields) as pieces:
            content = b"".join(pieces)
            yield iter([self.change(content) if self.change is not None else content])


@pytest.fixture
def client(house: House) -> Iterator[Meddled]:
    with Meddled(Profile(house.address, house.api_key, str(house.ca), "clinic")) as made:
        yield made


def tar_of(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def linked(content: bytes) -> bytes:
    made = io.BytesIO(content)
    with tarfile.open(fileobj=made, mode="a") as tar:
        link = tarfile.TarInfo("README.md")
        link.type, link.linkname = tarfile.SYMTYPE, FILE
        tar.addfile(link)
    return made.getvalue()


def flipped(content: bytes) -> bytes:
    at = content.index(SAFETENSORS) + len(SAFETENSORS) - 1
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


CHANGES: dict[str, Change] = {
    "a byte": flipped,
    "another name": lambda _: tar_of(("other.safetensors", SAFETENSORS)),
    "nothing": lambda _: tar_of(),
    "one more": lambda _: tar_of((FILE, SAFETENSORS), ("run.sh", b"#!")),
    "twice": lambda _: tar_of((FILE, SAFETENSORS), (FILE, SAFETENSORS)),
    "a link": linked,
    "cut": lambda content: content[:600],
    "no tar": lambda _: b"not found",
}


def test_what_is_pulled_is_what_was_signed(client: Meddled, tmp_path: Path) -> None:
    pull_model(client, tmp_path / "a.tar", name="weights", version=1)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == [FILE]
    pull_model(client, tmp_path / "b.tar", name="weights", version=1, signature=True)
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames() == [FILE, "model.sig"]
    pull_model(client, tmp_path / "one", name="weights", version=1, path=FILE)
    assert (tmp_path / "one").read_bytes() == SAFETENSORS
    with pytest.raises(NotFoundError):
        pull_model(client, tmp_path / "none", name="weights", version=1, path="x")


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_on_the_way_is_not_kept(
    client: Meddled, tmp_path: Path, change: str
) -> None:
    client.change = CHANGES[change]
    with pytest.raises(TamperedError) as caught:
        pull_model(client, tmp_path / "a.tar", name="weights", version=1)
    assert caught.value.next_step.startswith("pull it again")
    client.change = flipped
    with pytest.raises(TamperedError, match=FILE):
        pull_model(client, tmp_path / "one", name="weights", version=1, path=FILE)
    assert list(tmp_path.iterdir()) == []


def test_a_statement_of_another_model_is_not_believed(client: Meddled, tmp_path: Path) -> None:
    given = client.call("model.statement", name="weights", version=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "call", lambda *_, **__: given)
        with pytest.raises(TamperedError, match="another model version"):
            pull_model(client, tmp_path / "a.tar", name="trap", version=1)
        with pytest.raises(TamperedError, match="another model version"):
            pull_model(client, tmp_path / "a.tar", name="weights", version=2)
    assert list(tmp_path.iterdir()) == []

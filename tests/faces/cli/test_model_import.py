"""`strongroom model import` against a running server, and what it refuses to read."""

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from tests.faces.cli.conftest import Offline
from tests.faces.house import SAFETENSORS, House

from strongroom.errors import (
    StrongroomError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    ValidationError,
)
from strongroom.faces.cli.model_import import read_model
from strongroom.faces.cli.model_members import members_of
from strongroom.faces.client import importing
from strongroom.faces.client.client import Client
from strongroom.faces.client.importing import OutgoingFile, send_model
from strongroom.faces.client.profiles import Profile
from strongroom.services.models.import_types import ImportForm
from strongroom.services.models.types import ModelDetail

NOTES = b"# notes that are longer than a page\n" * 200
FILES = {
    "MLmodel": b"flavors:\n  none: {}\n", "model.safetensors": SAFETENSORS,
    "deep/\u00e4.md": NOTES, "twin.md": NOTES,
}  # fmt: skip


@pytest.fixture
def run(house: House, offline: Offline, monkeypatch: pytest.MonkeyPatch) -> Offline:
    """The command line of the house's operator, in the workspace `clinic`."""
    monkeypatch.setenv("STRONGROOM_SERVER", house.address)
    monkeypatch.setenv("STRONGROOM_CA_FILE", str(house.ca))
    monkeypatch.setenv("STRONGROOM_API_KEY", house.api_key)
    monkeypatch.setenv("STRONGROOM_WORKSPACE", "clinic")
    return offline


def folder_of(files: Mapping[str, bytes], place: Path) -> Path:
    for path, content in files.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return place


def tar_of(files: Mapping[str, bytes], place: Path, mode: str = "w") -> Path:
    with tarfile.open(place, mode) as tar:  # type: ignore[call-overload] # a mode as text
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return place


def layout_of(files: Mapping[str, bytes], **changes: object) -> dict[str, bytes]:
    """The files of an OCI layout, with a layer for each of `files`."""
    found = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def described(content: bytes, **more: object) -> dict[str, object]:
        digest = sha256(content).hexdigest()
        found[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content), **more}

    layers = [
        described(content, annotations={"org.opencontainers.image.title": path}, **changes)
        for path, content in files.items()
    ]
    manifest = json.dumps({"config": described(b"{}"), "layers": layers}).encode()
    found["index.json"] = json.dumps({"manifests": [described(manifest)]}).encode()
    return found


def digests(house: House, version: int) -> dict[str, str]:
    """Digests of a version's files, once its checks are over."""
    deadline = time.monotonic() + 240
    while True:
        shown = house.call("model.show", workspace="clinic", name="borrowed", version=version)
        assert isinstance(shown, ModelDetail)
        if shown.state != "quarantined" or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert shown.state == "checked"
    return {file.path: file.sha256 for file in shown.files}


def version_of(answer: tuple[int, str, str]) -> int:
    return int(answered(answer)["version"])


def answered(answer: tuple[int, str, str]) -> dict[str, int]:
    """The JSON on stdout; the server in this process logs there too."""
    code, out, err = answer
    assert code == 0, err
    found: dict[str, int] = json.loads(out[out.index("{\n") : out.rindex("}") + 1])
    return found


def test_a_model_goes_out_and_comes_in_again_in_three_forms(
    house: House, run: Offline, tmp_path: Path
) -> None:
    files = {path: content for path, content in FILES.items() if path != "MLmodel"}
    folder = folder_of({**files, "model.sig": b"{}"}, tmp_path / "model")
    ended = run("model", "import", "borrowed", str(folder), "--json")
    assert version_of(ended) == 1
    assert "left out: model.sig" in ended[2]
    expected = {path: sha256(content).hexdigest() for path, content in files.items()}
    assert digests(house, 1) == expected
    # The same again within a day is the version that it has become.
    assert version_of(run("model", "import", "borrowed", str(folder), "--json")) == 1

    tar = tmp_path / "pulled.tar"
    assert run("model", "pull", "borrowed", "1", "-o", str(tar))[0] == 0
    assert unpacked(tar) == files
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("strongroom.faces.client.pulling._of_tar", lambda *_: {})
        code, _, err = run("model", "pull", "borrowed", "1", "-o", str(tmp_path / "other.tar"))
    assert (code, (tmp_path / "other.tar").exists()) == (5, False), err

    for number, form in enumerate(("oci", "mlflow", "huggingface"), 2):
        tar = tmp_path / f"{form}.tar"
        code, _, err = run(
            "model", "export", "borrowed", "1", "--form", form, "-o", str(tar)
        )  # fmt: skip
        assert code == 0, err
        # Each is another content, so that it becomes a version of its own.
        source = folder_of(unpacked(tar), tmp_path / form) if number % 2 else tar
        if form == "huggingface":
            with tarfile.open(tar, "a") as more:
                info = tarfile.TarInfo(".cache/huggingface/x.lock")
                more.addfile(info)
        name = "borrowed" if form == "huggingface" else f"from-{form}"
        answer = answered(run("model", "import", name, str(source), "--form", form, "--json"))
        assert answer["reused"] == 2  # the large notes, twice
        if form == "huggingface":
            found = digests(house, answer["version"])
            assert found.pop("README.md")
            assert found == expected
        else:
            manifest = house.call("model.show", workspace="clinic", name=name, version=1)
            assert isinstance(manifest, ModelDetail)
            assert {f.path: f.sha256 for f in manifest.files} == expected


def unpacked(tar: Path) -> dict[str, bytes]:
    return {name: member.content(1 << 20) for name, member in members_of(tar).items()}


@pytest.mark.parametrize("together", [1, 2], ids=["one by one", "in pairs"])
def test_a_client_that_died_goes_on_where_it_was(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(importing, "_TOGETHER", together)
    name = f"resumed-{together}"
    files = read_model(folder_of({**FILES, "x": b"x" * 9_000}, tmp_path), ImportForm.MLFLOW).files
    profile = Profile(house.address, house.api_key, str(house.ca), "clinic")
    taken: list[str] = []

    def watched(file: OutgoingFile, dies: BaseException | None = None) -> OutgoingFile:
        def pieces() -> Iterator[bytes]:
            taken.append(file.path)
            if dies is not None and len(taken) == 3:
                raise dies
            yield from file.pieces()

        return OutgoingFile(file.path, file.size, file.sha256, pieces)

    dying = [watched(f, dies=KeyboardInterrupt()) for f in files]
    with Client(profile) as client:
        with pytest.raises(KeyboardInterrupt):
            send_model(client, name, dying, "mlflow")
        with pytest.raises(StrongroomError):
            client.call("model.show", name=name, version=1)
    first, taken[:] = taken[:2], []
    with Client(profile) as client:
        answer = send_model(client, name, [watched(f) for f in files], "mlflow")
    assert answer["version"] == 1
    assert not {*first} & {*taken}
    # The last is the twin of another, which was sent.
    assert {*first, *taken} >= {file.path for file in files} - {"twin.md", "deep/\u00e4.md"}
    # Where the connection was cut it is said that nothing sent was in vain.
    taken[:] = []
    cut = [watched(f, dies=TruncatedError("cut")) for f in files]
    with Client(profile) as client, pytest.raises(TruncatedError) as caught:
        send_model(client, f"cut-{together}", cut, "mlflow", reuse=False)
    assert caught.value.next_step.startswith("run it again")


def test_who_may_not_register_imports_nothing(house: House, tmp_path: Path) -> None:
    folder_of(FILES, tmp_path)
    files = read_model(tmp_path, None).files
    with (
        Client(Profile(house.address, "srk_none", str(house.ca), "clinic")) as client,
        pytest.raises(StrongroomError) as refused,
    ):
        send_model(client, "borrowed", files, "mlflow")
    assert refused.value.exit_code == 3


# ---- reading ----


def test_forms_are_known_by_what_lies_there(tmp_path: Path, offline: Offline) -> None:
    oci = folder_of(layout_of(FILES), tmp_path / "oci")
    read = read_model(oci, None)
    assert read.form is ImportForm.OCI
    assert {f.path: b"".join(f.pieces()) for f in read.files} == FILES
    hub = folder_of(
        {"config.json": b"{}", ".git/config": b"", ".cache/x": b"", "a/.git": b""}, tmp_path / "hub"
    )
    read = read_model(hub, None)
    assert (read.form, read.left_out) == (ImportForm.HUGGINGFACE, (".cache/x", ".git/config"))
    assert [f.path for f in read.files] == ["a/.git", "config.json"]
    assert read_model(tar_of(FILES, tmp_path / "m.tar"), None).form is ImportForm.MLFLOW
    unknown = folder_of({"a.txt": b""}, tmp_path / "unknown")
    with pytest.raises(StrongroomError, match="looks like no"):
        read_model(unknown, None)
    assert read_model(unknown, ImportForm.MLFLOW).files[0].path == "a.txt"
    code, _, err = offline("model", "import", "borrowed", str(unknown))
    assert code == 3, err


Made = Callable[[Path], Path]


def _link(place: Path) -> Path:
    folder_of({"MLmodel": b""}, place)
    (place / "weights").symlink_to("/etc/hostname")
    return place


def _pipe(place: Path) -> Path:
    folder_of({"MLmodel": b""}, place)
    os.mkfifo(place / "weights")
    return place


def _member(kind: bytes, **fields: object) -> Made:
    def made(place: Path) -> Path:
        with tarfile.open(place, "w") as tar:
            tar.addfile(tarfile.TarInfo("MLmodel"))
            info = tarfile.TarInfo("weights")
            info.type, info.linkname = kind, "/etc/hostname"
            for name, value in fields.items():
                setattr(info, name, value)
            tar.addfile(info)
        return place

    return made


def _negative(place: Path) -> Path:
    tar_of(FILES, place)
    info = tarfile.TarInfo("weights")
    header = bytearray(info.tobuf())
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    place.write_bytes(bytes(header) + place.read_bytes())
    return place


def _cut(place: Path) -> Path:
    content = tar_of({"MLmodel": b"x" * 100, "weights": b"y" * 100}, place).read_bytes()
    place.write_bytes(content[:1_024])  # between two members: a reader could take it for the end
    return place


@pytest.mark.parametrize(
    "made",
    [
        _link, _pipe, _member(tarfile.SYMTYPE), _member(tarfile.LNKTYPE), _member(tarfile.CHRTYPE),
        _member(tarfile.FIFOTYPE), _member(tarfile.REGTYPE, pax_headers={"GNU.sparse.size": "9"}),
        lambda place: tar_of({"MLmodel": b"", "../up": b""}, place),
        lambda place: tar_of({"MLmodel": b"", "/root": b""}, place),
        lambda place: tar_of({"MLmodel": b"", "a\\b": b""}, place),
        lambda place: tar_of(FILES, place, "w:gz"), _negative, _cut,
        lambda place: folder_of({"MLmodel": b"no tar"}, place) / "MLmodel",
    ],
    ids=[
        "link", "pipe", "symlink", "hardlink", "device", "fifo", "sparse", "climbs", "root",
        "backslash", "gzip", "negative", "cut", "text",
    ],
)  # fmt: skip
def test_what_is_no_plain_file_is_refused(made: Made, tmp_path: Path) -> None:
    place = made(tmp_path / "model")
    with pytest.raises((ValidationError, TooLargeError)):
        read_model(place, ImportForm.MLFLOW)


def _layout(**changed: bytes) -> dict[str, bytes]:
    found = layout_of(FILES)
    for name, content in changed.items():
        found[{"layout": "oci-layout", "index": "index.json"}[name]] = content
    return found


def _damaged(place: str, files: dict[str, bytes]) -> dict[str, bytes]:
    name = next(n for n, c in files.items() if n.startswith("blobs/") and c == FILES[place])
    return {**files, name: files[name][:-1] + b"?"}


def _climbing() -> dict[str, bytes]:
    files = layout_of(FILES)
    files["index.json"] = json.dumps(
        {"manifests": [{"digest": "sha256:../../../etc/hostname", "size": 1}]}
    ).encode()
    return files


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (_damaged("twin.md", layout_of(FILES)), TamperedError),
        (layout_of(FILES, size=3), TamperedError),
        (_layout(layout=b'{"imageLayoutVersion": "2.0.0"}'), ValidationError),
        (_layout(index=b"[" * 100_000), ValidationError),
        (_layout(index=b'{"manifests": [{"digest": 1}]}'), ValidationError),
        (_layout(index=b'{"manifests": []}'), StrongroomError),
        (_climbing(), ValidationError),
        (layout_of({"../up": b"x"}), ValidationError),
        (layout_of({"": b"x"}), ValidationError),
        (layout_of(FILES, mediaType="application/vnd.oci.image.layer.v1.tar+gzip"),
         ValidationError),
        (layout_of({}), ValidationError),
        ({n: c for n, c in layout_of(FILES).items() if c != NOTES}, ValidationError),
    ],
    ids=range(12),
)  # fmt: skip
def test_an_oci_layout_that_does_not_fit_is_refused(
    files: dict[str, bytes], kind: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(kind):
        read_model(tar_of(files, tmp_path / "model.tar"), ImportForm.OCI)


def test_a_changed_manifest_and_a_choice_of_several(tmp_path: Path) -> None:
    one, two = layout_of({"a": b"1"}), layout_of({"b": b"2"})
    manifests = [json.loads(files["index.json"])["manifests"][0] for files in (one, two)]
    manifests[1]["annotations"] = {"org.opencontainers.image.ref.name": "v2"}
    both = {**one, **two, "index.json": json.dumps({"manifests": manifests}).encode()}
    place = folder_of(both, tmp_path / "both")
    with pytest.raises(StrongroomError, match="2 manifests"):
        read_model(place, None)
    assert [file.path for file in read_model(place, None, "v2").files] == ["b"]
    manifest = place / "blobs/sha256" / manifests[1]["digest"].removeprefix("sha256:")
    manifest.write_bytes(manifest.read_bytes().replace(b'"b"', b'"c"'))
    with pytest.raises(TamperedError):
        read_model(place, None, "v2")


def test_a_file_that_changes_meanwhile_is_not_sent(tmp_path: Path) -> None:
    folder_of(FILES, tmp_path)
    read = read_model(tmp_path, None)
    (tmp_path / "twin.md").write_bytes(NOTES[:-1] + b"?")
    with pytest.raises(StrongroomError, match="changed"):
        b"".join(next(f for f in read.files if f.path == "twin.md").pieces())

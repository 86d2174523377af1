"""Signature, provenance, bill of materials and card of versions, read by those who did not write
them: the stock `model_signing`, a CycloneDX validator, a DSSE verifier with the key alone."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.services.models.modelroom import (
    HOSTILE,
    PLAIN,
    UNKNOWN,
    ModelRoom,
    honest_pickle,
    mlflow_folder,
    modelroom,
    reference,
)
from tests.stock_tools import StockTools, stock_tools

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.dsse import Statement
from strongroom.engines.crypto.model_signature import verify_by_key
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import ModelRefusedError, StateError, TamperedError
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import Stream
from strongroom.services.models.provenance import RECORDED_RUN
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import (
    CardForm,
    ModelReference,
    Provenance,
    PullModel,
    ShowModelCard,
    ShowModelKey,
)

RAW = "5f" * 32
"""A digest of data, by which anybody could test a guess of it."""
HOSTILE_TEXT = "<script>alert(1)</script> [x](javascript:1)\n# heading | `code`"
REQUIREMENTS = b"scikit-learn==1.9.1\nnumpy>=2\nOdd_Name==1.0+local.1\n"
PROVENANCE = Provenance(
    run_id="run1",
    experiment="7",
    source="strongroom://artifacts/7/run1/model",
    datasets=(f"visits@sha256:{RAW}", f"loose@{RAW}"),
    parameters={"C": "1.0", "note": HOSTILE_TEXT, "privacy.epsilon": "0.1"},
    metrics={"accuracy": 0.9312345678, "loss": 1e-9},
    code_source="https://git.example/models",
    code_commit="ab" * 20,
    started_at="2026-11-27T07:00:00+00:00",
    ended_at="2026-11-27T07:05:00+00:00",
)


@pytest.fixture(scope="module")
def stock() -> Iterator[StockTools]:
    with stock_tools() as tools:
        yield tools


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRoom]:
    """A room with versions in all states: `iris` clean, `odd` for a person, `evil`, `own`."""
    with modelroom(tmp_path_factory.mktemp("shelf")) as room:
        files = {**mlflow_folder(honest_pickle()), "requirements.txt": REQUIREMENTS,
                 ".gitattributes": b"*.pkl\n"}  # fmt: skip
        entries = [
            room.register(files, "iris", provenance=PROVENANCE),
            room.register({"model.pkl": UNKNOWN}, "odd"),
            room.register({"model.pkl": HOSTILE}, "evil"),
            room.register({**PLAIN, "model.sig": b"its own"}, "own"),
        ]
        for entry in entries:
            room.wait(entry)
        yield room


def text(room: ModelRoom, name: str, request: BaseModel, who: Principal | None = None) -> str:
    """What an operation gives out, whole."""
    stream = room.call(who or room.scientist, name, request)
    assert isinstance(stream, Stream)
    return b"".join(stream.chunks).decode()


def key_of(room: ModelRoom) -> VerifyingKey:
    return VerifyingKey.from_pem(text(room, "model.key", ShowModelKey(workspace="clinic")).encode())


def stated(room: ModelRoom, model: str = "iris") -> Statement:
    envelope = text(room, "model.provenance", reference(model))
    return dsse.verify(envelope.encode(), [key_of(room)])


DOCUMENTS = ("model.signature", "model.provenance", "model.bom", "model.card")


def asked(name: str, model: str) -> ModelReference:
    kind = ShowModelCard if name == "model.card" else ModelReference
    return kind(workspace="clinic", name=model, version=1)


# ---- signature ----


def test_a_pulled_version_verifies_with_the_stock_tool(
    shelf: ModelRoom, stock: StockTools, tmp_path: Path
) -> None:
    request = PullModel(**reference().model_dump(), signature=True)
    stream = shelf.call(shelf.scientist, "model.pull", request)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream.chunks))) as tar:
        tar.extractall(tmp_path / "iris", filter="data")
    (tmp_path / "key.pem").write_bytes(key_of(shelf).pem())
    signature, key = tmp_path / "iris/model.sig", str(tmp_path / "key.pem")
    # It covers git's files too, which the stock tool leaves out unless it is told.
    assert stock.verify(tmp_path / "iris", signature, public_key=key, git=False) == ""
    (tmp_path / "iris/model.pkl").write_bytes(honest_pickle() + b" ")
    assert "model.pkl" in stock.verify(tmp_path / "iris", signature, public_key=key, git=False)


def test_the_signature_names_every_file_and_is_always_the_same(shelf: ModelRoom) -> None:
    first = text(shelf, "model.signature", reference())
    found = verify_by_key(first.encode(), key_of(shelf))
    shown = shelf.call(shelf.scientist, "model.show", reference())
    assert {(one.path, one.digest) for one in found.resources} == {
        (file.path, file.sha256) for file in shown.files
    }
    assert found.model == "iris"
    assert text(shelf, "model.signature", reference(), shelf.engineer) == first
    assert text(shelf, "model.provenance", reference()) == text(
        shelf, "model.provenance", reference()
    )


def test_a_file_in_the_place_of_the_signature(shelf: ModelRoom) -> None:
    with pytest.raises(StateError, match=r"model\.sig"):
        shelf.call(shelf.scientist, "model.signature", reference("own"))
    whole = PullModel(**reference("own").model_dump())
    shelf.call(shelf.scientist, "model.pull", whole)
    with pytest.raises(StateError, match=r"model\.sig"):
        shelf.call(shelf.scientist, "model.pull", whole.model_copy(update={"signature": True}))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_has_not_passed_gets_no_document(shelf: ModelRoom, name: str) -> None:
    with pytest.raises(ModelRefusedError, match="rejected"):
        shelf.call(shelf.scientist, name, asked(name, "evil"))
    with pytest.raises(StateError, match="not passed"):
        shelf.call(shelf.scientist, name, asked(name, "odd"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_changed_row_gets_no_document(shelf: ModelRoom, name: str) -> None:
    """Whoever writes into the database lets a version for a person seem clean."""

    def put(verdict: str) -> str:
        with shelf.house.database.write() as session:
            entry = next(row.id for row in session.query(ModelEntryRow) if row.model == "odd")
            row = session.get_one(ModelEntryRow, entry)
            before, row.verdict = row.verdict, verdict
            return before

    before = put("clean")
    try:
        with pytest.raises(TamperedError):
            shelf.call(shelf.scientist, name, asked(name, "odd"))
    finally:
        put(before)


# ---- provenance ----


def test_provenance_says_what_the_run_recorded(shelf: ModelRoom) -> None:
    found = stated(shelf)
    assert found.predicate_type == "https://slsa.dev/provenance/v1"
    predicate: Any = found.predicate
    build = predicate["buildDefinition"]
    assert build["externalParameters"]["parameters"]["C"] == "1.0"
    assert build["internalParameters"]["registeredBy"] == shelf.scientist.id
    # A client's parameter of that name is no proof of privacy.
    assert build["internalParameters"]["privacy"] == {}
    assert predicate["runDetails"]["builder"]["id"] == RECORDED_RUN
    assert predicate["runDetails"]["metadata"] == {
        "invocationId": "run1", "startedOn": PROVENANCE.started_at,
        "finishedOn": PROVENANCE.ended_at,
    }  # fmt: skip
    digests = {one["name"]: one["digest"] for one in build["resolvedDependencies"]}
    assert digests["code"] == {"gitCommit": "ab" * 20}
    assert set(digests) == {"visits", "loose", "code", "requirements.txt"}
    assert {one.name for one in found.subjects} == {
        "MLmodel", "model.pkl", "requirements.txt", ".gitattributes",
    }  # fmt: skip


def test_no_document_lets_a_guess_of_the_data_be_tested(shelf: ModelRoom) -> None:
    for name in DOCUMENTS:
        assert RAW not in text(shelf, name, asked(name, "iris"))
    assert RAW not in text(shelf, "model.card", ShowModelCard(
        **reference().model_dump(), form=CardForm.JSON))  # fmt: skip
    shown = shelf.call(shelf.scientist, "model.show", reference())
    statement = shelf.call(shelf.scientist, "model.statement", reference())
    signed = dsse.verify(statement.envelope.encode(), [key_of(shelf)])
    recorded: tuple[Any, ...] = (shown.facts, signed.predicate["provenance"])
    for facts in recorded:
        assert RAW not in json.dumps(facts)
        assert facts["datasets"][0].startswith("visits@hmac-sha256:")
        # Of one digest in one workspace there is one commitment.
        assert facts["datasets"][0].rpartition("@")[2] != facts["datasets"][1].rpartition("@")[2]


# ---- bill of materials ----


def test_the_bill_is_valid_and_complete(shelf: ModelRoom, stock: StockTools) -> None:
    written = text(shelf, "model.bom", reference())
    assert stock.validate(written) == ""
    assert stock.validate(written.replace('"alg": "SHA-256"', '"alg": "SHA-257"')) != ""
    bill = json.loads(written)
    parts = {one["name"]: one for one in bill["components"]}
    assert {name for name, one in parts.items() if one["type"] == "file"} == {
        "MLmodel", "model.pkl", "requirements.txt", ".gitattributes",
    }  # fmt: skip
    assert parts["scikit-learn"]["purl"] == "pkg:pypi/scikit-learn@1.9.1"
    assert parts["scikit-learn"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert parts["odd-name"]["purl"] == "pkg:pypi/odd-name@1.0%2Blocal.1"
    assert "version" not in parts["numpy"]
    assert "licenses" not in parts["numpy"]
    assert parts["visits"]["data"] == [{"type": "dataset", "name": "visits"}]
    card = bill["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"][0] == {
        "type": "accuracy", "value": "0.931235",
    }  # fmt: skip
    assert len(card["modelParameters"]["inputs"]) == 4
    assert card["modelParameters"]["task"] == "classification"
    assert text(shelf, "model.bom", reference()) == written


def test_the_bill_of_a_model_of_which_nothing_is_known(shelf: ModelRoom, stock: StockTools) -> None:
    written = text(shelf, "model.bom", reference("own"))
    assert stock.validate(written) == ""
    assert json.loads(written)["metadata"]["component"]["modelCard"] == {}


# ---- card ----


def test_the_card_says_what_is_known_and_what_is_not(shelf: ModelRoom) -> None:
    request = ShowModelCard(**reference().model_dump(), form=CardForm.JSON)
    card = json.loads(text(shelf, "model.card", request))
    assert card["evaluation"]["metrics"]["accuracy"] == 0.9312345678
    assert card["scan"]["verdict"] == "clean"
    assert card["outputs"] == ["0", "1", "2"]
    assert card["intended_use"]["uses"] == "not stated"
    assert "no guarantee" in card["privacy"]
    assert any("did not measure" in limit for limit in card["limits"])
    bare = ShowModelCard(**reference("own").model_dump(), form=CardForm.JSON)
    limits = json.loads(text(shelf, "model.card", bare))["limits"]
    assert "No evaluation was recorded with it." in limits


def test_nothing_in_the_card_is_more_than_text(shelf: ModelRoom) -> None:
    written = text(shelf, "model.card", ShowModelCard(**reference().model_dump()))
    assert written.startswith("# iris, version 1\n")
    assert "<script>" not in written
    assert "](javascript" not in written
    assert "\n# heading" not in written
    assert [line for line in written.splitlines() if line.startswith("# ")] == ["# iris, version 1"]

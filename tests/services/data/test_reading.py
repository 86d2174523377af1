"""Who sees what of the rows, and what the record says of it."""

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.errors import (
    KeyUnavailableError,
    NotFoundError,
    RefusedError,
    TableError,
    TamperedError,
    ValidationError,
)
from strongroom.faces.cli.demo_table import PEOPLE_COLUMNS, biopsies_as_csv
from strongroom.gate import operation
from strongroom.services.data.tables import ColumnOverrideRow, DatasetRow
from strongroom.services.data.types import (
    AddDataset,
    ClassifyColumn,
    ColumnShown,
    DatasetReference,
    ListDatasets,
    ReadRows,
    RemoveDataset,
)

BIOPSIES = b"".join(biopsies_as_csv(7))
CSV = b"name,email,visits\nAda Lovelace,ada@example.org,1\nAlan Turing,alan@example.org,2\n"


@pytest.fixture(scope="module")
def biopsies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataRoom]:
    """One room with the quickstart's table, for tests that only read."""
    with dataroom(tmp_path_factory.mktemp("biopsies")) as built:
        built.add(BIOPSIES, purpose="diagnosis research")
        yield built


@pytest.mark.parametrize(
    ("role", "view"),
    [
        ("Owner", "clear"),
        ("Privacy Officer", "clear"),
        ("Data Scientist", "masked"),
        ("ML Engineer", "masked"),
        ("Contributor", "masked"),
        ("Reader", "refused"),
        ("Auditor", "refused"),
        ("Compute Operator", "refused"),
    ],
)
def test_each_role_has_its_view(biopsies: DataRoom, role: str, view: str) -> None:
    person = biopsies.house.person(role.lower().replace(" ", "-"), role)
    if view == "refused":
        for asked in ("allowed", "clear", "masked"):
            with pytest.raises(RefusedError):
                biopsies.read(person, view=asked)
        refused = biopsies.house.events()[-1]
        assert (refused.operation, refused.outcome) == ("data.read", "refused")
        return
    stream = biopsies.read(person)
    assert stream.headers["Strongroom-View"] == view
    event = biopsies.house.events()[-1]
    assert event.details["view"] == view
    assert str(event.details["digest"]).startswith("hmac-sha256:")
    kind = "sha256" if view == "clear" else "hmac-sha256"
    assert stream.headers["Strongroom-Digest"].partition(":")[0] == kind
    assert event.details["column_count"] == 37
    clear = pa.csv.read_csv(io.BytesIO(BIOPSIES))
    seen = pa.csv.read_csv(io.BytesIO(b"".join(stream.chunks)))
    assert seen["mean radius"].to_pylist() == clear["mean radius"].to_pylist()
    assert seen["diagnosis"].to_pylist() == clear["diagnosis"].to_pylist()
    for column in PEOPLE_COLUMNS:
        same = set(map(str, seen[column].to_pylist())) & set(map(str, clear[column].to_pylist()))
        assert bool(same) == (view == "clear"), column


def test_a_clear_view_is_refused_by_name_too(biopsies: DataRoom) -> None:
    scientist = biopsies.house.person("dora", "Data Scientist")
    with pytest.raises(RefusedError):
        biopsies.read(scientist, view="clear")
    event = biopsies.house.events()[-1]
    assert event.outcome == "refused"
    assert event.details["may.readDatasetClear"] is False


def test_an_owner_may_ask_for_the_masked_view(biopsies: DataRoom) -> None:
    assert biopsies.read(biopsies.owner, view="masked").headers["Strongroom-View"] == "masked"


def test_a_member_of_another_workspace_sees_nothing(biopsies: DataRoom) -> None:
    stranger = biopsies.house.person("eve", "Owner", workspace="other")
    for name, request in (
        ("data.read", ReadRows(workspace="clinic", name="patients")),
        ("data.show", DatasetReference(workspace="clinic", name="patients")),
        ("data.show", DatasetReference(workspace="clinic", name="nothing-there")),
        ("data.ls", ListDatasets(workspace="clinic")),
        ("data.rm", RemoveDataset(workspace="clinic", name="patients")),
        (
            "data.classify",
            ClassifyColumn(workspace="clinic", name="patients", column="name", type="none"),
        ),
    ):
        with pytest.raises(RefusedError):
            biopsies.call(stranger, name, request)


def test_hashes_link_within_a_dataset_and_purpose_only(room: DataRoom) -> None:
    room.add(CSV, "a", purpose="research")
    more = CSV.replace(b",1\n", b",3\n")
    room.add(more, "a", purpose="research")
    room.add(more, "a", purpose="billing")
    room.add(CSV, "b", purpose="research")

    def hashes(name: str, version: int = 0) -> list[str]:
        table = room.table(room.owner, name, view="masked", version=version)
        return [str(value) for value in table["email"].to_pylist()]

    assert hashes("a", 1) == hashes("a", 2)
    assert not set(hashes("a", 2)) & set(hashes("a", 3))
    assert not set(hashes("a", 1)) & set(hashes("b"))


def test_a_dictionary_of_ones_own_does_not_open_the_hashes_of_others(room: DataRoom) -> None:
    """Whoever sees masked rows may add versions, with values of their own choice."""
    content = b"email\n" + b"".join(b"p%d@example.org\n" % i for i in range(30))
    scientist = room.house.person("sam", "Data Scientist")
    room.add(content, purpose="research")
    request = AddDataset(workspace="clinic", name="patients", purpose="research")
    added = room.call(scientist, "data.add", request, [content + b"p30@example.org\n"])
    assert added.version == 2

    def hashes(version: int) -> set[str]:
        column = room.table(scientist, version=version).column("email")
        return {str(value) for value in column.to_pylist()}

    assert len(hashes(1)) == 30
    assert not hashes(1) & hashes(2)


@pytest.mark.parametrize("lost", ["role", "clear view"])
def test_a_withdrawn_permission_ends_a_running_read(
    room: DataRoom, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(operation, "STREAM_LOOK_SECONDS", 0.0)
    room.add(b"number\n" + b"".join(b"%d\n" % i for i in range(200_000)))
    reader = room.house.person("paul", "Privacy Officer", "Data Scientist")
    chunks = iter(room.read(reader, format="jsonl").chunks)
    assert next(chunks)
    room.house.revoke(reader, "Privacy Officer")
    if lost == "role":
        room.house.revoke(reader, "Data Scientist")
    time.sleep(1.1)  # as long as a decision is believed
    with pytest.raises(RefusedError):
        for _ in chunks:
            pass
    last = room.house.events()[-1]
    assert (last.operation, last.actor, last.outcome) == ("data.read", reader.id, "refused")


def test_columns_and_limit(biopsies: DataRoom) -> None:
    table = biopsies.table(biopsies.owner, columns=["mean area", "name"], limit=200)
    assert table.column_names == ["mean area", "name"]
    assert table.num_rows == 200
    masked = biopsies.table(biopsies.owner, view="masked", columns=["name", "mean area"])
    assert masked.column_names == ["name", "mean area"]
    assert set(masked["name"].to_pylist()) == {"[redacted]"}
    with pytest.raises(NotFoundError, match="no column `zzz`"):
        biopsies.read(biopsies.owner, columns=["zzz"])
    with pytest.raises(ValidationError, match="twice"):
        biopsies.read(biopsies.owner, columns=["name", "name"])


def test_all_formats_hold_the_same_rows(room: DataRoom) -> None:
    room.add(CSV)
    expected = pa.csv.read_csv(io.BytesIO(CSV)).to_pylist()

    def content(form: str) -> bytes:
        return b"".join(room.read(room.owner, format=form).chunks)

    assert pa.csv.read_csv(io.BytesIO(content("csv"))).to_pylist() == expected
    assert [json.loads(line) for line in content("jsonl").splitlines()] == expected
    assert pq.read_table(io.BytesIO(content("parquet"))).to_pylist() == expected
    assert room.table(room.owner).to_pylist() == expected


def test_csv_does_not_carry_formulas(room: DataRoom) -> None:
    room.add(b'"=cmd",n\n"=HYPERLINK(1)",-1\n@x,-2\n-5,-3\n')
    content = b"".join(room.read(room.owner, format="csv").chunks).decode()
    assert content.splitlines() == ["\"'=cmd\",\"n\"", "\"'=HYPERLINK(1)\",-1", "\"'@x\",-2",
                                    '"-5",-3']  # fmt: skip


def test_nested_columns_do_not_fit_csv_and_are_masked_inside(room: DataRoom) -> None:
    room.add(b'{"a":{"b":1},"n":2}\n')
    with pytest.raises(TableError, match="does not fit into CSV"):
        room.read(room.owner)
    assert room.table(room.owner).to_pydict() == {"a": [{"b": 1}], "n": [2]}
    masked = room.table(room.owner, view="masked").to_pydict()
    assert (masked["a"], masked["n"]) == ([{"b": 1}], [2])  # numbers, which nothing says are codes
    room.add(b'{"a":{"b":"Ada"}}\n{"a":{"b":"Alan"}}\n', "inside")
    masked = room.table(room.owner, "inside", view="masked").to_pydict()
    assert masked["a"] == [{"b": "[redacted]"}, {"b": "[redacted]"}]


def test_what_a_reader_leaves_out_unmasks_nothing(room: DataRoom) -> None:
    lines = [json.dumps({"a": {"b": f"Ada {n}"}, "a.b": n % 4}) for n in range(30)]
    room.add("\n".join(lines).encode())
    scientist = room.house.person("dana", "Data Scientist")
    asked: list[list[str]] = [[], ["a"], ["a", "a.b"], ["a.b", "a"]]
    for columns in asked:
        rows = room.table(scientist, columns=columns).to_pylist()
        assert all(row["a"] == {"b": "[redacted]"} for row in rows)


def test_a_masked_view_carries_no_metadata(room: DataRoom) -> None:
    inside = pa.field("n", pa.int64(), metadata={"comment": "Ada"})
    schema = pa.schema([pa.field("a", pa.struct([inside]))])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as out:
        out.write_table(pa.table({"a": [{"n": n % 4} for n in range(30)]}, schema=schema))
    room.add(sink.getvalue())
    assert b"Ada" not in b"".join(room.read(room.owner, view="masked", format="arrow").chunks)
    content = b"".join(room.read(room.owner, view="masked", format="parquet").chunks)
    shown = pq.read_schema(io.BytesIO(content)).serialize().to_pybytes()
    assert b"Ada" not in shown


def test_a_word_that_nobody_said_is_not_believed(room: DataRoom) -> None:
    room.add(b"word,code\n" + b"".join(b"w%d,%d\n" % (i, i % 3) for i in range(30)))
    with room.house.database.write() as session:
        dataset = session.scalars(select(DatasetRow)).one()
        session.add(
            ColumnOverrideRow(
                dataset=dataset.id, column="word", type=None, decided_by="nobody",
                decided_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        )  # fmt: skip
    with pytest.raises(TamperedError):
        room.table(room.owner, view="masked")


def test_a_persons_word_sticks(room: DataRoom) -> None:
    room.add(b"word,code\n" + b"".join(b"w%d,%d\n" % (i, i % 3) for i in range(30)))
    officer = room.house.person("pia", "Privacy Officer")

    def classify(column: str, kind: str) -> ColumnShown:
        shown: ColumnShown = room.call(
            officer,
            "data.classify",
            ClassifyColumn(
                workspace="clinic", name="patients", column=column, type=kind, reason="test data"
            ),
        )
        return shown

    assert set(room.table(room.owner, view="masked")["word"].to_pylist()) == {"[redacted]"}
    shown = classify("word", "none")
    assert (shown.type, shown.decided_by, shown.masked_by) == (None, "person", "keep")
    assert room.table(room.owner, view="masked")["word"].to_pylist()[0] == "w0"
    shown = classify("code", "us_ssn")
    assert shown.masked_by == "redact"
    event = room.house.events()[-1]
    assert (event.details["before"], event.details["after"]) == ("none", "us_ssn")
    assert (event.details["decided_by"], event.details["reason"]) == ("person", "test data")
    # The next version is judged anew by the engine, not by the person.
    newer = room.add(b"word,code\n" + b"".join(b"v%d,%d\n" % (i, i % 3) for i in range(30)))
    [added] = [one for one in room.house.events()[-3:] if one.operation == "data.add"]
    assert added.details["override_count"] == 2
    assert f"code=us_ssn by {officer.id} at " in str(added.details["overrides"])
    assert (newer.version, newer.personal_columns) == (2, 1)
    assert room.table(room.owner, view="masked").to_pydict()["code"] == [None] * 30
    assert classify("code", "engine").decided_by == "engine"
    assert room.table(room.owner, view="masked").to_pydict()["code"][:3] == [0, 1, 2]
    with pytest.raises(ValidationError, match="no semantic type"):
        classify("code", "nonsense")
    with pytest.raises(NotFoundError, match="no column"):
        classify("zzz", "none")
    scientist = room.house.person("dora", "Data Scientist")
    with pytest.raises(RefusedError):
        room.call(
            scientist,
            "data.classify",
            ClassifyColumn(workspace="clinic", name="patients", column="code", type="none"),
        )


def test_show_tells_nothing_of_the_values(biopsies: DataRoom) -> None:
    reader = biopsies.house.person("rita", "Reader")
    detail = biopsies.call(
        reader, "data.show", DatasetReference(workspace="clinic", name="patients")
    )
    text = detail.model_dump_json()
    clear = pa.csv.read_csv(io.BytesIO(BIOPSIES))
    for column in ("name", "email", "medical_record_number", "phone"):
        assert not any(value in text for value in clear[column].to_pylist())
    name = next(column for column in detail.columns if column.name == "name")
    assert (name.type, name.masked_by) == ("person_name", "redact")
    assert name.confidence > 0.8
    assert detail.quasi_identifiers[0].columns == ["postcode"]


def test_removing(room: DataRoom) -> None:
    room.add(CSV)
    room.add(CSV + b"Grace Hopper,grace@example.org,3\n")
    removed = room.call(
        room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients", version=1)
    )
    assert removed.versions == [1]
    assert len(room.files()) == 1
    with pytest.raises(NotFoundError, match="no version 1"):
        room.read(room.owner, version=1)
    room.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    assert room.files() == []
    with pytest.raises(NotFoundError, match="no dataset"):
        room.read(room.owner)
    with pytest.raises(NotFoundError):
        room.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    assert room.add(CSV).version == 1


def test_listing_is_paged_by_name(room: DataRoom) -> None:
    for name in ("b", "a", "c"):
        room.add(CSV, name)
    room.add(CSV + b"Grace Hopper,grace@example.org,3\n", "a")
    request = ListDatasets(workspace="clinic", after="a", limit=1)
    assert [d.name for d in room.call(room.owner, "data.ls", request).datasets] == ["b"]
    whole = room.call(room.owner, "data.ls", ListDatasets(workspace="clinic")).datasets
    assert [(d.name, d.version, d.rows) for d in whole] == [("a", 2, 3), ("b", 1, 2), ("c", 1, 2)]


def test_a_disabled_key_stops_every_verb(room: DataRoom) -> None:
    room.add(CSV)
    with room.house.database.write() as session:
        room.house.keyring.disable(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        room.read(room.owner)
    with pytest.raises(KeyUnavailableError):
        room.call(room.owner, "data.show", DatasetReference(workspace="clinic", name="patients"))
    with pytest.raises(KeyUnavailableError):
        room.add(CSV, "other")
    assert len(room.files()) == 1


def test_a_rotated_key_still_opens_and_rewraps(room: DataRoom) -> None:
    room.add(CSV)
    before = room.table(room.owner, view="masked")
    with room.house.database.write() as session:
        room.house.keyring.rotate(session, "clinic")
        assert room.room.rewrap(session, "clinic") == 2
        assert room.room.rewrap(session, "clinic") == 0
    assert room.table(room.owner, view="masked").equals(before)


def test_a_changed_byte_is_noticed(room: DataRoom) -> None:
    room.add(CSV)
    [path] = room.files()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TamperedError):
        room.table(room.owner)


def test_a_record_moved_to_another_version_is_noticed(room: DataRoom) -> None:
    from sqlalchemy import text

    room.add(CSV)
    room.add(CSV + b"Grace Hopper,grace@example.org,3\n")
    with room.house.database.write() as session:
        session.execute(
            text(
                "UPDATE dataset_versions SET record = (SELECT record FROM dataset_versions "
                "WHERE version = 1) WHERE version = 2"
            )
        )
    with pytest.raises(TamperedError):
        room.read(room.owner)

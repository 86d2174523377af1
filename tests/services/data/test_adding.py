"""Tables come in whole or not at all."""

import gzip
import io
import json
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.errors import (
    CallerError,
    RefusedError,
    TableError,
    TooLargeError,
    TruncatedError,
)
from strongroom.faces.cli.demo_table import PEOPLE_COLUMNS, biopsies_as_csv
from strongroom.services.data.types import AddDataset, DatasetReference, ListDatasets

CSV = b"name,zip,n\nAda Lovelace,01234,1\nAlan Turing,98765,2\n"


def _table() -> pa.Table:
    return pa.table({"name": ["Ada Lovelace", "Alan Turing"], "n": [1, 2]})


def _arrow() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, _table().schema) as writer:
        writer.write_table(_table())
    return sink.getvalue()


def _feather() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, _table().schema) as writer:
        writer.write_table(_table())
    return sink.getvalue()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(_table(), sink)
    return sink.getvalue()


def _jsonl() -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in _table().to_pylist())


@pytest.mark.parametrize("encode", [_arrow, _feather, _parquet, _jsonl])
def test_each_format_gives_its_rows_back(room: DataRoom, encode: Callable[[], bytes]) -> None:
    added = room.add(encode(), chunk=7)
    assert (added.version, added.rows, added.columns, added.existed) == (1, 2, 2, False)
    assert room.table(room.owner).to_pydict() == _table().to_pydict()


def test_csv_keeps_leading_zeros_and_missing_fields(room: DataRoom) -> None:
    room.add(b'a,b,c\n"x, y",007,NA\n"",100,2\n', chunk=3)
    table = room.table(room.owner)
    assert table.to_pydict() == {"a": ["x, y", None], "b": ["007", "100"], "c": [None, 2]}


def test_leading_zeros_are_seen_beside_quoted_lines(room: DataRoom) -> None:
    rows = b"".join(b'0%d,"line\nline"\n' % (100_000 + i) for i in range(200_000))
    room.add(b"code,text\n" + rows)
    table = room.table(room.owner, limit=1)
    assert table.to_pydict() == {"code": ["0100000"], "text": ["line\nline"]}


def test_csv_with_semicolons_and_without_last_newline(room: DataRoom) -> None:
    room.add(b"\xef\xbb\xbfa;b\r\n1;x\r\n2;y")
    assert room.table(room.owner).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_a_single_column_may_hold_quoted_lines(room: DataRoom) -> None:
    room.add(b'a\n"one\ntwo"\nthree\n')
    assert room.table(room.owner).to_pydict() == {"a": ["one\ntwo", "three"]}


def test_text_columns_stay_text(room: DataRoom) -> None:
    room.add(CSV, text_columns=["n"])
    assert room.table(room.owner).to_pydict()["n"] == ["1", "2"]


def test_what_the_version_says(room: DataRoom) -> None:
    added = room.add(
        CSV, purpose="research", legal_basis="consent", retention_days=30, subject_column="name"
    )
    assert added.digest.startswith("sha256:")
    assert added.source_bytes == len(CSV)
    assert added.retain_until is not None
    assert (added.retain_until - added.created_at).days == 30
    event = room.house.events()[-1]
    assert event.operation == "data.add"
    assert event.details["digest"] == added.commitment
    assert added.commitment.startswith("hmac-sha256:")
    assert event.details["rows"] == 2


def test_the_same_content_again_adds_nothing(room: DataRoom) -> None:
    first = room.add(CSV)
    files = room.files()
    again = room.add(CSV, chunk=5)
    assert again.existed
    assert (again.version, again.digest) == (first.version, first.digest)
    assert room.files() == files
    other = room.add(CSV, text_columns=["n"])
    assert other.version == 2


def test_the_quickstart_table_is_found_personal(room: DataRoom) -> None:
    added = room.add(b"".join(biopsies_as_csv(7)), name="biopsies")
    assert (added.rows, added.columns) == (569, 37)
    detail = room.call(
        room.owner, "data.show", DatasetReference(workspace="clinic", name="biopsies")
    )
    personal = {column.name for column in detail.columns if column.role != "plain"}
    assert personal == {*PEOPLE_COLUMNS, "diagnosis"}
    assert room.table(room.owner, "biopsies")["postcode"].type == pa.string()


def test_nothing_of_the_data_is_readable_at_rest(room: DataRoom) -> None:
    room.add(CSV)
    room.house.log.integrate()
    database = room.folder.parent / "data.db"
    stored = [*room.files(), *database.parent.glob("data.db*")]
    assert len(stored) >= 2
    for path in stored:
        content = path.read_bytes()
        assert b"Lovelace" not in content
        assert b"zip" not in content.lower() or b"zipfile" in content.lower()


def _pieces_that_break() -> Iterator[bytes]:
    yield CSV
    raise TruncatedError("the body is not as long as its Content-Length says")


BAD: list[tuple[str, bytes, type[CallerError], str]] = [
    ("empty", b"", TruncatedError, "empty"),
    ("header only", b"a,b\n", TableError, "no rows"),
    ("duplicate names", b"a,a\n1,2\n", TableError, "twice"),
    ("empty name", b"a,\n1,2\n", TableError, "empty name"),
    ("unprintable name", b"a,b\x07\n1,2\n", TableError, "unprintable"),
    ("long name", b"a," + b"b" * 300 + b"\n1,2\n", TableError, "characters"),
    ("ragged", b"a,b\n1,2\nSECRET\n", TableError, "in row 3"),
    ("cut row", b"a,b,c\n1,2,3\n4,5", TableError, "3 columns, but 2"),
    ("cut in quotes", b'a,b\n1,x\n3,"SECRET\n', TruncatedError, "inside a quoted"),
    ("cut in a quoted number", b'a,b\n1,2\n3,"SECRET\n', TableError, "column 2 in row 3"),
    ("cut in quotes, one column", b'a\nx\n"SECRET\n', TruncatedError, "inside a quoted"),
    ("no known encoding", b"a,b\n1,\x81\xff\x00\xfe\n", TableError, "not known"),
    ("UTF-8 that breaks off", b"a,b\n" + b"1,x\n" * 1_100_000 + b"2,\xff\n", TableError, "UTF-8"),
    ("cut UTF-16", "a,b\n1,2\n".encode("utf-16")[:-1], TableError, "utf-16"),
    ("long field", b"a,b\n1,2\n3," + b"x" * (3 << 20), TooLargeError, "too long"),
    ("long quoted field", b'a,b\n1,2\n3,"' + b"x\n" * (2 << 20), TooLargeError, "too long"),
    ("long header", b"a" * (5 << 20), TooLargeError, "too long"),
    ("too many columns", b",".join(b"c%d" % i for i in range(51)) + b"\n1\n", TooLargeError, "50"),
    ("no zip archive", b"PK\x03\x04" + bytes(100), TableError, "damaged"),
    ("a picture", b"\x89PNG" + bytes(100), TableError, "a picture"),
    ("broken JSON", b'{"a":1}\nSECRET\n', TableError, "JSON"),
    ("cut JSON", b'{"a":1}\n{"a":2', TruncatedError, "JSON"),
    ("a list of mixed values", b'[{"a": 1}, 2]', TableError, "other values beside"),
    ("JSON key twice", b'{"a":1,"a":2}\n', TableError, "twice"),
    ("JSON not UTF-8", b'{"a":"\xff"}\n', TableError, "UTF-8"),
    ("JSON name not UTF-8", b'{"a\xff":1}\n', TableError, "UTF-8"),
    ("deep JSON", b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n", TableError, "nested"),
    ("deep JSON lists", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", TableError, "nested"),
    ("long JSON row", b'{"a":"' + b"x" * (3 << 20) + b'"}\n', TooLargeError, "too long"),
    ("cut Parquet", _parquet()[:-9], TableError, "damaged"),
    ("changed Parquet", _parquet()[:-60] + bytes(52) + _parquet()[-8:], TableError, "damaged"),
    ("cut Arrow", _arrow()[:-8], TruncatedError, "ends before"),
    ("cut Arrow message", _arrow()[:-60], TableError, "damaged"),
    ("cut Arrow file", _feather()[:-6], TruncatedError, "ends before"),
    ("huge Arrow message", b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(64), TooLargeError, "piece"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "rows", "types"),
    [
        (b"a,b\n" + b"1,2\n" * 300_000 + b"x,3\n", 300_001, ["string", "int64"]),
        (b'{"a":1}\n' * 150_000 + b'{"a":"x","b":2}\n', 150_001, ["string", "int64"]),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 300_000 + b"x,3\n"), 300_001, ["string", "int64"]),
    ],
    ids=["csv", "jsonl", "csv in gzip"],
)
def test_a_value_of_another_kind_far_down_is_kept(
    room: DataRoom, content: bytes, rows: int, types: list[str]
) -> None:
    added = room.add(content)
    assert added.rows == rows
    assert len(room.files()) == 1  # what was held to be read twice is gone
    table = room.table(room.owner)
    assert [str(kind) for kind in table.schema.types] == types
    assert table.slice(rows - 1)["a"].to_pylist() == ["x"]
    assert table.slice(0, 1)["a"].to_pylist() == ["1"]
    event = next(it for it in room.house.events() if it.operation == "data.add")
    assert "of several kinds" in str(event.details["remarks"])


@pytest.fixture(scope="module")
def empty_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataRoom]:
    """One room for all bad inputs: each must leave it as it was."""
    with dataroom(tmp_path_factory.mktemp("bad")) as built:
        yield built


@pytest.mark.parametrize(
    ("content", "error", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_bad_input_is_explained_and_changes_nothing(
    empty_room: DataRoom, content: bytes, error: type[CallerError], words: str
) -> None:
    with pytest.raises(error) as caught:
        empty_room.add(content)
    assert words in caught.value.message
    assert "SECRET" not in caught.value.message
    assert empty_room.files() == []
    listed = empty_room.call(empty_room.owner, "data.ls", ListDatasets(workspace="clinic"))
    assert listed.datasets == []
    failed = empty_room.house.events()[-2]
    assert (failed.operation, failed.outcome) == ("data.add", "failed")
    assert failed.reason == caught.value.code


def test_a_body_that_breaks_off_changes_nothing(room: DataRoom) -> None:
    request = AddDataset(workspace="clinic", name="patients")
    with pytest.raises(TruncatedError, match="Content-Length"):
        room.call(room.owner, "data.add", request, _pieces_that_break())
    assert room.files() == []


def test_a_stated_format_must_be_true(room: DataRoom) -> None:
    for form in ("parquet", "arrow"):
        with pytest.raises(TableError, match=f"not {form}"):
            room.add(CSV, format=form)
    with pytest.raises(TableError, match="not csv"):
        room.add(_parquet(), format="csv")
    request = AddDataset(workspace="clinic", name="patients")
    with pytest.raises(TableError, match="not parquet"):
        room.call(room.owner, "data.add", request, [CSV], "application/vnd.apache.parquet")


def test_the_subject_column_must_be_there(room: DataRoom) -> None:
    with pytest.raises(TableError, match="no column `who`"):
        room.add(CSV, subject_column="who")
    with pytest.raises(TableError, match="no column `who`"):
        room.add(CSV, text_columns=["who"])
    assert room.files() == []


def test_a_role_revoked_during_the_upload_stops_it(room: DataRoom) -> None:
    worker = room.house.person("carl", "Contributor")

    def body() -> Iterator[bytes]:
        yield CSV
        room.house.revoke(worker, "Contributor")

    with pytest.raises(RefusedError, match="withdrawn"):
        room.call(worker, "data.add", AddDataset(workspace="clinic", name="patients"), body())
    assert room.files() == []


@pytest.mark.parametrize("role", ["Reader", "Auditor", "Compute Operator", "ML Engineer"])
def test_who_may_not_add_is_refused_before_a_byte_is_read(room: DataRoom, role: str) -> None:
    person = room.house.person("rita", role)
    request = AddDataset(workspace="clinic", name="patients")
    with pytest.raises(RefusedError):
        room.call(person, "data.add", request, _pieces_that_break())


def test_a_full_column_of_nulls_and_a_later_value(room: DataRoom) -> None:
    room.add(b"a,b\n1,\n2,\n3,x\n")
    assert room.table(room.owner).to_pydict()["b"] == [None, None, "x"]


def test_names_are_checked() -> None:
    for name in ("", "../x", "a b", "-x", "x" * 101):
        with pytest.raises(ValueError, match="name"):
            AddDataset(workspace="clinic", name=name)

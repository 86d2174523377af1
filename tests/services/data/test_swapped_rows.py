"""Rows of versions that point to another's table, or name another maker: not read."""

import pytest
from sqlalchemy import select, update
from tests.services.data.dataroom import DataRoom

from strongroom.engines.crypto.floe import seal_stream
from strongroom.errors import TamperedError
from strongroom.services.data.sealed_record import Bound, open_record
from strongroom.services.data.tables import DatasetVersionRow

SECRET = b"code,kind\n" + b"".join(b"%d,person%d@example.org\n" % (i, i) for i in range(30))
HARMLESS = b"code,kind\n" + b"1,red\n2,blue\n" * 15


def rows(room: DataRoom) -> dict[str, DatasetVersionRow]:
    """By the number of personal columns: the table that has them, and the one that has none."""
    with room.house.database.read() as session:
        found = session.scalars(select(DatasetVersionRow)).all()
    return {"secret" if row.personal_columns else "harmless": row for row in found}


@pytest.mark.parametrize("what", ["another dataset's", "another version's"])
def test_a_table_is_not_read_under_the_findings_of_another(room: DataRoom, what: str) -> None:
    room.add(SECRET, purpose="care")
    name = "codes" if what == "another dataset's" else "patients"
    room.add(HARMLESS, name, purpose="care")
    scientist = room.house.person("dana", "Data Scientist")
    there = rows(room)
    secret, harmless = there["secret"], there["harmless"]
    clear = room.table(scientist, name, version=harmless.version).column("kind").to_pylist()
    assert clear[0] == "red"
    with room.house.database.write() as session:
        session.execute(update(DatasetVersionRow).values(blob=DatasetVersionRow.blob + "x"))
        for row, blob in ((harmless, secret.blob), (secret, harmless.blob)):
            session.execute(
                update(DatasetVersionRow)
                .where(
                    DatasetVersionRow.dataset == row.dataset,
                    DatasetVersionRow.version == row.version,
                )
                .values(blob=blob)
            )
    for version in (secret, harmless):
        with pytest.raises(TamperedError):
            room.read(
                scientist, name if version is harmless else "patients", version=version.version
            )


@pytest.mark.parametrize("values", [{"created_by": "usr_eve"}, {"purpose": "marketing"}])
def test_a_version_is_not_masked_under_the_key_of_another(
    room: DataRoom, values: dict[str, str]
) -> None:
    room.add(SECRET, purpose="care")
    scientist = room.house.person("dana", "Data Scientist")
    room.read(scientist)
    with room.house.database.write() as session:
        session.execute(update(DatasetVersionRow).values(**values))
    with pytest.raises(TamperedError):
        room.read(scientist)


def test_a_record_of_the_first_form_is_still_read() -> None:
    bound = Bound("ds_1", 1, "b" * 32, "usr_1", "care")
    body = (
        b'{"v":%d,"digest":"sha256:aa","source_format":"csv","source_bytes":1,"subject_column":"",'
        b'"findings":{"columns":[],"quasi_identifiers":[],"guarantee":{"rows_seen":1,"rows_sampled":1,'
        b'"detectable_share":1.0,"miss_probability":0.0}}}'
    )
    key = bytes(32)
    sealed = b"".join(seal_stream(key, bound.older_context(), [body % 1]))
    assert open_record(sealed, key, bound).digest == "sha256:aa"
    # A record of today's is not to be passed off as one of then.
    newer = b"".join(seal_stream(key, bound.older_context(), [body % 2]))
    with pytest.raises(TamperedError):
        open_record(newer, key, bound)

"""The semantic types of a workspace: who sets them, what they change, what cannot be slipped in."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from tests.services.data.dataroom import DataRoom

from strongroom.errors import (
    RefusedError,
    StrongroomError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.services.data.types import (
    ClassifyColumn,
    ColumnShown,
    DatasetDetail,
    DatasetReference,
    SetPolicy,
    SetTypes,
    ShowTypes,
    TypesShown,
)

TYPES = """
[study_code]
title = "code of a study"
pattern = 'ST-\\d{6}'
keywords = ["study"]
role = "special"
"""
CSV = b"ref,n\n" + b"".join(b"ST-%06d,%d\n" % (n * 7919, n % 3) for n in range(40))


def set_types(room: DataRoom, by: Principal, types: str) -> TypesShown:
    """Set the types, in small pieces."""
    content = types.encode()
    pieces = [content[at : at + 9] for at in range(0, len(content), 9)]
    shown = room.call(by, "data.set_types", SetTypes(workspace="clinic"), pieces)
    assert isinstance(shown, TypesShown)
    return shown


def types_of(room: DataRoom, by: Principal) -> TypesShown:
    """The types as shown."""
    shown = room.call(by, "data.types", ShowTypes(workspace="clinic"))
    assert isinstance(shown, TypesShown)
    return shown


def column(room: DataRoom, name: str = "ref") -> ColumnShown:
    """A column as shown."""
    reference = DatasetReference(workspace="clinic", name="patients")
    detail = room.call(room.owner, "data.show", reference)
    assert isinstance(detail, DatasetDetail)
    return next(one for one in detail.columns if one.name == name)


def classify(room: DataRoom, type_name: str) -> ColumnShown:
    """Say what the column `n` holds."""
    said = ClassifyColumn(workspace="clinic", name="patients", column="n", type=type_name)
    shown = room.call(room.owner, "data.classify", said)
    assert isinstance(shown, ColumnShown)
    return shown


def set_policy(room: DataRoom, policy: bytes) -> None:
    """Set the mask policy of the dataset."""
    request = SetPolicy(workspace="clinic", name="patients")
    room.call(room.owner, "data.set_policy", request, [policy])


def test_what_is_added_from_then_on_is_searched_for_them(room: DataRoom) -> None:
    officer = room.house.person("pia", "Privacy Officer")
    assert types_of(room, officer).types == []
    first = room.add(CSV)
    assert column(room).type != "study_code"
    shown = set_types(room, officer, TYPES)
    assert [(one.name, one.role) for one in shown.types] == [("study_code", "special")]
    assert (shown.set_by, shown.text) == (officer.id, TYPES)
    # The same content, searched for other types, is a new version; then it is the same again.
    again = room.add(CSV)
    assert (again.version, again.existed, again.digest) == (2, False, first.digest)
    assert room.add(CSV).existed
    found = column(room)
    assert (found.type, found.role, found.title) == ("study_code", "special", "code of a study")
    event = next(e for e in room.house.events() if e.operation == "data.set_types")
    assert (event.details["after"], event.details["types"]) == (shown.digest, 1)


def test_a_person_and_a_policy_may_name_them(room: DataRoom) -> None:
    room.add(CSV)
    with pytest.raises(ValidationError, match="study_code"):
        classify(room, "study_code")
    set_types(room, room.owner, TYPES)
    said = classify(room, "study_code")
    assert (said.type, said.role, said.title) == ("study_code", "special", "code of a study")
    policy = b'[types]\nstudy_code = "drop"'
    room.call(
        room.owner, "data.set_policy", SetPolicy(workspace="clinic", name="patients"), [policy]
    )
    assert column(room, "n").masked_by == "drop"
    with pytest.raises(ValidationError, match="`patients` names the type `study_code`"):
        set_types(room, room.owner, "# none")
    assert column(room, "n").type == "study_code"
    policy = b'[types]\nemail = "drop"'
    room.call(
        room.owner, "data.set_policy", SetPolicy(workspace="clinic", name="patients"), [policy]
    )
    with pytest.raises(ValidationError, match="a person's word on"):
        set_types(room, room.owner, "# none")
    classify(room, "engine")
    assert set_types(room, room.owner, "# none").types == []


def test_masked_texts_are_searched_for_them(room: DataRoom) -> None:
    rows = [f"Seen again for study ST-{n * 7919:06} and went home, n. {n}" for n in range(40)]
    set_types(room, room.owner, TYPES)
    room.add(("n,note\n" + "".join(f'{n},"{row}"\n' for n, row in enumerate(rows))).encode())
    set_policy(room, b'[columns]\nnote = "mask_spans"\n[roles]\ndirect = "keep"')
    shown = [str(text) for text in room.table(room.owner, view="masked")["note"].to_pylist()]
    assert all("[study_code]" in text and "ST-" not in text for text in shown)
    assert shown[3].endswith("went home, n. 3")


@pytest.mark.parametrize(
    "role", ["Contributor", "Data Scientist", "ML Engineer", "Reader", "Auditor"]
)
def test_others_see_them_and_set_none(room: DataRoom, role: str) -> None:
    person = room.house.person("pat", role)
    assert types_of(room, person).types == []
    with pytest.raises(RefusedError):
        set_types(room, person, TYPES)
    assert room.house.events()[-1].outcome == "refused"
    assert types_of(room, room.owner).types == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("[email]\npattern = 'x'", ValidationError),
        ("[own]\npattern = '('", ValidationError),
        ("", TruncatedError),
        ("#" * 300_000, ValidationError),
        ("#" * 1_100_000, TooLargeError),
    ],
)
def test_a_faulty_file_changes_nothing(
    room: DataRoom, content: str, error: type[StrongroomError]
) -> None:
    before = set_types(room, room.owner, TYPES)
    with pytest.raises(error):
        set_types(room, room.owner, content)
    assert types_of(room, room.owner) == before


Change = Callable[[DataRoom], None]


def _execute(*statements: str) -> Change:
    def change(room: DataRoom) -> None:
        with room.house.database.write() as session:
            for statement in statements:
                session.execute(text(statement))

    return change


@pytest.mark.parametrize(
    "change",
    [
        _execute("DELETE FROM custom_types"),
        _execute("UPDATE custom_types SET types = 'none'"),
        _execute("UPDATE custom_types SET types = x'00'"),
        _execute("UPDATE custom_types SET types = (SELECT types FROM kept)"),
        _execute("DELETE FROM custom_types", "INSERT INTO custom_types SELECT * FROM kept"),
        _execute("UPDATE custom_types SET workspace = 'another'"),
    ],
    ids=["taken away", "changed", "bytes", "an older file", "an older row", "moved"],
)
def test_types_changed_in_the_database_stop_reads_and_adding(
    room: DataRoom, change: Change
) -> None:
    room.add(CSV)
    set_types(room, room.owner, "# none yet")
    _execute("CREATE TABLE kept AS SELECT * FROM custom_types")(room)
    set_types(room, room.owner, TYPES)
    change(room)
    for forbidden in (
        lambda: types_of(room, room.owner),
        lambda: room.table(room.owner, view="masked"),
        lambda: room.add(CSV, "other"),
        lambda: set_types(room, room.owner, TYPES),
    ):
        with pytest.raises(TamperedError):
            forbidden()


def test_they_are_sealed_and_rotated(room: DataRoom) -> None:
    set_types(room, room.owner, TYPES + "# Zanzibar")
    database = room.folder.parent / "data.db"
    assert not any(b"Zanzibar" in path.read_bytes() for path in database.parent.glob("data.db*"))
    with room.house.database.write() as session:
        room.house.keyring.rotate(session, "clinic")
        assert room.room.rewrap(session, "clinic") == 1
        assert room.room.rewrap(session, "clinic") == 0
    assert "Zanzibar" in types_of(room, room.owner).text

"""Mask policies of datasets: who sets them, what follows at once, and what cannot be slipped in."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from tests.services.data.dataroom import DataRoom

from strongroom.errors import (
    KeyUnavailableError,
    NotFoundError,
    RefusedError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.services.data.types import (
    DatasetDetail,
    DatasetReference,
    DatasetVersion,
    ListDatasets,
    PolicyShown,
    RemoveDataset,
    SetPolicy,
    UnsetPolicy,
)

CSV = b"name,email,ward,note\n" + b"".join(
    b"Susan Miller,p%d@clinic.org,%s,wrote to p%d@clinic.org again\n"
    % (n, b"north" if n % 2 else b"south", n)
    for n in range(30)
)


def set_policy(room: DataRoom, by: Principal, policy: str, name: str = "patients") -> PolicyShown:
    """Set a policy, in small pieces."""
    content = policy.encode()
    pieces = [content[at : at + 7] for at in range(0, len(content), 7)]
    shown = room.call(by, "data.set_policy", SetPolicy(workspace="clinic", name=name), pieces)
    assert isinstance(shown, PolicyShown)
    return shown


def policy_of(room: DataRoom, by: Principal, name: str = "patients") -> PolicyShown:
    """The policy as shown."""
    shown = room.call(by, "data.policy", DatasetReference(workspace="clinic", name=name))
    assert isinstance(shown, PolicyShown)
    return shown


def masked(room: DataRoom, column: str, name: str = "patients") -> list[object]:
    """A column of the masked view."""
    return list(room.table(room.owner, name, view="masked")[column].to_pylist())


def test_a_new_policy_is_felt_by_the_next_read(room: DataRoom) -> None:
    room.add(CSV)
    room.add(CSV + b"Gary Cooper,p99@clinic.org,north,x\n")
    officer = room.house.person("pia", "Privacy Officer")
    before = policy_of(room, officer)
    assert (before.is_default, before.set_by) == (True, None)
    assert set(masked(room, "name")) == {"[redacted]"}
    policy = '[columns]\nname = { method = "partial", keep_first = 1 }\nward = "keep"'
    shown = set_policy(room, officer, policy)
    assert (shown.is_default, shown.set_by, shown.text) == (False, officer.id, policy)
    assert set(masked(room, "name")) == {"S**** ******", "G*** ******"}
    older = room.table(room.owner, view="masked", version=1)
    assert set(older["name"].to_pylist()) == {"S**** ******"}
    assert set(older["ward"].to_pylist()) == {"north", "south"}
    assert set(older["email"].to_pylist()) == {"[redacted]"}
    event = next(e for e in room.house.events() if e.operation == "data.set_policy")
    assert event.details["before"] == before.digest
    assert event.details["after"] == shown.digest
    detail = room.call(officer, "data.show", DatasetReference(workspace="clinic", name="patients"))
    assert detail.policy == shown.digest
    assert {c.name: c.masked_by for c in detail.columns}["name"] == "partial"
    room.call(officer, "data.unset_policy", UnsetPolicy(workspace="clinic", name="patients"))
    assert policy_of(room, officer).is_default
    assert set(masked(room, "name")) == {"[redacted]"}
    with pytest.raises(NotFoundError, match="of its own"):
        room.call(officer, "data.unset_policy", UnsetPolicy(workspace="clinic", name="patients"))


@pytest.mark.parametrize(
    "role", ["Contributor", "Data Scientist", "ML Engineer", "Reader", "Auditor"]
)
def test_who_sees_masked_rows_does_not_say_what_masked_means(room: DataRoom, role: str) -> None:
    room.add(CSV)
    person = room.house.person("pat", role)
    assert policy_of(room, person).is_default
    with pytest.raises(RefusedError):
        set_policy(room, person, '[columns]\nname = "keep"')
    with pytest.raises(RefusedError):
        room.call(person, "data.unset_policy", UnsetPolicy(workspace="clinic", name="patients"))
    assert room.house.events()[-1].outcome == "refused"
    assert policy_of(room, room.owner).is_default


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ('[columns]\nname = "kepe"', ValidationError),
        ("", TruncatedError),
        (" \n", TruncatedError),
        ("#" * 300_000, ValidationError),
        ("#" * 900_000, TooLargeError),
    ],
)
def test_a_faulty_policy_changes_nothing(
    room: DataRoom, policy: str, error: type[Exception]
) -> None:
    room.add(CSV)
    first = set_policy(room, room.owner, '[columns]\nname = "drop"')
    with pytest.raises(error):
        set_policy(room, room.owner, policy)
    assert policy_of(room, room.owner) == first


def test_what_is_not_text_or_not_there_is_refused(room: DataRoom) -> None:
    room.add(CSV)
    with pytest.raises(ValidationError, match="UTF-8"):
        room.call(
            room.owner, "data.set_policy", SetPolicy(workspace="clinic", name="patients"), [b"\xff"]
        )
    with pytest.raises(NotFoundError):
        set_policy(room, room.owner, "[types]", "nothing-there")


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
        _execute("DELETE FROM dataset_policies"),
        _execute("UPDATE dataset_policies SET policy = 'keep everything'"),
        _execute("UPDATE dataset_policies SET policy = x'00'"),
        _execute("UPDATE dataset_policies SET policy = (SELECT policy FROM kept)"),
        _execute("DELETE FROM dataset_policies",
                 "INSERT INTO dataset_policies SELECT * FROM kept"),
    ],
    ids=["taken away", "changed", "bytes", "an older text", "an older row"],
)  # fmt: skip
def test_a_policy_changed_in_the_database_unmasks_nothing(room: DataRoom, change: Change) -> None:
    room.add(CSV)
    set_policy(room, room.owner, '[columns]\nname = "keep"')
    _execute("CREATE TABLE kept AS SELECT * FROM dataset_policies")(room)
    set_policy(room, room.owner, '[columns]\nname = "drop"')
    change(room)
    with pytest.raises(TamperedError):
        room.table(room.owner, view="masked")


def test_the_policy_of_another_dataset_does_not_fit(room: DataRoom) -> None:
    room.add(CSV)
    room.add(CSV, "open")
    set_policy(room, room.owner, '[columns]\nname = "keep"', "open")
    set_policy(room, room.owner, '[columns]\nname = "drop"')
    _execute(
        "UPDATE dataset_policies SET (policy, policy_key) = (SELECT policy, policy_key FROM "
        "dataset_policies WHERE dataset = (SELECT id FROM dataset_names WHERE name = 'open'))"
    )(room)
    with pytest.raises(TamperedError):
        room.table(room.owner, view="masked")


def test_policies_are_sealed_rotated_and_end_with_their_dataset(room: DataRoom) -> None:
    room.add(CSV)
    set_policy(room, room.owner, '[columns]\nname = "drop"  # Zanzibar')
    database = room.folder.parent / "data.db"
    assert not any(b"Zanzibar" in path.read_bytes() for path in database.parent.glob("data.db*"))
    with room.house.database.write() as session:
        room.house.keyring.rotate(session, "clinic")
        assert room.room.rewrap(session, "clinic") == 4  # mask, record, policy, workspace mask
        assert room.room.rewrap(session, "clinic") == 0
    assert "Zanzibar" in policy_of(room, room.owner).text
    room.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    room.add(CSV)
    assert policy_of(room, room.owner).is_default
    with room.house.database.write() as session:
        room.house.keyring.disable(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        set_policy(room, room.owner, '[columns]\nname = "keep"')


# ---- weaknesses that the default policy must not have ----


def test_rare_words_of_a_category_are_hidden(room: DataRoom) -> None:
    wards = ["north"] * 20 + ["south"] * 20 + ["Xantippe Q"] * 2
    room.add(b"ward,n\n" + b"".join(f"{ward},{i}\n".encode() for i, ward in enumerate(wards)))
    assert set(masked(room, "ward")) == {"north", "south", "[rare]"}


def test_the_words_of_one_subject_are_rare_however_many_rows_it_has(room: DataRoom) -> None:
    rows = [("north", n) for n in range(20)] + [("Xantippe Q", 99)] * 20
    room.add(
        b"ward,who\n" + b"".join(f"{ward},{who}\n".encode() for ward, who in rows),
        subject_column="who",
    )
    assert set(masked(room, "ward")) == {"north", "[rare]"}


def test_texts_become_readable_where_the_policy_says_so(room: DataRoom) -> None:
    room.add(CSV)
    assert "wrote" not in str(masked(room, "note"))
    set_policy(room, room.owner, '[columns]\nnote = "mask_spans"')
    notes = str(masked(room, "note"))
    assert "wrote to [email] again" in notes
    assert "clinic.org" not in notes


def test_a_digest_that_could_be_guessed_is_not_shown(room: DataRoom) -> None:
    added = room.add(CSV)
    reader = room.house.person("rita", "Reader")
    officer = room.house.person("pia", "Privacy Officer")

    def digests(person: Principal) -> set[str]:
        detail: DatasetDetail = room.call(
            person, "data.show", DatasetReference(workspace="clinic", name="patients")
        )
        [listed] = room.call(person, "data.ls", ListDatasets(workspace="clinic")).datasets
        assert isinstance(listed, DatasetVersion)
        shown = [detail.shown, *detail.versions, listed]
        assert {version.commitment for version in shown} == {added.commitment}
        return {version.digest for version in shown}

    assert digests(officer) == {added.digest}
    assert digests(reader) == {added.commitment}
    assert added.digest.startswith("sha256:")
    room.read(officer)
    room.house.log.integrate()
    assert added.digest not in str(room.house.events())


def test_equal_content_has_unequal_commitments_elsewhere(room: DataRoom) -> None:
    assert room.add(CSV).commitment != room.add(CSV, "other").commitment

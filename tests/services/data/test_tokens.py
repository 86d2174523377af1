"""Tokens in masked views, and the permission of its own that turns them back."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError as FieldError
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.services.data.dataroom import DataRoom
from tests.services.data.test_policies import set_policy
from tests.vault.test_migrations import own_database

from strongroom.errors import (
    KeyUnavailableError,
    RateLimitedError,
    RefusedError,
    StrongroomError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.services.data.custom_types import CustomTypes
from strongroom.services.data.policies import Policies
from strongroom.services.data.tables import DatasetRow
from strongroom.services.data.tokens import (
    Drawer,
    DrawerVault,
    forget_others,
    workspace_key,
)
from strongroom.services.data.types import (
    AddDataset,
    ForgetTokens,
    RemoveDataset,
    Revealed,
    RevealTokens,
    TokensForgotten,
)
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

PEOPLE = b"email,visits\n" + b"".join(b"p%d@clinic.org,%d\n" % (n, n % 3) for n in range(40))
TOKENS = '[types]\nemail = "tokenize"'
ACROSS = f'[keys]\nlink = "purpose"\n{TOKENS}'
REASON = "recall of a faulty implant"


def tokens_of(room: DataRoom, name: str = "patients", **fields: object) -> list[str]:
    """The tokens in the masked view."""
    table = room.table(room.owner, name, view="masked", **fields)
    return [str(token) for token in table["email"].to_pylist()]


def reveal(
    room: DataRoom, by: Principal, tokens: list[str], name: str = "patients", **fields: object
) -> list[str | None]:
    """What tokens stand for."""
    request = RevealTokens.model_validate(
        {"workspace": "clinic", "name": name, "tokens": tokens, "reason": REASON, **fields}
    )
    answer = room.call(by, "data.reveal", request)
    assert isinstance(answer, Revealed)
    missing = sum(it.value is None for it in answer.revealed)
    assert answer.unknown + answer.forgotten == missing
    return [it.value for it in answer.revealed]


def turned(drawer: Drawer, session: Session, tokens: list[str]) -> list[str | None]:
    """What tokens stand for, None where they are forgotten or nothing."""
    return [it.value if it is not None else None for it in drawer.reveal(session, tokens)]


def test_tokens_stay_the_same_and_an_officer_turns_them_back(room: DataRoom) -> None:
    room.add(PEOPLE, purpose="research")
    set_policy(room, room.owner, TOKENS)
    seen = tokens_of(room)
    assert len(set(seen)) == 40
    assert all(token.startswith("tok_") for token in seen)
    assert tokens_of(room) == seen
    room.add(PEOPLE + b"p0@clinic.org,7\n", purpose="research")
    assert tokens_of(room) == [*seen, seen[0]]
    officer = room.house.person("pia", "Privacy Officer")
    some = [seen[3], f" {seen[0]} ", "tok_nothing", "p3@clinic.org"]
    assert reveal(room, officer, some) == ["p3@clinic.org", "p0@clinic.org", None, None]
    event = room.house.events()[-1]
    assert (event.operation, event.action) == ("data.reveal", "revealTokens")
    assert (event.details["tokens"], event.details["revealed"]) == (4, 2)
    assert event.details["reason"] == REASON
    assert str(event.details["tokens_digest"]).startswith("sha256:")
    assert "clinic.org" not in str(event)
    assert seen[3] not in str(event)


@pytest.mark.parametrize(
    "role", ["Contributor", "Data Scientist", "ML Engineer", "Reader", "Auditor", ""]
)
def test_who_reads_tokens_does_not_turn_them_back(room: DataRoom, role: str) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, TOKENS)
    [token, *_] = tokens_of(room)
    person = room.house.person("pat", *([role] if role else []))
    with pytest.raises(RefusedError):
        reveal(room, person, [token])
    event = room.house.events()[-1]
    assert (event.operation, event.outcome) == ("data.reveal", "refused")


def test_an_officer_of_another_workspace_turns_nothing_back(room: DataRoom) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, TOKENS)
    stranger = room.house.person("eve", "Owner", "Privacy Officer", workspace="other")
    with pytest.raises(RefusedError):
        reveal(room, stranger, tokens_of(room)[:1])


@pytest.mark.parametrize(
    "fields",
    [{"reason": ""}, {"reason": "short"}, {"reason": "x" * 501}, {"tokens": []},
     {"tokens": ["t"] * 101}, {"tokens": ["x" * 201]}, {"tokens": [""]}],
)  # fmt: skip
def test_a_reason_is_needed_and_there_are_limits(fields: dict[str, object]) -> None:
    given = {"workspace": "clinic", "name": "patients", "tokens": ["tok_a"], "reason": REASON}
    with pytest.raises(FieldError):
        RevealTokens.model_validate({**given, **fields})


def test_turning_back_is_slow_on_purpose(room: DataRoom) -> None:
    room.add(PEOPLE)
    with pytest.raises(RateLimitedError):  # noqa: PT012 # the eleventh at the latest
        for _ in range(11):
            reveal(room, room.owner, ["tok_a"])


def test_tables_join_across_datasets_of_one_purpose_where_the_policy_says_so(
    room: DataRoom,
) -> None:
    for name in ("people", "visits"):
        room.add(PEOPLE, name, purpose="research")
        set_policy(room, room.owner, ACROSS, name)
    assert tokens_of(room, "people") == tokens_of(room, "visits")
    room.add(PEOPLE, "people", purpose="billing")
    assert not set(tokens_of(room, "people")) & set(tokens_of(room, "visits"))
    [token] = tokens_of(room, "visits")[:1]
    # Of the newest version, whose purpose is another; then of the one with that purpose.
    assert reveal(room, room.owner, [token], "people") == [None]
    assert reveal(room, room.owner, [token], "people", version=1) == ["p0@clinic.org"]
    set_policy(room, room.owner, TOKENS, "visits")
    assert not set(tokens_of(room, "visits")) & set(tokens_of(room, "people", version=1))


def test_hashes_join_likewise(room: DataRoom) -> None:
    for name in ("people", "visits"):
        room.add(PEOPLE, name, purpose="research")
        set_policy(room, room.owner, '[keys]\nlink = "purpose"\n[types]\nemail = "hash"', name)
    assert tokens_of(room, "people") == tokens_of(room, "visits")
    set_policy(room, room.owner, '[types]\nemail = "hash"', "visits")
    assert not set(tokens_of(room, "people")) & set(tokens_of(room, "visits"))


@pytest.mark.parametrize("policy", [TOKENS, ACROSS])
def test_a_dictionary_of_ones_own_does_not_open_the_tokens_of_others(
    room: DataRoom, policy: str
) -> None:
    room.add(PEOPLE, purpose="research")
    set_policy(room, room.owner, policy)
    scientist = room.house.person("sam", "Data Scientist")
    request = AddDataset(workspace="clinic", name="patients", purpose="research")
    room.call(scientist, "data.add", request, [PEOPLE + b"p40@clinic.org,1\n"])
    assert not set(tokens_of(room, version=1)) & set(tokens_of(room, version=2))


def test_tokens_are_useless_without_the_key(room: DataRoom) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, TOKENS)
    seen = tokens_of(room)
    room.house.log.integrate()
    database = room.folder.parent / "data.db"
    for path in database.parent.glob("data.db*"):
        assert b"p7@clinic" not in path.read_bytes()
    with room.house.database.write() as session:
        room.house.keyring.rotate(session, "clinic")
        room.room.rewrap(session, "clinic")
    assert reveal(room, room.owner, seen[:1]) == ["p0@clinic.org"]
    with room.house.database.write() as session:
        room.house.keyring.destroy(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        reveal(room, room.owner, seen[:1])


def test_a_value_moved_to_another_token_is_noticed(room: DataRoom) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, TOKENS)
    first, second, *_ = tokens_of(room)
    with room.house.database.write() as session:
        session.execute(
            text(
                "UPDATE mask_tokens SET value = (SELECT value FROM mask_tokens WHERE token = :a) "
                "WHERE token = :b"
            ),
            {"a": first, "b": second},
        )
    with pytest.raises(TamperedError):
        reveal(room, room.owner, [second])
    with room.house.database.write() as session:
        session.execute(text("UPDATE mask_tokens SET value = 'text'"))
    with pytest.raises(TamperedError):
        reveal(room, room.owner, [first])


def test_tokens_that_changed_places_are_not_shown(room: DataRoom) -> None:
    room.add(PEOPLE, purpose="research")
    set_policy(room, room.owner, TOKENS)
    one, other = tokens_of(room)[:2]
    swap = text("UPDATE mask_tokens SET token = :to WHERE token = :token")
    with room.house.database.write() as session:
        for token, to in ((one, "held"), (other, one), ("held", other)):
            session.execute(swap, {"token": token, "to": to})
    with pytest.raises(TamperedError):
        tokens_of(room)


def forget(
    room: DataRoom,
    who: Principal,
    named: str,
    name: str = "patients",
    **fields: object,
) -> TokensForgotten:
    """Forget what the lines of `named` say."""
    request = ForgetTokens.model_validate(
        {"workspace": "clinic", "name": name, "reason": REASON, **fields}
    )
    answer = room.call(who, "data.forget_tokens", request, [named.encode()])
    assert isinstance(answer, TokensForgotten)
    return answer


@pytest.mark.parametrize("policy", [TOKENS, ACROSS])
def test_what_is_forgotten_does_not_come_back(room: DataRoom, policy: str) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, policy)
    first, second, *_ = tokens_of(room)
    officer = room.house.person("pia", "Privacy Officer")
    done = forget(room, officer, "  p0@clinic.org\n\nnobody@clinic.org\np0@clinic.org\n")
    assert (done.forgotten, done.unknown, done.orphaned) == (1, 1, 0)
    event = room.house.events()[-1]
    assert (event.operation, event.action) == ("data.forget_tokens", "forgetTokens")
    assert (event.details["named"], event.details["forgotten"]) == (2, 1)
    assert event.details["reason"] == REASON
    assert "clinic.org" not in str(event)
    assert "digest" not in str(sorted(event.details))
    answer = room.call(
        officer, "data.reveal",
        RevealTokens(workspace="clinic", name="patients", tokens=[first, second, "tok_x"],
                     reason=REASON),
    )  # fmt: skip
    assert [(it.value, it.forgotten) for it in answer.revealed] == [
        (None, True), ("p1@clinic.org", False), (None, False),
    ]  # fmt: skip
    assert (answer.unknown, answer.forgotten) == (1, 1)
    # While the row is there, it gets a token that is new.
    assert tokens_of(room)[0] not in (first, second)
    assert forget(room, officer, first, by="tokens").forgotten == 0
    assert forget(room, officer, second, by="tokens").forgotten == 1
    assert reveal(room, officer, [second]) == [None]


def test_a_forgotten_value_leaves_no_trace_and_its_token_is_never_drawn_again(
    room: DataRoom,
) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, TOKENS)
    tokens_of(room)
    with room.house.database.read() as session:
        before = session.execute(text("SELECT token, lookup, value FROM mask_tokens")).all()
    forget(room, room.owner, '["p0@clinic.org", "p1@clinic.org"]')
    with room.house.database.read() as session:
        after = session.execute(text("SELECT token, lookup, value FROM mask_tokens")).all()
    assert {row.token for row in after} == {row.token for row in before}
    changed = {row.token: row for row in before if row not in after}
    assert len(changed) == 2
    kept = b"".join(row.lookup + row.value for row in after)
    assert not any(row.lookup in kept or row.value in kept for row in changed.values())
    # What says that it was forgotten is sealed, too: nobody makes a value look so.
    with room.house.database.write() as session:
        session.execute(text("UPDATE mask_tokens SET value = x''"))
    with pytest.raises(TamperedError):
        reveal(room, room.owner, [before[0].token])
    with pytest.raises(TamperedError):
        forget(room, room.owner, "p7@clinic.org")


def test_a_subject_is_forgotten_in_every_version_purpose_and_under_earlier_policies(
    room: DataRoom,
) -> None:
    room.add(PEOPLE, purpose="research")
    room.add(PEOPLE, "visits", purpose="research")
    set_policy(room, room.owner, TOKENS)
    mine = tokens_of(room)[0]
    set_policy(room, room.owner, '[types]\nemail = { method = "tokenize", domain = "old" }')
    old = tokens_of(room)[0]
    set_policy(room, room.owner, ACROSS)
    set_policy(room, room.owner, ACROSS, "visits")
    shared = tokens_of(room, "visits")[0]
    room.add(PEOPLE, purpose="billing")
    other = tokens_of(room)[0]
    assert len({mine, old, shared, other}) == 4
    assert forget(room, room.owner, "p0@clinic.org").forgotten == 4
    assert reveal(room, room.owner, [shared], "visits") == [None]
    set_policy(room, room.owner, TOKENS)
    assert reveal(room, room.owner, [mine, old], version=1) == [None, None]


def test_tokens_of_versions_that_are_gone_are_forgotten_with_any_subject(room: DataRoom) -> None:
    room.add(PEOPLE, purpose="research")
    set_policy(room, room.owner, TOKENS)
    old = tokens_of(room)
    room.add(PEOPLE, purpose="billing")
    room.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients", version=1))
    assert forget(room, room.owner, old[3], by="tokens").orphaned == 1
    assert forget(room, room.owner, "nobody@clinic.org").orphaned == 39
    room.add(PEOPLE, purpose="research")
    assert reveal(room, room.owner, old[:1]) == [None]


@pytest.mark.parametrize("role", ["Contributor", "Data Scientist", "ML Engineer", "Reader", ""])
def test_who_may_not_forget_is_refused(room: DataRoom, role: str) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, TOKENS)
    [token, *_] = tokens_of(room)
    person = room.house.person("pat", *([role] if role else []))
    with pytest.raises(RefusedError):
        forget(room, person, "p0@clinic.org")
    assert reveal(room, room.owner, [token]) == ["p0@clinic.org"]


@pytest.mark.parametrize(
    ("named", "error"),
    [("\n".join(f"p{n}" for n in range(1_001)), TooLargeError), ("", TruncatedError),
     (" \n\n", TruncatedError), ("[]", ValidationError), ('[""]', ValidationError),
     ("x" * (4 << 20) + "y", TooLargeError)],
)  # fmt: skip
def test_what_to_forget_has_limits(
    room: DataRoom, named: str, error: type[StrongroomError]
) -> None:
    room.add(PEOPLE)
    with pytest.raises(error):
        forget(room, room.owner, named)


@pytest.mark.parametrize(("policy", "left"), [(TOKENS, 0), (ACROSS, 40)])
def test_tokens_go_with_their_dataset_unless_they_are_of_the_purpose(
    room: DataRoom, policy: str, left: int
) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, policy)
    tokens_of(room)
    room.call(room.owner, "data.rm", RemoveDataset(workspace="clinic", name="patients"))
    with room.house.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM mask_tokens")) == left


def test_two_readers_at_once_draw_one_token_to_a_value(room: DataRoom) -> None:
    room.add(PEOPLE)
    set_policy(room, room.owner, ACROSS)
    with room.house.database.read() as session:
        key = workspace_key(session, room.house.keyring, "clinic")
    drawer = Drawer.of("clinic", "", key)
    now = datetime.now(UTC)
    one = DrawerVault(drawer, room.house.database, room.house.keyring, now)
    other = DrawerVault(drawer, room.house.database, room.house.keyring, now)
    values = [f"p{n}" for n in range(30)]
    assert (
        one.tokens_for("x", values[:20], "opaque") == other.tokens_for("x", values, "opaque")[:20]
    )
    # Equal but for spaces around them: one value, one token.
    assert len(set(one.tokens_for("x", ["q", " q", "q "], "opaque"))) == 1
    odd = ["", "\x00", "👩", "a\nb 1234567"]
    with room.house.database.read() as session:
        drawn = turned(drawer, session, [*one.tokens_for("x", odd, "same"), "\x00", "\ud800"])
    assert drawn == [*odd, None, None]
    with room.house.database.write() as session:
        room.house.keyring.disable(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        one.tokens_for("x", values, "opaque")


def test_postgresql_keeps_tokens_and_policies_alike(postgres_server_url: str) -> None:
    with own_database(postgres_server_url) as url:
        database = Database.open(url)
        database.migrate()
        keyring = Keyring(LocalRoot(bytes(32)))
        now = datetime.now(UTC)
        dataset = DatasetRow(
            id="ds_1", workspace="clinic", name="n", mask_key=b"k", mask_key_version=1,
            created_at=now, created_by="usr_1",
        )  # fmt: skip
        policies = Policies(keyring, CustomTypes(keyring))
        with database.write() as session:
            keyring.create_workspace_key(session, "clinic")
            session.add(dataset)
            session.flush()
            policies.set(session, dataset, TOKENS, by="usr_1", now=now)
        drawer = Drawer.of("clinic", "ds_1", bytes(32))
        vault = DrawerVault(drawer, database, keyring, now)
        values = [*(f"p{n}@clinic.org" for n in range(600)), "", "\x00", "👩 1234567890"]
        tokens = vault.tokens_for("email", values, "same")
        assert vault.tokens_for("email", values, "opaque") == tokens
        with database.read() as session:
            assert turned(drawer, session, [*tokens, "\x00"]) == [*values, None]
            assert policies.of(session, dataset).text == TOKENS
        with database.write() as session:
            found = drawer.with_values(session, values[:500])
            assert drawer.forget(session, found) == drawer.size(session) - len(values) + 500
            assert forget_others(session, "ds_1", [drawer.name], None) == 0
            assert turned(drawer, session, tokens) == [None] * 500 + values[500:]
            policies.unset(session, dataset)
        with database.read() as session:
            assert policies.of(session, dataset).set_by is None
        database.close()

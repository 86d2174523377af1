"""Sign-in with keys, links and sessions, and all the ways in which it is refused."""

import sqlite3
import threading
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import ExpiredError, RateLimitedError, SignInError
from strongroom.gate.access.types import ANONYMOUS, Principal, PrincipalKind
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.identity.sign_in import FAILURES_PER_MINUTE, SignIn
from strongroom.gate.identity.tables import ApiKeyRow
from strongroom.gate.identity.tokens import TokenKind, new_token

HOUR = 3600


def key_of(house: Gatehouse, owner: Principal, *, days: int = 1, only: tuple[str, ...] = ()) -> str:
    with house.database.write() as session:
        _, secret = house.issuer.api_key(
            session, owner.id, purpose="default", days=days, workspaces=only, by=owner.id
        )
    return secret


def link_of(house: Gatehouse, owner: Principal, minutes: int = 10) -> str:
    with house.database.write() as session:
        return house.issuer.link(session, owner.id, minutes=minutes, by=owner.id)[1]


def failures(house: Gatehouse) -> list[Event]:
    return [
        event
        for event in house.events()
        if event.audit_class is AuditClass.AUTHENTICATION and event.outcome is Outcome.REFUSED
    ]


def in_database(house: Gatehouse, tmp_path: Path, text: str) -> bool:
    """Whether `text` stands in any row, or anywhere in the files."""
    with sqlite3.connect(tmp_path / "gate.db") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    return text in dump or text.encode() in files


# ---- API keys ----


def test_a_key_gives_its_owner_with_limit_and_address(house: Gatehouse) -> None:
    ann = house.person("ann", "Owner")
    secret = key_of(house, ann, only=("clinic",))
    principal = house.sign_in.identify(secret, "192.0.2.7")
    assert principal == Principal(
        PrincipalKind.PERSON, ann.id, "ann", secret[:20], ("clinic",), "192.0.2.7"
    )
    # From the cache, for another address:
    assert house.sign_in.identify(secret, "192.0.2.8").address == "192.0.2.8"


def test_no_credential_is_nobody_and_no_failure(house: Gatehouse) -> None:
    assert house.sign_in.identify(None) is ANONYMOUS
    assert house.sign_in.identify("") is ANONYMOUS
    assert failures(house) == []


def test_neither_secret_nor_its_parts_are_stored(house: Gatehouse, tmp_path: Path) -> None:
    secret = key_of(house, house.person("ann"))
    house.sign_in.identify(secret)
    assert in_database(house, tmp_path, secret[:20])  # its id is
    assert not in_database(house, tmp_path, secret)
    assert not in_database(house, tmp_path, secret.split("_")[2])


def test_a_mistyped_key_is_refused_without_a_look_at_the_accounts(
    house: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = key_of(house, house.person("ann"))

    def asked() -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(house.database, "read", asked)
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    with pytest.raises(SignInError, match="mistyped"):
        house.sign_in.identify(wrong)


def test_a_wrong_secret_for_a_known_id_is_refused_and_recorded(house: Gatehouse) -> None:
    secret = key_of(house, house.person("ann"))
    forged = new_token(TokenKind.API_KEY, lambda n: bytes(n)).text
    forged = _with_id(forged, secret[:20])
    with pytest.raises(SignInError, match="not valid"):
        house.sign_in.identify(forged, "192.0.2.7")
    (event,) = failures(house)
    assert (event.actor_kind, event.actor, event.credential) == ("anonymous", "", secret[:20])
    assert event.reason == SignInError.code
    everything = repr(event)
    assert forged.split("_")[2] not in everything
    assert "192.0.2.7" not in everything


def _with_id(text: str, identifier: str) -> str:
    import zlib

    body = f"{identifier}_{text.split('_')[2]}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


@pytest.mark.parametrize("text", ["x" * 129, "srk_é", "x" * 10_000_000, "a\x00b", "\ud800"])
def test_texts_that_are_no_keys_are_refused_and_recorded(house: Gatehouse, text: str) -> None:
    with pytest.raises(SignInError):
        house.sign_in.identify(text)
    assert len(failures(house)) == 1


def test_an_unknown_key_reads_as_a_wrong_one_does(house: Gatehouse) -> None:
    with pytest.raises(SignInError) as unknown:
        house.sign_in.identify(new_token(TokenKind.API_KEY, house.issuer.random).text)
    secret = key_of(house, house.person("ann"))
    with pytest.raises(SignInError) as wrong:
        house.sign_in.identify(
            _with_id(new_token(TokenKind.API_KEY, house.issuer.random).text, secret[:20])
        )
    assert (unknown.value.message, unknown.value.code) == (wrong.value.message, wrong.value.code)


def test_an_expired_key_says_so_and_is_recorded(house: Gatehouse) -> None:
    secret = key_of(house, house.person("ann"), days=1)
    house.clock.now += 24 * HOUR - 1
    assert house.sign_in.identify(secret).name == "ann"
    house.sign_in.forget()
    house.clock.now += 1
    with pytest.raises(ExpiredError):
        house.sign_in.identify(secret)
    (event,) = failures(house)
    assert event.reason == ExpiredError.code


def test_the_cache_never_outlives_the_key(house: Gatehouse) -> None:
    ticks = [0.0]
    sign_in = SignIn(
        house.database, house.log, house.issuer, house.grants, cache_seconds=1e6, session_hours=1,
        monotonic=lambda: ticks[0],
    )  # fmt: skip
    secret = key_of(house, house.person("ann"), days=1)
    sign_in.identify(secret)
    house.clock.now += 24 * HOUR
    ticks[0] += 24 * HOUR
    with pytest.raises(ExpiredError):
        sign_in.identify(secret)


def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_within_the_time(
    house: Gatehouse,
) -> None:
    ticks = [0.0]
    elsewhere = SignIn(
        house.database, house.log, house.issuer, house.grants, cache_seconds=1, session_hours=1,
        monotonic=lambda: ticks[0],
    )  # fmt: skip
    secret = key_of(house, house.person("ann"))
    elsewhere.identify(secret)
    house.sign_in.identify(secret)
    with house.database.write() as session:
        session.get_one(ApiKeyRow, secret[:20]).revoked_at = house.issuer.now()
    house.sign_in.forget()
    with pytest.raises(SignInError):
        house.sign_in.identify(secret)
    ticks[0] = 1.0
    with pytest.raises(SignInError):
        elsewhere.identify(secret)


def test_a_disabled_account_cannot_sign_in(house: Gatehouse) -> None:
    ann = house.person("ann", "Reader")
    secret, link = key_of(house, ann), link_of(house, ann)
    with house.database.write() as session:
        house.grants.suspend(session, ann.id, now=house.issuer.now())
    with pytest.raises(SignInError, match="disabled"):
        house.sign_in.identify(secret)
    with pytest.raises(SignInError, match="disabled"):
        house.sign_in.sign_in(link)
    assert len(failures(house)) == 2


def test_use_is_noted_by_the_hour(house: Gatehouse) -> None:
    secret = key_of(house, house.person("ann"))

    def last_used() -> object:
        house.sign_in.forget()
        house.sign_in.identify(secret)
        with house.database.read() as session:
            return session.get_one(ApiKeyRow, secret[:20]).last_used_at

    first = last_used()
    assert first == house.issuer.now()
    house.clock.now += HOUR - 1
    assert last_used() == first
    house.clock.now += 1
    assert last_used() == house.issuer.now()


def test_a_flood_of_failures_is_counted_and_not_recorded_one_by_one(house: Gatehouse) -> None:
    ticks = [0.0]
    sign_in = SignIn(
        house.database, house.log, house.issuer, house.grants, cache_seconds=1, session_hours=1,
        monotonic=lambda: ticks[0],
    )  # fmt: skip
    good = key_of(house, house.person("ann"))
    for _ in range(FAILURES_PER_MINUTE):
        with pytest.raises(SignInError):
            sign_in.identify("wrong", "192.0.2.7")
    for _ in range(30):
        with pytest.raises(RateLimitedError):
            sign_in.identify("wrong", "192.0.2.7")
    assert len(failures(house)) == FAILURES_PER_MINUTE
    assert sign_in.identify(good, "192.0.2.7").name == "ann"  # a good key is not held up
    with pytest.raises(SignInError):
        sign_in.identify("wrong", "192.0.2.8")
    ticks[0] = 60.0
    with pytest.raises(SignInError):
        sign_in.identify("wrong", "192.0.2.7")
    assert failures(house)[-1].details["unrecorded"] == 30


def test_identifying_from_memory_is_quick(house: Gatehouse) -> None:
    secret = key_of(house, house.person("ann"))
    sign_in = SignIn(
        house.database, house.log, house.issuer, house.grants, cache_seconds=600, session_hours=1
    )
    sign_in.identify(secret)
    times = []
    for _ in range(2_000):
        began = perf_counter()
        sign_in.identify(secret, "192.0.2.7")
        times.append(perf_counter() - began)
    assert median(times) < 50e-6


# ---- links and sessions ----


def test_a_link_is_good_once_and_begins_a_session(house: Gatehouse) -> None:
    ann = house.person("ann")
    link = link_of(house, ann)
    began = house.sign_in.sign_in(link, "192.0.2.7")
    assert began.principal.id == ann.id
    assert began.expires_at == house.issuer.now() + timedelta(hours=8)
    assert began.secret not in repr(began)
    principal = house.sign_in.identify(began.secret)
    assert (principal.id, principal.credential_id) == (ann.id, began.secret[:20])
    with pytest.raises(ExpiredError, match="once"):
        house.sign_in.sign_in(link)
    allowed, refused = house.events()
    assert (allowed.operation, allowed.actor, allowed.outcome) == (
        "sign_in", ann.id, Outcome.ALLOWED,
    )  # fmt: skip
    assert allowed.details["link"] == link[:20]
    assert refused.outcome is Outcome.REFUSED


def test_of_many_with_one_link_one_gets_in(house: Gatehouse) -> None:
    link = link_of(house, house.person("ann"))
    inside: list[str] = []
    refused: list[SignInError] = []
    barrier = threading.Barrier(8)

    def try_it() -> None:
        barrier.wait()
        try:
            inside.append(house.sign_in.sign_in(link).secret)
        except SignInError as error:
            refused.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(inside), len(refused)) == (1, 7)


def test_an_expired_link_is_refused(house: Gatehouse) -> None:
    link = link_of(house, house.person("ann"), minutes=10)
    house.clock.now += 600
    with pytest.raises(ExpiredError):
        house.sign_in.sign_in(link)


def test_each_kind_of_secret_is_good_for_its_own_use_only(house: Gatehouse) -> None:
    ann = house.person("ann")
    link, secret = link_of(house, ann), key_of(house, ann)
    with pytest.raises(SignInError, match="browser"):
        house.sign_in.identify(link)
    with pytest.raises(SignInError, match="no sign-in link"):
        house.sign_in.sign_in(secret)
    with pytest.raises(SignInError, match="only a console session"):
        house.sign_in.sign_out(secret)
    assert house.sign_in.sign_in(link).principal.id == ann.id  # none of this spent it


def test_neither_links_nor_sessions_are_stored(house: Gatehouse, tmp_path: Path) -> None:
    link = link_of(house, house.person("ann"))
    session = house.sign_in.sign_in(link).secret
    for secret in (link, session):
        assert not in_database(house, tmp_path, secret.split("_")[2])


def test_a_session_ends_by_time(house: Gatehouse) -> None:
    session = house.sign_in.sign_in(link_of(house, house.person("ann"))).secret
    house.clock.now += 8 * HOUR
    with pytest.raises(ExpiredError):
        house.sign_in.identify(session)


def test_a_session_ends_by_signing_out(house: Gatehouse) -> None:
    session = house.sign_in.sign_in(link_of(house, house.person("ann"))).secret
    house.sign_in.identify(session)
    house.sign_in.sign_out(session)
    with pytest.raises(ExpiredError, match="ended"):
        house.sign_in.identify(session)
    with pytest.raises(SignInError):
        house.sign_in.sign_out(session)
    assert [event.operation for event in house.events()][:2] == ["sign_in", "sign_out"]

"""Credentials that ended stay ended, though their rows are put back to what they were."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import ExpiredError, SignInError, ValidationError
from strongroom.gate.access.types import Principal
from strongroom.gate.hosting import host_event
from strongroom.gate.identity.issuing import LONGEST
from strongroom.gate.identity.tables import ApiKeyRow, LinkRow, SessionRow
from strongroom.gate.identity.tokens import TokenKind
from strongroom.gate.identity.types import ApiKeyReference
from strongroom.settings import load

ENDED = "its row was changed outside the server"


@pytest.fixture
def ann(house: Gatehouse) -> Principal:
    return house.person("ann", "Reader")


def api_key(house: Gatehouse, ann: Principal) -> tuple[str, str]:
    with house.database.write() as session:
        row, secret = house.issuer.api_key(
            session, ann.id, purpose="p", days=9, workspaces=(), by=ann.id
        )
        return row.id, secret


def test_a_revoked_key_is_not_good_again_by_its_old_row(house: Gatehouse, ann: Principal) -> None:
    key, secret = api_key(house, ann)
    assert house.sign_in.identify(secret).id == ann.id
    house.call(ann, "token.revoke", ApiKeyReference(key=key))
    with pytest.raises(SignInError, match="not valid"):
        house.sign_in.identify(secret)
    with house.database.write() as session:
        session.execute(update(ApiKeyRow).values(revoked_at=None))
    for _ in range(2):
        house.sign_in.forget()
        with pytest.raises(SignInError, match=ENDED):
            house.sign_in.identify(secret)
    last = house.events()[-1]
    assert (last.operation, last.outcome.value, last.credential) == ("sign_in", "refused", key)
    assert ENDED in str(last.details["reason"])
    revoked = next(e for e in house.events() if e.operation == "token.revoke")
    assert f"credential {key} ended ended" in revoked.details.values()


def test_a_session_that_was_signed_out_does_not_come_back(house: Gatehouse, ann: Principal) -> None:
    with house.database.write() as session:
        _, link = house.issuer.link(session, ann.id, minutes=5, by=ann.id)
    secret = house.sign_in.sign_in(link).secret
    assert house.sign_in.identify(secret).id == ann.id
    house.sign_in.sign_out(secret)
    with house.database.write() as session:
        session.execute(update(SessionRow).values(ended_at=None))
    with pytest.raises(SignInError, match=ENDED):
        house.sign_in.identify(secret)


def test_a_spent_link_is_not_spent_again(house: Gatehouse, ann: Principal) -> None:
    with house.database.write() as session:
        _, link = house.issuer.link(session, ann.id, minutes=5, by=ann.id)
    house.sign_in.sign_in(link)
    with house.database.write() as session:
        session.execute(update(LinkRow).values(used_at=None))
    with pytest.raises(SignInError, match=ENDED):
        house.sign_in.sign_in(link)


@pytest.mark.parametrize("how", ["spent", "replaced"])
def test_an_invitation_is_good_once_whatever_its_row_says(house: Gatehouse, how: str) -> None:
    eve = house.person("eve")
    with house.database.write() as session:
        row, invitation = house.issuer.invitation(session, eve.id, hours=5, by="")
    if how == "spent":
        house.sign_in.sign_in(invitation)
    else:
        with house.database.write() as session:
            house.issuer.invitation(session, eve.id, hours=5, by="")
            house.log.append(session, host_event("test.invite"))
    later = house.issuer.now() + timedelta(hours=1)
    with house.database.write() as session:
        session.execute(
            update(LinkRow).where(LinkRow.id == row.id).values(used_at=None, expires_at=later)
        )
    with pytest.raises(SignInError, match=ENDED):
        house.sign_in.sign_in(invitation)
    with pytest.raises(SignInError, match=ENDED):
        house.sign_in.identify(invitation)


def test_what_a_claim_made_void_does_not_come_back(house: Gatehouse) -> None:
    eve = house.person("eve")
    key, secret = api_key(house, eve)
    with house.database.write() as session:
        _, invitation = house.issuer.invitation(session, eve.id, hours=5, by="")
    house.sign_in.sign_in(invitation)
    with house.database.write() as session:
        session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key).values(revoked_at=None))
    with pytest.raises(SignInError, match=ENDED):
        house.sign_in.identify(secret)


# ---- made to last longer in the database ----


def test_a_key_and_a_session_last_no_longer_than_they_were_made_for(
    house: Gatehouse, ann: Principal
) -> None:
    _, key = api_key(house, ann)
    with house.database.write() as session:
        _, cookie = house.issuer.console_session(session, ann.id, hours=1)
    later = house.issuer.now() + timedelta(days=3_000)
    for table in (ApiKeyRow, SessionRow):
        with house.database.write() as session:
            session.execute(update(table).values(expires_at=later))
    for secret in (key, cookie):
        with pytest.raises(SignInError, match="not valid"):
            house.sign_in.identify(secret)


def test_a_link_made_to_last_ends_with_the_longest_that_one_may_last(
    house: Gatehouse, ann: Principal
) -> None:
    eve = house.person("eve")
    with house.database.write() as session:
        _, link = house.issuer.link(session, ann.id, minutes=5, by=ann.id)
        _, invitation = house.issuer.invitation(session, eve.id, hours=5, by="")
        session.execute(update(LinkRow).values(expires_at=house.issuer.now() + timedelta(days=99)))
    house.clock.now += LONGEST[TokenKind.LINK].total_seconds()
    with pytest.raises(ExpiredError):
        house.sign_in.sign_in(link)
    house.sign_in.identify(invitation)
    house.sign_in.forget()
    house.clock.now += LONGEST[TokenKind.INVITATION].total_seconds()
    with pytest.raises(ExpiredError):
        house.sign_in.identify(invitation)
    with house.database.write() as session:  # nor made anew by another moment of its making
        session.execute(update(LinkRow).values(created_at=house.issuer.now()))
    with pytest.raises(SignInError, match="not valid"):
        house.sign_in.identify(invitation)


def test_the_longest_is_what_the_settings_allow() -> None:
    longest = load({}, link_minutes=1_440, invitation_hours=720)
    assert {
        TokenKind.LINK: timedelta(minutes=longest.link_minutes),
        TokenKind.INVITATION: timedelta(hours=longest.invitation_hours),
    } == LONGEST
    for name, more in (("link_minutes", 1_441), ("invitation_hours", 721)):
        with pytest.raises(ValidationError, match=name):
            load({}, **{name: more})

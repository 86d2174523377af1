"""Who sends a request, by what it presents; and whether it comes from our own pages."""

import base64
from collections.abc import Mapping

import pytest
from starlette.datastructures import Headers

from strongroom.errors import CallerError, RefusedError, SignInError
from strongroom.faces.credentials import api_key, require_own_origin, session_secret


def headers(**named: str) -> Headers:
    return Headers({name.replace("_", "-"): value for name, value in named.items()})


def test_a_key_is_found_in_either_scheme() -> None:
    basic = base64.b64encode(b"user:key:with:colons").decode()
    assert api_key(headers(authorization="Bearer key")) == "key"
    assert api_key(headers(authorization="bEaReR  key ")) == "key"
    assert api_key(headers(authorization=f"Basic {basic}")) == "key:with:colons"
    assert api_key(headers()) == ""


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Token x",
        "Basic",
        "Basic ???",
        "Basic dXNlcg==",
        "Basic /w==",
        "Bearer " + "x" * 5_000,
    ],
)
def test_what_holds_no_key_is_refused(value: str) -> None:
    with pytest.raises(SignInError):
        api_key(headers(authorization=value))


def test_two_credentials_are_refused() -> None:
    twice = Headers(raw=[(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")])
    with pytest.raises(CallerError):
        api_key(twice)


def test_the_session_is_found_among_cookies() -> None:
    found = headers(cookie="a=1; __Host-strongroom=secret; b=2")
    assert session_secret(found) == "secret"
    assert session_secret(headers(cookie="x=1")) == ""
    assert session_secret(headers()) == ""
    assert session_secret(headers(cookie="__Host-strongroom=a; __Host-strongroom=b")) == ""


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"origin": "null"}, {"origin": "https://other"}, {"origin": "http://here:8443"},
        {"origin": "https://here"}, {"origin": "https://here:8443.evil"},
        {"origin": "https://here:8443", "sec_fetch_site": "cross-site"},
    ],
)  # fmt: skip
def test_a_change_must_come_from_our_own_pages(sent: Mapping[str, str]) -> None:
    with pytest.raises(RefusedError):
        require_own_origin("https", headers(host="here:8443", **sent))


def test_our_own_pages_may_change_things() -> None:
    require_own_origin("https", headers(host="here:8443", origin="https://here:8443"))

"""Each error of the tree as an answer: status, code, next step, and the headers it needs."""

import json
from http import HTTPStatus

import pytest

from strongroom import errors
from strongroom.faces.api import problems
from strongroom.faces.api.openapi import every_error

KINDS = [kind for kind in every_error() if kind.__module__ == "strongroom.errors"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_is_a_problem(kind: type[errors.StrongroomError]) -> None:
    error = (
        kind("it `was` so", retry_after_seconds=0.2)
        if issubclass(kind, errors.RateLimitedError)
        else kind("it `was` so")
    )
    answer = problems.response(error, "id1")
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(bytes(answer.body))
    assert problem == {
        "type": "about:blank",
        "title": HTTPStatus(kind.status).phrase,
        "status": kind.status,
        "detail": "it `was` so",
        "code": kind.code,
        "next_step": error.next_step,
        "request_id": "id1",
    }
    assert ("www-authenticate" in answer.headers) == (kind.status == 401)
    assert ("retry-after" in answer.headers) == (kind.status == 429)


def test_the_time_to_wait_is_never_zero() -> None:
    for seconds, header in ((0.0, "1"), (0.2, "1"), (1.2, "2"), (60.0, "60")):
        error = errors.RateLimitedError("slow down", retry_after_seconds=seconds)
        assert problems.response(error, "id").headers["retry-after"] == header


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    answer = problems.response(errors.CallerError("bad \ud800"), "id")
    assert json.loads(bytes(answer.body))["detail"] == "bad \ud800"


def test_a_foreign_error_is_concealed() -> None:
    try:
        raise ValueError("password=hunter2")
    except ValueError as error:
        shown = problems.concealed(error, "id")
    assert type(shown) is errors.InternalError
    assert "hunter2" not in bytes(problems.response(shown, "id").body).decode()


def test_a_key_in_the_place_of_a_name_is_not_repeated() -> None:
    key = f"srk_{'a' * 16}_{'b' * 52}_0123abcd"
    body = bytes(problems.response(errors.NotFoundError(f"no dataset `{key}`"), "id").body)
    assert json.loads(body)["detail"] == "no dataset `[hidden]`"

"""The question how a version stands is held until its checks have ended, and not for ever."""

import anyio
import pytest

from strongroom.faces.mlflow.waiting import until_checked

PATH = "/api/2.0/mlflow/model-versions/get"


def asked(
    path: str = PATH,
    query: bytes = b"name=a%20b&version=3",
    *,
    pending: int = 3,
    seconds: float = 9,
) -> list[tuple[str, str, int]]:
    """What the room of models was asked; it says `pending` times that the checks run."""
    questions: list[tuple[str, str, int]] = []

    def is_pending(workspace: str, model: str, version: int) -> bool:
        questions.append((workspace, model, version))
        return len(questions) <= pending

    async def wait() -> None:
        await until_checked(path, query, "clinic", is_pending, seconds=seconds)

    anyio.run(wait)
    return questions


def test_it_waits_until_the_checks_have_ended() -> None:
    assert asked() == [("clinic", "a b", 3)] * 4


def test_it_does_not_wait_for_ever() -> None:
    assert len(asked(pending=10**9, seconds=0.35)) <= 5


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/2.0/mlflow/runs/get", b"name=a&version=3"),
        (PATH, b"name=a"),
        (PATH, b"name=a&name=b&version=3"),
        (PATH, b"name=a&version=3&version=4"),
        (PATH, b"name=a&version=three"),
        (PATH, b"\xff\xfe"),
        (PATH, b""),
    ],
)
def test_other_questions_are_not_held(path: str, query: bytes) -> None:
    assert asked(path, query) == []


def test_an_absurd_number_is_asked_for_in_short() -> None:
    assert asked(query=b"name=a&version=" + b"9" * 5_000, pending=0) == [
        ("clinic", "a", 9_999_999_999)
    ]

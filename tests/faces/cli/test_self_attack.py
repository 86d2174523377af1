"""Attacks on servers: each finds what an open server does, and says so of nobody else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.engines.robustness.outcome import Status, judge
from strongroom.errors import UnreachableError
from strongroom.faces.cli.self_attack import bending, burdening
from strongroom.faces.cli.self_attack.attempts import GATES, NOT_HELD, Attack, tried
from strongroom.faces.cli.self_attack.instance import Answer, Instance, Listener
from strongroom.faces.cli.self_attack.open_instance import open_instance
from strongroom.faces.cli.self_attack.run import ATTACKS
from strongroom.faces.client.profiles import Profile


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Instance]:
    with open_instance() as instance:
        yield instance


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is on this machine: it answers at once, or never."""
    monkeypatch.setattr(bending, "_SECONDS", 0.2)
    monkeypatch.setattr(burdening, "_SLOW_SECONDS", 0.5)
    monkeypatch.setattr(burdening, "_PROMPT_SECONDS", 0.5)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.id)
def test_an_open_server_fails_every_attack(stand_in: Instance, attack: Attack) -> None:
    outcome = tried(attack, stand_in, stand_in)
    measure = outcome.measure(NOT_HELD)
    assert measure is not None
    assert measure.value > 0
    assert judge(outcome, GATES) is Status.FAILED
    assert outcome.words[0].startswith("NOT refused")
    json.dumps(dict(outcome.listed))


class Closed(Instance):
    """Refuses whatever it is asked; says that it is well."""

    def __init__(self) -> None:
        super().__init__(Profile(server="http://127.0.0.1:1"), workspace="own", other="other")

    def is_ours(self) -> bool:
        return True

    def ask(self, method: str, path: str, **_: object) -> Answer:
        return Answer(200 if path == "/healthz" else 403, b'{"code": "refused"}', 0.0)

    def own_address(self) -> str:
        return "127.0.0.1"


def test_what_is_refused_is_no_finding(stand_in: Instance) -> None:
    [attack] = [one for one in ATTACKS if one.id == "self.traversal"]
    outcome = tried(attack, Closed(), stand_in)
    assert judge(outcome, GATES) is Status.PASSED
    assert outcome.words[0].endswith("were refused.")


def test_an_attack_that_finds_nothing_anywhere_is_invalid() -> None:
    [attack] = [one for one in ATTACKS if one.id == "self.traversal"]
    assert judge(tried(attack, Closed(), Closed()), GATES) is Status.INVALID


def test_what_cannot_be_tried_is_said(stand_in: Instance) -> None:
    [attack] = [one for one in ATTACKS if one.id == "self.other_workspaces"]
    lone = Closed()
    lone.other = ""
    assert "--other-workspace" in tried(attack, lone, stand_in).reason
    with pytest.raises(UnreachableError):
        Instance(Profile(server="http://127.0.0.1:1"), workspace="own", other="").connect()


def test_a_call_to_the_listener_is_counted() -> None:
    with Listener("127.0.0.1") as listener:
        profile = Profile(server=listener.url)
        with Instance(profile, workspace="", other="").connect():
            pass
        while not listener.calls:
            pass
    assert listener.calls == 1


def test_every_attack_has_a_place_in_the_docs() -> None:
    text = Path("docs/robustness.md").read_text(encoding="utf-8")
    for one in ATTACKS:
        assert f"`{one.id}`" in text, one.id

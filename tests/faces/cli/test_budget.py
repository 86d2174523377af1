"""Budgets and questions from the command line, against a running server."""

import json

import pytest
from tests.faces.cli.conftest import Offline
from tests.faces.house import CSV, House

ASK = ("data", "query", "visits", "SELECT COUNT(*) AS n FROM data", "--purpose", "study")


@pytest.fixture
def run(house: House, offline: Offline, monkeypatch: pytest.MonkeyPatch) -> Offline:
    """The command line of the house's operator, in the workspace `clinic`."""
    monkeypatch.setenv("STRONGROOM_SERVER", house.address)
    monkeypatch.setenv("STRONGROOM_CA_FILE", str(house.ca))
    monkeypatch.setenv("STRONGROOM_API_KEY", house.api_key)
    monkeypatch.setenv("STRONGROOM_WORKSPACE", "clinic")
    return offline


def test_a_budget_is_set_spent_and_raised(house: House, run: Offline) -> None:
    house.call("data.add", workspace="clinic", name="visits", body=CSV)
    code, _, err = run(*ASK, "--epsilon", "0.5")
    assert code == 1
    assert "no privacy budget" in err
    assert "data set-budget" in err

    code, out, _ = run("data", "set-budget", "visits", "1", "--delta", "1e-7", "--json")
    assert code == 0
    assert json.loads(out)["delta"] == 1e-7

    code, out, _ = run(*ASK, "--epsilon", "0.7", "--dry-run", "--json")
    foreseen = json.loads(out)
    assert (code, foreseen["spent"], foreseen["fits"]) == (0, False, True)
    assert foreseen["expected"][0]["half_width"] > 0
    code, out, _ = run(*ASK, "--epsilon", "0.7", "--json")
    answer = json.loads(out)
    assert (code, answer["spend"], answer["groups"][0]["key"]) == (0, 1, {})
    value = answer["groups"][0]["values"]["n"]
    assert value["low"] <= value["value"] <= value["high"]

    code, _, err = run(*ASK, "--epsilon", "0.7")
    assert code == 4
    assert "would be spent, and the budget is epsilon 1" in err
    assert "ask for an epsilon of at most 0.29" in err
    code, out, _ = run(
        "data", "query", "visits", "SELECT AVG(mean_radius) AS mean FROM data", "--epsilon", "0.1",
        "--purpose", "study", "--bounds", "mean_radius=5:30", "--json",
    )  # fmt: skip
    assert code == 0

    code, out, _ = run("data", "allot-budget", "visits", "--allotments", "study=0.9", "--json")
    assert json.loads(out)["allotments"][0]["purpose"] == "study"
    code, out, _ = run(
        "data", "ask-raise", "visits", "2", "--delta", "1e-7", "--reason", "the study goes on",
        "--json",
    )  # fmt: skip
    assert (code, json.loads(out)["state"]) == (0, "open")
    code, _, err = run("data", "approve-raise", "visits", "1")
    assert code == 4
    assert "who asks for a raise does not approve it" in err
    code, out, _ = run("data", "decline-raise", "visits", "1", "--json")
    assert json.loads(out)["state"] == "declined"

    code, out, _ = run("data", "budget", "visits", "--json")
    shown = json.loads(out)
    assert (code, shown["spend_count"], shown["protects"]) == (0, 2, "single rows")
    assert [one["number"] for one in shown["spends"]] == [2, 1]
    code, out, _ = run("data", "budget", "visits")
    assert "study" in out
    assert "polylogarithmic" in out  # for whose choices the figures hold
    code, out, _ = run(
        "data",
        "set-budget",
        "visits",
        "1",
        "--delta",
        "1e-7",
        "--composition",
        "adaptive",
        "--json",
    )
    assert (code, json.loads(out)["composition"]) == (0, "adaptive")
    code, _, err = run(
        "data", "set-budget", "visits", "1", "--delta", "1e-7", "--composition", "pld"
    )
    assert code == 4
    assert "larger terms need the approval" in err


@pytest.mark.parametrize("words", [("set-budget", "visits", "-1"), ("set-budget", "visits", "x")])
def test_figures_that_are_none_are_a_mistake(run: Offline, words: tuple[str, ...]) -> None:
    code, _, err = run("data", *words)
    assert code in {1, 2}
    assert err

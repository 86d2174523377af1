"""The report of drift on a terminal: readable also where that is narrow."""

import re
import sys

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.drift.comparison import Roles, compare
from strongroom.engines.drift.findings import Report
from strongroom.engines.drift.planning import plan_of
from strongroom.engines.drift.state import State
from strongroom.faces.cli import drift_shown

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def report() -> Report:
    sides = []
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        sides.append({
            "pressure": random.normal(120 + 20 * seed, 15, 1_000),
            "score": random.random(1_000),
            "died": (random.random(1_000) < 0.1 + 0.2 * seed).astype(int),
        })  # fmt: skip
    plan = plan_of(pa.table(sides[0]))
    states = State(plan), State(plan)
    for state, rows in zip(states, sides, strict=True):
        state.update(rows)
    return compare(*states, roles=Roles(frozenset({"score"}), labels=frozenset({"died"})))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_words_have_room_at_any_width(
    report: Report, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    drift_shown.show(report)
    shown = _STYLE.sub("", capsys.readouterr().out)
    lines = shown.splitlines()
    assert max(len(line) for line in lines) <= width
    assert len(lines) < 50
    assert ("PSI" in shown) is (width >= 100)
    for said in ("Values are higher", "died (label)", "score", "`1` is more", "(threshold"):
        assert said in shown

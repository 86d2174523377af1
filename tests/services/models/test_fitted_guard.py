"""A guard and what it belongs to: written, read with suspicion, and rows in its coordinates."""

from dataclasses import replace

import numpy as np
import pytest
from tests.services.endpoints.shelf import X, tumour_guard

from strongroom.engines.robustness.space import Feature, Space
from strongroom.errors import ValidationError
from strongroom.services.models.fitted_guard import Coder, FittedGuard

SPACE = Space([Feature("age", 20.0, 60.0), Feature("ward", levels=("a", "b", "c"))])


def test_what_is_written_judges_as_before() -> None:
    made = tumour_guard()
    read = FittedGuard.from_bytes(made.to_bytes())
    assert (read.digest, read.classes, read.features) == (made.digest, made.classes, made.features)
    rows = Coder(made.space).rows(X[:20])
    scores = np.tile([0.3, 0.7], (20, 1))
    assert read.guard.check(rows, scores).p.tolist() == made.guard.check(rows, scores).p.tolist()
    assert read.traffic is not None
    assert made.traffic is not None
    assert read.traffic.ask(rows, scores).cells.tolist() == (
        made.traffic.ask(rows, scores).cells.tolist()
    )


def test_what_was_changed_is_no_guard() -> None:
    data = tumour_guard().to_bytes()
    chance = np.random.default_rng(3)
    for place, bit in zip(
        chance.integers(len(data), size=60), chance.integers(8, size=60), strict=True
    ):
        changed = bytearray(data)
        changed[place] ^= 1 << int(bit)
        with pytest.raises(ValidationError):
            FittedGuard.from_bytes(bytes(changed))
    for cut in (b"", data[:10], data[:-1], data + b"x", b"pickle" + data):
        with pytest.raises(ValidationError):
            FittedGuard.from_bytes(cut)


def test_parts_that_do_not_fit_together_are_no_guard() -> None:
    made = tumour_guard()
    for wrong in (
        replace(made, classes=("0", "1", "2")),
        replace(made, space=SPACE),
    ):
        with pytest.raises(ValidationError, match="fit together"):
            FittedGuard.from_bytes(wrong.to_bytes())


def test_values_become_points_whatever_they_are() -> None:
    coder = Coder(SPACE)
    words = np.array(["a", "c", "unheard of", ""], dtype=object)
    ages = np.array([20.0, 60.0, np.nan, 1e308])
    points = coder.rows([ages, words])
    assert points[:2].tolist() == [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]]
    assert np.isnan(points[2, 0])
    assert points[2, 1:].tolist() == [0.0, 0.0, 0.0]  # far from every row that has a ward
    assert points[3, 0] > 1e300


def test_points_become_values_of_the_kind_that_was_asked() -> None:
    columns = [np.array([20, 60]), np.array(["a", "b"], dtype=object)]
    coder = Coder(SPACE)
    back = coder.values(coder.rows(columns), columns)
    assert [one.tolist() for one in back] == [[20, 60], ["a", "b"]]
    assert isinstance(back, list)
    assert back[0].dtype == columns[0].dtype
    table = X[:3].astype(np.float32)
    coder = Coder(tumour_guard().space)
    again = coder.values(coder.rows(table), table)
    assert isinstance(again, np.ndarray)
    assert again.dtype == np.float32
    assert again == pytest.approx(table, rel=1e-5)

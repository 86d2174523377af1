"""A hardened model in ONNX's form with its recipe: others like it are fitted, whoever wrote it."""

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.hardening.stating import Stated
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.space import Feature, Space
from strongroom.errors import ValidationError
from strongroom.services.models import confined_hardening, confined_subject
from strongroom.services.models.confined_recipe import recipe_beside
from strongroom.services.models.hardening import Order
from strongroom.services.models.subjects import AssessedModel

PLAN = parse_plan('version = 1\n[columns]\nlabel = "ill"\n')
SPACE = Space([Feature("age", 20, 80), Feature("town", levels=("north", "south", "west"))])


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What runs in a sandbox silences its own process, which here is that of the tests."""
    with warnings.catch_warnings():
        yield
    logging.disable(logging.NOTSET)


def table(rows: int = 120) -> pa.Table:
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, rows)
    town = rng.choice(["north", "south"], rows)
    ill = (age + 10 * (town == "north") > 55).astype(int)
    return pa.table({"age": age, "town": town, "ill": ill})


def made(order: Order, rows: pa.Table, folder: Path) -> dict[str, bytes]:
    """The files of a hardened model; the sandbox's part, without the sandbox."""
    handle = confined_hardening.start(order.argument(), folder)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    handle({"do": "rows"}, sink.getvalue().to_pybytes())
    answer, _ = handle({"do": "harden"}, b"")
    if "failed" in answer:
        raise ValidationError(answer["failed"])
    return {name: handle({"do": "file", "name": name}, b"")[1] for name in answer["files"]}


def test_others_like_it_are_fitted_by_the_recipe_that_came_along(tmp_path: Path) -> None:
    stated = Stated("DecisionTreeClassifier", {"max_depth": 3}, is_own=True)
    order = Order(Way.RETRAINED, PLAN, ("age", "town"), ("0", "1"), stated)
    files = made(order, table(), tmp_path)
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        (tmp_path / "in" / name).write_bytes(content)
    model = AssessedModel(confined_subject.start({}, tmp_path))
    assert model.about.can_fit
    assert model.about.features == ("age", "town")
    assert model.stated() == stated
    points = SPACE.encode(
        {name: table().column(name).to_numpy(zero_copy_only=False) for name in ("age", "town")}
    )
    labels = np.asarray(table().column("ill").to_numpy())
    own = model.predict(SPACE, 2)(points)
    other = model.fit(SPACE, points, labels, 1)
    assert (own.argmax(axis=1) == labels).mean() > 0.9
    np.testing.assert_allclose(other(points), own, atol=1e-6)  # the same rows, the same recipe
    unseen = points.copy()
    unseen[:, 1:] = [0.0, 0.0, 1.0]  # a town that no training row had
    assert np.isfinite(other(unseen)).all()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"kind": "os.system", "settings": {}, "scaler": ""}', b"\xff" * 9,
     b'{"kind": "GaussianNB", "settings": {"n": 1}, "scaler": ""}', b" " * (65 << 10)],
    ids=["empty", "cut", "list", "code", "no text", "settings", "large"],
)  # fmt: skip
def test_a_recipe_that_is_none_is_left_out(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_bytes(content)
    assert recipe_beside(tmp_path) is None


def test_rows_that_cannot_be_trained_on_are_refused(tmp_path: Path) -> None:
    order = Order(Way.RETRAINED, PLAN, ("age", "town"), ("0", "1"))
    one_class = table().filter(pa.array(table().column("ill").to_numpy() == 1))
    with pytest.raises(ValidationError, match="lack one of the model's classes"):
        made(order, one_class, tmp_path)
    with pytest.raises(ValidationError, match="no column `age`"):
        made(order, table().drop_columns(["age"]), tmp_path)
    odd = Stated("DecisionTreeClassifier", {"criterion": "magic"}, is_own=True)
    with pytest.raises(ValidationError, match="cannot be fitted"):
        made(Order(Way.RETRAINED, PLAN, ("age", "town"), ("0", "1"), odd), table(), tmp_path)
    with pytest.raises(ValidationError, match="answer with classes"):
        Order(Way.ADVERSARIAL, PLAN, ("age",), ())


def test_missing_numbers_are_filled_in_and_stay_so_outside(tmp_path: Path) -> None:
    rows = table()
    age = rows.column("age").to_numpy().copy()
    age[::3] = np.nan
    rows = rows.set_column(0, "age", pa.array(age))
    files = made(Order(Way.RETRAINED, PLAN, ("age", "town"), ("0", "1"), "forest"), rows, tmp_path)
    assert json.loads(files["recipe.json"])["kind"] == "RandomForestClassifier"

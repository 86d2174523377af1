"""Recipes as files, and the guide that writes the first one."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.anonymize.test_running import patients

from strongroom.engines.privacy.anonymize.guide import dated_columns, is_crowded, recipe_for
from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    MethodRecipe,
    Recipe,
    Tree,
    parse_recipe,
    recipe_text,
)
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.errors import ValidationError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
FILES = TEXTS | st.sampled_from(["a;*\nb;*\n", "'''", "a\\'", "\n", ""])
COLUMN = st.builds(
    ColumnRecipe,
    role=st.sampled_from(ColumnRole),
    hierarchy=st.sampled_from([one for one in Tree if one is not Tree.FILE]),
    steps=st.lists(st.floats(0.5, 100), max_size=3).map(tuple),
    order=st.lists(TEXTS, max_size=3).map(tuple),
    weight=st.floats(0, 10),
    top=st.none() | st.floats(-1e6, 1e6),
)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(TEXTS, COLUMN, max_size=4),
    st.integers(1, 50),
    st.dictionaries(TEXTS, FILES, max_size=2),
)
def test_written_and_read(columns: dict[str, ColumnRecipe], k: int, files: dict[str, str]) -> None:
    recipe = Recipe(DemandsRecipe(k=k, t=0.25), columns=columns, files=files)
    assert parse_recipe(recipe_text(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("k = 5", "knows no `k`"),
        ("[demands]\nkk = 5", "did you mean `k`"),
        ("[demands]\nk = 0", "from 1 to"),
        ("[demands]\nk = 2.5", "whole number"),
        ("[demands]\nk = true", "from 1 to"),
        ("[demands]\nt = 1.5", "from 0 to 1"),
        ("[demands]\nt = nan", "from 0 to 1"),
        ("[demands]\ndiversity = 'x'", "one of distinct, entropy, recursive"),
        ("[columns.a]\nhierarchy = 'numbers'", "needs a role"),
        ("[columns.a]\nrole = 'quasi'\nhierarchy = 'file'", "no file is named"),
        ("[columns.a]\nrole = 'quasi'\nsteps = ['x']", "list of numbers"),
        ("[columns.a]\nrole = 'quasi'\norder = [1]", "list of texts"),
        ("[columns.a]\nrole = 'quasi'\nfile = 1", "is a text"),
        ("columns = 1", "must be"),
        ("files = 1", "table of texts"),
        ("[files]\na = 1", "table of texts"),
        ("demands = 1", "must be"),
        ("[columns]\na = 1", "must be"),
        ("x = [", "not valid TOML"),
        ("#" * 1_000_001, "characters"),
    ],
)
def test_what_is_no_recipe(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        parse_recipe(text)


def guided(
    table: pa.Table,
    quasi: tuple[str, ...] = (),
    sensitive: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
    weights: dict[str, float] | None = None,
) -> Recipe:
    return recipe_for(
        table.schema, discover_table(table), DemandsRecipe(), MethodRecipe(), quasi=quasi,
        sensitive=sensitive, drop=drop, weights=weights, dated=dated_columns(table),
    )  # fmt: skip


def test_the_guide_chooses_and_says_why() -> None:
    table = patients().append_column("tags", pa.array([["x"]] * 240))
    found = guided(table, sensitive=("illness",))
    roles = {name: column.role for name, column in found.columns.items()}
    assert roles["name"] is ColumnRole.DROP
    assert roles["tags"] is ColumnRole.DROP
    assert roles["age"] is roles["zip"] is roles["sex"] is roles["seen"] is ColumnRole.QUASI
    assert roles["illness"] is ColumnRole.SENSITIVE
    assert roles["score"] is ColumnRole.KEEP
    trees = {name: column.hierarchy for name, column in found.columns.items()}
    assert (trees["age"], trees["zip"], trees["seen"]) == (Tree.NUMBERS, Tree.PREFIXES, Tree.DATES)
    assert all(column.reason for column in found.columns.values())
    assert parse_recipe(recipe_text(found)).columns["age"].role is ColumnRole.QUASI
    assert not is_crowded(found)


def test_a_date_of_birth_is_made_coarser_and_not_left_out() -> None:
    """The quasi-identifier of the best known attack: Sweeney 2000, "Uniqueness of Simple
    Demographics in the U.S. Population".
    """
    born = [date(1930 + n % 70, 1 + n % 12, 1 + n % 28) for n in range(240)]
    table = patients().append_column("date_of_birth", pa.array(born))
    column = guided(table).columns["date_of_birth"]
    assert (column.role, column.hierarchy) == (ColumnRole.QUASI, Tree.DATES)
    for form in ("%d.%m.%Y", "%Y%m%d"):
        texts = patients().append_column(
            "date_of_birth", pa.array([one.strftime(form) for one in born])
        )
        column = guided(texts).columns["date_of_birth"]
        assert (column.role, column.hierarchy) == (ColumnRole.QUASI, Tree.DATES)
    # Two digits of a year leave a century open: no order that a hierarchy could follow.
    short = patients().append_column("date_of_birth", pa.array([f"{one:%d.%m.%y}" for one in born]))
    assert guided(short).columns["date_of_birth"].role is ColumnRole.DROP


def test_names_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match="no column `nobody`"):
        guided(patients(), quasi=("nobody",))
    with pytest.raises(ValidationError, match="named for two roles"):
        guided(patients(), quasi=("age",), drop=("age",))
    with pytest.raises(ValidationError, match="no column `nobody`"):
        guided(patients(), weights={"nobody": 2.0})
    with pytest.raises(ValidationError, match="not generalized: it is of the role keep"):
        guided(patients(), weights={"score": 2.0})
    assert guided(patients(), weights={"age": 2.0}).columns["age"].weight == 2.0

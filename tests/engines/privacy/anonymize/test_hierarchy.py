"""Hierarchies: read, written, built; and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.anonymize.building import (
    dates_hierarchy,
    frequency_hierarchy,
    numbers_hierarchy,
    ordered_hierarchy,
    prefixes_hierarchy,
)
from strongroom.engines.privacy.anonymize.hierarchy import (
    MISSING,
    Hierarchy,
    codes_of,
    hierarchy_text,
    parse_hierarchy,
    with_missing,
)
from strongroom.errors import ValidationError


def require_tree(tree: Hierarchy) -> None:
    """Levels nest, nodes cover neighbours, one name on top."""
    assert len(tree.labels[-1]) == 1
    assert len(set(tree.leaves)) == len(tree.leaves)
    for level in range(tree.height):
        below, above = tree.codes[level], tree.codes[level + 1]
        assert len({(int(b), int(a)) for b, a in zip(below, above, strict=True)}) == len(
            set(below.tolist())
        )
        assert np.all(np.diff(above) >= 0)
        assert len(tree.labels[level]) == int(below.max()) + 1


def test_published_hierarchies(shared_data: Path) -> None:
    levels = {"sex": 2, "age": 5, "race": 2, "marital-status": 3, "education": 4,
              "native-country": 3, "workclass": 3, "occupation": 3, "salary-class": 2}  # fmt: skip
    size = 1
    for name, count in levels.items():
        text = (shared_data / "adult" / f"adult_hierarchy_{name}.csv").read_text()
        tree = parse_hierarchy(name, text)
        require_tree(tree)
        assert tree.height + 1 == count
        again = parse_hierarchy(name, hierarchy_text(tree))
        assert again.labels == tree.labels
        size *= count
    assert size == 12_960


def test_neighbours_are_brought_together() -> None:
    tree = parse_hierarchy("c", "a;x;*\nb;y;*\nc;x;*\n")
    assert tree.leaves == ("a", "c", "b")
    assert not tree.is_ordered
    require_tree(tree)


def test_numbers_in_order_are_ordered() -> None:
    tree = parse_hierarchy("age", "1;low;*\n2;low;*\n7;high;*\n")
    assert tree.is_ordered
    assert tree.positions is not None
    assert tree.places.tolist() == [0, 1 / 6, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a;x;*\nb;*\n", "row 2 has 2 levels, not 3"),
        ("a;*\na;*\n", "values twice: `a`"),
        ("a;x;1;*\nb;x;2;*\n", "`x` on level 1 belongs to several names"),
    ],
)
def test_what_is_no_hierarchy(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        parse_hierarchy("c", text)


def test_gaps_are_named() -> None:
    tree = parse_hierarchy("c", "a;*\nb;*\n")
    assert codes_of(tree, ["b", "a"]).tolist() == [1, 0]
    with pytest.raises(ValidationError, match="misses 2 of 3 values: `x`, `y`"):
        codes_of(tree, ["a", "x", "y"])
    with pytest.raises(ValidationError, match=r"`v0`.*and 3 more"):
        codes_of(tree, [f"v{at}" for at in range(8)])


def test_several_tops_get_one_above() -> None:
    assert parse_hierarchy("c", "a,x\nb,y\n").labels[-1] == ("*",)


def test_missing_values_stay_apart_up_to_the_top() -> None:
    tree = with_missing(parse_hierarchy("c", "1;low;*\n2;low;*\n3;high;*\n"))
    require_tree(tree)
    leaf = tree.index[MISSING]
    assert tree.labels[1][tree.codes[1][leaf]] == MISSING
    assert tree.codes[-1][leaf] == 0
    assert with_missing(tree) is tree
    require_tree(with_missing(parse_hierarchy("c", "only\n")))


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(-10_000, 10_000), min_size=1, max_size=60))
def test_numbers(numbers: set[int]) -> None:
    tree = numbers_hierarchy("n", [str(one) for one in numbers])
    require_tree(tree)
    assert [float(one) for one in tree.leaves] == sorted(numbers)
    for level in range(1, tree.height):
        for leaf, value in enumerate(sorted(numbers)):
            low, high = tree.labels[level][tree.codes[level][leaf]].strip("[").split(", ")
            assert float(low) <= value < float(high)


def test_numbers_with_steps() -> None:
    tree = numbers_hierarchy("n", ["3", "5", "12", "27"], steps=[10, 20])
    assert tree.labels[1] == ("[0, 10[", "[10, 20[", "[20, 30[")
    assert tree.labels[2] == ("[0, 20[", "[20, 40[")
    for steps in ([10, 15], [0], [-1], [10, 10]):
        with pytest.raises(ValidationError):
            numbers_hierarchy("n", ["1", "2"], steps=steps)
    for bad in (["x"], ["inf"]):
        with pytest.raises(ValidationError):
            numbers_hierarchy("n", bad)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.dates(), min_size=1, max_size=40))
def test_dates(days: "set[object]") -> None:
    tree = dates_hierarchy("d", [str(day) for day in days])
    require_tree(tree)
    assert tree.is_ordered


def test_dates_refuse_other_texts() -> None:
    with pytest.raises(ValidationError, match="no dates"):
        dates_hierarchy("d", ["31.13.2020"])


@settings(max_examples=30, deadline=None)
@given(st.sets(st.text("0123456789AB", min_size=1, max_size=6), min_size=1, max_size=60))
def test_prefixes(codes: set[str]) -> None:
    require_tree(prefixes_hierarchy("p", sorted(codes)))


def test_prefixes_hide_from_the_right() -> None:
    tree = prefixes_hierarchy("p", ["81667", "81675", "81925"])
    path = [tree.labels[level][tree.codes[level][0]] for level in range(tree.height + 1)]
    # `8166*` joins nothing here and `81***` would be the top: neither is a level.
    assert path == ["81667", "816**", "*"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(2, 5))
def test_ordered(count: int, fan: int) -> None:
    tree = ordered_hierarchy("o", [f"v{at}" for at in range(count)], fan=fan)
    require_tree(tree)
    assert tree.is_ordered


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(1, 5_000), min_size=1))
def test_frequency(counts: dict[str, int]) -> None:
    tree = frequency_hierarchy("f", counts)
    require_tree(tree)
    assert set(tree.leaves) == set(counts)

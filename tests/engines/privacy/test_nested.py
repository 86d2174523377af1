"""Reading and replacing what lies inside structs, lists and maps."""

from typing import Any, TypeAlias

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from strongroom.engines.privacy.nested import (
    MAX_DEPTH,
    Leaf,
    leaf_values,
    leaves,
    replace_leaves,
    replaced_schema,
)

ADDRESS = pa.struct([("street", pa.string()), ("city", pa.string())])
ITEM = pa.struct([("name", pa.string()), ("tags", pa.list_(pa.string()))])
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("address", ADDRESS),
        ("items", pa.list_(ITEM)),
        ("labels", pa.map_(pa.string(), pa.int64())),
        ("pair", pa.list_(pa.float64(), 2)),
    ]
)
ROWS: list[dict[str, Any]] = [
    {"id": 1, "address": {"street": "a", "city": "b"}, "labels": [("x", 1), ("y", None)],
     "items": [{"name": "n", "tags": ["t", None]}, None], "pair": [1.0, None]},
    {"id": 2, "address": None, "items": None, "labels": None, "pair": None},
    {"id": None, "address": {"street": None, "city": "c"}, "labels": [], "pair": [3.0, 4.0],
     "items": [{"name": None, "tags": None}, {"name": "m", "tags": []}]},
]  # fmt: skip


def batch_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """One batch of those rows."""
    return pa.RecordBatch.from_pylist(rows, schema)


def by_path(schema: pa.Schema) -> dict[str, Leaf]:
    """The leaves of a schema by their paths."""
    return {leaf.path: leaf for leaf in leaves(schema)}


def test_paths() -> None:
    assert list(by_path(SCHEMA)) == [
        "id", "address.street", "address.city", "items[].name", "items[].tags[]",
        "labels[].key", "labels[].value", "pair[]",
    ]  # fmt: skip
    assert not by_path(SCHEMA)["id"].is_inside
    assert by_path(SCHEMA)["pair[]"].is_inside


def test_paths_are_unique_however_fields_are_called() -> None:
    schema = pa.schema(
        [
            ("a.b", pa.int8()),
            ("a", pa.struct([("b", pa.int8()), ("b.c", pa.int8()), ("", pa.int8())])),
            ('"a"."b"', pa.int8()),
            ("d", pa.struct([pa.field("x", pa.int8()), pa.field("x", pa.int8())])),
            ("e", pa.struct([])),
        ]
    )
    paths = [leaf.path for leaf in leaves(schema)]
    assert paths == [
        "a.b", '"a"."b"#2', 'a."b.c"', 'a.""', '"a"."b"', "d.x", '"d"."x"', "e",
    ]  # fmt: skip


def test_values_and_their_rows() -> None:
    batch, paths = batch_of(ROWS, SCHEMA), by_path(SCHEMA)
    expected: dict[str, tuple[list[Any], list[int]]] = {
        "id": ([1, 2, None], [0, 1, 2]),
        "address.city": (["b", None, "c"], [0, 1, 2]),
        "items[].name": (["n", None, None, "m"], [0, 0, 2, 2]),
        "items[].tags[]": (["t", None], [0, 0]),
        "labels[].key": (["x", "y"], [0, 0]),
        "labels[].value": ([1, None], [0, 0]),
        "pair[]": ([1.0, None, 3.0, 4.0], [0, 0, 2, 2]),
    }
    for path, (values, rows) in expected.items():
        found = leaf_values(batch, paths[path])
        assert found.values.to_pylist() == values, path
        assert found.rows.tolist() == rows, path


def test_a_slice_is_read_from_its_start() -> None:
    batch, paths = batch_of(ROWS, SCHEMA).slice(2), by_path(SCHEMA)
    assert leaf_values(batch, paths["address.city"]).values.to_pylist() == ["c"]
    assert leaf_values(batch, paths["items[].name"]).values.to_pylist() == [None, "m"]
    assert leaf_values(batch, paths["labels[].key"]).values.to_pylist() == []
    assert leaf_values(batch, paths["pair[]"]).rows.tolist() == [0, 0]


def test_other_values_leave_the_rest_as_it_is() -> None:
    batch, paths = batch_of(ROWS, SCHEMA), by_path(SCHEMA)
    new = replace_leaves(
        batch,
        {
            paths["address.city"]: pa.array(["B", "hidden", "C"]),
            paths["items[].name"]: pa.array([10, 11, None, 13], pa.int32()),
            paths["labels[].value"]: pa.array(["v", None]),
            paths["pair[]"]: pa.array(["p", None, "q", "r"]),
        },
    )
    new.validate(full=True)
    assert new.to_pylist() == [
        {"id": 1, "address": {"street": "a", "city": "B"}, "labels": [("x", "v"), ("y", None)],
         "items": [{"name": 10, "tags": ["t", None]}, None], "pair": ["p", None]},
        {"id": 2, "address": None, "items": None, "labels": None, "pair": None},
        {"id": None, "address": {"street": None, "city": "C"}, "labels": [], "pair": ["q", "r"],
         "items": [{"name": None, "tags": None}, {"name": 13, "tags": []}]},
    ]  # fmt: skip


def test_a_map_with_other_keys_becomes_a_list_of_entries() -> None:
    batch, paths = batch_of(ROWS, SCHEMA), by_path(SCHEMA)
    new = replace_leaves(batch, {paths["labels[].key"]: pa.array([None, None], pa.string())})
    new.validate(full=True)
    assert new.column(3).to_pylist() == [
        [{"key": None, "value": 1}, {"key": None, "value": None}], None, [],
    ]  # fmt: skip


def test_what_lies_under_a_missing_struct_is_not_kept() -> None:
    hidden = pa.StructArray.from_arrays(
        [pa.array(["secret", "b"]), pa.array(["x", "y"])], ["a", "b"], mask=pa.array([True, False])
    )
    batch = pa.record_batch({"s": hidden})
    leaf = by_path(batch.schema)["s.b"]
    assert leaf_values(batch, leaf).values.to_pylist() == [None, "y"]
    new: Any = replace_leaves(batch, {leaf: pa.array([None, "z"], pa.string())}).column(0)
    assert new.to_pylist() == [None, {"a": "b", "b": "z"}]
    assert new.field(0).to_pylist() == [None, "b"]


def test_a_field_that_could_not_be_missing_may_be_after() -> None:
    inner = pa.struct([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.int64())])
    schema = pa.schema([pa.field("s", pa.list_(pa.field("item", inner, nullable=False)))])
    batch = batch_of([{"s": [{"a": 1, "b": 2}]}, {"s": None}], schema)
    leaf = by_path(schema)["s[].a"]
    new = replace_leaves(batch, {leaf: pa.array([None], pa.string())})
    new.validate(full=True)
    assert new.schema == replaced_schema(schema, {leaf: pa.string()})
    assert new.to_pylist() == [{"s": [{"a": None, "b": 2}]}, {"s": None}]


def test_a_wrong_number_of_values_is_refused() -> None:
    leaf = by_path(SCHEMA)["items[].name"]
    with pytest.raises(ValueError, match="4 values are needed, not 3"):
        replace_leaves(batch_of(ROWS, SCHEMA), {leaf: pa.array(["a", "b", "c"])})


def test_nesting_has_an_end() -> None:
    kind: pa.DataType = pa.int8()
    for _ in range(3 * MAX_DEPTH):
        kind = pa.list_(kind)
    [leaf] = leaves(pa.schema([("deep", kind)]))
    assert len(leaf.steps) == MAX_DEPTH
    assert pa.types.is_list(leaf.type)
    batch = pa.RecordBatch.from_arrays([pa.array([None], kind)], names=["deep"])
    assert len(leaf_values(batch, leaf).values) == 0


_FLAT = st.sampled_from([pa.int64(), pa.string(), pa.bool_(), pa.binary()])


def _wider(inner: "st.SearchStrategy[pa.DataType]") -> "st.SearchStrategy[pa.DataType]":
    names = st.text('ab.[]"', max_size=2)
    return st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(pa.list_view),
        inner.map(pa.large_list_view),
        st.builds(lambda kind, size: pa.list_(kind, size), inner, st.integers(0, 3)),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
        st.lists(st.tuples(names, inner), max_size=3, unique_by=lambda item: item[0]).map(
            pa.struct
        ),
    )


TYPES = st.recursive(_FLAT, _wider, max_leaves=4)


# The stubs have no common base of nested types that has their members.
_Type: TypeAlias = Any
_Value: TypeAlias = Any


def values_of(kind: _Type) -> "st.SearchStrategy[Any]":
    """Python values of an Arrow type, nulls among them."""
    inner: st.SearchStrategy[Any]
    if pa.types.is_map(kind):
        inner = st.lists(st.tuples(st.text(max_size=2), values_of(kind.item_type)), max_size=3)
    elif pa.types.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        inner = st.fixed_dictionaries({field.name: values_of(field.type) for field in fields})
    elif pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        inner = st.lists(values_of(kind.value_type), min_size=size, max_size=size)
    elif pa.types.is_nested(kind):
        element: _Type = kind
        inner = st.lists(values_of(element.value_type), max_size=3)
    else:
        inner = {
            pa.int64(): st.integers(-9, 9), pa.string(): st.text(max_size=2),
            pa.bool_(): st.booleans(), pa.binary(): st.binary(max_size=2),
        }[kind]  # fmt: skip
    return st.none() | inner


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Batches of nested columns, cut from longer ones."""
    kinds = draw(st.lists(TYPES, min_size=1, max_size=3))
    count = draw(st.integers(0, 6))
    columns = [
        pa.array(draw(st.lists(values_of(kind), min_size=count, max_size=count)), kind)
        for kind in kinds
    ]
    batch = pa.RecordBatch.from_arrays(columns, names=[f"c{at}" for at in range(len(kinds))])
    start = draw(st.integers(0, count))
    return batch.slice(start, draw(st.integers(0, count - start)))


@settings(max_examples=150, deadline=None)
@given(batches())
def test_putting_back_what_was_read_changes_nothing(batch: pa.RecordBatch) -> None:
    found = leaves(batch.schema)
    assert len({leaf.path for leaf in found}) == len(found)
    read = {leaf: leaf_values(batch, leaf) for leaf in found}
    for leaf, values in read.items():
        assert values.values.type == leaf.type
        assert len(values.values) == len(values.rows)
        assert np.all(np.diff(values.rows) >= 0)
        assert np.all((values.rows >= 0) & (values.rows < batch.num_rows))
    new = replace_leaves(batch, {leaf: values.values for leaf, values in read.items()})
    new.validate(full=True)
    assert as_entries(new.to_pylist()) == as_entries(batch.to_pylist())


@settings(max_examples=150, deadline=None)
@given(batches(), st.data())
def test_replacing_one_leaf_touches_no_other(batch: pa.RecordBatch, data: st.DataObject) -> None:
    found = leaves(batch.schema)
    chosen = data.draw(st.sampled_from(found))
    count = len(leaf_values(batch, chosen).values)
    masked = pa.array([f"m{at}" for at in range(count)], pa.string())
    new = replace_leaves(batch, {chosen: masked})
    new.validate(full=True)
    assert new.schema == replaced_schema(batch.schema, {chosen: pa.string()})
    after = leaves(new.schema)
    assert [leaf.steps for leaf in after] == [leaf.steps for leaf in found]
    for old_leaf, new_leaf in zip(found, after, strict=True):
        old, read = leaf_values(batch, old_leaf), leaf_values(new, new_leaf)
        assert read.rows.tolist() == old.rows.tolist()
        if old_leaf != chosen:
            assert read.values.to_pylist() == old.values.to_pylist()
        else:
            shown = read.values.to_pylist()
            assert all(
                now in (was, None) for now, was in zip(shown, masked.to_pylist(), strict=True)
            )


def as_entries(value: _Value) -> _Value:
    """Maps as the lists of entries that they may become."""
    if isinstance(value, dict):
        if set(value) == {"key", "value"}:
            return ("entry", as_entries(value["key"]), as_entries(value["value"]))
        return {key: as_entries(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return ("entry", as_entries(value[0]), as_entries(value[1]))
    if isinstance(value, list):
        return [as_entries(item) for item in value]
    return value

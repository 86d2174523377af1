"""Values inside structs, lists and maps: their paths, reading them flat, and putting others in.

A path names fields with dots and the elements of a list with brackets: `address.city`,
`items[].name`, `tags[]`; a map is a list of entries with the fields `key` and `value`. A column
without anything inside is its own only leaf, and its path is its name as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

MAX_DEPTH = 64
"""Levels of nesting that are looked into; what lies deeper is one leaf of a nested type."""
_ELEMENT = -1
_ENTRY_FIELDS = ("key", "value")

_T = TypeVar("_T")
_Rows: TypeAlias = npt.NDArray[np.int64]
# The stubs have no common base of lists, structs and maps that has their members.
_Type: TypeAlias = Any
_Array: TypeAlias = Any
_Steps: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A place in a schema that holds values.

    Attributes:
        path: unique in its schema, and no other column's name.
        type: of the values; nested only where there is nothing inside, or `MAX_DEPTH` is reached.
        column: position of the column in the schema.
        steps: from the column inwards: position of a field in its struct, or -1 for the elements
            of a list. A map is a list of structs of two fields.
    """

    path: str
    type: pa.DataType
    column: int
    steps: _Steps

    @property
    def is_inside(self) -> bool:
        """True where the leaf is a part of its column, false where it is the column."""
        return bool(self.steps)


@dataclass(frozen=True, slots=True)
class LeafValues:
    """The values of a leaf, one after the other.

    Attributes:
        values: null where the value or a struct around it is missing; missing and empty lists
            give none.
        rows: for each value the number of its row in the batch, never falling.
    """

    values: "pa.Array[Any]"
    rows: _Rows


def leaves(schema: pa.Schema) -> tuple[Leaf, ...]:
    """All leaves of `schema`, in the order of its columns and fields."""
    taken = set(schema.names)
    found: list[Leaf] = []
    for column, field in enumerate(schema):
        if not _is_branch(field.type):
            found.append(Leaf(field.name, field.type, column, ()))
            continue
        for names, kind, steps in _inside(field.type, (field.name,), ()):
            path = _free_path(names, taken)
            taken.add(path)
            found.append(Leaf(path, kind, column, steps))
    return tuple(found)


def leaf_values(batch: pa.RecordBatch, leaf: Leaf) -> LeafValues:
    """The values of `leaf` in `batch`."""
    return values_in(batch.column(leaf.column), leaf)


def values_in(column: "pa.Array[Any]", leaf: Leaf) -> LeafValues:
    """The values of `leaf` in the column that it lies in."""
    array, rows = column, np.arange(len(column), dtype=np.int64)
    for step in leaf.steps:
        if step == _ELEMENT:
            opened = _open_list(array)
            rows = np.repeat(rows, opened.lengths)
            array = opened.elements
        else:
            array = array.flatten()[step]  # type: ignore[attr-defined] # it is a struct
    return LeafValues(array, rows)


def replace_leaves(batch: pa.RecordBatch, new: Mapping[Leaf, "pa.Array[Any]"]) -> pa.RecordBatch:
    """`batch` with other values in some leaves; lists, missing structs and all else stay.

    Args:
        batch: any; its schema is the one that the leaves are of.
        new: as many values as `leaf_values` gives, in that order, of any type.

    Returns: a batch of the schema that `replaced_schema` gives.
    Raises: ValueError: the number of values is wrong.
    """
    schema = replaced_schema(batch.schema, {leaf: values.type for leaf, values in new.items()})
    columns: list[Any] = list(batch.columns)
    for column, inside in _by_column(new).items():
        columns[column] = _rebuilt(batch.column(column), inside)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def replaced_schema(schema: pa.Schema, new: Mapping[Leaf, pa.DataType]) -> pa.Schema:
    """`schema` with other types in some leaves.

    Fields of the structs on the way to such a leaf may be missing, even where they might not
    before. A map whose keys are replaced becomes a list of entries, for keys must not be missing
    in a map; a list view becomes a list.
    """
    fields = list(schema)
    metadata: Any = schema.metadata
    for column, inside in _by_column(new).items():
        field = fields[column]
        kind = _rebuilt_type(field.type, inside)
        fields[column] = field.with_type(kind).with_nullable(True)
    return pa.schema(fields, metadata=metadata)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` without the metadata of its fields, and without names of the elements of lists.

    Both are texts that belong to no leaf: nobody looks at them, so a masked table has none.
    """
    return pa.schema([_plain_field(field) for field in schema])


def _plain_field(field: "pa.Field[Any]") -> "pa.Field[Any]":
    return pa.field(field.name, _plain_type(field.type), field.nullable)


def _plain_type(kind: _Type) -> _Type:
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(kind.field(at)) for at in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type), kind.keys_sorted)
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    for is_kind, make in _LISTS:
        if is_kind(kind):
            element = pa.field("item", _plain_type(kind.value_type), kind.value_field.nullable)
            return make(element)
    if pa.types.is_fixed_size_list(kind):
        element = pa.field("item", _plain_type(kind.value_type), kind.value_field.nullable)
        return pa.list_(element, _size(kind))
    return kind


_LISTS: tuple[tuple[Any, Any], ...] = (
    (pa.types.is_list, pa.list_),
    (pa.types.is_large_list, pa.large_list),
    (pa.types.is_list_view, pa.list_view),
    (pa.types.is_large_list_view, pa.large_list_view),
)


# ---- walking ----


def _is_branch(kind: pa.DataType) -> bool:
    """True for types that have leaves inside."""
    return _is_list(kind) or (pa.types.is_struct(kind) and kind.num_fields > 0)


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        # Arrow divides by the size when it makes one: a list of nothing has no inside.
        or (pa.types.is_fixed_size_list(kind) and _size(kind) > 0)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
        or pa.types.is_map(kind)
    )


def _size(kind: _Type) -> int:
    size: int = kind.list_size
    return size


def _element_type(kind: _Type) -> _Type:
    """Type of a list's elements; a map's entry is a struct."""
    if pa.types.is_map(kind):
        key, value = _ENTRY_FIELDS
        return pa.struct([pa.field(key, kind.key_type), pa.field(value, kind.item_type)])
    return kind.value_type


def _inside(
    kind: pa.DataType, names: tuple[str | None, ...], steps: _Steps
) -> list[tuple[tuple[str | None, ...], pa.DataType, _Steps]]:
    """Names, type and steps of the leaves of a type; an element has no name."""
    if not _is_branch(kind) or len(steps) >= MAX_DEPTH:
        return [(names, kind, steps)]
    if _is_list(kind):
        return _inside(_element_type(kind), (*names, None), (*steps, _ELEMENT))
    fields: _Type = kind
    return [
        leaf
        for at in range(fields.num_fields)
        for leaf in _inside(fields.field(at).type, (*names, fields.field(at).name), (*steps, at))
    ]


def _free_path(names: Sequence[str | None], taken: set[str]) -> str:
    """A path that no other leaf has: as it is, then with quotes, then with a number."""
    path = _path(names, always_quoted=False)
    if path not in taken:
        return path
    quoted = path = _path(names, always_quoted=True)
    number = 1
    while path in taken:
        number += 1
        path = f"{quoted}#{number}"
    return path


def _path(names: Sequence[str | None], *, always_quoted: bool) -> str:
    path = ""
    for name in names:
        if name is None:
            path += "[]"
            continue
        plain = name and not always_quoted and not any(sign in name for sign in '.[]"')
        shown = name if plain else '"' + name.replace('"', '""') + '"'
        path += f".{shown}" if path else shown
    return path


# ---- lists ----


@dataclass(frozen=True, slots=True)
class _OpenList:
    """A list array taken apart.

    Attributes:
        elements: of all lists that are there, one after the other.
        lengths: of each list, 0 for a missing one.
        missing: which lists are missing.
    """

    elements: _Array
    lengths: _Rows
    missing: "pa.Array[Any]"


def _open_list(array: _Array) -> _OpenList:
    if pa.types.is_map(array.type):
        array = array.cast(pa.list_(_element_type(array.type)))
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64())
    return _OpenList(array.flatten(), lengths.to_numpy(), array.is_null())


def _closed_list(kind: _Type, opened: _OpenList, elements: _Array) -> _Array:
    """A list array of type `kind` with other elements in it."""
    if pa.types.is_fixed_size_list(kind):
        # A missing list takes room too.
        places = np.repeat(~np.asarray(opened.missing), kind.list_size)
        at = np.where(places, np.cumsum(places) - 1, 0)
        spread = elements.take(pa.array(at, pa.int64(), mask=~places))
        maker: _Type = pa.FixedSizeListArray
        return maker.from_arrays(spread, type=kind, mask=opened.missing)
    offsets = np.concatenate([[0], np.cumsum(opened.lengths)])
    if pa.types.is_map(kind):
        key, value = elements.flatten()
        maker = pa.MapArray
        return maker.from_arrays(
            pa.array(offsets, pa.int32()), key, value, kind, mask=opened.missing
        )
    large = pa.types.is_large_list(kind)
    maker = pa.LargeListArray if large else pa.ListArray
    return maker.from_arrays(
        pa.array(offsets, pa.int64() if large else pa.int32()), elements, kind, mask=opened.missing
    )


# ---- putting in ----


def _by_column(new: Mapping[Leaf, _T]) -> dict[int, dict[_Steps, _T]]:
    """What is to be put in, by column and by the steps that lead there."""
    found: dict[int, dict[_Steps, _T]] = {}
    for leaf, item in new.items():
        found.setdefault(leaf.column, {})[leaf.steps] = item
    return found


def _behind(step: int, inside: Mapping[_Steps, _T]) -> dict[_Steps, _T]:
    """What lies behind one step."""
    return {steps[1:]: item for steps, item in inside.items() if steps[0] == step}


def _rebuilt_type(kind: _Type, inside: Mapping[_Steps, pa.DataType]) -> _Type:
    if () in inside:
        return inside[()]
    if not _is_list(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        for at, field in enumerate(fields):
            behind = _behind(at, inside)
            # A field of a missing struct is missing, so each of them may be.
            fields[at] = field.with_type(
                _rebuilt_type(field.type, behind) if behind else field.type
            ).with_nullable(True)
        return pa.struct(fields)
    behind = _behind(_ELEMENT, inside)
    element: _Type = _rebuilt_type(_element_type(kind), behind)
    if pa.types.is_map(kind):
        if any(steps[0] == 0 for steps in behind):
            return pa.list_(element)
        return pa.map_(kind.key_type, element.field(1).type, kind.keys_sorted)
    field = kind.value_field.with_type(element).with_nullable(True)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(field, kind.list_size)
    large = pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind)
    return pa.large_list(field) if large else pa.list_(field)


def _rebuilt(array: _Array, inside: Mapping[_Steps, _Array]) -> _Array:
    if () in inside:
        if len(inside[()]) != len(array):
            raise ValueError(f"{len(array)} values are needed, not {len(inside[()])}")
        return inside[()]
    kind: _Type = _rebuilt_type(array.type, {steps: item.type for steps, item in inside.items()})
    if _is_list(array.type):
        opened = _open_list(array)
        elements = _rebuilt(opened.elements, _behind(_ELEMENT, inside))
        return _closed_list(kind, opened, elements)
    # What lies under a missing struct is made missing, not only hidden.
    children = array.flatten()
    for at, child in enumerate(children):
        behind = _behind(at, inside)
        if behind:
            children[at] = _rebuilt(child, behind)
    fields = [kind.field(at) for at in range(kind.num_fields)]
    return pa.StructArray.from_arrays(children, fields=fields, mask=array.is_null())

"""One type for all values of a JSON field: numbers widen, whatever else differs becomes text."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from strongroom.engines.reading.json_moments import is_dated
from strongroom.errors import TableError, TooLargeError

JsonType = pa.DataType


class Merging:
    """The fields of rows, as far as they were seen, each with one type.

    Attributes:
        mixed: paths of the fields whose values are of kinds that only text can hold.
    """

    def __init__(self, max_fields: int) -> None:
        """`max_fields` is how many fields there may be, those within others included."""
        self._fields: JsonType = pa.struct([])
        self._max_fields = max_fields
        self.mixed: set[str] = set()

    def add(self, fields: JsonType) -> None:
        """Take in the fields of more rows. Raises: TooLargeError."""
        self._fields = self._merged(self._fields, fields, "")
        if count_fields(self._fields) > self._max_fields:
            raise too_many_fields(self._max_fields)

    def add_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take in parsed rows, whose fields may be of several kinds. Raises: TooLargeError."""
        seen = _Seen(self._max_fields)
        for row in rows:
            seen.see(row)
        self.add(seen.type("", self.mixed))

    def schema(self) -> pa.Schema:
        """The fields so far. Those without any value are text, which can hold what comes."""
        return pa.schema(_without_nulls(self._fields).fields)

    def _merged(self, one: JsonType, other: JsonType, path: str) -> JsonType:
        types = pa.types
        if one == other or types.is_null(other):
            return one
        if types.is_null(one):
            return other
        if types.is_struct(one) and types.is_struct(other):
            return self._merged_fields(one, other, path)
        if types.is_list(one) and types.is_list(other):
            inner = self._merged(one.value_type, other.value_type, f"{path}[]")
            return pa.list_(inner)
        if {one, other} == {pa.int64(), pa.float64()}:
            return pa.float64()
        if {one, other} == {pa.date32(), pa.timestamp("s")}:
            return pa.timestamp("s")
        # Moments are texts in JSON, and stay the texts that they are.
        if any(not (types.is_string(kind) or is_dated(kind)) for kind in (one, other)):
            self.mixed.add(path)
        return pa.string()

    def _merged_fields(self, one: pa.StructType, other: pa.StructType, path: str) -> JsonType:
        found = {field.name: field.type for field in one.fields}
        for field in other.fields:
            known = found.get(field.name)
            found[field.name] = (
                field.type
                if known is None
                else self._merged(known, field.type, f"{path}.{field.name}")
            )
        return pa.struct(list(found.items()))


class _Seen:
    """The kinds of values at one place of parsed rows, and the places in them."""

    __slots__ = ("fields", "item", "kinds", "max_fields")

    def __init__(self, max_fields: int) -> None:
        self.kinds: set[type] = set()
        self.fields: dict[str, _Seen] = {}
        self.item: _Seen | None = None
        self.max_fields = max_fields

    def see(self, value: object) -> None:
        """Take in a value. Raises: TooLargeError."""
        if value is None:
            return
        kind = type(value)
        if isinstance(value, int) and kind is int and not -(1 << 63) <= value < 1 << 63:
            kind = str  # a fraction would round it
        self.kinds.add(kind)
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in self.fields:
                    self._make_room()
                    self.fields[key] = _Seen(self.max_fields)
                self.fields[key].see(inner)
        elif isinstance(value, list):
            if self.item is None:
                self.item = _Seen(self.max_fields)
            for inner in value:
                self.item.see(inner)

    def _make_room(self) -> None:
        if len(self.fields) >= self.max_fields:
            raise too_many_fields(self.max_fields)

    def type(self, path: str, mixed: set[str]) -> JsonType:
        """The type of all these values; text, and the place in `mixed`, where there is no other."""
        if not self.kinds:
            return pa.null()
        if self.kinds == {dict}:
            return pa.struct(
                [(key, inner.type(f"{path}.{key}", mixed)) for key, inner in self.fields.items()]
            )
        if self.kinds == {list}:
            assert self.item is not None  # noqa: S101 # for mypy: a list was seen
            return pa.list_(self.item.type(f"{path}[]", mixed))
        if self.kinds == {int, float}:
            return pa.float64()
        if len(self.kinds) > 1:
            mixed.add(path)
            return pa.string()
        return _PLAIN[self.kinds.copy().pop()]


_PLAIN: dict[type, JsonType] = {
    bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(),
}  # fmt: skip


def too_many_fields(most: int) -> TooLargeError:
    """The error for rows with too many different fields."""
    return TooLargeError(f"the rows have more than {most} different fields")


def count_fields(kind: JsonType) -> int:
    """How many fields a type has, those within others included."""
    waiting, count = [kind], 0
    while waiting:
        inner = waiting.pop()
        count += inner.num_fields
        waiting.extend(inner.field(number).type for number in range(inner.num_fields))
    return count


def _without_nulls(kind: JsonType) -> Any:  # noqa: ANN401 # a struct stays one
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_nulls(field.type)) for field in kind.fields])
    if pa.types.is_list(kind):
        return pa.list_(_without_nulls(kind.value_type))
    return kind


def narrowed(schema: pa.Schema, seen: pa.Schema) -> pa.Schema | None:
    """`schema` with the numbers and flags that some rows have where it has text.

    A cast brings what is parsed so to `schema`. None where some text is made of more than those.

    Args:
        schema: of all rows.
        seen: of these rows, all of whose fields `schema` has.
    """
    kind = _narrowed(pa.struct(list(schema)), pa.struct(list(seen)))
    return None if kind is None else pa.schema(kind.fields)


def _narrowed(kind: JsonType, seen: JsonType) -> Any:  # noqa: ANN401 # a struct stays one
    types = pa.types
    if types.is_string(kind):
        if types.is_nested(seen) or types.is_floating(seen):
            return None  # a cast does not write these as JSON does
        return seen if types.is_integer(seen) or types.is_boolean(seen) else kind
    if types.is_struct(kind) and types.is_struct(seen):
        inner = {field.name: field.type for field in seen.fields}
        fields = [
            (field.name, _narrowed(field.type, inner.get(field.name, pa.null())))
            for field in kind.fields
        ]
        return None if any(found is None for _, found in fields) else pa.struct(fields)
    if types.is_list(kind) and types.is_list(seen):
        item = _narrowed(kind.value_type, seen.value_type)
        return None if item is None else pa.list_(item)
    return kind


def parsed_rows(lines: bytes) -> list[dict[str, Any]]:
    """The rows of JSON lines.

    Raises:
        ValueError: they are not valid JSON.
        TableError: a field stands twice in a row, or a line holds no object.
    """
    rows = [json.loads(line, object_pairs_hook=_once) for line in lines.split(b"\n")
            if line.strip()]  # fmt: skip
    if not all(isinstance(row, dict) for row in rows):
        raise TableError("not valid JSON lines: a line holds no object")
    return rows


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TableError("a field of the JSON stands there twice")
    return found


def fitted_lines(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> bytes:
    """The rows as JSON lines, with text wherever `schema` has text."""
    fields: JsonType = pa.struct(list(schema))
    return b"".join(_json(_fitted(row, fields)).encode() + b"\n" for row in rows)


def _fitted(value: Any, kind: JsonType) -> Any:  # noqa: ANN401 # a value of JSON
    if pa.types.is_string(kind):
        return value if value is None or isinstance(value, str) else _json(value)
    if pa.types.is_struct(kind) and isinstance(value, dict):
        inner = {field.name: field.type for field in kind.fields}
        return {
            key: _fitted(item, inner[key]) if key in inner else item for key, item in value.items()
        }
    if pa.types.is_list(kind) and isinstance(value, list):
        return [_fitted(item, kind.value_type) for item in value]
    return value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

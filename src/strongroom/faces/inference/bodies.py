"""From a request's JSON to checked rows: three formats, one meaning.

- Open Inference Protocol v2: one tensor of shape (rows, features), or one for each feature.
- MLflow scoring: `dataframe_split`, `dataframe_records`, `instances` or `inputs`.
- plain: `{"rows": [[…]]}` in the order of the features, or `{"records": [{…}]}` by name.

Whatever is malformed raises an error of ours that names the place, never a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np

from strongroom.errors import CallerError, ValidationError
from strongroom.services.endpoints.runners import Batch
from strongroom.services.endpoints.schema import InputSchema

T = TypeVar("T")
_Scalar = float | bool | str

NUMBER_TYPES = frozenset({
    "FP16", "FP32", "FP64", "BF16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16",
    "UINT32", "UINT64",
})  # fmt: skip  # names only
MAX_ID_CHARACTERS = 256
MAX_DIMENSIONS = 2


# A member left out. `null` is not the same: it fails where a list is expected.
_ABSENT = msgspec.Raw()


class _Parameters(msgspec.Struct):
    binary_data: bool = False
    binary_data_output: bool = False
    binary_data_size: int | None = None


class _Tensor(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = _ABSENT
    parameters: _Parameters | None = None


class _WantedOutput(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parameters: _Parameters | None = None


class _Infer(msgspec.Struct, forbid_unknown_fields=True):
    inputs: list[_Tensor]
    id: str | None = None
    outputs: list[_WantedOutput] | None = None
    parameters: _Parameters | None = None


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: msgspec.Raw
    index: msgspec.Raw = _ABSENT


class _Invocation(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split | None = None
    dataframe_records: msgspec.Raw = _ABSENT
    instances: msgspec.Raw = _ABSENT
    inputs: msgspec.Raw = _ABSENT


class _Score(msgspec.Struct, forbid_unknown_fields=True):
    rows: msgspec.Raw = _ABSENT
    records: msgspec.Raw = _ABSENT


_infer = msgspec.json.Decoder(_Infer)
_invocation = msgspec.json.Decoder(_Invocation)
_score = msgspec.json.Decoder(_Score)
_numbers = msgspec.json.Decoder(list[float])
_number_rows = msgspec.json.Decoder(list[list[float]])
_scalars = msgspec.json.Decoder(list[_Scalar])
_scalar_rows = msgspec.json.Decoder(list[list[_Scalar]])
_scalar_records = msgspec.json.Decoder(list[dict[str, _Scalar]])
_scalar_columns = msgspec.json.Decoder(dict[str, list[_Scalar]])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, checked.

    Attributes:
        rows: how many.
        id: the caller's own, given back; Open Inference Protocol only.
        outputs: names of the outputs wanted; None for all.
    """

    batch: Batch
    rows: int
    id: str | None = None
    outputs: tuple[str, ...] | None = None


def _decode(decoder: "msgspec.json.Decoder[T]", data: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise ValidationError(f"the body does not fit: {_lower(str(error))}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise CallerError("the body is not valid JSON") from None


def _lower(text: str) -> str:
    return (text[:1].lower() + text[1:])[:300]


# ---- Open Inference Protocol ----


def read_infer(body: bytes, schema: InputSchema) -> Asked:
    """A request of the Open Inference Protocol. Raises: CallerError."""
    request = _decode(_infer, body)
    if request.id is not None and len(request.id) > MAX_ID_CHARACTERS:
        raise ValidationError("the request's `id` is too long")
    outputs = None
    if request.outputs is not None:
        outputs = tuple(output.name for output in request.outputs)
    wants = [request.parameters, *(output.parameters for output in request.outputs or [])]
    if any(entry and (entry.binary_data or entry.binary_data_output) for entry in wants) or any(
        tensor.parameters and tensor.parameters.binary_data_size is not None
        for tensor in request.inputs
    ):
        raise ValidationError("binary tensors are not offered: send and expect JSON")
    tensors = request.inputs
    if len(tensors) == 1 and schema.is_matrix and tensors[0].name not in schema.features:
        batch, rows = _table(tensors[0], schema)
    elif len(tensors) == 1 and len(schema.features) > 1:
        raise ValidationError(f"there is no input `{tensors[0].name[:100]}`")
    else:
        batch, rows = _columns(tensors, schema)
    return Asked(batch, rows, request.id, outputs)


def _table(tensor: _Tensor, schema: InputSchema) -> tuple[Batch, int]:
    if tensor.name != "input":
        raise ValidationError(f"there is no input `{tensor.name[:100]}`: it is called `input`")
    if tensor.datatype not in NUMBER_TYPES:
        raise ValidationError("the datatype of `input` must be one of numbers, FP32 at best")
    shape = tensor.shape
    width = len(schema.features)
    if len(shape) != MAX_DIMENSIONS or shape[1] != width:
        raise ValidationError(f"the shape of `input` must be [rows, {width}]")
    schema.check_count(shape[0])
    flat = bytes(tensor.data).lstrip()[:2].replace(b" ", b"") != b"[["
    if flat:
        values = _decode(_numbers, tensor.data)
        if len(values) != shape[0] * width:
            raise ValidationError("the shape of `input` does not fit its data")
        if shape[0] == 1:
            return schema.check_row(values), 1
        table = np.array(values, dtype=np.float64).reshape(shape[0], width)
    else:
        nested = _decode(_number_rows, tensor.data)
        if len(nested) != shape[0] or any(len(row) != width for row in nested):
            raise ValidationError("the shape of `input` does not fit its data")
        table = np.array(nested, dtype=np.float64)
    return schema.check_numbers(table), shape[0]


def _columns(tensors: list[_Tensor], schema: InputSchema) -> tuple[Batch, int]:
    """One tensor for each feature, of shape [rows] or [rows, 1]."""
    found: dict[str, list[Any]] = {}
    rows = -1
    for tensor in tensors:
        shape = tensor.shape
        if len(shape) not in {1, MAX_DIMENSIONS} or (
            len(shape) == MAX_DIMENSIONS and shape[1] != 1
        ):
            raise ValidationError(f"the shape of `{tensor.name[:100]}` must be [rows] or [rows, 1]")
        if tensor.name in found or tensor.name not in schema.features:
            raise ValidationError(f"there is no input `{tensor.name[:100]}`, or it is given twice")
        if tensor.datatype not in NUMBER_TYPES | {"BOOL", "BYTES"}:
            raise ValidationError(f"the datatype of `{tensor.name[:100]}` is not known")
        if rows not in {-1, shape[0]}:
            raise ValidationError("the inputs have different numbers of rows")
        rows = shape[0]
        schema.check_count(rows)
        if bytes(tensor.data).lstrip()[:2].replace(b" ", b"") == b"[[":
            values = [value for row in _decode(_scalar_rows, tensor.data) for value in row]
        else:
            values = _decode(_scalars, tensor.data)
        if len(values) != rows:
            raise ValidationError(f"the shape of `{tensor.name[:100]}` does not fit its data")
        found[tensor.name] = values
    return _by_name(found, schema), rows


# ---- MLflow ----


def read_invocation(body: bytes, schema: InputSchema) -> Asked:
    """A request in one of MLflow's scoring formats. Raises: CallerError."""
    request = _decode(_invocation, body)
    raw = [
        data
        for data in (request.dataframe_records, request.instances, request.inputs)
        if data is not _ABSENT
    ]
    if len(raw) + (request.dataframe_split is not None) != 1:
        raise ValidationError(
            "give one of `dataframe_split`, `dataframe_records`, `instances`, `inputs`"
        )
    if request.dataframe_split is not None:
        return _split(request.dataframe_split, schema)
    if request.dataframe_records is not _ABSENT:
        return _records(request.dataframe_records, schema)
    data = raw[0]
    start = bytes(data).lstrip()[:1]
    if start == b"{":
        columns = _decode(_scalar_columns, data)
        return _named_columns(columns, schema)
    if bytes(data).lstrip()[:64].replace(b" ", b"").startswith(b"[{"):
        return _records(data, schema)
    return _rows(data, schema)


def _split(split: _Split, schema: InputSchema) -> Asked:
    _check_names(split.columns, schema)
    if tuple(split.columns) == schema.features:
        return _rows(split.data, schema)
    rows = _decode(_scalar_rows, split.data)
    if any(len(row) != len(split.columns) for row in rows):
        raise ValidationError("each row must have one value for each column")
    schema.check_count(len(rows))
    columns = dict(zip(split.columns, zip(*rows, strict=True), strict=True))
    return Asked(_by_name(columns, schema), len(rows))


# ---- plain ----


def read_score(body: bytes, schema: InputSchema) -> Asked:
    """A plain request. Raises: CallerError."""
    request = _decode(_score, body)
    if (request.rows is _ABSENT) == (request.records is _ABSENT):
        raise ValidationError("give one of `rows` and `records`")
    if request.rows is not _ABSENT:
        return _rows(request.rows, schema)
    return _records(request.records, schema)


# ---- parts ----


def _rows(data: msgspec.Raw, schema: InputSchema) -> Asked:
    """Rows in the order of the features."""
    width = len(schema.features)
    if schema.is_matrix and not schema.has_truth_values:
        numbers = _decode(_number_rows, data)
        if len(numbers) == 1:
            return Asked(schema.check_row(numbers[0]), 1)
        schema.check_count(len(numbers))
        if any(len(row) != width for row in numbers):
            raise ValidationError(f"each row must have {width} values, one for each feature")
        return Asked(schema.check_numbers(np.array(numbers, dtype=np.float64)), len(numbers))
    rows = _decode(_scalar_rows, data)
    schema.check_count(len(rows))
    if any(len(row) != width for row in rows):
        raise ValidationError(f"each row must have {width} values, one for each feature")
    columns = dict(zip(schema.features, zip(*rows, strict=True), strict=True))
    return Asked(_by_name(columns, schema), len(rows))


def _records(data: msgspec.Raw, schema: InputSchema) -> Asked:
    """One object for each row."""
    records = _decode(_scalar_records, data)
    schema.check_count(len(records))
    names = frozenset(schema.features)
    for record in records:
        if record.keys() != names:
            _check_names(list(record), schema)
    columns = {name: [record[name] for record in records] for name in schema.features}
    return Asked(_by_name(columns, schema), len(records))


def _named_columns(columns: Mapping[str, Sequence[Any]], schema: InputSchema) -> Asked:
    _check_names(list(columns), schema)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise ValidationError("the columns have different numbers of rows")
    rows = lengths.pop()
    schema.check_count(rows)
    return Asked(_by_name(columns, schema), rows)


def _check_names(names: Sequence[str], schema: InputSchema) -> None:
    """Raises: ValidationError unless `names` are the features, each once, in any order."""
    if len(set(names)) != len(names):
        raise ValidationError("a column is given twice")
    if missing := [name for name in schema.features if name not in set(names)]:
        raise ValidationError(f"feature `{missing[0]}` is missing")
    if unknown := [name for name in names if name not in schema.features]:
        raise ValidationError(f"the model has no feature `{unknown[0][:100]}`")


def _by_name(columns: Mapping[str, Sequence[Any]], schema: InputSchema) -> Batch:
    """Columns by name, as the model takes them."""
    _check_names(list(columns), schema)
    ordered = [columns[name] for name in schema.features]
    checked = schema.check_columns(ordered)
    if not schema.is_matrix:
        return checked
    return np.column_stack(checked).astype(schema.float_type)

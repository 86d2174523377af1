"""Labels that come in a file of their own, for `strongroom drift --labels`: joined by id."""

import secrets
from pathlib import Path

import pyarrow as pa

from strongroom.engines.drift.labels import KnownLabels
from strongroom.engines.drift.plan import Kind
from strongroom.engines.drift.values import Column, kind_of_type, pc, texts, whole
from strongroom.errors import UsageError
from strongroom.faces.cli.drift_columns import column_texts
from strongroom.faces.cli.drift_reading import Watch, batches
from strongroom.faces.cli.study import StudyOptions

_KEY_BYTES = 32
"""The key lives as long as the run: no id is kept."""
MAX_LABEL = 256
"""Characters of a label."""


class LateLabels:
    """The labels of a file, put into the rows of the current sample."""

    def __init__(self, path: Path, id_: str, label: str, study: StudyOptions, watch: Watch) -> None:
        """Read the file. Raises: UsageError: it lacks a column."""
        self._id, self._label = id_, label
        self._known = KnownLabels(secrets.token_bytes(_KEY_BYTES))
        self._type: pa.DataType = pa.null()
        self._without_id = self._unlike = 0
        for batch in batches(path, study, watch):
            for name in (id_, label):
                if batch.schema.names.count(name) != 1:
                    raise UsageError(
                        f"`{path}` has no column `{name}`, or two",
                        next_step="it needs the columns of --id and --label",
                    )
            ids, labels = column_texts(batch, id_), whole(batch.column(label))
            self._type = labels.type
            if kind_of_type(labels.type) is Kind.OTHER:
                raise UsageError(f"`{label}` of `{path}` holds no labels but {labels.type}")
            told = labels.is_valid()
            if pa.types.is_string(labels.type):  # empty, or no label at all
                size = pc.utf8_length(labels)
                told = pc.and_kleene(pc.greater(size, 0), pc.less_equal(size, MAX_LABEL))
            if pa.types.is_floating(labels.type):
                told = pc.and_kleene(told, pc.invert(pc.is_nan(labels)))
            named = ids.is_valid()
            self._without_id += len(ids) - named.true_count
            mask = pc.fill_null(pc.and_kleene(told, named), False)
            self._known.add(
                zip(ids.filter(mask).to_pylist(), labels.filter(mask).to_pylist(), strict=True)
            )

    def fill(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with a label in each row that has none and whose id has one.

        Raises: UsageError: it has no column of ids.
        """
        if self._id not in batch.schema.names:
            raise UsageError(
                f"the current sample has no column `{self._id}`",
                next_step="name the column of ids that it shares with the labels: --id",
            )
        late = self._array(self._known.of(column_texts(batch, self._id).to_pylist()))
        if self._label not in batch.schema.names:
            return batch.append_column(self._label, late)
        own = whole(batch.column(self._label))
        if own.null_count < len(own):
            own, late = _alike(own, late)
            differ = pc.fill_null(pc.not_equal(own, late), False)
            self._unlike += differ.true_count
            late = pc.coalesce(own, late)
        return batch.set_column(batch.schema.get_field_index(self._label), self._label, late)

    def _array(self, labels: list[object]) -> Column:
        """Labels as a column; as texts where parts of the file had other types."""
        try:
            return pa.array(labels, self._type)
        except (pa.ArrowException, TypeError, ValueError):
            return pa.array([None if one is None else str(one) for one in labels], pa.string())

    def remarks(self) -> tuple[str, ...]:
        """What was odd about the labels, when all rows have been filled."""
        found = [f"labels: {one}" for one in self._known.remarks()]
        found.insert(0, f"labels: {self._known.counts.joined:,} joined by `{self._id}`")
        if self._without_id:
            found.append(f"labels: {self._without_id:,} have no id")
        if self._unlike:
            found.append(
                f"labels: {self._unlike:,} differ from the one in the current sample, which stays"
            )
        return tuple(found)


def _alike(own: Column, late: Column) -> tuple[Column, Column]:
    """Both of one type: that of the sample, else texts; an empty text is no label."""
    try:
        late = late.cast(own.type)
    except pa.ArrowException:
        own, late = texts(own), texts(late)
    if pa.types.is_string(own.type):
        own = pc.if_else(pc.equal(own, ""), None, own)
    return own, late

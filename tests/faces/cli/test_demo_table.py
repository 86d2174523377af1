"""The quickstart's table: real measurements, made-up people."""

import io

import pyarrow as pa
import pyarrow.csv
from sklearn.datasets import load_breast_cancer

from strongroom.faces.cli.demo_table import (
    LABEL_COLUMN,
    PEOPLE_COLUMNS,
    ROWS,
    biopsies_as_csv,
    biopsies_with_people,
)


def test_measurements_are_the_real_ones() -> None:
    table = pa.Table.from_batches(list(biopsies_with_people(1)))
    data = load_breast_cancer()
    assert table.num_rows == ROWS == len(data.data)
    assert table.column_names == [*PEOPLE_COLUMNS, *data.feature_names, LABEL_COLUMN]
    for index, name in enumerate(data.feature_names):
        assert table[str(name)].to_pylist() == data.data[:, index].tolist()
    assert table[LABEL_COLUMN].to_pylist()[:2] == ["malignant", "malignant"]


def test_people_follow_the_seed_and_stay_on_example_domains() -> None:
    one = pa.Table.from_batches(list(biopsies_with_people(1)))
    assert one.equals(pa.Table.from_batches(list(biopsies_with_people(1))))
    assert one["name"] != pa.Table.from_batches(list(biopsies_with_people(2)))["name"]
    for address in one["email"].to_pylist():
        assert str(address).rpartition("@")[2] in {"example.org", "example.com", "example.net"}
    assert len(set(one["medical_record_number"].to_pylist())) == ROWS


def test_csv_holds_the_same_rows() -> None:
    table = pa.Table.from_batches(list(biopsies_with_people(3)))
    options = pa.csv.ConvertOptions(column_types={"postcode": pa.string()})
    read = pa.csv.read_csv(io.BytesIO(b"".join(biopsies_as_csv(3))), convert_options=options)
    assert read.equals(table)

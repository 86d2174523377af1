"""The quickstart's table: real biopsies, joined with people who do not exist.

The measurements are the Wisconsin diagnostic breast-cancer data that scikit-learn carries (569
fine-needle biopsies, 30 features of cell nuclei, and the diagnosis). The identities are made by
Faker from a seed, with mail domains that are reserved for examples (RFC 2606).
"""

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.csv

ROWS = 569
PEOPLE_COLUMNS = ("name", "birth_date", "email", "phone", "postcode", "medical_record_number")
LABEL_COLUMN = "diagnosis"
_BATCH_ROWS = 128
_OLDEST, _YOUNGEST = date(1931, 1, 1), date(1992, 12, 31)


def _people(seed: int, rows: int) -> dict[str, "pa.Array[Any]"]:
    """Made-up identities, `rows` of each column; the same for the same seed."""
    from faker import Faker

    fake = Faker("en_US")
    fake.seed_instance(seed)
    names = [f"{fake.first_name_female()} {fake.last_name()}" for _ in range(rows)]
    return {
        "name": pa.array(names),
        "birth_date": pa.array(
            [fake.date_between_dates(_OLDEST, _YOUNGEST) for _ in range(rows)], pa.date32()
        ),
        "email": pa.array(
            [
                f"{name.lower().replace(' ', '.')}{fake.random_int(1, 99)}"
                f"@{fake.safe_domain_name()}"
                for name in names
            ]
        ),
        "phone": pa.array([fake.numerify("(%##) 555-01##") for _ in range(rows)]),
        "postcode": pa.array([fake.postcode() for _ in range(rows)]),
        "medical_record_number": pa.array(
            [f"MRN-{number:07d}" for number in fake.random.sample(range(10**6, 10**7), rows)]
        ),
    }


def biopsies_with_people(seed: int) -> Iterator[pa.RecordBatch]:
    """The table in batches: six columns of identity, 30 of measurement, the diagnosis."""
    from sklearn.datasets import load_breast_cancer

    biopsies = load_breast_cancer()
    columns = _people(seed, ROWS)
    for index, feature in enumerate(biopsies.feature_names):
        columns[str(feature)] = pa.array(biopsies.data[:, index])
    labels = [str(biopsies.target_names[code]) for code in biopsies.target]
    columns[LABEL_COLUMN] = pa.array(labels)
    yield from pa.table(columns).to_batches(_BATCH_ROWS)


def biopsies_as_csv(seed: int) -> Iterator[bytes]:
    """The same table as CSV with a header, in pieces."""
    header = True
    for batch in biopsies_with_people(seed):
        piece = io.BytesIO()
        options = pyarrow.csv.WriteOptions(include_header=header)
        pyarrow.csv.write_csv(batch, piece, options)
        header = False
        yield piece.getvalue()

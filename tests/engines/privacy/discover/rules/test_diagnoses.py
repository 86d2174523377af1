"""Codes of diagnoses: which categories there are, by the lists of WHO and the United States."""

import random

import pyarrow as pa
import pytest

from strongroom.engines.privacy.discover.rules.diagnoses import is_icd_category
from strongroom.engines.privacy.discover.tables import discover_table

CHANCE = random.Random(11)  # noqa: S311 # not a secret


# ICD-10 (WHO, 2019): Z99.9, U07.1, N18.3, T08, Y98. ICD-10-CM (2025): B10 human herpesviruses, N52
# erectile dysfunction, V00 pedestrian conveyance, Y38 terrorism, and categories with a letter.
@pytest.mark.parametrize(
    "code",
    ["A00.0", "B10.81", "C7A.010", "E11.9", "I1A.0", "I5A", "J4A.0", "M1A.9", "N18.3", "N52.9",
     "T08", "U07.1", "U09.9", "V00.01", "Y38.0", "Y98", "Z99.9", "z3a.20", "h26.9"],
)  # fmt: skip
def test_a_category_that_there_is(code: str) -> None:
    assert is_icd_category(code)


# Between the blocks, or left free within them: WHO's chapters end before the number 99 in E, H,
# P; C29 lies between C26 and C30, A45 between A44 and A46.
@pytest.mark.parametrize(
    "code", ["A10.1", "A45.0", "B93.1", "C29.0", "C42.9", "D79", "E91.0", "G42", "H96.1", "I14.0",
             "P97.0", "U00.1", "W97.0", "Z06.1", "D3B.1", "", "9A1"]
)  # fmt: skip
def test_a_category_that_there_is_not(code: str) -> None:
    assert not is_icd_category(code)


def test_codes_with_letters_are_found_and_parts_of_machines_are_not() -> None:
    codes = CHANCE.choices(["I5A.1", "C7A.010", "B10.81", "N52.9", "V00.01", "J4A.8", "E11.9",
                            "I10.0", "M1A.9"], k=200)  # fmt: skip
    assert discover_table(pa.table({"c1": codes})).columns[0].type == "clinical_code"
    parts = [f"{CHANCE.choice('ABCDEGHIJ')}{CHANCE.randrange(10, 100)}.{CHANCE.randrange(9)}"
             for _ in range(200)]  # fmt: skip
    assert discover_table(pa.table({"c1": parts})).columns[0].type is None


@pytest.mark.parametrize("header", ["ICD9_DGNS_CD_1", "diag_cd2", "prim_dx_cd", "cim10"])
def test_names_that_registers_give_the_column(header: str) -> None:
    codes = ["I10", "B20", "M545", "J45909", "E119", "K359", "N390"] * 20
    assert discover_table(pa.table({header: codes})).columns[0].type == "clinical_code"

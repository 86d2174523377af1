"""`strongroom discover FILE --suggest COLUMN`: a type for the column, and none of its values."""

import json
import random
import re
from pathlib import Path

from tests.faces.cli.conftest import Offline

CHANCE = random.Random(11)  # noqa: S311 # no secret
CODES = [f"ST-{CHANCE.randrange(10**5, 10**6)}" for _ in range(200)]


def write(folder: Path, codes: list[str]) -> None:
    rows = [f"{code},note {at},{at}" for at, code in enumerate(codes)]
    (folder / "visits.csv").write_text("\n".join(["study code,remark,n", *rows]) + "\n")


def test_the_type_finds_the_column_it_was_made_of(offline: Offline, tmp_path: Path) -> None:
    write(tmp_path, CODES)
    code, out, err = offline("discover", "visits.csv", "--suggest", "study code")
    assert code == 0, err
    assert "fits: `ST-`, 6 digits" in err
    assert "matched 100.0% of the filled rows" in err
    (tmp_path / "types.toml").write_text(out)
    found = offline("discover", "visits.csv", "--types", "types.toml", "--json")[1]
    columns = json.loads(found)["files"][0]["tables"][0]["columns"]
    assert columns[0]["type"] == "study_code"
    assert columns[0]["role"] == "direct"


def test_no_value_is_in_what_is_printed(offline: Offline, tmp_path: Path) -> None:
    write(tmp_path, [*CODES, *["gone astray"] * 20])
    asked = ("discover", "visits.csv", "--suggest", "study code")
    code, out, err = offline(*asked, "--json")
    shown = out + err + "".join(map(str, offline(*asked)))
    assert code == 0
    assert not any(value in shown or value[3:] in shown for value in CODES)
    assert "astray" not in shown
    answer = json.loads(out)
    assert answer["share"] == round(200 / 220, 4)
    assert answer["toml"].startswith("[study_code]")


def test_other_columns_that_it_would_match_are_told(offline: Offline, tmp_path: Path) -> None:
    rows = [f"{CHANCE.randrange(1000, 10**4)},{CHANCE.randrange(1000, 10**4)}" for _ in range(60)]
    (tmp_path / "two.csv").write_text("\n".join(["door code,year built", *rows]) + "\n")
    err = offline("discover", "two.csv", "--suggest", "door code")[2]
    assert "would also match 100.0% of the column year built" in err


def test_what_has_no_form_gets_no_type(offline: Offline, tmp_path: Path) -> None:
    write(tmp_path, ["Ann", "Bo Li", "C-3", "4", "e e e", "F.G", "h/i", "J!k", "l;m"] * 5)
    code, out, err = offline("discover", "visits.csv", "--suggest", "study code")
    assert (code, out) == (2, "")
    assert "have no form in common" in err
    assert not re.search(r"Bo Li|J!k", err)
    # Of few values a pattern would be made of them.
    write(tmp_path, ["smith-1", "smith-2"] * 30)
    code, out, err = offline("discover", "visits.csv", "--suggest", "study code")
    assert (code, out) == (2, "")
    assert "smith" not in err


def test_one_file_with_that_column_is_needed(offline: Offline, tmp_path: Path) -> None:
    write(tmp_path, CODES)
    assert offline("discover", "visits.csv", "--suggest", "other")[0] == 2
    assert offline("discover", ".", "--suggest", "study code")[0] == 2
    assert offline("discover", "visits.csv", "visits.csv", "--suggest", "study code")[0] == 2

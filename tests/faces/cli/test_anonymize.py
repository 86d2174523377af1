"""`strongroom anonymize`, through the entry point: from a bare file to a proven copy."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.faces.cli import privacy_files
from tests.faces.cli.conftest import Offline

QUASI = ("age", "zip", "gender")


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """300 patients, of whom nearly all stand alone."""
    random = np.random.default_rng(9)
    lines = ["patient_name,age,zip,gender,diagnosis,pulse"]
    lines += [
        f"Jane Number{at},{random.integers(20, 80)},8{random.integers(0, 4)}{random.integers(0, 9)}"
        f"67,{random.choice(['female', 'male'])},{random.choice(['gout', 'flu', 'asthma'])},"
        f"{random.normal(70, 9):.1f}"
        for at in range(300)
    ]
    file = tmp_path / "patients.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def groups(file: Path, columns: tuple[str, ...] = QUASI) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row[name] for name in columns) for row in privacy_files.read_back(file))


SENSITIVE = ("--sensitive", "diagnosis", "--keep", "pulse")


@pytest.mark.usefixtures("patients")
def test_without_configuration_and_again_with_the_file_it_wrote(
    offline: Offline, tmp_path: Path
) -> None:
    code, out, err = offline(
        "anonymize", "patients.csv", "--k", "5", "--l", "2", "--t", "0.3", *SENSITIVE,
        "-o", "safe.csv", "--write-recipe", "recipe.toml", "--html", "report.html",
    )  # fmt: skip
    assert code == 0, err
    assert out == ""
    assert "patient_name: drop" in err
    assert "counted again and right" in err
    assert "--method local would lose" in err
    first = privacy_files.read_back(tmp_path / "safe.csv")
    assert list(first[0]) == ["age", "zip", "gender", "diagnosis", "pulse"]
    assert min(groups(tmp_path / "safe.csv").values()) >= 5
    assert "Jane" not in (tmp_path / "safe.csv").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "asthma" not in page
    assert "<script" not in page

    recipe = tmp_path / "recipe.toml"
    code, _, err = offline("anonymize", "patients.csv", "--recipe", "recipe.toml", "-o", "two.csv")
    assert code == 0, err
    assert groups(tmp_path / "two.csv") == groups(tmp_path / "safe.csv")

    recipe.write_text(recipe.read_text().replace("k = 5", "k = 25"))
    code, _, err = offline(
        "anonymize", "patients.csv", "--recipe", "recipe.toml", "-o", "three.csv", "--json"
    )
    assert code == 0, err
    assert min(groups(tmp_path / "three.csv").values()) >= 25


@pytest.mark.usefixtures("patients")
def test_local_recoding_and_json(offline: Offline, tmp_path: Path) -> None:
    code, out, err = offline(
        "anonymize", "patients.csv", "--method", "local", *SENSITIVE, "-o", "safe.parquet",
        "--json", "--people", "100000", "--target", "diagnosis", "--auxiliary", "patients.csv",
    )  # fmt: skip
    assert code == 0, err
    shown = json.loads(out)
    assert shown["suppressed"] == 0
    assert shown["linkage_attack"]["before"]["singled_out"] > 0.5
    assert shown["linkage_attack"]["after"]["singled_out"] == 0
    assert (
        shown["population"]["before"]["pitman"] <= shown["population"]["before"]["unique_in_sample"]
    )
    assert len(groups(tmp_path / "safe.parquet")) > 20
    assert "Jane" not in out


@pytest.mark.usefixtures("patients")
def test_a_large_table_is_read_in_passes(offline: Offline, tmp_path: Path) -> None:
    code, _, err = offline("anonymize", "patients.csv", *SENSITIVE, "-o", "whole.csv")
    assert code == 0, err
    code, _, err = offline(
        "anonymize", "patients.csv", *SENSITIVE, "--large", "-o", "passes.jsonl",
        "--write-recipe", "recipe.toml",
    )  # fmt: skip
    assert code == 0, err
    assert groups(tmp_path / "passes.jsonl") == groups(tmp_path / "whole.csv")
    for more in (["--html", "x.html"], ["--people", "9999"], ["--method", "local"]):
        code, _, err = offline(
            "anonymize", "patients.csv", *SENSITIVE, "--large", "-o", "no.csv", *more
        )
        assert code in (1, 2), err
        assert not (tmp_path / "no.csv").exists()


@pytest.mark.usefixtures("patients")
def test_hierarchies_from_a_folder(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "gender.csv").write_text("female;*\n")
    asked = ("anonymize", "patients.csv", *SENSITIVE, "--hierarchies", "trees", "-o", "safe.csv")
    code, _, err = offline(*asked)
    assert code == 1
    assert "misses 1 of 2 values: `male`" in err
    (tmp_path / "trees" / "gender.csv").write_text("female;any\nmale;any\n")
    code, _, err = offline(*asked)
    assert code == 0, err


@pytest.mark.usefixtures("patients")
def test_explain_shows_a_recipe_and_writes_no_table(offline: Offline, tmp_path: Path) -> None:
    code, out, err = offline("anonymize", "patients.csv", *SENSITIVE, "--explain", "-o", "safe.csv")
    assert code == 0, err
    assert '[columns."age"]' in out
    assert 'role = "quasi"' in out
    assert not (tmp_path / "safe.csv").exists()


@pytest.mark.usefixtures("patients")
@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--k", "301"], 1, "k = 301 is more than the 300 rows"),
        (["--l", "2", "--drop", "diagnosis"], 1, "about a sensitive column"),
        (["--l", "9", "--sensitive", "diagnosis"], 1, "l = 9 is more than the 3 values"),
        (["--quasi", "nobody"], 1, "no column `nobody`"),
        (["--quasi", "age", "--keep", "age"], 1, "two roles"),
        (["--diversity", "other"], 2, "--diversity is one of"),
        (["--method", "other"], 2, "--method is one of"),
        (["--recipe", "nothing.toml"], 2, "there is no file"),
        (["--recipe", "patients.csv", "--quasi", "age"], 2, "the recipe decides"),
        (["--drop", "age", "--drop", "zip", "--drop", "gender", "--drop", "diagnosis"], 1,
         "no quasi-identifier"),
    ],
)  # fmt: skip
def test_what_is_refused(
    offline: Offline, tmp_path: Path, more: list[str], code: int, words: str
) -> None:
    found, _, err = offline("anonymize", "patients.csv", "-o", "safe.csv", *more)
    assert found == code, err
    assert words in err
    assert "next:" in err
    assert not (tmp_path / "safe.csv").exists()


@pytest.mark.usefixtures("patients")
def test_nothing_is_overwritten(offline: Offline, tmp_path: Path) -> None:
    before = (tmp_path / "patients.csv").read_bytes()
    for more in ([], ["--force"]):
        code, _, _ = offline("anonymize", "patients.csv", *SENSITIVE, "-o", "patients.csv", *more)
        assert code != 0
        assert (tmp_path / "patients.csv").read_bytes() == before
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "age.csv").write_text("1;*\n")
    (tmp_path / "link.csv").symlink_to("patients.csv")
    made = ("anonymize", "patients.csv", *SENSITIVE, "--force", "-o")
    for more in (
        ["safe.csv", "--html", "patients.csv"],
        ["safe.csv", "--write-recipe", "link.csv"],
        ["safe.csv", "--html", "other.csv", "--auxiliary", "other.csv"],
        ["trees/age.csv", "--hierarchies", "trees"],
        ["safe.csv", "--html", "./safe.csv"],
        ["link.csv", "--large"],
    ):
        (tmp_path / "other.csv").write_bytes(before)
        code, _, err = offline(*made, *more)
        assert (code, "next:" in err) == (1, True), more
        assert (tmp_path / "patients.csv").read_bytes() == before
        assert not (tmp_path / "safe.csv").exists()
    assert offline("anonymize")[0] == 2
    assert offline("anonymize", str(tmp_path))[0] == 2

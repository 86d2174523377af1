"""What the command line of `anonymize` can demand: held, said in words, written back, refused."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tests.faces.cli import privacy_files
from tests.faces.cli.conftest import Offline

from strongroom.engines.privacy.anonymize.recipe import parse_recipe

ALL = ("--quasi", "age", "--quasi", "ward", "--sensitive", "illness", "--keep", "no")
QUASI = ("age", "ward")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """120 people of 40 ages in 3 wards with 4 illnesses, and everybody they are a part of."""
    lines = [
        f"{20 + n * 7 % 40},{'NSW'[n * 11 % 3]},{('flu', 'gout', 'cold', 'acne')[n * 5 % 4]},{n}"
        for n in range(120)
    ]
    (tmp_path / "people.csv").write_text("age,ward,illness,no\n" + "\n".join(lines) + "\n")
    others = [f"{20 + n * 13 % 45},{'NSW'[n * 5 % 3]}" for n in range(400)]
    named = [",".join(line.split(",")[:2]) for line in lines]
    (tmp_path / "everybody.csv").write_text("age,ward\n" + "\n".join(named + others) + "\n")
    return tmp_path


def groups(file: Path) -> dict[tuple[object, ...], Counter[object]]:
    """Illnesses by the written quasi-identifiers."""
    found: dict[tuple[object, ...], Counter[object]] = {}
    for row in privacy_files.read_back(file):
        found.setdefault(tuple(row[name] for name in QUASI), Counter())[row["illness"]] += 1
    return found


def test_likeness_disclosure_risk_and_weights(offline: Offline, people: Path) -> None:
    code, _, err = offline(
        "anonymize", "people.csv", *ALL, "--k", "6", "--beta", "1.2", "--delta-disclosure", "0.8",
        "--average-risk", "0.08", "--weight", "age=5", "-o", "safe.csv",
        "--write-recipe", "recipe.toml", "--html", "page.html",
    )  # fmt: skip
    assert code == 0, err
    said = (
        "no value of `illness` becomes more than 120% likelier",
        "differs in each group by a factor below e^0.8",
        "the average risk is at most 8.00%",
    )
    page = (people / "page.html").read_text()
    assert all(words in err and words in page for words in said)
    assert "age: quasi, hierarchy numbers, counts 5 times" in err
    found = groups(people / "safe.csv")
    rows = sum(group.total() for group in found.values())
    assert len(found) / rows <= 0.08
    for group in found.values():
        shares = [group[one] / group.total() for one in ("flu", "gout", "cold", "acne")]
        # Each illness is a quarter of the table: δ allows 0.25·e^±0.8, β a gain of 1.2.
        assert all(0.25 / 2.2256 < share < 0.25 * 2.2 for share in shares)
    recipe = parse_recipe((people / "recipe.toml").read_text())
    asked = recipe.demands
    assert (asked.beta, asked.delta_disclosure, asked.average_risk) == (1.2, 0.8, 0.08)
    assert recipe.columns["age"].weight == 5
    code, _, err = offline("anonymize", "people.csv", "--recipe", "recipe.toml", "-o", "two.csv")
    assert code == 0, err
    assert groups(people / "two.csv") == found
    code, out, err = offline(
        "anonymize", "people.csv", "--recipe", "recipe.toml", "-o", "three.csv", "--large", "--json"
    )
    assert code == 0, err
    assert groups(people / "three.csv") == found
    assert json.loads(out)["measured"]["illness: gain"] < 1.2


def test_the_population_may_have_values_that_no_row_has(offline: Offline, people: Path) -> None:
    asked = ("anonymize", "people.csv", *ALL, "--population", "everybody.csv")
    code, _, err = offline(
        *asked, "--k-map", "20", "--presence-high", "0.4", "-o", "safe.csv",
        "--write-recipe", "recipe.toml",
    )  # fmt: skip
    assert code == 0, err
    assert "at least 20 people of the population share each group's values" in err
    assert "at most 40.00% are in the table" in err
    demands = parse_recipe((people / "recipe.toml").read_text()).demands
    assert (demands.k_map, demands.presence_high, demands.suppression) == (20, 0.4, 0.05)
    code, out, err = offline(*asked, "--presence-low", "0.1", "-o", "all.csv", "--json")
    assert code == 0, err
    shown = json.loads(out)
    # A lower bound of presence leaves nobody out, unless a person says otherwise.
    assert (shown["suppressed"], shown["demands"]["suppression"]) == (0, 0.0)
    assert shown["verified"]["measured"]["least presence"] >= 0.1


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--k", "121"], 1, "k = 121 is more than the 120 rows"),
        (["--k", "0"], 2, "--k"),
        (["--t", "1.5"], 2, "--t"),
        (["--t", "nan"], 2, "--t"),
        (["--l", "5"], 1, "l = 5 is more than the 4 values of `illness`"),
        (["--l", "2.5"], 1, "whole number"),
        (["--suppression", "-1"], 2, "--suppression"),
        (["--beta", "0"], 2, "--beta is a number from"),
        (["--beta", "inf"], 2, "--beta is a number from"),
        (["--delta-disclosure", "-1"], 2, "--delta-disclosure"),
        (["--average-risk", "0"], 2, "--average-risk is a number from"),
        (["--average-risk", "0.001"], 1, "no generalization fulfils"),
        (["--k-map", "3"], 1, "need a table of the population"),
        (["--presence-high", "0.5"], 1, "need a table of the population"),
        (["--presence-high", "0.5", "--population", "nobody.csv"], 2, "nobody.csv"),
        (["--presence-low", "0.6", "--presence-high", "0.5", "--population", "everybody.csv"], 1,
         "the lower first"),
        (["--presence-low", "0.1", "--suppression", "0.1", "--population", "everybody.csv"], 1,
         "allows no suppression"),
        (["--k-map", "600", "--population", "everybody.csv"], 1, "not even a table"),
        (["--k-map", "3", "--population", "everybody.csv", "--method", "local"], 1,
         "no k-map and no δ-presence"),
        (["--k-map", "3", "--population", "everybody.csv", "--large"], 2, "has no population"),
        (["--k-map", "3", "--population", "age.csv"], 1, "the population has no column `ward`"),
        (["--weight", "age"], 2, "COLUMN=NUMBER"),
        (["--weight", "age=-1"], 2, "COLUMN=NUMBER"),
        (["--weight", "age=nan"], 2, "COLUMN=NUMBER"),
        (["--weight", "age=1", "--weight", "age=2"], 2, "two weights"),
        (["--weight", "nobody=1"], 1, "no column `nobody`"),
        (["--weight", "no=1"], 1, "not generalized"),
        (["--weight", "age=0", "--weight", "ward=0"], 1, "not all 0"),
    ],
)  # fmt: skip
def test_what_is_refused(offline: Offline, people: Path, more: list[str], code: int, words: str)\
        -> None:  # fmt: skip
    (people / "age.csv").write_text("age\n30\n")
    found, _, err = offline("anonymize", "people.csv", *ALL, "-o", "safe.csv", *more)
    assert found == code, err
    assert words in err
    assert not (people / "safe.csv").exists()


@pytest.mark.parametrize(
    "more",
    [["--k", "7"], ["--suppression", "0.05"], ["--method", "local"], ["--weight", "age=2"],
     ["--quasi", "age"], ["--hierarchies", "."]],
    ids=lambda more: str(more[0]),
)  # fmt: skip
def test_a_recipe_decides_everything(offline: Offline, people: Path, more: list[str]) -> None:
    (people / "recipe.toml").write_text("[columns.age]\nrole = 'quasi'\n")
    code, _, err = offline(
        "anonymize", "people.csv", "--recipe", "recipe.toml", "-o", "safe.csv", *more
    )
    assert code == 2, err
    assert "the recipe decides about" in err
    assert not (people / "safe.csv").exists()


def test_a_recipes_own_files_are_not_overwritten(offline: Offline, people: Path) -> None:
    (people / "ages.csv").write_text("".join(f"{n};*\n" for n in range(20, 60)))
    before = (people / "ages.csv").read_bytes()
    (people / "recipe.toml").write_text(
        "[columns.age]\nrole = 'quasi'\nhierarchy = 'file'\nfile = 'ages.csv'\n"
    )
    for more in ((), ("--large",)):
        code, _, err = offline(
            "anonymize", "people.csv", "--recipe", "recipe.toml", "--force", "-o", "ages.csv", *more
        )
        assert code == 1, err
        assert "is a file that is read" in err
        assert (people / "ages.csv").read_bytes() == before


def test_tables_at_the_edges(offline: Offline, people: Path) -> None:
    """A constant column, one that differs in every row, missing values; and nothing but these."""
    rows = [f"Graz,{n},{'' if n % 3 else n % 2}" for n in range(60)]
    (people / "edges.csv").write_text("town,number,flag\n" + "\n".join(rows) + "\n")
    asked = [one for name in ("town", "number", "flag") for one in ("--quasi", name)]
    code, _, err = offline("anonymize", "edges.csv", *asked, "--k", "5", "-o", "safe.csv")
    assert code == 0, err
    assert "`town` is the same in all rows" in err
    assert "`number` is different in every row" in err
    assert "flag: 40 rows have no value" in err
    assert {row["town"] for row in privacy_files.read_back(people / "safe.csv")} == {"Graz"}
    code, _, err = offline("anonymize", "edges.csv", *asked, "--k", "60", "-o", "all.csv")
    assert code == 0, err
    assert "nothing is left of the quasi-identifiers" in err
    (people / "none.csv").write_text("town,number\n")
    code, _, err = offline("anonymize", "none.csv", "--quasi", "town", "-o", "no.csv")
    assert code == 1, err
    assert "the table has no rows" in err
    assert not (people / "no.csv").exists()


def test_dates_say_how_they_were_read(offline: Offline, people: Path) -> None:
    rows = [
        f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.19{60 + n % 20},{n % 9 + 1}/{n % 8 + 1}/2024"
        for n in range(200)
    ]
    (people / "dates.csv").write_text("born,seen\n" + "\n".join(rows) + "\n")
    asked = ("anonymize", "dates.csv", "--quasi", "born", "--quasi", "seen", "--k", "4")
    code, _, err = offline(*asked, "-o", "safe.csv", "--write-recipe", "recipe.toml")
    assert code == 0, err
    assert "`born`: dates read as dd.mm.yyyy" in err
    assert "day and month cannot be told apart" in err
    recipe = people / "recipe.toml"
    assert recipe.read_text().count('hierarchy = "dates"') == 2
    text = recipe.read_text().replace(
        '[columns."seen"]', '[columns."seen"]\ndate_order = "month_first"'
    )
    recipe.write_text(text)
    code, _, err = offline(
        "anonymize", "dates.csv", "--recipe", "recipe.toml", "--force", "-o", "safe.csv"
    )
    assert code == 0, err
    assert "`seen`: dates read as mm/dd/yyyy" in err
    assert "cannot be told apart" not in err
    for more in ("--large",):
        code, _, err = offline(*asked, more, "--force", "-o", "safe.csv")
        assert code == 0, err
        assert "`born`: dates read as dd.mm.yyyy" in err
